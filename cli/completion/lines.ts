import type { Command, Grammar, Options } from '../command.ts'

/** A command, or one with its subcommand, and what may follow. */
export interface Line {
  /** `doctor`, or `doctor redis`. */
  readonly path: readonly [command: string, subcommand?: string]
  /** What it does, for shells that show it. */
  readonly summary: string
  readonly subcommands: readonly string[]
  readonly options: readonly Option[]
  readonly takes: Grammar['takes']
}

interface Option {
  readonly name: string
  readonly short: string | undefined
  /** Undefined for a switch, empty for any text. */
  readonly values: readonly string[] | undefined
  /** Whether its value is a path. */
  readonly path: boolean
}

/** The tables of all commands, as lines that can be completed; subcommands come first, whose names tell more. */
export function linesOf (commands: readonly Command[]): readonly Line[] {
  return commands.flatMap(({ name, summary, grammar = { options: {} } }) => {
    const { options, subcommands = {}, values = {}, paths = [], takes } = grammar
    const line = (path: Line['path'], options: Options, names: readonly string[] = []): Line =>
      ({ path, summary, subcommands: names, options: optionsOf(options, values, paths), takes })
    return [
      ...Object.entries(subcommands).map(([subcommand, options]) => line([name, subcommand], options)),
      line([name], options, Object.keys(subcommands))
    ]
  })
}

function optionsOf (options: Options, values: NonNullable<Grammar['values']>, paths: readonly string[]): readonly Option[] {
  const own = Object.entries(options).map(([name, { type, short }]) =>
    ({ name, short, values: type === 'boolean' ? undefined : values[name] ?? [], path: paths.includes(name) }))
  return [...own, { name: 'help', short: 'h', values: undefined, path: false }]
}

/** The names of all commands, without their subcommands. */
export function commandNames (lines: readonly Line[]): string[] {
  return lines.flatMap(({ path: [name, subcommand] }) => subcommand === undefined ? [name] : [])
}

/** Everything that can be typed for an option. */
export function spellings ({ name, short }: Option): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
}

/**
 * Branches of a `case` over `command/subcommand/option-or-nothing`, which bash and zsh read alike. Each sets `words` to what may
 * follow, and `files` where a path may.
 */
export function branches (lines: readonly Line[]): string {
  const cases = lines.flatMap(line => {
    const key = line.path.join('/')
    const valued = line.options.flatMap(option => option.values === undefined
      ? []
      : [branch(spellings(option).map(spelling => `${key}/${spelling}`).join('|'), option.values, option.path)])
    const words = [...line.subcommands, ...line.options.map(({ name }) => `--${name}`)]
    return [...valued, branch(`${key}/*`, words, line.takes !== undefined)]
  })
  return [...cases, branch('*', [...commandNames(lines), 'help', '--help', '--version'], false)].join('\n')
}

function branch (pattern: string, words: readonly string[], files: boolean): string {
  return `    ${pattern}) words='${words.join(' ')}'${files ? ' files=yes' : ''} ;;`
}

/** Subcommands by command, as a `case` over `command/word`. */
export function subcommandPattern (lines: readonly Line[]): string {
  return lines.flatMap(({ path: [name, subcommand] }) => subcommand === undefined ? [] : [`${name}/${subcommand}`]).join('|')
}
