import type { MaybePromise } from '../async/index.ts'
import type { StoreEvent, StoreFailureReason } from '../redis/index.ts'
import type { LimitPolicy } from './policy.ts'

/**
 * Where a decision was made: in memory without Redis (`memory`), in Redis, from units that Redis had counted before (`lease`), in memory
 * because Redis is unavailable (`fallback`), by a cached refusal of Redis (`deny-cache`), or nowhere, with `onStoreFailure: 'allow'`
 * (`open`).
 */
export type Source = 'memory' | 'redis' | 'lease' | 'fallback' | 'deny-cache' | 'open'

/** The decision of one policy on one request. */
export interface Decision {
  /** The verdict, also of a dry run: {@link refusing} tells what it means for the request. */
  readonly allowed: boolean
  readonly policy: LimitPolicy
  /** Units left after this request. */
  readonly remaining: number
  /** 0 when allowed; else milliseconds until the same request fits, unless others use the budget first. */
  readonly retryAfterMs: number
  /** Milliseconds until nothing is counted any more. */
  readonly resetMs: number
  readonly source: Source
  readonly cost: number
  /** This process' monotonic time of the decision, for {@link Limiter.refund}. */
  readonly at: number
  /** The same on the store's clock. */
  readonly stamp: number
  /** The permit, for `concurrency`; 0 otherwise. */
  readonly lease: number
}

/** The store is unavailable and the policy says `deny`. Not the caller's fault: answer 503, never 429. */
export interface Unavailable {
  readonly unavailable: true
  readonly policy: LimitPolicy
  readonly retryAfterMs: number
}

export type LimitOutcome = Decision | Unavailable
/** A policy, the key of the budget, and the units unless the policy's own `cost` applies. */
export type Charge = readonly [policy: LimitPolicy, key: string, cost?: number]

/** Counts requests. Never throws or rejects, whatever the store does; synchronous if this process knows the answer. */
export interface Limiter {
  /** Takes `cost` units (default: the policy's own) if they fit. A cost that is not a whole number of at least 1 is refused. */
  take (policy: LimitPolicy, key: string, cost?: number): MaybePromise<LimitOutcome>
  /** Takes from all budgets, or from none if one refuses. Decisions are in the order of the charges, each policy at most once. */
  consume (charges: readonly Charge[]): MaybePromise<readonly Decision[] | Unavailable>
  /** As `take`, without taking. Not for admission, because two callers can peek at once: take, and refund on success. */
  peek (policy: LimitPolicy, key: string): MaybePromise<LimitOutcome>
  /** A refusal known without the store, or undefined. For gates before costly work. */
  denied (policy: LimitPolicy, key: string): Decision | undefined
  /** Gives back what `take` took; for `concurrency`, releases the permit. Expired units are not given back. */
  refund (policy: LimitPolicy, key: string, taken: Decision): MaybePromise<void>
  /** Clears a budget. */
  reset (policy: LimitPolicy, key: string): MaybePromise<void>
  status (): LimiterStatus
  /** Stops timers. Leaves the application's connection open. */
  close (): MaybePromise<void>
}

export interface LimiterStatus {
  readonly store: 'memory' | 'redis'
  /** While `unavailable`, requests are decided as `onStoreFailure` says. */
  readonly state: 'available' | 'unavailable'
  /** The cause of the last failure, from a closed list; never a driver's text. */
  readonly failure?: StoreFailureReason
  /** The code of the server or the network: `WRONGPASS`, `NOPERM`, `ECONNREFUSED`. */
  readonly failureCode?: string
  /** How often Redis failed to answer in time, or at all. */
  readonly failures: number
  readonly memory: MemoryStatus
}

export interface MemoryStatus {
  readonly keys: number
  readonly capacity: number
  /** Budgets dropped early for lack of room. */
  readonly evictions: number
}

/** Reported once for each change, not for each request. */
export type LimiterEvent = StoreEvent | { readonly type: 'memory-saturated', readonly keys: number }

/** One decision, not a list. */
export function isDecision (outcome: LimitOutcome | readonly Decision[]): outcome is Decision {
  return Object.hasOwn(outcome, 'allowed')
}

export function isUnavailable (outcome: object): outcome is Unavailable {
  return Object.hasOwn(outcome, 'unavailable')
}

/** Whether this decision refuses the request. */
export function refusing ({ allowed, policy }: Decision): boolean {
  return !allowed && !policy.dryRun
}

/** The units of a charge. A request in flight is one unit, whatever its cost. */
export function costOf ([policy, , cost = policy.cost]: Charge): number {
  return policy.algorithm === 'concurrency' ? 1 : cost
}

let leases = 0

/** A number for a permit, unique in this process. */
export function nextLease (): number {
  return ++leases
}

/** Whether a cost can be counted; any other is refused. */
export function countable (cost: number): boolean {
  return Number.isSafeInteger(cost) && cost >= 1
}

/** The refusal of a caller without a known plan; nothing is counted. */
export function unplanned (policy: LimitPolicy, now: number): Decision {
  const { windowMs, cost } = policy
  const times = { retryAfterMs: windowMs, resetMs: windowMs, at: now, stamp: now }
  return { allowed: false, policy, remaining: 0, ...times, source: 'memory', cost, lease: 0 }
}
