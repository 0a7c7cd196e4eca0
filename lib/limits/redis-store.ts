import { StoreFailed, type ScriptRunner } from '../redis/index.ts'
import { nextLease, type Charge, type Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'
import { Batch, permitOf, tagOf, type Job, type More, type Operation } from './redis-batch.ts'
import { limitScript } from './redis-script.ts'

interface RedisStoreOptions {
  readonly runner: ScriptRunner
  readonly keyPrefix: string
  /** Monotonic milliseconds of this process. */
  readonly now: () => number
}

/** A script call blocks Redis while it runs: about 5 µs per item. */
const largestBatch = 64
/** More orphans than this are left to expire. */
const mostOrphans = 1000

/**
 * Counts in Redis, atomically. All calls of one turn of the event loop share one script call, in a cluster those for one caller.
 * Rejects with {@link StoreFailed}; deadlines and fallbacks are up to the caller.
 */
export class RedisStore {
  readonly #options: RedisStoreOptions
  /** By the hash tag of their keys in a cluster, else one. */
  #waiting = new Map<string, Batch>()
  /** Permits that Redis may still count: released or taken while it was unreachable. */
  readonly #orphans: { readonly policy: LimitPolicy, readonly key: string, readonly lease: number }[] = []

  constructor (options: RedisStoreOptions) {
    this.#options = options
  }

  /** Takes from all budgets or none. In a cluster, all must have the same key: others live on other nodes. */
  take (charges: readonly Charge[], more?: More): Promise<Decision[]> {
    return this.#enqueue('take', charges, undefined, more)
  }

  /** As `take`, and what the answer means is worked out at once: promises behind this one would cost as much as the rest. */
  takeAnd<Outcome> (charges: readonly Charge[], decided: (decisions: readonly Decision[]) => Outcome, failed: () => Outcome,
    more?: More): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#add('take', charges, undefined, more, decisions => {
        try {
          resolve(decisions === undefined ? failed() : decided(decisions))
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  peek (policy: LimitPolicy, key: string): Promise<Decision[]> {
    return this.#enqueue('peek', [[policy, key]])
  }

  async refund (policy: LimitPolicy, key: string, taken: Decision): Promise<void> {
    const mark = policy.algorithm === 'concurrency' ? permitOf(taken.lease) : String(taken.stamp)
    await this.#enqueue('refund', [[policy, key, taken.cost]], mark)
  }

  /** Releases a permit once Redis is reachable again; see {@link settle}. */
  refundLater (policy: LimitPolicy, key: string, { lease }: Pick<Decision, 'lease'>): void {
    if (policy.algorithm === 'concurrency' && this.#orphans.length < mostOrphans) this.#orphans.push({ policy, key, lease })
  }

  /** Call it when Redis has answered: releases the orphaned permits. */
  settle (): void {
    if (this.#orphans.length === 0) return // splicing allocates
    for (const { policy, key, lease } of this.#orphans.splice(0)) {
      this.#enqueue('refund', [[policy, key]], permitOf(lease)).catch(() => this.refundLater(policy, key, { lease }))
    }
  }

  async reset (policy: LimitPolicy, key: string): Promise<void> {
    await this.#enqueue('reset', [[policy, key]])
  }

  /** Whether one call can take from all these budgets. */
  together (charges: readonly Charge[]): boolean {
    return !this.#options.runner.cluster || charges.every(([, key]) => key === charges[0]?.[1])
  }

  #enqueue (operation: Operation, charges: readonly Charge[], mark?: string, more?: More): Promise<Decision[]> {
    return new Promise((resolve, reject) => {
      this.#add(operation, charges, mark, more, (decisions, error) => decisions === undefined ? reject(error) : resolve(decisions))
    })
  }

  #add (operation: Operation, charges: readonly Charge[], mark: string | undefined, more: More | undefined, settle: Job['settle']): void {
    const node = this.#options.runner.cluster ? tagOf(charges[0]?.[1] ?? '') : ''
    if (this.#waiting.size === 0) setImmediate(() => this.#flush())
    const known = this.#waiting.get(node)
    const batch = known ?? new Batch(this.#options.keyPrefix)
    if (known === undefined) this.#waiting.set(node, batch)
    batch.add({ operation, charges, mark, lease: nextLease(), more, settle })
    if (batch.keys.length < largestBatch) return
    this.#waiting.delete(node)
    this.#send(batch)
  }

  #flush (): void {
    const batches = this.#waiting
    // A map that is cleared keeps its old table, and that the next one, until the next collection of all memory.
    this.#waiting = new Map()
    for (const batch of batches.values()) this.#send(batch)
  }

  #send (batch: Batch): void {
    this.#options.runner.run(limitScript, batch.keys, batch.args()).then(
      reply => this.#deliver(batch, reply), (error: unknown) => this.#fail(batch, error))
  }

  /** A call that failed here may have succeeded in Redis. */
  #fail ({ jobs }: Batch, error: unknown): void {
    for (const job of jobs) {
      if (job.operation === 'take') job.charges.forEach(([policy, key]) => this.refundLater(policy, key, job))
      job.settle(undefined, error)
    }
  }

  #deliver (batch: Batch, reply: unknown): void {
    const decisions = batch.read(reply, this.#options.now())
    if (decisions === undefined) return this.#fail(batch, new StoreFailed('reply'))
    batch.jobs.forEach(({ settle }, index) => settle(decisions[index] ?? []))
  }
}
