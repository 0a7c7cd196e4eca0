export interface Order {
  readonly id: string
  readonly owner: string
  readonly item: string
  readonly quantity: number
}

/** Orders in memory: one of alice's, one of bob's, and what is added later. */
export class OrderStore {
  readonly #orders = new Map<string, Order>()
  #next = 1

  constructor () {
    this.add({ owner: 'alice', item: 'green tea', quantity: 2 })
    this.add({ owner: 'bob', item: 'coffee', quantity: 1 })
  }

  list (): Order[] {
    return [...this.#orders.values()]
  }

  get (id: string): Order | undefined {
    return this.#orders.get(id)
  }

  add (order: Omit<Order, 'id'>): Order {
    const added = { id: String(this.#next++), ...order }
    this.#orders.set(added.id, added)
    return added
  }

  remove (id: string): boolean {
    return this.#orders.delete(id)
  }
}
