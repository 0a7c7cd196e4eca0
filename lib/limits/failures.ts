import { isUnavailable, refusing, type Decision, type Limiter, type LimitOutcome } from './decision.ts'
import type { Entry } from './book.ts'
import { MemoryStore } from './memory-store.ts'

/** A unit of the budget, held while a verification runs. */
export interface Reservation {
  readonly key: string
  /** Absent while the policy refuses nobody. */
  readonly taken?: Decision
}

export type Entrance = Reservation | Refused | 'crowded'

interface Refused { readonly refused: Decision }

export function isRefused (entrance: Reservation | Refused): entrance is Refused {
  return Object.hasOwn(entrance, 'refused')
}

/** The running verifications of one address, and those that wait for a unit. */
interface Gate {
  running: number
  /** `gone` tells whether the caller has left. */
  readonly waiting: { readonly resolve: (entrance: Entrance) => void, readonly gone: () => boolean }[]
}

/** At most this many wait per key; more are turned away. */
const longestQueue = 1000

/**
 * The budget of failed verifications. This process reserves a unit before each verification and gives it back on success, so at
 * most `limit` verifications run at once per address, however late the store answers. The store learns of each failure; its answer
 * brings in the failures that other processes have counted.
 */
export class FailureReservations {
  readonly #limiter: Limiter
  /** Where units are reserved, synchronously: the limiter itself if that is memory. */
  readonly #ledger: MemoryStore
  readonly #entry: Entry
  readonly #gates = new Map<string, Gate>()

  constructor (limiter: Limiter, entry: Entry, now?: () => number) {
    this.#limiter = limiter
    this.#ledger = limiter instanceof MemoryStore ? limiter : new MemoryStore({ now })
    this.#entry = entry
  }

  /** A unit, a refusal, or a promise of one of them while others hold all remaining units. */
  enter (key: string, gone: () => boolean): Entrance | Promise<Entrance> {
    const gate = this.#gates.get(key)
    const waiting = gate?.waiting ?? []
    // Whoever comes behind others that wait has to wait too; units that become free are theirs.
    const entrance = waiting.length > 0 ? undefined : this.#reserve(key, gate?.running ?? 0)
    if (entrance !== undefined) return entrance
    if (waiting.length >= longestQueue) return 'crowded'
    return new Promise(resolve => { waiting.push({ resolve, gone }) })
  }

  /** The verification succeeded: the unit goes to the next. */
  giveBack ({ key, taken }: Reservation): void {
    if (taken !== undefined) this.#ledger.refund(taken.policy, key, taken)
    this.#end(key)
  }

  /** The verification failed: the unit stays taken. */
  spend ({ key, taken }: Reservation): void {
    if (taken !== undefined) this.#tell(key, taken)
    this.#end(key)
  }

  /** Counts a failure that cost no verification. */
  count (key: string): void {
    for (const policy of this.#entry.active) this.#tell(key, this.#ledger.take(policy, key))
  }

  /** Undefined: others hold all units and may give them back. */
  #reserve (key: string, running: number): Entrance | undefined {
    const [policy] = this.#entry.active
    if (policy === undefined) return this.#begin(key, { key })
    const known = this.#limiter === this.#ledger ? undefined : this.#limiter.denied(policy, key)
    if (known !== undefined && refusing(known)) return { refused: known }
    const decision = this.#ledger.take(policy, key)
    if (decision.allowed) return this.#begin(key, { key, taken: decision })
    if (policy.dryRun) return this.#begin(key, { key })
    return running === 0 ? { refused: decision } : undefined
  }

  #begin (key: string, reservation: Reservation): Reservation {
    const gate = this.#gates.get(key)
    if (gate === undefined) this.#gates.set(key, { running: 1, waiting: [] })
    else gate.running++
    return reservation
  }

  #end (key: string): void {
    const gate = this.#gates.get(key)
    if (gate === undefined) return
    gate.running--
    this.#wake(key, gate)
    if (gate.running === 0) this.#gates.delete(key)
  }

  /** Admits waiting verifications in order while units last. When nobody holds a unit any more, the rest is refused. */
  #wake (key: string, gate: Gate): void {
    for (let next = gate.waiting[0]; next !== undefined; next = gate.waiting[0]) {
      const entrance = next.gone() ? 'crowded' : this.#reserve(key, gate.running)
      if (entrance === undefined) return
      gate.waiting.shift()
      next.resolve(entrance)
    }
  }

  /** `onStoreFailure: 'allow'` counts nothing while the store is unavailable. */
  #tell (key: string, reserved: Decision): void {
    if (this.#limiter === this.#ledger) return
    const { policy } = reserved
    const learn = (outcome: LimitOutcome) => {
      if (isUnavailable(outcome)) return
      if (outcome.source === 'open') this.#ledger.refund(policy, key, reserved)
      else this.#ledger.mirror(policy, key, outcome)
    }
    const outcome = this.#limiter.take(policy, key)
    if (outcome instanceof Promise) outcome.then(learn)
    else learn(outcome)
  }
}
