export interface Counted <Item> {
  readonly item: Item
  /** Never less than the true number. */
  readonly atMost: number
  /** Never more. */
  readonly atLeast: number
}

interface Entry <Item> {
  readonly item: Item
  count: number
  /** How much of the count may belong to those that were in its place before. */
  readonly error: number
}

/** Space-Saving (Metwally and others, 2005): whatever is more than a `capacity`-th of everything is in it. */
export class Frequent <Item> {
  readonly #capacity: number
  readonly #entries = new Map<string, Entry<Item>>()

  constructor (capacity: number) {
    this.#capacity = capacity
  }

  add (key: string, weight: number, make: () => Item): void {
    const known = this.#entries.get(key)
    if (known !== undefined) known.count += weight
    else if (this.#entries.size < this.#capacity) this.#entries.set(key, { item: make(), count: weight, error: 0 })
    else this.#replace(key, weight, make)
  }

  #replace (key: string, weight: number, make: () => Item): void {
    let [rarest, least] = ['', Infinity]
    for (const [name, { count }] of this.#entries) if (count < least) [rarest, least] = [name, count]
    this.#entries.delete(rarest)
    this.#entries.set(key, { item: make(), count: least + weight, error: least })
  }

  /** The most frequent first. */
  list (): Counted<Item>[] {
    return [...this.#entries.values()]
      .map(({ item, count, error }) => ({ item, atMost: count, atLeast: count - error }))
      .sort((a, b) => b.atLeast - a.atLeast)
  }
}
