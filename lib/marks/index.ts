/** State attached to an object that is not ours, for as long as that lives. All such state uses this class, so one search finds it. */
export class Marks<On extends object, Value> {
  readonly #values = new WeakMap<On, Value>()

  of (on: On): Value | undefined {
    return this.#values.get(on)
  }

  set (on: On, value: Value): void {
    this.#values.set(on, value)
  }

  /** Returns and removes the value. */
  take (on: On): Value | undefined {
    const value = this.#values.get(on)
    this.#values.delete(on)
    return value
  }

  /** The value, made on first use. */
  ofOr (on: On, make: (on: On) => Value): Value {
    const known = this.#values.get(on)
    if (known !== undefined) return known
    const made = make(on)
    this.#values.set(on, made)
    return made
  }
}
