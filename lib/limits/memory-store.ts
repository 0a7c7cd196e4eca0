import { counting, tolerance } from './algorithms.ts'
import { at, Chains, none } from './chains.ts'
import { boundedKey } from './address.ts'
import { costOf, countable, nextLease, refusing, type Charge, type Decision, type Limiter, type LimiterStatus } from './decision.ts'
import type { LimiterEvent, MemoryStatus, Source } from './decision.ts'
import type { LimitPolicy } from './policy.ts'

interface MemoryStoreOptions {
  /** Monotonic milliseconds. A change of a wall clock would lock callers out or let them in. @default performance.now */
  readonly now?: (() => number) | undefined
  /** How many budgets are kept. @default 65536, which is 12 MB at most */
  readonly capacity?: number | undefined
  /** The `source` of its decisions. */
  readonly source?: Source
  readonly onEvent?: ((event: LimiterEvent) => void) | undefined
}

/** The budgets of one policy. */
interface Table {
  policy: LimitPolicy
  readonly slots: Map<string, number>
}

/** Candidates per eviction, and slots that each insertion checks for expiry. */
const candidates = 8
const sweptPerInsert = 2

/**
 * Counts in this process, synchronously and in bounded memory. When all slots are taken, it evicts the least used of eight random
 * ones, so a flood of fresh keys evicts its own keys and not callers at their limit.
 */
export class MemoryStore implements Limiter {
  readonly #now: () => number
  readonly #capacity: number
  readonly #source: Source
  readonly #onEvent: MemoryStoreOptions['onEvent']
  readonly #chains: Chains
  readonly #tables = new Map<string, Table>()
  readonly #owners: (Table | undefined)[] = []
  readonly #keys: string[] = []
  readonly #free: number[] = []
  #hand = 0
  #evictions = 0
  #saturated = false

  constructor ({ now = () => performance.now(), capacity = 65_536, source = 'memory', onEvent }: MemoryStoreOptions = {}) {
    this.#now = now
    this.#capacity = capacity
    this.#source = source
    this.#onEvent = onEvent
    this.#chains = new Chains(capacity)
  }

  take (policy: LimitPolicy, key: string, units: number = policy.cost): Decision {
    const now = this.#now()
    const slot = this.#find(policy, key)
    const used = this.#used(policy, slot, now)
    const cost = policy.algorithm === 'concurrency' ? 1 : units
    if (!fits(policy, used, cost)) return this.#refuse(policy, slot, used, cost, now)
    return this.#admit(policy, key, slot, cost, now, nextLease())
  }

  consume (charges: readonly Charge[]): readonly Decision[] {
    const decisions = charges.map(charge => this.#evaluate(charge[0], charge[1], costOf(charge)))
    if (decisions.some(refusing)) return decisions
    return decisions.map((decision, index) =>
      decision.allowed ? this.take(decision.policy, charges[index]?.[1] ?? '', decision.cost) : decision)
  }

  peek (policy: LimitPolicy, key: string): Decision {
    return this.#evaluate(policy, key, policy.cost)
  }

  denied (policy: LimitPolicy, key: string): Decision | undefined {
    const slot = this.#find(policy, key)
    if (slot === none) return undefined
    const now = this.#now()
    const used = this.#used(policy, slot, now)
    return fits(policy, used, policy.cost) ? undefined : this.#refuse(policy, slot, used, policy.cost, now)
  }

  refund (policy: LimitPolicy, key: string, taken: Decision): void {
    const slot = this.#find(policy, key)
    if (slot === none || !taken.allowed) return
    this.#used(policy, slot, this.#now())
    counting[policy.algorithm].refund(this.#chains, slot, taken, taken.at)
  }

  reset (policy: LimitPolicy, key: string): void {
    const slot = this.#find(policy, key)
    if (slot !== none) this.#release(slot)
  }

  /** Takes over a decision of another store, so that this one can step in. */
  mirror (policy: LimitPolicy, key: string, { allowed, remaining, lease, at: time }: Decision): void {
    const slot = this.#find(policy, key)
    const missing = policy.burst - remaining - this.#used(policy, slot, time)
    const cost = policy.algorithm === 'concurrency' ? Number(allowed) : missing
    if (cost > tolerance) this.#admit(policy, key, slot, cost, time, lease)
  }

  memory (): MemoryStatus {
    return { keys: this.#keys.length - this.#free.length, capacity: this.#capacity, evictions: this.#evictions }
  }

  status (): LimiterStatus {
    return { store: 'memory', state: 'available', failures: 0, memory: this.memory() }
  }

  close (): void {}

  #evaluate (policy: LimitPolicy, key: string, cost: number): Decision {
    const now = this.#now()
    const slot = this.#find(policy, key)
    const used = this.#used(policy, slot, now)
    return fits(policy, used, cost) ? this.#decision(policy, true, slot, used, cost, now) : this.#refuse(policy, slot, used, cost, now)
  }

  #admit (policy: LimitPolicy, key: string, known: number, cost: number, now: number, lease: number): Decision {
    const slot = known === none ? this.#insert(this.#table(policy), boundedKey(key), now) : known
    counting[policy.algorithm].spend(this.#chains, slot, policy, cost, now, lease)
    return this.#decision(policy, true, slot, at(this.#chains.used, slot), cost, now, 0, policy.algorithm === 'concurrency' ? lease : 0)
  }

  #refuse (policy: LimitPolicy, slot: number, used: number, cost: number, now: number): Decision {
    const possible = countable(cost) && cost <= policy.burst && slot !== none
    const excess = used + cost - policy.burst
    const retryAfter = possible ? counting[policy.algorithm].retryAfter(this.#chains, slot, policy, excess, now) : policy.windowMs
    return this.#decision(policy, false, slot, used, cost, now, retryAfter)
  }

  #decision (
    policy: LimitPolicy, allowed: boolean, slot: number, used: number, cost: number, now: number, retryAfterMs = 0, lease = 0
  ): Decision {
    return {
      allowed,
      policy,
      remaining: Math.max(0, Math.floor(policy.burst - used + tolerance)),
      retryAfterMs,
      resetMs: slot === none ? 0 : counting[policy.algorithm].reset(this.#chains, slot, policy, now),
      source: this.#source,
      cost,
      at: now,
      stamp: now,
      lease
    }
  }

  #find (policy: LimitPolicy, key: string): number {
    return this.#table(policy).slots.get(boundedKey(key)) ?? none
  }

  #used (policy: LimitPolicy, slot: number, now: number): number {
    return slot === none ? 0 : counting[policy.algorithm].used(this.#chains, slot, policy, now)
  }

  /** A policy replaced at run time keeps the counts of its name. */
  #table (policy: LimitPolicy): Table {
    const known = this.#tables.get(policy.id)
    const table = known ?? { policy, slots: new Map() }
    if (known === undefined) this.#tables.set(policy.id, table)
    else if (known.policy !== policy) known.policy = policy
    return table
  }

  #insert (table: Table, key: string, now: number): number {
    for (let i = 0; i < sweptPerInsert; i++) this.#sweep(now)
    const slot = this.#free.pop() ?? (this.#keys.length < this.#capacity ? this.#keys.length : this.#evict(now))
    this.#chains.ensureSlot(slot)
    this.#owners[slot] = table
    this.#keys[slot] = key
    table.slots.set(key, slot)
    return slot
  }

  /** Frees the next slot if it is empty, so that the store shrinks after a flood. */
  #sweep (now: number): void {
    this.#hand = this.#hand + 1 < this.#keys.length ? this.#hand + 1 : 0
    const owner = this.#owners[this.#hand]
    if (owner !== undefined && this.#used(owner.policy, this.#hand, now) === 0) this.#release(this.#hand)
    if (this.#saturated && this.#free.length * 10 > this.#capacity) this.#saturated = false
  }

  #release (slot: number): void {
    this.#owners[slot]?.slots.delete(this.#keys[slot] ?? '')
    this.#owners[slot] = undefined
    this.#keys[slot] = ''
    this.#chains.clear(slot)
    this.#free.push(slot)
  }

  #evict (now: number): number {
    let victim = 0
    let least = Infinity
    for (let i = 0; i < candidates && least > 0; i++) {
      const slot = Math.floor(Math.random() * this.#keys.length)
      const owner = this.#owners[slot]
      const share = owner === undefined ? 0 : this.#used(owner.policy, slot, now) / owner.policy.burst
      if (share < least) {
        least = share
        victim = slot
      }
    }
    this.#release(victim)
    this.#free.pop()
    if (least > 0) this.#evictions++
    if (least > 0 && !this.#saturated) {
      this.#saturated = true
      this.#onEvent?.({ type: 'memory-saturated', keys: this.#capacity })
    }
    return victim
  }
}

function fits (policy: LimitPolicy, used: number, cost: number): boolean {
  return countable(cost) && used + cost <= policy.burst + tolerance
}
