/** What every server answers, and the schema of it where there is one: 202 bytes. */
export const order = Object.freeze({
  id: '7d0f3a52-5c5e-4f0e-9a55-1df0b2c7a001',
  customer: 'customer-000117',
  state: 'confirmed',
  currency: 'EUR',
  total: 129.95,
  items: Object.freeze([Object.freeze({ sku: 'A-1000', quantity: 2 }), Object.freeze({ sku: 'B-2000', quantity: 1 })])
})

const text = { type: 'string' }
export const schema = {
  response: {
    200: {
      type: 'object',
      properties: {
        id: text,
        customer: text,
        state: text,
        currency: text,
        total: { type: 'number' },
        items: { type: 'array', items: { type: 'object', properties: { sku: text, quantity: { type: 'integer' } } } }
      }
    }
  }
}
