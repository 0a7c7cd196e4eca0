import Fastify, { type FastifyInstance } from 'fastify'
import secureApi, { type PolicyContext, type SecureApiOptions } from '../../plugins/index.ts'
import { OrderStore } from './store.ts'

interface WithId { Params: { id: string } }
interface NewOrder { Body: { item: string, quantity: number } }

const newOrder = {
  type: 'object',
  required: ['item', 'quantity'],
  additionalProperties: false,
  properties: { item: { type: 'string', minLength: 1, maxLength: 100 }, quantity: { type: 'integer', minimum: 1, maximum: 100 } }
}

/** The orders API. Everything about its safety stands in the options of the suite and in the `config` of each route. */
export async function ordersApp (options: SecureApiOptions): Promise<FastifyInstance> {
  const app = Fastify()
  const orders = new OrderStore()

  await app.register(secureApi, {
    ...options,
    authorization: {
      policies: {
        owner: ({ principal, request }: PolicyContext<WithId>) => ownedBy(orders, request.params.id, principal.subject)
      }
    }
  })

  app.get('/health', { config: { public: true } }, async () => ({ ok: true }))

  app.get('/me', { config: { authenticated: true } }, async ({ auth }) => ({
    kind: auth.kind, subject: auth.subject, client: auth.client, scopes: [...auth.scopes], roles: [...auth.roles]
  }))

  app.get('/orders', { config: { scope: 'api.read' } }, async () => orders.list())

  app.get<WithId>('/orders/:id', { config: { scope: 'api.read', policy: 'owner' } }, async ({ params }) => orders.get(params.id))

  app.post<NewOrder>('/orders', { config: { scope: 'api.write', audit: 'orders.create' }, schema: { body: newOrder } },
    async ({ auth, body }, reply) => {
      const order = orders.add({ owner: auth.subject, ...body })
      return reply.code(201).header('location', `/orders/${order.id}`).send(order)
    })

  app.delete<WithId>('/orders/:id', { config: { role: 'admin', audit: 'orders.delete' } }, async ({ params }, reply) => {
    return reply.code(orders.remove(params.id) ? 204 : 404).send()
  })

  return app
}

function ownedBy (orders: OrderStore, id: string, subject: string): boolean {
  const order = orders.get(id)
  return order !== undefined && order.owner === subject
}
