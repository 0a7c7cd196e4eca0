import { relative } from 'node:path'
import { badge, breakable, findingItem, framed, text, tiles } from '../page/frame.ts'
import type { Finding } from './check.ts'
import { severities } from './codes.ts'
import { script } from './page-script.ts'
import { style } from './page-style.ts'
import { nameOf, type Access, type Row } from './report.ts'
import { gravest, type Report } from './summary.ts'
import { accessText, auditText, corsText, counted, headersText, limitNames, limitText, statements } from './words.ts'

interface Page extends Report {
  readonly cwd: string
}

/** The routes and the findings, with filters. */
export function html (report: Report, cwd: string): string {
  const page: Page = { ...report, cwd }
  return framed({
    title: `Routes of ${report.file}`,
    heading: `Routes of <code>${text(report.file)}</code>`,
    skip: ['routes', 'routes'],
    header: summary(page),
    main: `${findings(page)}\n${routes(page)}`,
    style,
    script
  })
}

const tileKinds: ReadonlyArray<readonly [title: string, tone: string, ...kinds: Array<Access['kind']>]> = [
  ['with a rule', 'good', 'rule'],
  ['authenticated', 'plain', 'authenticated', 'authenticated-by-default'],
  ['public', 'plain', 'public'],
  ['closed', 'bad', 'closed'],
  ['open', 'bad', 'open', 'outside'],
  ['not known yet', 'plain', 'unknown']
]

function summary ({ rows, findings, accepted }: Page): string {
  const byAccess = tileKinds.map(([title, tone, ...kinds]) =>
    ({ title, tone, count: rows.filter(({ access }) => kinds.includes(access.kind)).length }))
  const bySeverity = severities.map(severity => ({
    title: `${severity}s`,
    tone: severity,
    count: findings.filter(finding => finding.severity === severity).length
  }))
  const shown = [{ title: rows.length === 1 ? 'route' : 'routes', tone: 'plain', count: rows.length }, ...byAccess, ...bySeverity,
    { title: 'accepted', tone: 'plain', count: accepted.length }]
  return tiles(shown.filter(({ count, tone }) => count > 0 || tone === 'error')
    .map(tile => ({ ...tile, tone: tile.count === 0 ? 'good' : tile.tone })))
}

function findings ({ findings, accepted, rows, cwd }: Page): string {
  const list = (of: readonly Finding[]) => `<ol class="findings">${of.map(finding => item(finding, rows, cwd)).join('')}</ol>`
  const summary = `<summary>${counted(accepted.length, 'finding')} accepted by the baseline</summary>`
  return `<section aria-labelledby="findings">
<h2 id="findings">Findings</h2>
${findings.length === 0 ? '<p>None.</p>' : list(findings)}
${accepted.length === 0 ? '' : `<details>${summary}${list(accepted)}</details>`}
</section>`
}

function item (finding: Finding, rows: readonly Row[], cwd: string): string {
  const { route, source } = finding
  const index = rows.findIndex(row => nameOf(row) === route)
  const where = route === undefined
    ? 'The application'
    : index === -1
      ? text(route)
      : `<a href="#route-${index}"><code>${text(route)}</code></a>`
  const place = source === undefined ? '' : `<span class="source">${text(relative(cwd, source.file))}:${source.line}</span>`
  return findingItem(finding, `${where} ${place}`)
}

const accessNames: ReadonlyArray<readonly [value: string, name: string]> = [
  ['rule', 'With a rule'], ['authenticated', 'Authenticated'], ['public', 'Public'], ['closed', 'Closed'], ['open', 'Open'],
  ['unknown', 'Not known yet']
]

/** How the filter calls the kinds of access. */
function accessGroup ({ kind }: Access): string {
  if (kind === 'authenticated-by-default') return 'authenticated'
  return kind === 'outside' ? 'open' : kind
}

function routes (page: Page): string {
  const { rows } = page
  const heads = ['Method', 'Path', 'Access', 'Limit', 'CORS', 'Headers',
    'Audit'].map(title => `<th role="columnheader" scope="col">${title}</th>`)
  return `<section aria-labelledby="routes">
<h2 id="routes" tabindex="-1">Routes</h2>
${filters(rows)}
<table role="table" aria-labelledby="routes">
<thead role="rowgroup"><tr role="row">${heads.join('')}</tr></thead>
<tbody role="rowgroup">
${rows.map((row, index) => routeRow(row, index, page)).join('\n')}
</tbody>
</table>
<p class="none" hidden>No route fits these filters.</p>
</section>`
}

function filters (rows: readonly Row[]): string {
  const methods = [...new Set(rows.flatMap(({ methods }) => methods))]
  const present = new Set(rows.map(({ access }) => accessGroup(access)))
  return `<form class="filters" role="search" hidden>
<label>Search <input type="search" name="search" autocomplete="off" spellcheck="false" placeholder="path, scope, policy…"></label>
<label>Method ${select('method', methods.map(method => [method, method]))}</label>
<label>Access ${select('access', accessNames.filter(([value]) => present.has(value)))}</label>
<label class="check"><input type="checkbox" name="found"> With findings only</label>
<button type="reset">Reset</button>
<output role="status"></output>
</form>`
}

function select (name: string, options: ReadonlyArray<readonly [value: string, name: string]>): string {
  const entries = [['', 'All'] as const, ...options].map(([value, name]) => `<option value="${text(value)}">${text(name)}</option>`)
  return `<select name="${name}">${entries.join('')}</select>`
}

function routeRow (row: Row, index: number, { findings, cwd }: Page): string {
  const { methods, url, access, cors, headers, source, audit } = row
  const severity = gravest(findings, nameOf(row))
  const searched = [...methods, url, accessText(access), limitText(row), limitNames(row), ...statements(cors), ...statements(headers),
    auditText(row)].join(' ').toLowerCase()
  const place = source === undefined
    ? ''
    : `<span class="more">${breakable(relative(cwd, source.file))}:${source.line}</span>`
  const cells: ReadonlyArray<readonly [title: string, content: string]> = [
    ['Method', `<span class="methods">${methods.length > 6 ? 'any' : methods.map(methodMark).join(' ')}</span>`],
    ['Path', `<code class="path">${breakable(url)}</code>${severity === undefined ? '' : ` ${badge(severity)}`}${place}`],
    ['Access', `<span class="access ${accessGroup(access)}">${text(accessText(access))}</span>`],
    ['Limit', `${muted(limitText(row), [])}${more(limitNames(row) === '' ? [] : [limitNames(row)])}`],
    ['CORS', `${muted(corsText(row), ['default'])}${more(statements(cors))}`],
    ['Headers', `${muted(headersText(row), ['default'])}${more(statements(headers))}`],
    ['Audit', typeof audit === 'string' ? `<code>${text(audit)}</code>` : muted(auditText(row), ['on'])]
  ]
  const data = `data-methods="${text(methods.join(' '))}" data-access="${accessGroup(access)}" ` +
    `data-found="${severity ?? ''}" data-text="${text(searched)}"`
  return `<tr role="row" id="route-${index}" tabindex="-1" ${data}>${cells.map(cell).join('')}</tr>`
}

function methodMark (method: string): string {
  return `<span class="method ${text(method.toLowerCase())}">${text(method)}</span>`
}

/** A cell that says nothing special gives its room away on a phone. */
function cell ([title, content]: readonly [title: string, content: string]): string {
  return `<td role="cell" data-title="${title}"${content.startsWith('<span class="dim"') ? ' class="usual"' : ''}>${content}</td>`
}

function muted (value: string, usual: readonly string[]): string {
  if (value === '') return '<span class="dim" title="this control is off, or its policy is not known here">–</span>'
  return usual.includes(value) ? `<span class="dim">${text(value)}</span>` : `<span>${text(value)}</span>`
}

function more (lines: readonly string[]): string {
  return lines.map(line => `<span class="more">${text(line).replaceAll('.', '.<wbr>')}</span>`).join('')
}
