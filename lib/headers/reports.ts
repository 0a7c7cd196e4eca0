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

/** The first `max` reports; the rest is ignored. */
interface Reports {
  readonly violations: readonly Violation[]
  /** The type of each other report; the content is not kept. */
  readonly others: readonly OtherReport[]
}

/** Reads reports; undefined if the text is not of this kind. */
export function readReports (kind: ReportKind, text: string, { max, sample }: { max: number, sample: boolean }): Reports | undefined {
  const reports = reportsOf[kind](parse(text))?.slice(0, max).filter(isMembers)
  if (reports === undefined) return undefined
  return {
    violations: reports.filter(isViolation).map(({ body }) => body).filter(isMembers).map(body => violation(body, sample)),
    others: reports.filter(report => !isViolation(report)).map(({ type }) => otherReports.find(name => name === type) ?? 'other')
  }
}

/** The two envelopes: CSP2 §4.4 (one report), Reporting API §3.2 (a list of reports of several types). */
const reportsOf: Readonly<Record<ReportKind, (document: unknown) => readonly unknown[] | undefined>> = {
  'application/csp-report': document => {
    const body = isMembers(document) ? document['csp-report'] : undefined
    return isMembers(body) ? [{ type: 'csp-violation', body }] : undefined
  },
  'application/reports+json': document => Array.isArray(document) ? document : undefined
}

function isViolation ({ type }: Members): boolean {
  return type === 'csp-violation'
}

/** Real reports have an object or list each hundred characters. */
const isCrowded = (text: string) => jsonShape(text).brackets > 64 + text.length / 32

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

function violation (body: Members, withSample: boolean): Violation {
  const sample = text(body, 'sample', 'script-sample').slice(0, 40).replace(/\p{Cc}/gu, ' ')
  return {
    directive: directive(text(body, 'effectiveDirective', 'effective-directive', 'violatedDirective', 'violated-directive')),
    blocked: blocked(text(body, 'blockedURL', 'blocked-uri')),
    document: page(text(body, 'documentURL', 'document-uri')),
    disposition: text(body, 'disposition') === 'report' ? 'report' : 'enforce',
    ...(withSample && sample !== '' ? { sample } : undefined)
  }
}

/** The first of these members that is a string: the two envelopes name them differently. */
function text (body: Members, ...names: readonly string[]): string {
  const found = names.map(name => Object.hasOwn(body, name) ? body[name] : undefined).find(value => typeof value === 'string')
  return typeof found === 'string' ? found.slice(0, 500) : '' // longer than what is kept
}

/** Older browsers send the directive with its sources. */
function directive (stated: string): string {
  const [name = ''] = stated.trim().split(' ', 1)
  return directiveNames.includes(name) ? name : 'other'
}

const words: ReadonlySet<string> = new Set(['inline', 'eval', 'wasm-eval', 'self', 'trusted-types-policy', 'trusted-types-sink'])
const longest = 200

function blocked (stated: string): string {
  if (words.has(stated)) return stated
  // Browsers report only the name of a scheme without an origin (CSP3 §5.4).
  if (/^[a-z][a-z0-9+.-]{0,30}$/.test(stated)) return stated
  const url = parseUrl(stated)
  if (url === undefined) return 'other'
  return (url.origin === 'null' ? url.protocol.slice(0, -1) : url.origin).slice(0, longest)
}

function page (stated: string): string {
  const url = parseUrl(stated)
  return url === undefined || url.origin === 'null' ? 'other' : `${url.origin}${url.pathname}`.slice(0, longest)
}

/** Browsers serialize URLs to ASCII (URL §4.5). Other text is not parsed: normalizing a host takes quadratic time. */
function parseUrl (text: string): URL | undefined {
  return /^[\x21-\x7e]+$/.test(text) && URL.canParse(text) ? new URL(text) : undefined
}
