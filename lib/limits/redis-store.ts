import { randomUUID } from 'node:crypto'
import { StoreFailed, type ScriptRunner } from '../redis/index.ts'
import { boundedKey, hashedKey } from './address.ts'
import { costOf, countable, nextLease, type Charge, type Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'
import { limitScript } from './redis-script.ts'

interface RedisStoreOptions {
  readonly runner: ScriptRunner
  readonly keyPrefix: string
  /** Monotonic milliseconds of this process. */
  readonly now: () => number
}

/** One call: items that belong together, and its promise. */
interface Job {
  readonly charges: readonly Charge[]
  readonly operation: 'take' | 'peek' | 'refund' | 'reset'
  readonly mark: string | undefined
  readonly resolve: (decisions: Decision[]) => void
  readonly reject: (error: unknown) => void
  readonly lease: number
}

/** A script call blocks Redis while it runs: about 5 µs per item. */
const largestBatch = 64
/** More orphans than this are left to expire. */
const mostOrphans = 1000
const fieldsPerItem = 4
const process = randomUUID()

/**
 * Counts in Redis, atomically. All calls of one turn of the event loop share one script call. Rejects with {@link StoreFailed};
 * deadlines and fallbacks are up to the caller.
 */
export class RedisStore {
  readonly #options: RedisStoreOptions
  #waiting: Job[] = []
  /** Permits that Redis may still count: released or taken while it was unreachable. */
  readonly #orphans: { readonly policy: LimitPolicy, readonly key: string, readonly lease: number }[] = []

  constructor (options: RedisStoreOptions) {
    this.#options = options
  }

  /** Takes from all budgets or none. In a cluster, all must have the same key: others live on other nodes. */
  take (charges: readonly Charge[]): Promise<Decision[]> {
    return this.#enqueue('take', charges)
  }

  peek (policy: LimitPolicy, key: string): Promise<Decision[]> {
    return this.#enqueue('peek', [[policy, key]])
  }

  async refund (policy: LimitPolicy, key: string, taken: Decision): Promise<void> {
    const mark = policy.algorithm === 'concurrency' ? markOf(policy, taken.lease) : String(taken.stamp)
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
      this.#enqueue('refund', [[policy, key]], markOf(policy, lease)).catch(() => this.refundLater(policy, key, { lease }))
    }
  }

  async reset (policy: LimitPolicy, key: string): Promise<void> {
    await this.#enqueue('reset', [[policy, key]])
  }

  /** Whether one call can take from all these budgets. */
  together (charges: readonly Charge[]): boolean {
    return !this.#options.runner.cluster || charges.every(([, key]) => key === charges[0]?.[1])
  }

  #enqueue (operation: Job['operation'], charges: readonly Charge[], mark?: string): Promise<Decision[]> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush())
      this.#waiting.push({ operation, charges, mark, resolve, reject, lease: nextLease() })
      if (this.#waiting.length === largestBatch) this.#flush()
    })
  }

  #flush (): void {
    const jobs = this.#waiting
    if (jobs.length === 0) return
    this.#waiting = []
    if (!this.#options.runner.cluster) return this.#send(jobs)
    for (const job of jobs) this.#send([job])
  }

  #send (jobs: readonly Job[]): void {
    const keys: string[] = []
    const args: string[] = []
    for (const [group, { operation, charges, mark, lease }] of jobs.entries()) {
      for (const charge of charges) {
        const [policy, key] = charge
        const cost = costOf(charge)
        keys.push(redisKey(this.#options.keyPrefix, policy, key))
        // An uncountable cost is sent as 0, which the script refuses.
        args.push(String(group), operation, ...policy.scriptArguments, countable(cost) ? String(cost) : '0', mark ?? markOf(policy, lease))
      }
    }
    const { runner } = this.#options
    runner.run(limitScript, keys, args).then(
      reply => this.#deliver(jobs, keys.length, reply), (error: unknown) => this.#fail(jobs, error))
  }

  /** A call that failed here may have succeeded in Redis. */
  #fail (jobs: readonly Job[], error: unknown): void {
    for (const job of jobs) {
      if (job.operation === 'take') job.charges.forEach(([policy, key]) => this.refundLater(policy, key, job))
      job.reject(error)
    }
  }

  #deliver (jobs: readonly Job[], items: number, reply: unknown): void {
    const numbers = numbersOf(reply, items * fieldsPerItem + 1)
    if (numbers === undefined) return this.#fail(jobs, new StoreFailed('reply'))
    const stamp = numbers[numbers.length - 1] ?? 0
    const now = this.#options.now()
    let at = 0
    for (const job of jobs) {
      job.resolve(job.charges.map((charge, index) => decision(charge, job.lease, numbers, at + index * fieldsPerItem, now, stamp)))
      at += job.charges.length * fieldsPerItem
    }
  }
}

function decision (charge: Charge, lease: number, numbers: readonly number[], from: number, now: number, stamp: number): Decision {
  const [policy] = charge
  return {
    allowed: numbers[from] === 1,
    policy,
    remaining: numbers[from + 1] ?? 0,
    retryAfterMs: (numbers[from + 2] ?? 0) / 1000,
    resetMs: (numbers[from + 3] ?? 0) / 1000,
    source: 'redis',
    cost: costOf(charge),
    at: now,
    stamp,
    lease: policy.algorithm === 'concurrency' ? lease : 0
  }
}

/** Undefined for a malformed reply, from a proxy or another kind of server. Some clients return numbers as text. */
function numbersOf (reply: unknown, length: number): number[] | undefined {
  if (!Array.isArray(reply) || reply.length !== length) return undefined
  const numbers = reply.map(Number)
  return numbers.every(Number.isFinite) ? numbers : undefined
}

function markOf ({ algorithm, dryRun }: LimitPolicy, lease: number): string {
  const dry = dryRun ? 'dry' : ''
  return algorithm === 'concurrency' ? `${dry}${process}.${lease}` : dry
}

const plainKey = /^[\w.:@|/+=-]+$/

/**
 * The key in Redis. Braces around the caller's key put all its budgets on one node of a cluster (Redis cluster specification, "hash
 * tags"). The key itself has no braces, so no caller can make two budgets collide.
 */
function redisKey (prefix: string, { id }: LimitPolicy, key: string): string {
  const bounded = boundedKey(key)
  return `${prefix}{${bounded.startsWith('#') || plainKey.test(bounded) ? bounded : hashedKey(bounded)}}${id}`
}
