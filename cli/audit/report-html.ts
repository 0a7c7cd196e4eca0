import { framed, findingItem, text, tiles } from '../page/frame.ts'
import { style as common } from '../page/style.ts'
import { notesOf, shownFindings, tablesOf, unusedCount, type UsageReport, type UsageTable } from './report-tables.ts'

const style = `${common}
.notes { margin: 0 0 1rem; padding: 0; list-style: none; color: var(--dim) }
.notes li:first-child { color: var(--text); font-weight: 600 }
td:first-child { font-weight: 600 }
th.number, td.number { text-align: right; white-space: nowrap }
.verdict {
  display: inline-block; padding: .05rem .5rem; border-radius: 4px; background: var(--warn-back); color: var(--warn); white-space: nowrap
}
.verdict.fits { background: var(--good-back); color: var(--good) }
.verdict.few { background: none; color: var(--dim); padding: 0 }
@media (max-width: 66rem) {
  td.number:nth-child(n) { display: inline-grid; grid-template-columns: auto auto; gap: .4rem; margin-right: 1.1rem; text-align: left }
  td:nth-child(1) { display: block; padding-bottom: .3rem }
  td:nth-child(1)::before { content: none }
}
@media print { .verdict { border: 1px solid currentColor } }
`

/** The report as one page that needs nothing else. */
export function reportHtml (report: UsageReport): string {
  return framed({
    title: 'Scope review',
    heading: 'Scope review',
    skip: ['findings', 'findings'],
    header: `<ul class="notes">${notesOf(report).map(note => `<li>${text(note)}</li>`).join('')}</ul>\n${summary(report)}`,
    main: [findingsOf(report), ...tablesOf(report).map(section)].join('\n'),
    style
  })
}

function summary (report: UsageReport): string {
  const { usage, findings } = report
  const count = (severity: 'warning' | 'note') => findings.filter(finding => finding.severity === severity).length
  const uncalled = usage.routes.filter(({ known, complete, calls }) => known && complete && calls === 0).length
  return tiles([
    { title: 'calls', tone: 'plain', count: usage.calls },
    { title: 'clients', tone: 'plain', count: usage.clients.length },
    { title: 'unneeded scopes', tone: unusedCount(report) > 0 ? 'warning' : 'good', count: unusedCount(report) },
    { title: 'uncalled routes', tone: 'plain', count: uncalled },
    { title: 'warnings', tone: count('warning') > 0 ? 'warning' : 'good', count: count('warning') },
    { title: 'notes', tone: count('note') > 0 ? 'note' : 'plain', count: count('note') }
  ].filter(({ title }) => report.routesKnown || title !== 'uncalled routes'))
}

function findingsOf (report: UsageReport): string {
  const items = shownFindings(report).map(finding => findingItem(finding, `<code>${text(finding.subject)}</code>`))
  return `<section aria-labelledby="findings">
<h2 id="findings" tabindex="-1">Findings</h2>
${items.length === 0 ? '<p>None.</p>' : `<ol class="findings">${items.join('')}</ol>`}
</section>`
}

function section ({ id, title, columns, rows }: UsageTable): string {
  const heads = columns.map(({ title, isNumber }) =>
    `<th role="columnheader" scope="col"${isNumber ? ' class="number"' : ''}>${title}</th>`)
  return `<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
<table role="table" aria-labelledby="${id}">
<thead role="rowgroup"><tr role="row">${heads.join('')}</tr></thead>
<tbody role="rowgroup">
${rows.map(row => `<tr role="row">${row.map((value, index) => cell(value, columns[index])).join('')}</tr>`).join('\n')}
</tbody>
</table>
</section>`
}

const tones: Readonly<Record<string, string>> = { fits: 'fits', 'too few calls to say': 'few' }

/** A cell that says nothing gives its room away on a phone. */
function cell (value: string, column: UsageTable['columns'][number] | undefined): string {
  const { title = '', isNumber } = column ?? {}
  const content = title === 'Verdict'
    ? `<span class="verdict ${tones[value] ?? ''}">${text(value)}</span>`
    : `<span>${value === '' ? '–' : text(value).replaceAll(/[/:]/g, '$&<wbr>')}</span>`
  const kind = [...(isNumber ? ['number'] : []), ...(value === '' ? ['usual'] : [])].join(' ')
  return `<td role="cell" data-title="${title}"${kind === '' ? '' : ` class="${kind}"`}>${content}</td>`
}
