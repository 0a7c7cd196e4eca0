import type { FastifyPluginAsync } from 'fastify'
import { store, type NewOrder } from '../../orders.ts'

const newOrder = {
  type: 'object',
  required: ['item', 'quantity'],
  additionalProperties: false,
  properties: { item: { type: 'string', minLength: 1, maxLength: 100 }, quantity: { type: 'integer', minimum: 1, maximum: 100 } }
}

const orders: FastifyPluginAsync = async app => {
  app.get('/', { config: { scope: 'api.read' } }, async ({ auth }) => store.list(auth.subject))

  app.get<{ Params: { id: string } }>('/:id', { config: { scope: 'api.read' } }, async (request, reply) => {
    const order = store.find(request.params.id)
    if (order === undefined) return reply.callNotFound()
    await request.authorize('owner', order)
    return order
  })

  app.post<{ Body: NewOrder }>('/', {
    config: { scope: 'api.write', audit: 'orders.create' },
    schema: { body: newOrder }
  }, async ({ auth, body }, reply) => {
    return reply.code(201).send(store.add(auth.subject, body))
  })
}

export default orders
