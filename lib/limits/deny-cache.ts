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

const capacity = 10_000
const longestUnasked = 5_000
/** What other processes have leased and do not use comes back soon. */
const longestUnaskedOfLeases = 500

/**
 * Cached refusals of Redis: a caller over a limit is refused without asking again, so an attack costs less than normal traffic.
 * When full, it drops the oldest.
 */
export class DenyCache {
  readonly #now: () => number
  readonly #refused = new Map<string, Refused>()

  constructor (now: () => number) {
    this.#now = now
  }

  /** Caches a refusal, unless it is of `concurrency`, which may end at any moment, of an impossible cost, or shorter than 2 ms. */
  remember (key: string, decision: Decision): void {
    const { policy, cost, retryAfterMs } = decision
    if (policy.algorithm === 'concurrency' || retryAfterMs < 2 || !countable(cost) || cost > policy.burst) return
    const now = this.#now()
    const unasked = policy.leaseSize > 0 ? longestUnaskedOfLeases : longestUnasked
    this.forget(policy, key)
    const [oldest = ''] = this.#refused.keys()
    if (this.#refused.size >= capacity) this.#refused.delete(oldest)
    this.#refused.set(idOf(policy, key), { decision, until: now + retryAfterMs, askAgain: now + Math.min(retryAfterMs, unasked) })
  }

  /** The cached refusal for a request of this cost. `stale` includes those due to be asked again. */
  find (policy: LimitPolicy, key: string, cost: number = policy.cost, stale: boolean = false): Decision | undefined {
    if (this.#refused.size === 0) return undefined
    const refused = this.#refused.get(idOf(policy, key))
    if (refused === undefined || cost < refused.decision.cost || policy.burst !== refused.decision.policy.burst) return undefined
    const now = this.#now()
    if (now >= refused.until) return this.forget(policy, key)
    if (!stale && now >= refused.askAgain) return undefined
    const { decision, until } = refused
    const retryAfterMs = until - now
    const resetMs = Math.max(retryAfterMs, decision.resetMs - (now - decision.at))
    return { ...decision, policy, cost, retryAfterMs, resetMs, source: 'deny-cache', at: now }
  }

  forget (policy: LimitPolicy, key: string): undefined {
    this.#refused.delete(idOf(policy, key))
  }
}

/** With the length, because names and keys may contain anything. */
function idOf ({ id }: LimitPolicy, key: string): string {
  return `${id.length}${id}${key}`
}
