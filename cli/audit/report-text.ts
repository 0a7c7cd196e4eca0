import type { Terminal } from '../command.ts'
import { displayWidth, padEnd, truncate, wrap } from '../display.ts'
import { findingBlock, fit, gap } from '../layout.ts'
import { painter, type Paint } from '../terminal.ts'
import { notesOf, outcomeOf, shownFindings, tablesOf, type UsageReport, type UsageTable } from './report-tables.ts'

type Look = Pick<Terminal, 'columns' | 'colour'>

/** The report for people at a terminal. */
export function reportText (report: UsageReport, look: Look): string {
  const paint = painter(look)
  const notes = notesOf(report).flatMap(note => wrap(note, Math.min(look.columns, 110)))
  const colour = report.findings.length === 0 ? 'green' : 'yellow'
  return [
    ...tablesOf(report).map(table => tableText(table, look, paint)),
    ...shownFindings(report).map(finding => findingBlock(finding, paint('bold', finding.subject), look)),
    `${notes.join('\n')}\n${paint(colour, outcomeOf(report))}\n`
  ].join('\n')
}

function tableText ({ title, columns, rows }: UsageTable, look: Look, paint: Paint): string {
  const heading = paint('bold', title)
  const fitted = columns.map(({ title, least }, index) => ({ title, least, cells: rows.map(row => row[index] ?? '') }))
  const widths = fit(fitted, look.columns - 2)
  if (widths === undefined) return `${heading}\n${rows.map(row => stacked(row, columns, look, paint)).join('\n')}\n`
  const line = (cells: readonly string[]) => cells.map((cell, index) => {
    const text = truncate(cell, widths[index] ?? 0)
    const width = widths[index] ?? 0
    return columns[index]?.isNumber === true ? ' '.repeat(width - displayWidth(text)) + text : padEnd(text, width)
  }).join(gap).trimEnd()
  return `${heading}\n  ${paint('dim', line(columns.map(({ title }) => title)))}\n${rows.map(row => `  ${line(row)}\n`).join('')}`
}

/** On a narrow terminal each row has lines of its own. */
function stacked ([first = '', ...rest]: readonly string[], [, ...columns]: UsageTable['columns'], { columns: width }: Look,
  paint: Paint): string {
  const words = rest.flatMap((cell, index) => cell === '' ? [] : [`${columns[index]?.title.toLowerCase()} ${cell}`])
  return [`  ${paint('bold', first)}`, ...wrap(words.join(' · '), width - 4).map(line => `    ${line}`)].join('\n')
}
