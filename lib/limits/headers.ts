import { refusal, withHeaders, type Refusal } from '../http/index.ts'
import { refusing, type Decision, type Unavailable } from './decision.ts'
import { quotaExceeded } from './policy.ts'

/** The value of `RateLimit-Policy`. If empty (only dry runs), do not send it. */
export function rateLimitPolicyField (decisions: readonly Pick<Decision, 'policy'>[]): string {
  const [only] = decisions
  if (only !== undefined && decisions.length === 1) return only.policy.dryRun ? '' : only.policy.header
  return enforced(decisions).map(({ policy }) => policy.header).join(', ')
}

/** The value of `RateLimit`: what is left, and seconds until there is more. Dry runs are not announced: callers would obey them. */
export function rateLimitField (decisions: readonly Decision[]): string {
  const [only] = decisions
  if (only !== undefined && decisions.length === 1) return only.policy.dryRun ? '' : item(only)
  return enforced(decisions).map(item).join(', ')
}

function enforced<Of extends Pick<Decision, 'policy'>> (decisions: readonly Of[]): readonly Of[] {
  return decisions.filter(({ policy }) => !policy.dryRun)
}

function item (decision: Decision): string {
  const text = `${decision.policy.label};r=${announced(decision)}`
  return decision.policy.algorithm === 'concurrency' ? text : `${text};t=${secondsLeft(decision)}`
}

/** At most the quota (draft §3: `r` is what remains of `q`). The burst of a token bucket may be larger. */
function announced ({ policy, remaining }: Decision): number {
  return Math.min(remaining, policy.limit)
}

/** For a refusal the time to wait, so that `Retry-After` is never before `t` (draft §3.3); else the time until the budget is full. */
function secondsLeft ({ allowed, retryAfterMs, resetMs }: Decision): number {
  return allowed ? Math.ceil(resetMs / 1000 - rounding) : retryAfterSeconds(retryAfterMs)
}

/** Rounding error of monotonic times: a window of 60 seconds must not be announced as 61. */
const rounding = 1e-6

/** RFC 9110 §10.2.3: whole seconds, rounded up so that an obedient caller is not refused again; at least 1. */
export function retryAfterSeconds (ms: number): number {
  return Number.isFinite(ms) ? Math.max(1, Math.ceil(ms / 1000)) : 1
}

/** `X-RateLimit-*` for older callers, for the policy closest to its limit. `Reset` is in seconds from now. */
export function legacyHeaders (decisions: readonly Decision[]): Readonly<Record<string, string>> {
  const [first, ...others] = enforced(decisions)
  if (first === undefined) return {}
  const tightest = others.reduce((least, next) => announced(next) < announced(least) ? next : least, first)
  return {
    'x-ratelimit-limit': String(tightest.policy.limit),
    'x-ratelimit-remaining': String(announced(tightest)),
    'x-ratelimit-reset': String(secondsLeft(tightest))
  }
}

/** For `Access-Control-Expose-Headers`. */
export const rateLimitHeaderNames: readonly string[] = Object.freeze(['RateLimit', 'RateLimit-Policy', 'Retry-After'])

/** How many of its answers a policy keeps: a minute of them. */
const mostKept = 60

/** The 429 for these decisions: body, `Retry-After` and rate-limit fields. */
export function rateLimited (decisions: readonly Decision[], legacy = false): Refusal {
  const [only] = decisions
  if (only === undefined || decisions.length > 1 || legacy || only.remaining > 0 || !refusing(only)) return made(decisions, legacy)
  const { retryAfterMs, policy: { refusals } } = only
  const seconds = retryAfterSeconds(retryAfterMs)
  const kept = refusals.get(seconds)
  if (kept !== undefined) return kept
  const fresh = made(decisions, false)
  if (refusals.size >= mostKept) refusals.clear()
  refusals.set(seconds, fresh)
  return fresh
}

function made (decisions: readonly Decision[], legacy: boolean): Refusal {
  const violated = decisions.filter(refusing)
  const wait = violated.reduce((longest, { retryAfterMs }) => Math.max(longest, retryAfterMs), 0)
  const [only, second] = violated
  const prepared = only && !second ? only.policy.refusal : quotaExceeded(violated.map(({ policy }) => policy.name))
  const headers = {
    ...prepared.headers,
    'retry-after': String(retryAfterSeconds(wait)),
    ratelimit: rateLimitField(decisions),
    'ratelimit-policy': rateLimitPolicyField(decisions),
    ...(legacy ? legacyHeaders(decisions) : undefined)
  }
  return withHeaders(prepared, headers)
}

/** The 503 while the store is unavailable and the policy says `deny`. */
export function rateLimitUnavailable ({ policy, retryAfterMs }: Unavailable): Refusal {
  return refusal('SECURE_API_RATE_LIMIT_UNAVAILABLE', {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity', // draft-ietf-httpapi-ratelimit-headers-11 §5
    headers: { 'retry-after': String(retryAfterSeconds(retryAfterMs)) },
    extensions: { 'violated-policies': [policy.name] }
  })
}
