import type { Line } from './lines.ts'

/** A script for fish: one line for each word, with what it does. */
export function fish (lines: readonly Line[]): string {
  const own = lines.flatMap(line => [...nameLines(line), ...optionLines(line), ...fileLines(line)])
  return ['# fish completion for secure-api; made by `secure-api completion fish`', 'complete -c secure-api -f',
    complete(first, '-a help -l help -l version'), ...own, ''].join('\n')
}

function nameLines ({ path: [name, subcommand], summary }: Line): string[] {
  return subcommand === undefined
    ? [complete(first, `-a ${name} -d ${quoted(summary)}`)]
    : [complete(second(name), `-a ${subcommand}`)]
}

function optionLines (line: Line): string[] {
  return line.options.map(({ name, short, values, path }) => {
    const value = values === undefined ? '' : path ? ' -r -F' : ` -x -a ${quoted(values.join(' '))}`
    return complete(within(line), `-l ${name}${short === undefined ? '' : ` -s ${short}`}${value}`)
  })
}

function fileLines (line: Line): string[] {
  return line.takes === undefined ? [] : [complete(within(line), '-F')]
}

/** Where options of a command stand: behind its name, and not behind that of a subcommand, which has its own. */
function within ({ path: [name, subcommand], subcommands }: Line): string {
  if (subcommand !== undefined) return `${typed} test "$typed[2]" = ${name} -a "$typed[3]" = ${subcommand}`
  const others = subcommands.length === 0 ? '' : `; and not contains -- "$typed[3]" ${subcommands.join(' ')}`
  return `${typed} test "$typed[2]" = ${name}${others}`
}

const typed = 'set -l typed (commandline -opc);'
const first = 'test (count (commandline -opc)) -eq 1'
const second = (name: string) => `${typed} test (count $typed) -eq 2 -a "$typed[2]" = ${name}`

function complete (condition: string, rest: string): string {
  return `complete -c secure-api -n ${quoted(condition)} ${rest}`
}

function quoted (text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
