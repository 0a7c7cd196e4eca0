import { listOf, type Principal } from '../credentials/index.ts'
import type { Violation } from '../headers/index.ts'
import type { AnswerCode } from '../http/index.ts'
import type { Denial, Rule } from '../rules/index.ts'

/** One line of the trail: who did what, when, from where, and how it ended. No URL, no header, no body, no token. */
export interface AuditEvent {
  /** RFC 3339, UTC. */
  readonly time: string
  /** From the OWASP logging vocabulary where it has a term. */
  readonly event: AuditEventName
  /** The action of the route's `config.audit`, or `GET /orders/:id`. */
  readonly action: string
  readonly outcome: Outcome
  /** 0 if the connection ended in the TLS handshake. */
  readonly status: number
  /** Why it was refused: the code of the answer, which may come from a control of the application. */
  readonly reason?: AnswerCode | 'client-aborted' | 'client-certificate' | (string & {})
  /** For a 403: what was required, and the caller's scopes and roles. Names only, at most twenty of each. */
  readonly denial?: Denial
  readonly method: string
  /** The route's template, not the URL; absent for a 404. */
  readonly route?: string
  /** What the route asks of its callers: its rule, `'public'`, `'authenticated'`, or `'none'` for one that states nothing. */
  readonly rule?: Rule | 'public' | 'authenticated' | 'none'
  readonly requestId: string
  /** From a valid `traceparent` of the request (W3C Trace Context): the caller's word. */
  readonly traceId?: string
  readonly address: string
  readonly principal?: AuditPrincipal
  /** What `audit.fields` adds, by name. */
  readonly fields?: Readonly<Record<string, string>>
  /** The rate-limit policy that refused the request, else the one closest to its limit, and the units left. */
  readonly limit?: { readonly policy: string, readonly remaining: number }
  /** For `api_connection_closed`: how long the accepted socket was open. */
  readonly durationMs: number
  /** How many refusals this event stands for; see docs/audit.md. Absent: one. */
  readonly repeats?: number
  /** For `malicious_csp_violation`: what a browser reported. Anyone can send such a report. */
  readonly violation?: Violation
  /** Why a client certificate was refused, and how many such refusals since the previous event are not in the trail. */
  readonly handshake?: { readonly error: string, readonly suppressed: number }
}

type Outcome = 'allowed' | 'denied' | 'failed' | 'aborted'

interface AuditPrincipal {
  readonly kind: Principal['kind']
  /** What it was proved by: `jwt`, `api-key`, … */
  readonly credential?: string
  readonly subject: string
  readonly client?: string
  readonly issuer?: string
  readonly tenant?: string
  /** The `kid` of the token's key, or the id of the API key. */
  readonly keyId?: string
  /** What the credential carries, a hundred at most. Absent: none. */
  readonly scopes?: readonly string[]
}

/** A token may carry any number of names. */
const mostScopes = 100

/** Event names, by the code of the refusal first, then by status. Anything else is `api_access`. */
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

type AuditEventName =
  | 'api_access' | 'api_error' | 'api_connection_closed' | 'malicious_csp_violation'
  | typeof namesByReason[keyof typeof namesByReason] | typeof namesByStatus[keyof typeof namesByStatus]

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

/** The current time. Cached, because many requests end in the same millisecond and formatting is expensive. */
export function timestamp (now: number = Date.now()): string {
  if (now === lastTime) return lastText
  lastTime = now
  lastText = new Date(now).toISOString()
  return lastText
}

/** Made for each event: twice as fast as a WeakMap by principal. */
export function auditPrincipal ({ kind, credential, subject, client, issuer, tenant, keyId, scopes }: Principal): AuditPrincipal {
  const made: { -readonly [Name in keyof AuditPrincipal]: AuditPrincipal[Name] } = { kind, subject }
  if (credential !== undefined) made.credential = credential
  if (client !== undefined) made.client = client
  if (issuer !== undefined) made.issuer = issuer
  if (tenant !== undefined) made.tenant = tenant
  if (keyId !== undefined) made.keyId = keyId
  if (scopes.size > 0) made.scopes = scopes.size > mostScopes ? listOf(scopes).slice(0, mostScopes) : listOf(scopes)
  return made
}
