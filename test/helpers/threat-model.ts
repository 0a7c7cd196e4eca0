import { linksOf } from './links.ts'

/** A row of a table whose third cell is a status. */
export interface Line {
  /** `9.1.1`, or `API1`; ranges are spelt out. */
  readonly ids: readonly string[]
  readonly asks: string
  readonly status: string
  readonly shown: string
}
export interface NamedTest {
  readonly file: string
  readonly title: string
}

const section = /^## (.+)$/gm

/** The rows under a heading `## …`. */
export function linesUnder (heading: string, page: string): Line[] {
  const [, text = ''] = page.split(section).flatMap((part, at, parts) => part === heading ? ['', parts[at + 1] ?? ''] : [])
  return text.split('\n').filter(line => line.startsWith('| ')).map(line => line.split('|').slice(1, -1).map(cell => cell.trim()))
    .filter(cells => cells.length === 4 && !/^(?:---|requirement|risk)$/.test(cells[0] ?? ''))
    .map(([ids = '', asks = '', status = '', shown = '']) => ({ ids: ids.split(', ').flatMap(spelt), asks, status, shown }))
}

/** `6.2.1–6.2.3` stands for three. */
function spelt (range: string): string[] {
  const [, group, from, to] = /^(\d+\.\d+)\.(\d+)–\1\.(\d+)$/.exec(range) ?? []
  if (group === undefined) return [range]
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, at) => `${group}.${Number(from) + at}`)
}

/** The tests that a cell names: `[file](../test/file): title`, one after the other. */
export function testsIn (cell: string): NamedTest[] {
  return cell.split('.<br>').flatMap(part => {
    const [, file, title] = /\]\(\.\.\/(test\/[^)]+)\): (.+)$/.exec(part) ?? []
    return file === undefined || title === undefined ? [] : [{ file, title }]
  })
}

/** The titles of the tests in a file, as they are written: with `${name}` where a table gives it. */
export function titlesIn (source: string): ReadonlySet<string> {
  const calls = source.matchAll(/\btest\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g)
  return new Set([...calls].map(([, single, double, template]) => (single ?? double ?? template ?? '').replace(/\\(['"`])/g, '$1')))
}

/** What is wrong with the status of a line, or undefined. */
export function statusProblem ({ status, shown }: Line): string | undefined {
  if (status === 'tested') return testsIn(shown).length === shown.split('.<br>').length ? undefined : 'a test is not named as one'
  if (status === 'documented') return linksOf(shown).length > 0 ? undefined : 'no section is linked'
  if (status === 'yours' || status === 'not ours') return shown === '' ? 'nothing is said' : undefined
  return `there is no status "${status}"`
}
