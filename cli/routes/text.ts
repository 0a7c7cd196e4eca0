import { relative } from 'node:path'
import type { Terminal } from '../command.ts'
import { padEnd, printable, truncate, wrap } from '../display.ts'
import { colours, findingBlock, fit, gap, mark } from '../layout.ts'
import { painter, type Paint } from '../terminal.ts'
import type { Finding } from './check.ts'
import { columns, type Column } from './columns.ts'
import { nameOf, type Row } from './report.ts'
import { findingSummary, gravest, routeSummary, type Report } from './summary.ts'

type Look = Pick<Terminal, 'columns' | 'colour' | 'cwd'>

/** The table for people at a terminal. */
export function tableText (report: Report, look: Look): string {
  const paint = painter(look)
  const shown = visible(report.rows)
  const widths = fit(shown.map(({ title, text, least }) => ({ title, least, cells: report.rows.map(text) })), look.columns - 2)
  const body = report.rows.length === 0 ? [] : widths === undefined ? stacked(report, look) : table(report, shown, widths, paint)
  const hidden = columns.filter(column => !shown.includes(column) &&
    report.rows.some(row => column.text(row) !== '')).map(({ title }) => title.toLowerCase().replace('cors', 'CORS'))
  return [
    ...body,
    '',
    paint('bold', routeSummary(report)),
    ...(hidden.length === 0 ? [] : [paint('dim', `${sentence(hidden)}: as the application says, on every route`)]),
    outcome(report, paint)
  ].join('\n').replace(/^\n/, '') + '\n'
}

function sentence (names: readonly string[]): string {
  const text = names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function outcome (report: Report, paint: Paint): string {
  const [first] = report.findings
  return paint(first === undefined ? 'green' : colours[first.severity],
    `${findingSummary(report)}${first === undefined ? '' : '; see --check'}`)
}

/** Columns in which at least one route differs from what is usual. */
function visible (rows: readonly Row[]): readonly Column[] {
  return columns.filter(({ usual, text }) => usual.length === 0 || rows.some(row => !usual.includes(text(row))))
}

function table ({ rows, findings }: Report, shown: readonly Column[], widths: readonly number[], paint: Paint): string[] {
  const head = shown.map(({ title }, index) => padEnd(title, widths[index] ?? 0)).join(gap)
  return [paint('bold', `  ${head.trimEnd()}`), ...rows.map(row => {
    const cells = shown.map((column, index) => cell(column, row, widths[index] ?? 0, paint))
    return `${mark(gravest(findings, nameOf(row)), paint)} ${cells.join(gap)}`.trimEnd()
  })]
}

function cell (column: Column, row: Row, width: number, paint: Paint): string {
  const text = printable(column.text(row))
  const padded = padEnd(truncate(text, width), width)
  if (column.usual.includes(text)) return paint('dim', padded)
  return column.title === 'Access' ? paint(accessColour(row), padded) : padded
}

function accessColour ({ access: { kind } }: Row): Parameters<Paint>[0] {
  if (kind === 'rule') return 'green'
  return kind === 'closed' || kind === 'open' || kind === 'outside' ? 'red' : 'yellow'
}

/** On a narrow terminal each route has lines of its own. */
function stacked ({ rows, findings }: Report, look: Look): string[] {
  const paint = painter(look)
  return rows.flatMap(row => {
    const words = columns.slice(2).filter(({ usual, text }) => !usual.includes(text(row)) &&
      text(row) !== '').map(({ text }) => printable(text(row)))
    const detail = wrap(words.join(' · '), look.columns - 4).map(line => `    ${paint('dim', line)}`)
    return [`${mark(gravest(findings, nameOf(row)), paint)} ${paint('bold', printable(nameOf(row)))}`, ...detail]
  })
}

/** The findings for people at a terminal: what, where, why, and what to do. */
export function findingsText (report: Report, look: Look): string {
  const paint = painter(look)
  const blocks = report.findings.map(finding => findingText(finding, look, paint))
  return [...blocks, `${paint('bold', routeSummary(report))}\n${outcome(report, paint).replace('; see --check', '')}\n`].join('\n')
}

function findingText (finding: Finding, look: Look, paint: Paint): string {
  const { route, source } = finding
  const place = source === undefined ? '' : paint('dim', `  ${relative(look.cwd, source.file)}:${source.line}`)
  return findingBlock(finding, `${paint('bold', printable(route ?? 'the application'))}${place}`, look)
}
