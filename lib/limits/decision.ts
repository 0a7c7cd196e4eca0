import type { StoreEvent, StoreFailureReason } from '../redis/index.ts'
import type { LimitPolicy } from './policy.ts'

/**
 * Where a decision was made: this process' memory because there is no Redis (`memory`), Redis, memory because Redis could not
 * be asked (`fallback`), a refusal of Redis that still stands (`deny-cache`), or nowhere, under `onStoreFailure: 'allow'` (`open`).
 */
export type Source = 'memory' | 'redis' | 'fallback' | 'deny-cache' | 'open'

/** What one policy says about one request. A new object each time. */
export interface Decision {
  /** The verdict, also of a dry run: ask {@link refusing} what it means for the request. */
  readonly allowed: boolean
  readonly policy: LimitPolicy
  readonly limit: number
  /** Units left after this request. */
  readonly remaining: number
  /** 0 when allowed; else the milliseconds after which the same request fits, if nobody else takes the room. */
  readonly retryAfterMs: number
  /** Milliseconds until nothing is counted any more. */
  readonly resetMs: number
  readonly source: Source
  readonly dryRun: boolean
  readonly cost: number
  /** This process' monotonic time of the decision, for {@link Limiter.refund}. */
  readonly at: number
  /** The same on the store's clock. */
  readonly stamp: number
  /** The permit, for `concurrency`; 0 otherwise. */
  readonly lease: number
}

/** The store could not be asked, and the policy says `deny`. Not a refusal of the caller: answer 503, never 429. */
export interface Unavailable {
  readonly unavailable: true
  readonly policy: LimitPolicy
  readonly retryAfterMs: number
}

export type LimitOutcome = Decision | Unavailable
/** A policy, whose budget of it, and how many units unless it is the policy's own `cost`. */
export type Charge = readonly [policy: LimitPolicy, key: string, cost?: number]
export type MaybePromise<T> = T | Promise<T>

/**
 * Counts requests. Nothing here throws or rejects, whatever the store does; synchronous wherever the answer is known in this process.
 */
export interface Limiter {
  /** Takes `cost` units (the policy's own unless given) of one budget, if they fit. A cost that is no whole number of at least 1 is refused. */
  take (policy: LimitPolicy, key: string, cost?: number): MaybePromise<LimitOutcome>
  /** Takes from several budgets, or, when one refuses, from none. Decisions are in the order of the charges, each policy at most once. */
  consume (charges: readonly Charge[]): MaybePromise<readonly Decision[] | Unavailable>
  /** As `take`, and takes nothing. Not for deciding who may try: two callers can peek at once. Take, and refund on success. */
  peek (policy: LimitPolicy, key: string): MaybePromise<LimitOutcome>
  /** A refusal that is known without asking anybody, or undefined. For gates before costly work. */
  denied (policy: LimitPolicy, key: string): Decision | undefined
  /** Gives back what `take` took; for `concurrency`, releases the permit. Units that have expired meanwhile are not given back twice. */
  refund (policy: LimitPolicy, key: string, taken: Decision): MaybePromise<void>
  /** Forgets all that is counted in a budget. */
  reset (policy: LimitPolicy, key: string): MaybePromise<void>
  status (): LimiterStatus
  /** Ends timers. A connection that was given is left open. */
  close (): MaybePromise<void>
}

export interface LimiterStatus {
  readonly store: 'memory' | 'redis'
  /** `unavailable` while Redis is not asked; requests are then decided as `onStoreFailure` says. */
  readonly state: 'available' | 'unavailable'
  /** The cause of the last failure, from a closed list; never a driver's text. */
  readonly failure?: StoreFailureReason
  /** What the server or the network called it: `WRONGPASS`, `NOPERM`, `ECONNREFUSED`. */
  readonly failureCode?: string
  /** How often Redis failed to answer in time, or at all. */
  readonly failures: number
  readonly memory: MemoryStatus
}

export interface MemoryStatus {
  readonly keys: number
  readonly capacity: number
  /** How many budgets were forgotten before their time, for lack of room. */
  readonly evictions: number
}

/** Reported once for each change, not for each request. */
export type LimiterEvent = StoreEvent | { readonly type: 'memory-saturated', readonly keys: number }

/** One decision, and no list of them. */
export function isDecision (outcome: LimitOutcome | readonly Decision[]): outcome is Decision {
  return Object.hasOwn(outcome, 'allowed')
}

export function isUnavailable (outcome: LimitOutcome | readonly Decision[]): outcome is Unavailable {
  return Object.hasOwn(outcome, 'unavailable')
}

/** True when the request must be refused because of this decision. */
export function refusing (decision: Decision): boolean {
  return !decision.allowed && !decision.dryRun
}

/** The units a charge stands for. A request in flight is one, whatever else it costs. */
export function costOf ([policy, , cost = policy.cost]: Charge): number {
  return policy.algorithm === 'concurrency' ? 1 : cost
}

let leases = 0

/** A number for a permit, unlike every other of this process, whichever store gives it. */
export function nextLease (): number {
  return ++leases
}

/** A cost that can be counted; anything else is refused wherever it turns up. */
export function countable (cost: number): boolean {
  return Number.isSafeInteger(cost) && cost >= 1
}

/** The refusal of a caller whose plan is not known: nobody is asked, and nothing is counted. */
export function unplanned (policy: LimitPolicy, now: number): Decision {
  const { limit, windowMs, dryRun, cost } = policy
  return { allowed: false, policy, limit, remaining: 0, retryAfterMs: windowMs, resetMs: windowMs, source: 'memory', dryRun, cost, at: now, stamp: now, lease: 0 }
}
