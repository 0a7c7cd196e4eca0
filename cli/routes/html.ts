import { createHash } from 'node:crypto'
import { relative } from 'node:path'
import type { Finding } from './check.ts'
import { severities, type Severity } from './codes.ts'
import { script } from './page-script.ts'
import { style } from './page-style.ts'
import { nameOf, type Access, type Row } from './report.ts'
import { gravest, type Report } from './summary.ts'
import { accessText, auditText, corsText, counted, headersText, limitNames, limitText, statements } from './words.ts'

interface Page extends Report {
  readonly cwd: string
}

/** One page that needs nothing else: it can be mailed, archived and printed, and its own policy lets nothing in. */
export function html (report: Report, cwd: string): string {
  const page: Page = { ...report, cwd }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy()}">
<link rel="icon" href="data:,">
<title>Routes of ${text(report.file)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#routes">Skip to the routes</a>
<header>
<h1>Routes of <code>${text(report.file)}</code></h1>
${tiles(page)}
</header>
<main>
${findings(page)}
${routes(page)}
</main>
<script>${script}</script>
</body>
</html>
`
}

function pagePolicy (): string {
  return [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    `script-src '${hashOf(script)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'"
  ].join('; ')
}

function hashOf (source: string): string {
  return `sha256-${createHash('sha256').update(source).digest('base64')}`
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function text (value: string): string {
  return value.replace(/[&<>"']/g, found => escapes[found] ?? found)
}

/** Backticks are how the texts of the findings mark code. */
function prose (value: string): string {
  return text(value).replace(/`([^`]+)`/g, '<code>$1</code>')
}

const tileKinds: ReadonlyArray<readonly [title: string, tone: string, ...kinds: Array<Access['kind']>]> = [
  ['with a rule', 'good', 'rule'],
  ['authenticated', 'plain', 'authenticated', 'authenticated-by-default'],
  ['public', 'plain', 'public'],
  ['closed', 'bad', 'closed'],
  ['open', 'bad', 'open', 'outside'],
  ['not known yet', 'plain', 'unknown']
]

function tiles ({ rows, findings, accepted }: Page): string {
  const byAccess = tileKinds.map(([title, tone, ...kinds]) =>
    ({ title, tone, count: rows.filter(({ access }) => kinds.includes(access.kind)).length }))
  const bySeverity = severities.map(severity => ({
    title: `${severity}s`,
    tone: severity,
    count: findings.filter(finding => finding.severity === severity).length
  }))
  const shown = [{ title: rows.length === 1 ? 'route' : 'routes', tone: 'plain', count: rows.length }, ...byAccess, ...bySeverity,
    { title: 'accepted', tone: 'plain', count: accepted.length }]
  const items = shown.filter(({ count, tone }) => count > 0 ||
    tone === 'error').map(({ title, tone, count }) =>
    `<li class="${count === 0 ? 'good' : tone}"><b>${count}</b> ${count === 1 ? title.replace(/s$/, '') : title}</li>`)
  return `<ul class="tiles">${items.join('')}</ul>`
}

function findings ({ findings, accepted, rows, cwd }: Page): string {
  const list = (of: readonly Finding[]) => `<ol class="findings">${of.map(finding => findingItem(finding, rows, cwd)).join('')}</ol>`
  const summary = `<summary>${counted(accepted.length, 'finding')} accepted by the baseline</summary>`
  return `<section aria-labelledby="findings">
<h2 id="findings">Findings</h2>
${findings.length === 0 ? '<p>None.</p>' : list(findings)}
${accepted.length === 0 ? '' : `<details>${summary}${list(accepted)}</details>`}
</section>`
}

function findingItem ({ code, severity, route, detail, meaning, fix, source }: Finding, rows: readonly Row[], cwd: string): string {
  const index = rows.findIndex(row => nameOf(row) === route)
  const where = route === undefined
    ? 'The application'
    : index === -1
      ? text(route)
      : `<a href="#route-${index}"><code>${text(route)}</code></a>`
  const place = source === undefined ? '' : `<span class="source">${text(relative(cwd, source.file))}:${source.line}</span>`
  return `<li class="${severity}">
<p class="what">${badge(severity)} ${where} ${place}</p>
<p>${prose(meaning)}.${detail === '' ? '' : ` <strong>Here: ${text(detail)}.</strong>`}</p>
<p class="fix">${prose(fix)}</p>
<p class="code">${code}</p>
</li>`
}

function badge (severity: Severity): string {
  return `<span class="badge ${severity}">${severity}</span>`
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

/** A path may break after each slash, and nowhere else unless it must. */
function breakable (path: string): string {
  return text(path).replaceAll('/', '/<wbr>')
}
