import { countable, type Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'

/** A refusal that still stands. */
interface Refused {
  readonly decision: Decision
  /** No request of this cost fits before. */
  readonly until: number
  /** From then on the store is asked again: another process may have reset or refunded the budget. */
  readonly askAgain: number
}

const defaultCapacity = 10_000
const longestUnasked = 5_000
/** Shorter refusals are not worth an entry. */
const shortest = 2

/**
 * Cached refusals of Redis: a caller over a limit is refused without asking again, so an attack costs less than normal traffic.
 * When full, it drops the oldest.
 */
export class DenyCache {
  readonly #now: () => number
  readonly #capacity: number
  readonly #tables = new Map<string, Map<string, Refused>>()
  readonly #order = new Map<Refused, readonly [table: Map<string, Refused>, key: string]>()

  constructor (now: () => number, capacity: number = defaultCapacity) {
    this.#now = now
    this.#capacity = capacity
  }

  /** Caches a refusal, unless it is of `concurrency`, which may end at any moment, or of an impossible cost. */
  remember (key: string, decision: Decision): void {
    const { policy, cost, retryAfterMs } = decision
    if (policy.algorithm === 'concurrency' || retryAfterMs < shortest || !countable(cost) || cost > policy.burst) return
    const now = this.#now()
    const refused = { decision, until: now + retryAfterMs, askAgain: now + Math.min(retryAfterMs, longestUnasked) }
    this.forget(policy, key)
    if (this.#order.size >= this.#capacity) this.#dropOldest()
    const table = this.#table(policy)
    table.set(key, refused)
    this.#order.set(refused, [table, key])
  }

  /** The cached refusal for a request of this cost. `stale` includes those due to be asked again. */
  find (policy: LimitPolicy, key: string, cost: number = policy.cost, stale: boolean = false): Decision | undefined {
    const refused = this.#tables.get(policy.id)?.get(key)
    if (refused === undefined || cost < refused.decision.cost || policy.burst !== refused.decision.policy.burst) return undefined
    const now = this.#now()
    if (now >= refused.until) return this.forget(policy, key)
    return stale || now < refused.askAgain ? standing(refused, policy, cost, now) : undefined
  }

  forget (policy: LimitPolicy, key: string): undefined {
    const table = this.#tables.get(policy.id)
    const refused = table?.get(key)
    if (table === undefined || refused === undefined) return
    table.delete(key)
    this.#order.delete(refused)
  }

  #table (policy: LimitPolicy): Map<string, Refused> {
    const known = this.#tables.get(policy.id)
    if (known !== undefined) return known
    const made = new Map<string, Refused>()
    this.#tables.set(policy.id, made)
    return made
  }

  #dropOldest (): void {
    const [oldest] = this.#order
    if (oldest === undefined) return
    const [refused, [table, key]] = oldest
    this.#order.delete(refused)
    table.delete(key)
  }
}

function standing ({ decision, until }: Refused, policy: LimitPolicy, cost: number, now: number): Decision {
  const passed = now - decision.at
  return {
    ...decision,
    policy,
    dryRun: policy.dryRun,
    cost,
    retryAfterMs: until - now,
    resetMs: Math.max(until - now, decision.resetMs - passed),
    source: 'deny-cache',
    at: now
  }
}
