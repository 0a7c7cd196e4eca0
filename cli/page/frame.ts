import { createHash } from 'node:crypto'
import type { FindingKind, Severity } from '../routes/codes.ts'

interface Frame {
  readonly title: string
  /** Markup. */
  readonly heading: string
  /** Where the link that passes over the rest leads: an id of the page, and its name. */
  readonly skip: readonly [id: string, name: string]
  readonly header: string
  readonly main: string
  readonly style: string
  readonly script?: string
}

/** One page that needs nothing else: it can be mailed, archived and printed, and its own policy lets nothing in. */
export function framed ({ title, heading, skip: [id, name], header, main, style, script }: Frame): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy(style, script)}">
<link rel="icon" href="data:,">
<title>${text(title)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#${id}">Skip to the ${name}</a>
<header>
<h1>${heading}</h1>
${header}
</header>
<main>
${main}
</main>
${script === undefined ? '' : `<script>${script}</script>\n`}</body>
</html>
`
}

function pagePolicy (style: string, script: string | undefined): string {
  return [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    ...(script === undefined ? [] : [`script-src '${hashOf(script)}'`]),
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'"
  ].join('; ')
}

function hashOf (source: string): string {
  return `sha256-${createHash('sha256').update(source).digest('base64')}`
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Any text as text. */
export function text (value: string): string {
  return value.replace(/[&<>"']/g, found => escapes[found] ?? found)
}

/** Backticks are how the texts of the findings mark code. */
export function prose (value: string): string {
  return text(value).replace(/`([^`]+)`/g, '<code>$1</code>')
}

export function badge (severity: Severity): string {
  return `<span class="badge ${severity}">${severity}</span>`
}

interface Tile { readonly title: string, readonly tone: string, readonly count: number }

/** Numbers at a glance. Each title is a plural. */
export function tiles (shown: readonly Tile[]): string {
  const items = shown.map(({ title, tone, count }) =>
    `<li class="${tone}"><b>${count.toLocaleString('en')}</b> ${count === 1 ? title.replace(/s$/, '') : title}</li>`)
  return `<ul class="tiles">${items.join('')}</ul>`
}

/** @param where the subject and its place, as markup */
export function findingItem (finding: FindingKind & { code: string, detail: string }, where: string): string {
  const { code, severity, detail, meaning, fix } = finding
  return `<li class="${severity}">
<p class="what">${badge(severity)} ${where}</p>
<p>${prose(meaning)}.${detail === '' ? '' : ` <strong>Here: ${text(detail)}.</strong>`}</p>
<p class="fix">${prose(fix)}</p>
<p class="code">${code}</p>
</li>`
}

/** A path may break after each slash, and nowhere else unless it must. */
export function breakable (path: string): string {
  return text(path).replaceAll('/', '/<wbr>')
}
