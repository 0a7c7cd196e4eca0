import { channel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import { isDecision, isUnavailable, type Decision, type LimitOutcome, type Source } from './decision.ts'

/** A message on the diagnostics channel `secure-api:rate-limit`, one for each policy that decided on a request. */
export interface LimitMessage {
  /** The name of the policy. */
  readonly policy: string
  /** `shadow`: a dry run would have refused; `unavailable`: a 503 because the store is unavailable. */
  readonly result: 'allowed' | 'denied' | 'shadow' | 'unavailable'
  /** Where it was decided; absent for `unavailable`. */
  readonly source?: Source
  readonly limit?: number
  readonly remaining?: number
  readonly retryAfterMs: number
  readonly request: FastifyRequest
}

const decisions = channel('secure-api:rate-limit')

/** Nearly free without subscribers. */
export function publish (outcome: LimitOutcome | readonly Decision[], request: FastifyRequest): void {
  if (!decisions.hasSubscribers) return
  if (!Array.isArray(outcome)) return decisions.publish(messageOf(outcome as LimitOutcome, request))
  for (const one of outcome as readonly Decision[]) decisions.publish(messageOf(one, request))
}

function messageOf (outcome: LimitOutcome, request: FastifyRequest): LimitMessage {
  if (isUnavailable(outcome)) return { policy: outcome.policy.name, result: 'unavailable', retryAfterMs: outcome.retryAfterMs, request }
  const { policy: { name, limit, dryRun }, allowed, source, remaining, retryAfterMs } = outcome
  const result = allowed ? 'allowed' : dryRun ? 'shadow' : 'denied'
  return { policy: name, result, source, limit, remaining, retryAfterMs, request }
}

/** The decision of a request. The plugin decorates requests with it, so that they keep their shape. */
export const kDecided: unique symbol = Symbol('secure-api.limit')

interface Decided { [kDecided]?: Decision | readonly Decision[] | null }

export function noteDecision (request: FastifyRequest, decision: Decision | readonly Decision[]): void {
  (request as Decided)[kDecided] = decision
}

/** The policy that refused the request, else the one closest to its limit, without dry runs. */
export function limitOf (request: FastifyRequest): { readonly policy: string, readonly remaining: number } | undefined {
  const noted = (request as Decided)[kDecided]
  if (noted === undefined || noted === null) return undefined
  if (isDecision(noted)) return noted.policy.dryRun ? undefined : { policy: noted.policy.name, remaining: noted.remaining }
  const enforced = noted.filter(({ policy }) => !policy.dryRun)
  const tightest = enforced.find(({ allowed }) => !allowed) ?? enforced.toSorted((a, b) => a.remaining - b.remaining)[0]
  return tightest && { policy: tightest.policy.name, remaining: tightest.remaining }
}
