import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'
import { answers, type Answer, type AnswerCode, type BearerError } from './answers.ts'
import { headLines, writable, type HeadLines } from './head.ts'

/** An answer that ends a request, with headers and body. Those without variable parts are made at boot. */
export interface Refusal {
  /** A code of `docs/errors.md`, or of a control of the application. */
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>
  /** The same, ready to write; absent where Node has to look at a value. */
  readonly lines?: HeadLines | undefined
  /** The RFC 9457 document, ready to send. */
  readonly body: string
  /** For the audit trail only; never sent. */
  readonly reason?: string
}

interface RefusalParts {
  readonly headers?: Readonly<Record<string, string>>
  /** RFC 9457 §3.2 extension members. */
  readonly extensions?: Readonly<Record<string, unknown>>
  /** RFC 9457 §3.1.1, `about:blank` unless given. */
  readonly type?: string
  readonly reason?: string
}

/** Builds the answer for a code: RFC 9457 body, challenge (RFC 6750 §3) where the table has one, never cached. */
export function refusal (code: AnswerCode, parts: RefusalParts = {}): Refusal {
  return problem(code, answers[code], parts)
}

function problem (code: string, answer: Answer, parts: RefusalParts): Refusal {
  const { status, title, detail } = answer
  // Own: a refusal that somebody else's property breaks would be a 500.
  const challenge = Object.hasOwn(answer, 'challenge') ? answer.challenge : undefined
  const { type = 'about:blank', extensions, reason } = parts
  const headers = {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    ...(challenge === undefined ? undefined : { 'www-authenticate': challengeOf(challenge, detail) }),
    ...parts.headers
  }
  const members = { type, title, status, detail, code }
  // Twice: first for the order, then so that no extension replaces a member (RFC 9457 §3.1.2).
  const body = JSON.stringify({ ...members, ...extensions, ...members })
  const made = { code, status, title, detail, headers: Object.freeze(headers), lines: linesOf(headers), body }
  return Object.freeze({ ...made, ...(reason !== undefined && { reason }) })
}

/** The same answer with other headers. */
export function withHeaders (refusal: Refusal, headers: Refusal['headers']): Refusal {
  return { ...refusal, headers, lines: linesOf(headers) }
}

/** Nobody checks prepared lines again. A control of the application may send what only Node lets through. */
function linesOf (headers: Refusal['headers']): HeadLines | undefined {
  const pairs = Object.entries(headers)
  return pairs.every(([, value]) => writable(value)) ? headLines(pairs) : undefined
}

/** The answer of a control of the application. */
export interface OwnRefusal {
  /** Stable, in capitals, for callers and the audit trail: `ORDERS_MAINTENANCE`. `SECURE_API_` is reserved for the suite. */
  readonly code: string
  /** 400 to 599. */
  readonly status: number
  /** One sentence for the caller. */
  readonly detail: string
  /** Beside those of every refusal: its type, its length and `Cache-Control` stay as they are. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Makes the refusal of a control of the application, once, at boot. Throws a TypeError for parts that cannot be sent.
 *
 * @example
 * const closed = ownRefusal({ code: 'ORDERS_MAINTENANCE', status: 503, detail: 'Back at noon.', headers: { 'retry-after': '600' } })
 */
export function ownRefusal ({ code, status, detail, headers = {} }: OwnRefusal): Refusal {
  if (typeof code !== 'string' || !/^[A-Z][A-Z0-9_]{2,63}$/.test(code) || code.startsWith('SECURE_API_')) {
    throw new TypeError(`'${code}' is not a valid code for a control of your own: use capitals and _, such as ORDERS_MAINTENANCE`)
  }
  const title = typeof status === 'number' && status >= 400 ? STATUS_CODES[status] : undefined
  if (title === undefined) throw new TypeError(`${status} is not an error status`)
  if (typeof detail !== 'string' || detail.trim() === '') throw new TypeError(`${code} has no detail: write one sentence for the caller`)
  return problem(code, { status, title, detail }, { headers: Object.fromEntries(Object.entries(headers).map(checkedHeader)) })
}

/** What makes the body a problem document, keeps it out of caches, and frames the message (RFC 9110 §6.6.1 and §7.6.1, RFC 9112 §6). */
const fixed = /^(cache-control|connection|content-(encoding|length|type)|date|keep-alive|te|trailer|transfer-encoding|upgrade)$/

function checkedHeader ([written, value]: [string, string]): [string, string] {
  const name = written.toLowerCase()
  if (fixed.test(name)) throw new TypeError(`the header ${name} of a refusal is not yours to set`)
  if (typeof value !== 'string') throw new TypeError(`the header ${name} of a refusal is not a string`)
  validateHeaderName(name)
  validateHeaderValue(name, value)
  return [name, value]
}

function challengeOf (challenge: NonNullable<Answer['challenge']>, detail: string): string {
  return challenge === 'ApiKey' ? apiKeyChallenge : bearerChallenge(challenge, detail)
}

/** No registered scheme: RFC 9110 §11.3 asks for a name and what its parameters mean, and `realm` is defined for all of them. */
export const apiKeyChallenge = 'ApiKey realm="api"'

/** RFC 6750 §3: at least one parameter; no error code when no credential was sent, else the error and a description from the table. */
export function bearerChallenge (error: BearerError, description: string, scope?: string): string {
  if (error === 'none') return 'Bearer realm="api"' // The same for every API, so it reveals nothing.
  const attributes = [`error=${quoted(error)}`, `error_description=${quoted(description)}`]
  if (scope !== undefined) attributes.push(`scope=${quoted(scope)}`)
  return `Bearer ${attributes.join(', ')}`
}

/** RFC 9110 §5.6.4 quoted-string; other characters are dropped (RFC 6750 §3 allows even fewer). */
function quoted (text: string): string {
  return `"${text.replace(/[^\x20-\x7e]|["\\]/g, '')}"`
}
