import type { Attributes, ObservableResult } from './api.ts'

interface Entry {
  count: number
  readonly attributes: Attributes
}

/** Counts in memory, and tells when asked: a counter of OpenTelemetry hashes its attributes at every call, which takes microseconds. */
export class Tally {
  readonly #names: readonly string[]
  readonly #entries = new Map<string, Entry>()

  constructor (names: readonly string[]) {
    this.#names = names
  }

  /** `values` are in the order of the names. */
  add (count: number, ...values: readonly string[]): void {
    let key = ''
    for (const value of values) key += `${value}\n`
    const known = this.#entries.get(key)
    if (known !== undefined) known.count += count
    else this.#entries.set(key, { count, attributes: Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? ''])) })
  }

  report (result: ObservableResult): void {
    for (const { count, attributes } of this.#entries.values()) result.observe(count, attributes)
  }
}
