import type { Principal } from '../credentials/index.ts'
import type { Violation } from '../headers/index.ts'
import type { AnswerCode } from '../http/index.ts'
import type { Denial } from '../rules/index.ts'

/** One line of the trail: who did what, when, from where, and how it ended. No URL, no header, no body, no token. */
export interface AuditEvent {
  /** RFC 3339, UTC. */
  readonly time: string
  /** From the OWASP logging vocabulary where that has a word for it. */
  readonly event: AuditEventName
  /** The action of the route's `config.audit`, or `GET /orders/:id`. */
  readonly action: string
  readonly outcome: Outcome
  /** 0 where a connection ended in the TLS handshake. */
  readonly status: number
  /** Why it was refused: the code of the answer, which may be that of a control of the application's own. */
  readonly reason?: AnswerCode | 'client-aborted' | 'client-certificate' | (string & {})
  /** Of a 403: what was required, and the scopes and roles the caller has. Names only, twenty of each at most. */
  readonly denial?: Denial
  readonly method: string
  /** The route's template, not the URL that was called; absent for a 404. */
  readonly route?: string
  readonly requestId: string
  readonly address: string
  readonly principal?: AuditPrincipal
  /** The rate-limit policy that refused the request, or else the one closest to its limit, and the units left. */
  readonly limit?: { readonly policy: string, readonly remaining: number }
  /** Of `api_connection_closed`: how long the accepted socket was open. */
  readonly durationMs: number
  /** How many refusals this event stands for; see docs/audit.md. Absent: one. */
  readonly repeats?: number
  /** What a browser reported, of `malicious_csp_violation`. Anyone can send such a report. */
  readonly violation?: Violation
  /** Why a client certificate was refused, and how many such refusals since the one before are not in the trail. */
  readonly handshake?: { readonly error: string, readonly suppressed: number }
}

export type Outcome = 'allowed' | 'denied' | 'failed' | 'aborted'

export interface AuditPrincipal {
  readonly kind: Principal['kind']
  readonly subject?: string
  readonly client?: string
  readonly issuer?: string
  readonly tenant?: string
}

/** Names by the code of the refusal first, then by status. Everything that is in neither is `api_access`. */
const namesByReason = {
  SECURE_API_CORS_REFUSED: 'malicious_cors',
  SECURE_API_METHOD_NOT_ALLOWED: 'input_validation_fail',
  SECURE_API_CREDENTIAL_AMBIGUOUS: 'authn_fail',
  SECURE_API_TOKEN_REVOKED: 'authn_token_reuse'
} as const
const namesByStatus = {
  400: 'input_validation_fail',
  401: 'authn_fail',
  403: 'authz_fail',
  408: 'input_validation_fail',
  413: 'input_validation_fail',
  414: 'input_validation_fail',
  417: 'input_validation_fail',
  429: 'excess_rate_limit_exceeded',
  431: 'input_validation_fail'
} as const

export type AuditEventName = 'api_access' | 'api_error' | 'api_connection_closed' | 'malicious_csp_violation' | typeof namesByReason[keyof typeof namesByReason] | typeof namesByStatus[keyof typeof namesByStatus]

const names: Readonly<Record<string, AuditEventName>> = { ...namesByStatus, ...namesByReason }

export function eventName (status: number, reason: string | undefined): AuditEventName {
  return names[reason ?? ''] ?? names[status] ?? (status >= 500 ? 'api_error' : 'api_access')
}

export function outcomeOf (status: number, aborted: boolean): Outcome {
  if (aborted) return 'aborted'
  if (status >= 500) return 'failed'
  return status >= 400 ? 'denied' : 'allowed'
}

let lastTime = NaN
let lastText = ''

/** Now. Many requests end in one millisecond, and writing the time costs more than reading it. */
export function timestamp (now: number = Date.now()): string {
  if (now === lastTime) return lastText
  lastTime = now
  lastText = new Date(now).toISOString()
  return lastText
}

/** Made for each event: that takes half as long as finding one kept for each principal in a WeakMap. */
export function auditPrincipal ({ kind, subject, client, issuer, tenant }: Principal): AuditPrincipal {
  const made: { -readonly [Name in keyof AuditPrincipal]: AuditPrincipal[Name] } = { kind }
  if (subject !== undefined) made.subject = subject
  if (client !== undefined) made.client = client
  if (issuer !== undefined) made.issuer = issuer
  if (tenant !== undefined) made.tenant = tenant
  return made
}
