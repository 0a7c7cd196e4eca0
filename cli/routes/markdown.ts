import { code, escaped, table } from '../markdown.ts'
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
