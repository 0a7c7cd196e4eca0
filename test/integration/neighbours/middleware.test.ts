import type { IncomingMessage, ServerResponse } from 'node:http'
import fastifyExpress from '@fastify/express'
import fastifyMiddie from '@fastify/middie'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

type Next = () => void
type Connect = FastifyInstance & { use (middleware: Middleware): void, use (path: string, middleware: Middleware): void }
type ExpressResponse = ServerResponse & { json (body: object): void, status (code: number): ExpressResponse }
type Middleware = (request: IncomingMessage, response: ExpressResponse, next: Next) => void

const accepted = { dangerouslyAllowMiddleware: true } as const

/** Middleware that never answers, as `cors` or `compression` of Connect. */
const marks: Middleware = (_request, response, next) => {
  response.setHeader('x-middleware', 'ran')
  next()
}

for (const [name, plugin] of [['@fastify/middie', fastifyMiddie], ['@fastify/express', fastifyExpress]] as const) {
  t.test(`${name}: accepted middleware runs, and routes stay guarded`, async t => {
    const running = await beside(t, async app => {
      await app.register(plugin)
      const connect = app as Connect
      connect.use(marks)
      app.get('/orders', { config: { scope: 'api' } }, async () => [1])
    }, { suite: accepted })
    const answer = await keepsGuard(t, running, '/orders')
    t.strictSame([answer.headers['x-middleware'], answer.body], ['ran', '[1]'])
    t.equal((await running.ask('/nowhere')).status, 404)
  })
}

t.test('14 A3: what Express middleware answers with res.json() carries our headers', async t => {
  const { ask } = await beside(t, async app => {
    await app.register(fastifyExpress)
    const connect = app as Connect
    connect.use('/express/json', (_request: IncomingMessage, response: ExpressResponse) => { response.status(418).json({ tea: true }) })
    connect.use('/express/end', (_request: IncomingMessage, response: ExpressResponse) => { response.end('ended') })
  }, { suite: accepted })
  const answer = await ask('/express/json')
  t.strictSame([answer.status, answer.body], [418, '{"tea":true}'])
  t.equal((await ask('/express/end')).body, 'ended')
})
