import { randomUUID } from 'node:crypto'
import { boundedKey, hashedKey } from './address.ts'
import { costOf, countable, type Charge, type Decision } from './decision.ts'
import type { LimitPolicy } from './policy.ts'

export type Operation = 'take' | 'peek' | 'refund' | 'reset'

/** Items that belong together. */
export interface Job {
  readonly operation: Operation
  readonly charges: readonly Charge[]
  readonly mark: string | undefined
  readonly lease: number
  /** Units to take beside those of the request, as far as they fit, and who gets them. */
  readonly more: More | undefined
  /** Without decisions the call failed. Never throws. */
  readonly settle: (decisions: Decision[] | undefined, error?: unknown) => void
}

export interface More {
  readonly count: number
  /** With what is left of the budget after all that was taken. */
  granted (count: number, taken: Decision): void
}

interface Item {
  readonly shape: Shape
  readonly group: string
  readonly mark: string | undefined
  /** How many numbers of the reply come before its own. */
  readonly from: number
  asking: number
  more: number
}

interface Shape {
  readonly policy: LimitPolicy
  readonly operation: Operation
  readonly cost: number
  readonly number: string
  /** The items that others can share, by key. */
  readonly shared: Map<string, Item>
}

/** The item of a job, or its first one, and how many ask for the same before it. */
interface Place { readonly item: Item, readonly before: number }

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
  readonly #places: (Place | undefined)[] = []
  readonly #items: Item[] = []
  /** By the id of the policy. */
  readonly #shapes = new Map<string, Shape[]>()
  readonly #shapeArguments: string[] = []

  constructor (prefix: string) {
    this.#prefix = prefix
  }

  add (job: Job): void {
    const { operation, charges, more } = job
    this.jobs.push(job)
    const [only] = charges
    if (only === undefined || charges.length > 1 || only[0].algorithm === 'concurrency') return this.#addGroup(job)
    const shape = this.#shapeOf(operation, only)
    const same = operation === 'take' ? shape.shared.get(only[1]) : undefined
    if (same !== undefined) {
      this.#places.push({ item: same, before: same.asking++ })
      same.more += more?.count ?? 0
      return
    }
    const item = this.#append(job, only, shape, '')
    this.#places.push({ item, before: 0 })
    if (operation === 'take') shape.shared.set(only[1], item)
    // What is taken after it must not be decided before it.
    else if (operation !== 'peek') for (const { shared } of this.#shapes.get(only[0].id) ?? []) shared.delete(only[1])
  }

  #addGroup (job: Job): void {
    const group = job.charges.length > 1 ? String(this.jobs.length) : ''
    const [first] = job.charges.map(charge => this.#append(job, charge, this.#shapeOf(job.operation, charge), group))
    this.#places.push(first && { item: first, before: 0 })
  }

  args (): string[] {
    const args = [String(this.#shapeArguments.length / argumentsPerShape), ...this.#shapeArguments]
    // Most are one request for one budget: each argument costs the client and Redis about as much as a key.
    for (const { shape: { number }, group, mark, asking, more } of this.#items) {
      const plain = group === '' && mark === undefined && asking + more === 1
      args.push(plain ? number : `${number},${group},${mark ?? asking + more}`)
    }
    return args
  }

  /** The decisions of each job. Undefined for a malformed reply. */
  read (reply: unknown, now: number): Decision[][] | undefined {
    const numbers = numbersOf(reply, this.#items.length * fieldsPerItem + 1)
    if (numbers === undefined) return undefined
    const stamp = numbers[numbers.length - 1] ?? 0
    return this.jobs.map(({ charges, lease, more }, index) => {
      const place = this.#places[index]
      if (place === undefined) return []
      const { item, before } = place
      const decided = charges.map((charge, offset) =>
        decision(charge, lease, numbers, item.from + offset * fieldsPerItem, before, now, stamp))
      if (more !== undefined && decided[0] !== undefined) grant(more, decided[0], item, numbers)
      return decided
    })
  }

  #append ({ mark, lease, more }: Job, [policy, key]: Charge, shape: Shape, group: string): Item {
    const permit = policy.algorithm === 'concurrency' ? permitOf(lease) : undefined
    const from = this.#items.length * fieldsPerItem
    const item: Item = { shape, group, mark: mark ?? permit, from, asking: 1, more: more?.count ?? 0 }
    this.keys.push(redisKey(this.#prefix, policy, key))
    this.#items.push(item)
    return item
  }

  #shapeOf (operation: Operation, charge: Charge): Shape {
    const [policy] = charge
    const units = costOf(charge)
    const cost = countable(units) ? units : 0 // the script refuses it
    const known = this.#shapes.get(policy.id)
    const same = known?.find(shape => shape.operation === operation && shape.cost === cost && shape.policy === policy)
    if (same !== undefined) return same
    this.#shapeArguments.push(operation, ...policy.scriptArguments, String(cost), policy.dryRun ? '1' : '')
    const number = String(this.#shapeArguments.length / argumentsPerShape)
    const shape: Shape = { policy, operation, cost, number, shared: new Map() }
    if (known === undefined) this.#shapes.set(policy.id, [shape])
    else known.push(shape)
    return shape
  }
}

/** The requests come first, what is taken beside them last. */
function grant (more: More, decided: Decision, { from, asking }: Item, numbers: readonly number[]): void {
  more.granted(Math.max(0, (numbers[from] ?? 0) - asking), { ...decided, remaining: numbers[from + 1] ?? 0 })
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
  const numbers = typeof reply[0] === 'number' ? reply : reply.map(Number)
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
