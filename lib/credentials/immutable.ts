import { inspect } from 'node:util'

/**
 * A set that really cannot be changed. `Object.freeze(new Set())` still has a working `add`, and a `ReadonlySet` is only a promise to the
 * compiler: a handler that widens its own scopes would widen them for every request that shares the cached principal.
 */
class ImmutableSet<T> implements ReadonlySet<T> {
  readonly #values: Set<T>
  readonly #list: readonly T[]

  constructor (values: Iterable<T>) {
    this.#values = new Set(values)
    this.#list = Object.freeze([...this.#values])
    Object.freeze(this)
  }

  /** Made once: the audit trail names the scopes of every caller. */
  static list<T> (set: ReadonlySet<T>): readonly T[] {
    const given: unknown = set
    return given instanceof ImmutableSet ? given.#list : [...set]
  }

  get size (): number {
    return this.#values.size
  }

  has (value: T): boolean {
    return this.#values.has(value)
  }

  forEach (callback: (value: T, key: T, set: ReadonlySet<T>) => void, thisArg?: unknown): void {
    for (const value of this.#values) callback.call(thisArg, value, value, this)
  }

  entries (): SetIterator<[T, T]> {
    return this.#values.entries()
  }

  keys (): SetIterator<T> {
    return this.#values.keys()
  }

  values (): SetIterator<T> {
    return this.#values.values()
  }

  [Symbol.iterator] (): SetIterator<T> {
    return this.#values.values()
  }

  /** A list, so that a logged or returned principal shows its scopes; a plain Set would show `{}`. */
  toJSON (): T[] {
    return [...this.#values]
  }

  /** For logs. */
  [inspect.custom] (): Set<T> {
    return new Set(this.#values)
  }

  /** The set methods of ES2025, where this runtime has them; each gets a copy to work on. */
  static {
    const names = ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom']
    for (const name of names) {
      const method: unknown = Reflect.get(Set.prototype, name)
      if (typeof method !== 'function') continue
      const value = function (this: ReadonlySet<unknown>, other: unknown): unknown { return method.call(new Set(this), other) }
      Object.defineProperty(this.prototype, name, { value })
    }
    Object.freeze(this.prototype)
  }
}

const empty: ReadonlySet<never> = new ImmutableSet<never>([])

/** An immutable set of these values. All empty ones are the same object. */
export function immutableSet<T> (values: readonly T[]): ReadonlySet<T> {
  return values.length === 0 ? empty : new ImmutableSet(values)
}

/** Its members in a frozen list, without a copy for a set that `immutableSet` made. */
export function listOf<T> (set: ReadonlySet<T>): readonly T[] {
  return ImmutableSet.list(set)
}

/**
 * Freezes a JSON value and everything in it, in place. Iterative: a signed token may nest thousands of arrays in
 * 8 KiB, and a stack overflow would be an exception that the caller can cause.
 */
export function deepFreeze<T> (value: T): T {
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null || Object.isFrozen(next)) continue
    Object.freeze(next)
    pending.push(...Object.values(next))
  }
  return value
}
