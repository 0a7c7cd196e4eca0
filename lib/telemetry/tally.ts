import type { Attributes, ObservableResult } from './api.ts'

interface Entry {
  count: number
  readonly attributes: Attributes
}

type Branch = Map<string, Branch | Entry>

/** Counts in memory, and tells when asked: a counter of OpenTelemetry hashes its attributes at every call, which takes microseconds. */
export class Tally {
  readonly #names: readonly string[]
  /** By one value after the other: to join them takes longer than to look them up. */
  readonly #root: Branch = new Map()
  readonly #entries: Entry[] = []

  constructor (names: readonly string[]) {
    this.#names = names
  }

  /** `values` are in the order of the names. */
  add (count: number, ...values: readonly string[]): void {
    let found: Branch | Entry | undefined = this.#root
    for (const value of values) found = (found as Branch | undefined)?.get(value)
    if (found === undefined) this.#open(values).count += count
    else (found as Entry).count += count
  }

  #open (values: readonly string[]): Entry {
    const attributes = Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? '']))
    const entry: Entry = { count: 0, attributes }
    this.#entries.push(entry)
    let branch = this.#root
    for (const value of values.slice(0, -1)) {
      const next = branch.get(value) as Branch | undefined ?? new Map<string, Branch | Entry>()
      branch.set(value, next)
      branch = next
    }
    branch.set(values.at(-1) ?? '', entry)
    return entry
  }

  report (result: ObservableResult): void {
    for (const { count, attributes } of this.#entries) result.observe(count, attributes)
  }
}
