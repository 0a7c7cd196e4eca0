import { randomUUID } from 'node:crypto'
import { boundedKey, hashedKey } from './address.ts'
import { costOf, countable, type Charge, type Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'

export type Operation = 'take' | 'peek' | 'refund' | 'reset'

/** Items that belong together, and the promise of their decisions. */
export interface Job {
  readonly operation: Operation
  readonly charges: readonly Charge[]
  readonly mark: string | undefined
  readonly lease: number
  /** Units to take beside those of the request, as far as they fit, and who gets them. */
  readonly more?: More | undefined
  readonly resolve: (decisions: Decision[]) => void
  readonly reject: (error: unknown) => void
}

export interface More {
  readonly count: number
  /** With what is left of the budget after all that was taken. */
  granted (count: number, taken: Decision): void
}

/** Where the answer of a job starts, and how many ask for the same item before it. */
interface Place { readonly item: number, readonly before: number }

interface Item { readonly shape: string, readonly group: string, readonly mark: string | undefined, asking: number, more: number }
interface Shape { readonly operation: Operation, readonly cost: number, readonly number: string }

const argumentsPerShape = 7
const fieldsPerItem = 4
const process = randomUUID()

/**
 * One call of the script, see `redis-script.ts`. Requests that take the same from the same budget, such as those of one address, share an
 * item, of which the script admits as many as fit.
 */
export class Batch {
  readonly jobs: Job[] = []
  readonly keys: string[] = []
  readonly #prefix: string
  readonly #places: Place[] = []
  readonly #items: Item[] = []
  readonly #shapes = new Map<LimitPolicy, Shape[]>()
  readonly #shapeArguments: string[] = []
  /** The items that others can share, by shape and key. */
  readonly #shared = new Map<string, number>()

  constructor (prefix: string) {
    this.#prefix = prefix
  }

  add (job: Job): void {
    const { operation, charges, more } = job
    this.jobs.push(job)
    const [only] = charges
    if (only === undefined || charges.length > 1 || only[0].algorithm === 'concurrency') {
      this.#places.push({ item: this.#items.length, before: 0 })
      for (const charge of charges) this.#append(job, charge, this.#shapeOf(operation, charge))
      return
    }
    const shape = this.#shapeOf(operation, only)
    const id = `${shape}:${only[1]}`
    const item = operation === 'take' ? this.#shared.get(id) : undefined
    const same = item === undefined ? undefined : this.#items[item]
    if (item === undefined || same === undefined) {
      // What is taken after it must not be decided before it.
      if (operation === 'refund' || operation === 'reset') this.#shared.clear()
      else if (operation === 'take') this.#shared.set(id, this.#items.length)
      this.#places.push({ item: this.#items.length, before: 0 })
      return this.#append(job, only, shape)
    }
    this.#places.push({ item, before: same.asking++ })
    same.more += more?.count ?? 0
  }

  args (): string[] {
    const args = [String(this.#shapeArguments.length / argumentsPerShape), ...this.#shapeArguments]
    for (const { shape, group, mark, asking, more } of this.#items) args.push(shape, group, mark ?? String(asking + more))
    return args
  }

  /** The decisions of each job. Undefined for a malformed reply. */
  read (reply: unknown, now: number): Decision[][] | undefined {
    const numbers = numbersOf(reply, this.#items.length * fieldsPerItem + 1)
    if (numbers === undefined) return undefined
    const stamp = numbers[numbers.length - 1] ?? 0
    return this.jobs.map(({ charges, lease, more }, index) => {
      const { item, before } = this.#places[index] ?? { item: 0, before: 0 }
      const decided = charges.map((charge, offset) =>
        decision(charge, lease, numbers, (item + offset) * fieldsPerItem, before, now, stamp))
      if (more !== undefined && decided[0] !== undefined) this.#grant(more, decided[0], item, numbers)
      return decided
    })
  }

  /** The requests come first, what is taken beside them last. */
  #grant (more: More, decided: Decision, item: number, numbers: readonly number[]): void {
    const from = item * fieldsPerItem
    const { asking = 0 } = this.#items[item] ?? {}
    more.granted(Math.max(0, (numbers[from] ?? 0) - asking), { ...decided, remaining: numbers[from + 1] ?? 0 })
  }

  #append ({ mark, lease, more }: Job, [policy, key]: Charge, shape: string): void {
    const permit = policy.algorithm === 'concurrency' ? permitOf(lease) : undefined
    this.keys.push(redisKey(this.#prefix, policy, key))
    this.#items.push({ shape, group: String(this.jobs.length), mark: mark ?? permit, asking: 1, more: more?.count ?? 0 })
  }

  #shapeOf (operation: Operation, charge: Charge): string {
    const [policy] = charge
    const known = this.#shapes.get(policy) ?? []
    const units = costOf(charge)
    const cost = countable(units) ? units : 0 // the script refuses it
    const same = known.find(shape => shape.operation === operation && shape.cost === cost)
    if (same !== undefined) return same.number
    this.#shapeArguments.push(operation, ...policy.scriptArguments, String(cost), policy.dryRun ? '1' : '')
    const number = String(this.#shapeArguments.length / argumentsPerShape)
    this.#shapes.set(policy, [...known, { operation, cost, number }])
    return number
  }
}

/** An item admits the first ones that share it: each has what is left after itself, and the refused ones wait alike. */
function decision (charge: Charge, lease: number, numbers: readonly number[], from: number, before: number, now: number,
  stamp: number): Decision {
  const [policy] = charge
  const cost = costOf(charge)
  const admitted = numbers[from] ?? 0
  const allowed = before < admitted
  const later = allowed ? (admitted - before - 1) * cost : 0
  const soonerMs = policy.algorithm === 'token-bucket' ? later * policy.emissionMs : 0
  return {
    allowed,
    policy,
    remaining: (numbers[from + 1] ?? 0) + later,
    retryAfterMs: allowed ? 0 : (numbers[from + 2] ?? 0) / 1000,
    resetMs: Math.max(0, (numbers[from + 3] ?? 0) / 1000 - soonerMs),
    source: 'redis',
    cost,
    at: now,
    stamp,
    lease: policy.algorithm === 'concurrency' ? lease : 0
  }
}

/** Undefined for a reply of a proxy or another kind of server. Some clients return numbers as text. */
function numbersOf (reply: unknown, length: number): number[] | undefined {
  if (!Array.isArray(reply) || reply.length !== length) return undefined
  const numbers = reply.map(Number)
  return numbers.every(Number.isFinite) ? numbers : undefined
}

/** The name of a permit, unique among all processes. */
export function permitOf (lease: number): string {
  return `${process}.${lease}`
}

const plainKey = /^[\w.:@|/+=-]+$/

/** What stands in braces: the key itself has none, so no caller can make two budgets collide. */
export function tagOf (key: string): string {
  const bounded = boundedKey(key)
  return bounded.startsWith('#') || plainKey.test(bounded) ? bounded : hashedKey(bounded)
}

/** Braces around the caller's key put all its budgets on one node of a cluster (Redis cluster specification, "hash tags"). */
function redisKey (prefix: string, { id }: LimitPolicy, key: string): string {
  return `${prefix}{${tagOf(key)}}${id}`
}
