import type { Terminal } from './command.ts'
import { displayWidth, printable, wrap } from './display.ts'
import type { FindingKind, Severity } from './routes/codes.ts'
import { painter, type Paint } from './terminal.ts'

export const colours: Readonly<Record<Severity, Parameters<Paint>[0]>> = { error: 'red', warning: 'yellow', note: 'blue' }
const marks: Readonly<Record<Severity | 'none', string>> = { error: '✖', warning: '▲', note: '●', none: ' ' }
export const gap = '  '

export function mark (severity: Severity | undefined, paint: Paint): string {
  return severity === undefined ? marks.none : paint(colours[severity], marks[severity])
}

interface Fitted {
  readonly title: string
  readonly cells: readonly string[]
  /** The narrowest it can be made. */
  readonly least: number
}

/** Widths of the columns within a total; the widest gives first. `undefined`: there is not even room for the least. */
export function fit (columns: readonly Fitted[], total: number): readonly number[] | undefined {
  const widths = columns.map(({ title, cells }) => Math.max(displayWidth(title), ...cells.map(cell => displayWidth(printable(cell)))))
  const least = columns.map(({ least }, index) => Math.min(least, widths[index] ?? 0))
  let excess = widths.reduce((sum, width) => sum + width + gap.length, -gap.length) - total
  for (; excess > 0; excess--) {
    const room = widths.map((width, index) => width - (least[index] ?? 0))
    const widest = room.indexOf(Math.max(...room))
    if ((room[widest] ?? 0) <= 0) return undefined
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

/** A finding in lines of its own: what, why, and what to do. */
export function findingBlock ({ code, severity, detail, meaning, fix }: FindingKind & { code: string, detail: string }, title: string,
  look: Pick<Terminal, 'columns' | 'colour'>): string {
  const paint = painter(look)
  const lines = (text: string, first: string) => wrap(printable(text),
    Math.max(30, Math.min(look.columns, 110) - 4)).map((line, index) => `  ${index === 0 ? first : ' '.repeat(first.length)}${line}`)
  return [
    `${mark(severity, paint)} ${title}`,
    `  ${paint(colours[severity], `${severity} ${code}`)}`,
    ...lines(`${meaning}.`, ''),
    ...(detail === '' ? [] : lines(`Here: ${detail}`, '')),
    ...lines(fix, '→ ')
  ].join('\n') + '\n'
}
