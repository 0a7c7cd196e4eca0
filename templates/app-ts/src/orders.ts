export interface NewOrder {
  item: string
  quantity: number
}

export interface Order extends NewOrder {
  id: string
  owner: string
}

const orders: Order[] = []

/** Keeps orders in memory: put your database here. */
export const store = {
  list: (owner: string): readonly Order[] => orders.filter(order => order.owner === owner),
  find: (id: string): Order | undefined => orders.find(order => order.id === id),
  add (owner: string, order: NewOrder): Order {
    const added = { id: String(orders.length + 1), owner, ...order }
    orders.push(added)
    return added
  }
}
