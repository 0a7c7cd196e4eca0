import { Fastify, listen } from './fastify.mjs'
import { order, schema } from './order.mjs'

/** What everything is compared with. */
export function start () {
  const app = Fastify()
  app.get('/orders', { schema }, async () => order)
  return listen(app)
}
