import type { MaybePromise } from '../async/index.ts'
import { CircuitBreaker, scriptRunner, type RedisLike, type ScriptRunner } from '../redis/index.ts'
import {
  costOf, isUnavailable, refusing,
  type Charge, type Decision, type Limiter, type LimiterEvent, type LimiterStatus, type LimitOutcome, type Unavailable
} from './decision.ts'
import { DenyCache } from './deny-cache.ts'
import { Leases } from './leases.ts'
import { MemoryStore } from './memory-store.ts'
import { defaultKeyPrefix } from './options.ts'
import type { LimitPolicy } from './policy.ts'
import { RedisStore } from './redis-store.ts'

interface LimiterOptions {
  readonly keyPrefix?: string | undefined
  /** Monotonic milliseconds, for tests. */
  readonly now?: (() => number) | undefined
  /** How many budgets this process keeps. */
  readonly capacity?: number
  /** The longest a decision may wait for Redis, in milliseconds. @default 50 */
  readonly deadline?: number
  readonly onEvent?: (event: LimiterEvent) => void
}

/** The limiter over memory (then every method is synchronous), or over Redis with memory behind it. */
export function createLimiter (options: LimiterOptions & { readonly redis?: never }): MemoryStore
export function createLimiter (options: LimiterOptions & { readonly redis?: RedisLike | undefined }): Limiter
export function createLimiter ({ redis, ...options }: LimiterOptions & { readonly redis?: RedisLike | undefined }): Limiter {
  return redis === undefined ? new MemoryStore(options) : new ResilientLimiter({ ...options, runner: scriptRunner(redis) })
}

/**
 * Counts in Redis while it answers, otherwise as each policy's `onStoreFailure` says. The memory limiter behind it mirrors every
 * decision of Redis, so that a caller at the limit stays there.
 */
export class ResilientLimiter implements Limiter {
  readonly #now: () => number
  readonly #breaker: CircuitBreaker
  readonly #redis: RedisStore
  readonly #memory: MemoryStore
  readonly #denials: DenyCache
  readonly #leases: Leases
  #returning: Promise<void>[] | undefined

  constructor (options: LimiterOptions & { readonly runner: ScriptRunner }) {
    const { runner, keyPrefix = defaultKeyPrefix, now = () => performance.now(), capacity, deadline, onEvent } = options
    this.#now = now
    this.#breaker = new CircuitBreaker({ store: 'rate-limit', runner, now, onEvent, deadline })
    this.#redis = new RedisStore({ runner: this.#breaker, keyPrefix, now })
    this.#memory = new MemoryStore({ now, source: 'fallback', capacity, onEvent })
    this.#denials = new DenyCache(now)
    this.#leases = new Leases(now, (policy, key, taken) => this.#giveBack(policy, key, taken))
  }

  take (policy: LimitPolicy, key: string, cost: number = policy.cost): MaybePromise<LimitOutcome> {
    const leased = policy.leaseSize > 0 && cost === policy.cost
    const standing = (leased ? this.#fromLease(policy, key) : undefined) ?? this.#denials.find(policy, key, cost)
    if (standing !== undefined) return standing
    const more = leased && !this.#breaker.open ? this.#leases.wanted(policy, key) : 0
    if (more > 0) return this.#askMore(policy, key, cost, more)
    return this.#ask([[policy, key, cost]], outcome => this.#only(policy, outcome))
  }

  consume (charges: readonly Charge[]): MaybePromise<readonly Decision[] | Unavailable> {
    const standing = charges.map(charge => this.#denials.find(charge[0], charge[1], costOf(charge)))
    // One cached refusal is enough; the other budgets are reported as this process knows them.
    if (standing.some(decision => decision !== undefined && refusing(decision))) {
      return charges.map(([policy, key], index) => standing[index] ?? this.#memory.peek(policy, key))
    }
    return this.#redis.together(charges) ? this.#ask(charges, outcome => outcome) : this.#oneByOne(charges)
  }

  peek (policy: LimitPolicy, key: string): MaybePromise<LimitOutcome> {
    const standing = this.denied(policy, key)
    if (standing !== undefined) return standing
    const alone = () =>
      policy.onStoreFailure === 'local' ? this.#memory.peek(policy, key) : this.#only(policy, this.#alone([[policy, key]]))
    if (!this.#breaker.admits()) return alone()
    return this.#redis.peek(policy, key).then(decisions => this.#only(policy, decisions), alone)
  }

  denied (policy: LimitPolicy, key: string): Decision | undefined {
    const standing = this.#denials.find(policy, key, policy.cost, true)
    if (standing !== undefined || !this.#breaker.open || policy.onStoreFailure === 'allow') return standing
    return this.#memory.denied(policy, key)
  }

  refund (policy: LimitPolicy, key: string, taken: Decision): MaybePromise<void> {
    if (!taken.allowed || taken.source === 'open' || taken.source === 'deny-cache') return
    this.#denials.forget(policy, key)
    this.#memory.refund(policy, key, taken)
    if (taken.source !== 'redis' && taken.source !== 'lease') return
    if (this.#breaker.open) return this.#redis.refundLater(policy, key, taken)
    return this.#redis.refund(policy, key, taken).catch(() => this.#redis.refundLater(policy, key, taken))
  }

  reset (policy: LimitPolicy, key: string): MaybePromise<void> {
    this.#denials.forget(policy, key)
    this.#leases.forget(policy, key)
    this.#memory.reset(policy, key)
    if (!this.#breaker.open) return this.#redis.reset(policy, key).catch(() => {})
  }

  status (): LimiterStatus {
    const { open, failure, failures } = this.#breaker
    return {
      store: 'redis',
      state: open ? 'unavailable' : 'available',
      failures,
      ...(failure && { failure: failure.reason, ...(failure.code !== undefined && { failureCode: failure.code }) }),
      memory: this.#memory.memory()
    }
  }

  /** Gives back what is leased, as far as Redis answers in time. */
  async close (): Promise<void> {
    this.#returning = []
    this.#leases.close()
    await Promise.all(this.#returning)
    this.#breaker.close()
  }

  /** `deny` admits nothing while Redis is unavailable. */
  #fromLease (policy: LimitPolicy, key: string): Decision | undefined {
    return this.#breaker.open && policy.onStoreFailure === 'deny' ? undefined : this.#leases.spend(policy, key)
  }

  #giveBack (policy: LimitPolicy, key: string, taken: Decision): void {
    this.#memory.refund(policy, key, taken)
    if (this.#breaker.open) return // they count until their window ends
    const returned = this.#redis.refund(policy, key, taken).catch(() => {})
    this.#returning?.push(returned)
  }

  /** The memory behind counts a lease as used, until it is given back. */
  #askMore (policy: LimitPolicy, key: string, cost: number, count: number): Promise<LimitOutcome> {
    const charges: readonly Charge[] = [[policy, key, cost]]
    const granted = (units: number, taken: Decision) => {
      this.#leases.granted(policy, key, units, taken)
      if (taken.allowed) this.#memory.mirror(policy, key, taken)
    }
    return this.#redis.takeAnd(charges, decisions => this.#only(policy, this.#learn(charges, decisions)), () => {
      this.#leases.granted(policy, key, 0)
      return this.#only(policy, this.#alone(charges))
    }, { count, granted })
  }

  #ask<Outcome> (charges: readonly Charge[], read: (outcome: readonly Decision[] | Unavailable) => Outcome): MaybePromise<Outcome> {
    if (!this.#breaker.admits()) return read(this.#alone(charges))
    return this.#redis.takeAnd(charges, decisions => read(this.#learn(charges, decisions)), () => read(this.#alone(charges)))
  }

  #learn (charges: readonly Charge[], decisions: readonly Decision[]): readonly Decision[] {
    this.#redis.settle()
    const taken = !decisions.some(refusing)
    decisions.forEach((decision, index) => {
      const key = charges[index]?.[1] ?? ''
      if (!decision.allowed) this.#denials.remember(key, decision)
      if (taken || !decision.allowed) this.#memory.mirror(decision.policy, key, decision)
    })
    return decisions
  }

  /** Budgets on several nodes of a cluster need several calls: a refusal gives back what was taken before. */
  async #oneByOne (charges: readonly Charge[]): Promise<readonly Decision[] | Unavailable> {
    const decisions: Decision[] = []
    for (const [policy, key, cost] of charges) {
      const outcome = await this.take(policy, key, cost)
      if (!isUnavailable(outcome)) decisions.push(outcome)
      if (!isUnavailable(outcome) && !refusing(outcome)) continue
      for (const [index, decision] of decisions.entries()) await this.refund(decision.policy, charges[index]?.[1] ?? '', decision)
      return isUnavailable(outcome) ? outcome : decisions
    }
    return decisions
  }

  /** Without Redis: one `deny` policy makes the whole unavailable; `allow` policies are not counted. */
  #alone (charges: readonly Charge[]): readonly Decision[] | Unavailable {
    const denying = charges.find(([policy]) => policy.onStoreFailure === 'deny' && !policy.dryRun)
    if (denying !== undefined) return this.#unavailable(denying[0])
    const decided = this.#memory.consume(charges.filter(([policy]) => policy.onStoreFailure === 'local'))
    const byPolicy = new Map(decided.map(decision => [decision.policy, decision]))
    return charges.map(charge => byPolicy.get(charge[0]) ?? this.#open(charge[0], costOf(charge)))
  }

  #only (policy: LimitPolicy, outcome: readonly Decision[] | Unavailable): LimitOutcome {
    return isUnavailable(outcome) ? outcome : outcome[0] ?? this.#unavailable(policy)
  }

  /**
   * An outage hits all callers at once: `Retry-After` is spread over four seconds (draft ratelimit-headers-11 §3.3). A 429 needs no
   * spread: windows start with each caller's own requests.
   */
  #unavailable (policy: LimitPolicy): Unavailable {
    return { unavailable: true, policy, retryAfterMs: Math.max(1000, this.#breaker.retryAfter) + Math.random() * 4000 }
  }

  #open (policy: LimitPolicy, cost: number): Decision {
    const now = this.#now()
    const times = { retryAfterMs: 0, resetMs: 0, at: now, stamp: now }
    return { allowed: true, policy, remaining: 0, ...times, source: 'open', cost, lease: 0 }
  }
}
