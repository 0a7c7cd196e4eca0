import { code, escaped, table } from '../markdown.ts'
import type { UsageFinding } from './report-check.ts'
import { notesOf, outcomeOf, shownFindings, tablesOf, type UsageReport, type UsageTable } from './report-tables.ts'

/** The report as GitHub writes it, for a pull request or an issue. */
export function reportMarkdown (report: UsageReport): string {
  const findings = shownFindings(report)
  return [
    '# Scope review',
    '',
    ...notesOf(report).map(note => `- ${escaped(note)}`),
    '',
    `## Findings: ${outcomeOf(report)}`,
    ...(findings.length === 0 ? [] : ['', ...table(['Severity', 'Subject', 'Finding', 'What to do'], findings.map(cells))]),
    ...tablesOf(report).flatMap(section),
    ''
  ].join('\n')
}

function cells ({ severity, subject, code: name, detail, meaning, fix }: UsageFinding): readonly string[] {
  return [severity, code(subject), `${escaped(meaning)}. Here: ${escaped(detail)}. ${code(name)}`, escaped(fix)]
}

function section ({ title, columns, rows }: UsageTable): string[] {
  return ['', `## ${title}`, '', ...table(columns.map(({ title }) => title),
    rows.map(row => row.map((cell, index) => index === 0 ? code(cell) : escaped(cell))))]
}
