import type { Finding } from './check.ts'
import { columns } from './columns.ts'
import { findingSummary, routeSummary, type Report } from './summary.ts'

/** The table as GitHub writes tables, for a wiki or a pull request. */
export function markdown (report: Report): string {
  const { file, rows, findings } = report
  return [
    `# Routes of ${code(file)}`,
    '',
    `${routeSummary(report)}. ${findingSummary(report)}.`,
    '',
    ...table(columns.map(({ title }) => title), rows.map(row => columns.map(({ title, text }) => title === 'Path'
      ? code(text(row))
      : escaped(text(row))))),
    ...(findings.length === 0
      ? []
      : ['', '## Findings', '',
          ...table(['Severity', 'Route', 'Finding', 'What to do'], findings.map(cells))]),
    ''
  ].join('\n')
}

function cells ({ severity, route, code: name, detail, meaning, fix }: Finding): readonly string[] {
  return [severity, route === undefined ? 'the application' : code(route),
    `${escaped(meaning)}.${detail === '' ? '' : ` Here: ${escaped(detail)}.`} ${code(name)}`, escaped(fix)]
}

function table (titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)]
}

/** A code span holds backticks inside a longer fence (CommonMark §6.1); a pipe ends a cell even there (GFM §4.10). */
function code (text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  const pad = longest > 0 ? ' ' : ''
  return `${fence}${pad}${oneLine(text).replaceAll('|', '\\|')}${pad}${fence}`
}

/** Backticks stay: the texts of the fixes hold code. */
function escaped (text: string): string {
  return oneLine(text).replaceAll(/[\\|*_<>[\]]/g, '\\$&')
}

function oneLine (text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}
