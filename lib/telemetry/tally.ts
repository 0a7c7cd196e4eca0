import type { Attributes, ObservableResult } from './api.ts'

interface Entry {
  count: number
  readonly attributes: Attributes
}

type Branch = Map<string, Branch | Entry>

interface Last {
  readonly second: string
  readonly third: string
  readonly fourth: string
  readonly entry: Entry
}

/** Counts in memory, and tells when asked: a counter of OpenTelemetry hashes its attributes at every call, which takes microseconds. */
export class Tally {
  readonly #names: readonly string[]
  /** By one value after the other: to join them takes longer than to look them up. */
  readonly #root: Branch = new Map()
  readonly #entries: Entry[] = []
  readonly #last = new Map<string, Last>()

  constructor (names: readonly string[]) {
    this.#names = names
  }

  /** Values are in the order of the names. Most calls are as the last one with the same first value, which one comparison each finds. */
  add (count: number, first: string, second = '', third = '', fourth = ''): void {
    const last = this.#last.get(first)
    if (last !== undefined && last.second === second && last.third === third && last.fourth === fourth) last.entry.count += count
    else this.#find(first, second, third, fourth).count += count
  }

  #find (first: string, second: string, third: string, fourth: string): Entry {
    const values = [first, second, third, fourth].slice(0, this.#names.length)
    let found: Branch | Entry | undefined = this.#root
    for (const value of values) found = (found as Branch | undefined)?.get(value)
    const entry = found as Entry | undefined ?? this.#open(values)
    this.#last.set(first, { second, third, fourth, entry })
    return entry
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
