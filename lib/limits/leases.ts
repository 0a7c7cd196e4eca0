import type { Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'

/** Units of one caller that Redis has counted and this process has not used. */
interface Lease {
  /** What Redis said when it granted them. */
  taken: Decision | undefined
  /** How many requests they are good for. */
  left: number
  expires: number
  /** Whether Redis is being asked for more: one answer at a time, so that a process holds one lease of a caller at most. */
  asking: boolean
}

/** What {@link Leases} does with units that nobody used. */
export type GiveBack = (policy: LimitPolicy, key: string, taken: Decision) => unknown

const longestLease = 1000
const sweepEvery = 500
/** Callers beyond that are counted one by one. */
const capacity = 20_000

/**
 * Requests that are admitted without asking: a caller who comes again within the life of a lease gets several units at once. What is
 * not used is given back after `longestLease`, or a tenth of a shorter window; for as long again the caller is remembered.
 */
export class Leases {
  readonly #now: () => number
  readonly #giveBack: GiveBack
  /** By policy, so that one that replaces another starts without leases. */
  readonly #tables = new Map<LimitPolicy, Map<string, Lease>>()
  #size = 0
  #timer: NodeJS.Timeout | undefined

  constructor (now: () => number, giveBack: GiveBack) {
    this.#now = now
    this.#giveBack = giveBack
  }

  /** A decision from a lease. */
  spend (policy: LimitPolicy, key: string): Decision | undefined {
    const lease = this.#tables.get(policy)?.get(key)
    if (lease?.taken === undefined || lease.left === 0) return undefined
    const now = this.#now()
    if (now >= lease.expires) return undefined
    const { taken } = lease
    lease.left--
    const remaining = taken.remaining + lease.left * policy.cost
    const { allowed, retryAfterMs, cost, at, stamp } = taken
    const resetMs = Math.max(0, taken.resetMs - (now - at))
    // Spreading takes longer than all of the rest.
    return { allowed, policy, remaining, retryAfterMs, resetMs, source: 'lease', cost, at, stamp, lease: 0 }
  }

  /** How many units beside its own a request should ask for: none for the first of a caller. Then call `granted`, whatever the answer. */
  wanted (policy: LimitPolicy, key: string): number {
    if (policy.leaseSize === 0) return 0
    const now = this.#now()
    const table = this.#tables.get(policy)
    const lease = table?.get(key)
    if (lease === undefined) {
      if (this.#size < capacity) this.#watch(policy, table, key, now)
      return 0
    }
    if (lease.asking || (lease.left > 0 && now < lease.expires)) return 0
    this.#return(policy, key, lease)
    lease.asking = true
    return policy.leaseSize
  }

  /** `taken` is the decision with what is left of the budget after all that was granted; undefined when the store failed. */
  granted (policy: LimitPolicy, key: string, count: number, taken?: Decision): void {
    const lease = this.#tables.get(policy)?.get(key)
    if (lease === undefined) { // reset or closed meanwhile
      if (taken !== undefined && count > 0) this.#giveBack(policy, key, { ...taken, cost: count * policy.cost })
      return
    }
    lease.asking = false
    lease.taken = taken
    lease.left = count
    lease.expires = this.#now() + lifeOf(policy)
  }

  /** Without giving back. */
  forget (policy: LimitPolicy, key: string): void {
    if (this.#tables.get(policy)?.delete(key) === true) this.#size--
  }

  /** Gives everything back. */
  close (): void {
    clearTimeout(this.#timer)
    this.#sweep(Infinity)
  }

  #watch (policy: LimitPolicy, table: Map<string, Lease> | undefined, key: string, now: number): void {
    const leases = table ?? new Map<string, Lease>()
    if (table === undefined) this.#tables.set(policy, leases)
    leases.set(key, { taken: undefined, left: 0, expires: now + lifeOf(policy), asking: false })
    this.#size++
    this.#timer ??= setTimeout(() => this.#tick(), sweepEvery).unref()
  }

  #tick (): void {
    this.#sweep(this.#now())
    this.#timer = this.#size === 0 ? undefined : setTimeout(() => this.#tick(), sweepEvery).unref()
  }

  #sweep (now: number): void {
    for (const [policy, leases] of this.#tables) {
      for (const [key, lease] of leases) {
        if (now < lease.expires || (lease.asking && now !== Infinity)) continue
        this.#return(policy, key, lease)
        if (lease.taken === undefined || now === Infinity) this.forget(policy, key)
        else lease.expires = now + lifeOf(policy)
        lease.taken = undefined
      }
      if (leases.size === 0) this.#tables.delete(policy)
    }
  }

  #return (policy: LimitPolicy, key: string, lease: Lease): void {
    const { taken, left } = lease
    lease.left = 0
    if (taken !== undefined && left > 0) this.#giveBack(policy, key, { ...taken, cost: left * policy.cost })
  }
}

function lifeOf ({ windowMs }: LimitPolicy): number {
  return Math.min(longestLease, windowMs / 10)
}
