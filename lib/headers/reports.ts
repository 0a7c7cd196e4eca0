import { jsonShape } from '../http/index.ts'
import { directiveNames } from './profiles.ts'

/** A report of a browser, or of anyone who pretends to be one, reduced to what is safe to log. */
export interface Violation {
  /** The directive; `'other'` if unknown. */
  readonly directive: string
  /** An origin, a scheme, or a word such as `inline` and `eval`. Never a path or query. */
  readonly blocked: string
  /** Origin and path of the page, without query, fragment and credentials. */
  readonly document: string
  readonly disposition: 'enforce' | 'report'
  /** Only with `sample: true`. */
  readonly sample?: string
}

export type ReportKind = 'application/csp-report' | 'application/reports+json'
export const reportTypes: readonly ReportKind[] = ['application/csp-report', 'application/reports+json']

type Members = Readonly<Record<string, unknown>>

/** Report types besides Content-Security-Policy violations. */
export const otherReports = [
  'deprecation', 'intervention', 'crash', 'permissions-policy-violation', 'document-policy-violation', 'integrity-violation', 'coop',
  'coep', 'network-error', 'other'
] as const
export type OtherReport = typeof otherReports[number]

interface Reports {
  /** The first `max`. */
  readonly violations: readonly Violation[]
  /** How many more there are. */
  readonly more: number
  /** The type of each other report; the content is not kept. */
  readonly others: readonly OtherReport[]
}

/** Reads reports; undefined if the text is not of this kind. */
export function readReports (kind: ReportKind, text: string, { max, sample }: { max: number, sample: boolean }): Reports | undefined {
  const reports = reportsOf[kind](parse(text))
  if (reports === undefined) return undefined
  const violations: Violation[] = []
  const others: OtherReport[] = []
  let more = 0
  for (const report of reports) {
    if (!isMembers(report)) continue
    const { type, body } = report
    if (type !== 'csp-violation') others.push(otherReports.find(name => name === type) ?? 'other')
    else if (!isMembers(body)) continue
    else if (violations.length < max) violations.push(violation(body, sample))
    else more++
  }
  return { violations, more, others }
}

/** The two envelopes: CSP2 §4.4 (one report), Reporting API §3.2 (a list of reports of several types). */
const reportsOf: Readonly<Record<ReportKind, (document: unknown) => readonly unknown[] | undefined>> = {
  'application/csp-report': document => {
    const body = isMembers(document) ? document['csp-report'] : undefined
    return isMembers(body) ? [{ type: 'csp-violation', body }] : undefined
  },
  'application/reports+json': document => Array.isArray(document) ? document : undefined
}

/** Real reports have an object or list each hundred characters, and a member each twenty: those of errors of the network. */
function isCrowded (text: string): boolean {
  const most = 256 + text.length / 6
  const { brackets, weight } = jsonShape(text, most)
  return brackets > 64 + text.length / 32 || weight > most
}

function parse (text: string): unknown {
  if (isCrowded(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isMembers (value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The two envelopes name their members differently. */
function violation (body: Members, withSample: boolean): Violation {
  const stated = textOf(body.effectiveDirective) ?? textOf(body['effective-directive']) ?? textOf(body.violatedDirective) ??
    textOf(body['violated-directive'])
  const kept = {
    directive: directive(stated ?? ''),
    blocked: blocked(textOf(body.blockedURL) ?? textOf(body['blocked-uri']) ?? ''),
    document: page(textOf(body.documentURL) ?? textOf(body['document-uri']) ?? ''),
    disposition: body.disposition === 'report' ? 'report' : 'enforce'
  } as const
  const sample = withSample ? sampleOf(body) : ''
  return sample === '' ? kept : { ...kept, sample }
}

function sampleOf (body: Members): string {
  return (textOf(body.sample) ?? textOf(body['script-sample']) ?? '').slice(0, 40).replace(/\p{Cc}/gu, ' ')
}

function textOf (value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, 500) : undefined // longer than what is kept
}

const directives: ReadonlySet<string> = new Set(directiveNames)

/** Older browsers send the directive with its sources. */
function directive (stated: string): string {
  if (stated === '' || directives.has(stated)) return stated || 'other'
  const sources = stated.trim()
  const end = sources.indexOf(' ')
  const name = end === -1 ? sources : sources.slice(0, end)
  return directives.has(name) ? name : 'other'
}

const longest = 200

function blocked (stated: string): string {
  const end = endOfAuthority(stated)
  const origin = end === 0 ? undefined : originOf(stated, end)
  if (origin !== undefined) return origin.slice(0, longest)
  // Without an origin, browsers report a word such as `inline`, or the name of the scheme alone (CSP3 §5.4).
  const word = /^([a-z][a-z0-9+.-]{0,30})(?::|$)/.exec(stated)?.[1]
  return word === undefined || withOrigin.test(stated) ? 'other' : word
}

function page (stated: string): string {
  const start = endOfAuthority(stated)
  const origin = start === 0 ? undefined : originOf(stated, start)
  if (origin === undefined) return 'other'
  const end = endBy(plainPath, stated, start)
  const isWhole = end - start === longest || end === stated.length || '?#'.includes(stated.charAt(end))
  return isWhole ? `${origin}${end === start ? '/' : stated.slice(start, end)}`.slice(0, longest) : 'other'
}

/** The schemes whose URLs have an origin; that of a blob is the one of its page. */
const withOrigin = /^(?:https?|wss?|ftp):/
/** A backslash ends it as a slash does (URL §4.4): what follows is path, even up to an `@`. */
const toPath = /(?:blob:)?(?:https?|wss?|ftp):\/\/[^/?#\\]*/y
/** No host is longer (RFC 1035 §2.3.4), and credentials whose `@` was cut off, as texts are at 500 characters, are. */
const plainHost = /^(?:[a-z0-9._~!$&'()*+,;=-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/
const plainPath = new RegExp(`[!$-;=@-[\\]^_a-z|~]{0,${longest}}`, 'y')

/** Where a match from `start` on ends; 0 without one. What is found is not made, which took half of the time for a report. */
function endBy (pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start
  pattern.test(text)
  return pattern.lastIndex
}

/** Where the path begins; 0 where there is no origin. */
function endOfAuthority (stated: string): number {
  return endBy(toPath, stated, 0)
}

/**
 * Browsers serialize URLs (URL §4.5), so there is nothing to normalize, and what is spelled otherwise is none of a browser's. A parser
 * would take five times as long, and for a host that is not ASCII quadratic time.
 */
function originOf (stated: string, end: number): string | undefined {
  const scheme = stated.startsWith('blob:') ? 5 : 0
  const authority = stated.indexOf('//') + 2
  const at = stated.lastIndexOf('@', end - 1)
  const host = stated.slice(at < authority ? authority : at + 1, end)
  if (!plainHost.test(host)) return undefined
  return at < authority ? stated.slice(scheme, end) : stated.slice(scheme, authority) + host
}
