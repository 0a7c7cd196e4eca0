const orders = []

/** Keeps orders in memory: put your database here. */
export const store = {
  list: () => orders,
  find: id => orders.find(order => order.id === id),
  add (owner, order) {
    const added = { id: String(orders.length + 1), owner, ...order }
    orders.push(added)
    return added
  }
}
