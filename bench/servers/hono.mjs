import { getConnInfo } from '@hono/node-server/conninfo'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { rateLimiter } from 'hono-rate-limiter'
import { cors } from 'hono/cors'
import { jwk } from 'hono/jwk'
import { secureHeaders } from 'hono/secure-headers'
import { listenWith } from './listen.mjs'
import { order } from './order.mjs'

/** Hono with its own middleware. The keys are fetched once: with `jwks_uri` they would be for every request. */
export async function start ({ issuer, audience, jwksUri, algorithm, origin, scope, limit, addressLimit }) {
  const { keys } = await (await fetch(jwksUri)).json()
  const limiter = { windowMs: 60_000, standardHeaders: 'draft-6' }
  const app = new Hono()
  app.use(secureHeaders())
  app.use(cors({ origin: [origin], exposeHeaders: ['retry-after'] }))
  app.use(rateLimiter({ ...limiter, limit: addressLimit, keyGenerator: context => getConnInfo(context).remote.address }))
  app.use(jwk({ keys: keys.filter(({ alg }) => alg === algorithm), alg: [algorithm], verification: { iss: issuer, aud: audience } }))
  app.use(rateLimiter({ ...limiter, limit, keyGenerator: context => context.get('jwtPayload').sub }))
  app.use(async (context, next) => {
    if (!context.get('jwtPayload').scope.split(' ').includes(scope)) return context.json({ error: 'insufficient_scope' }, 403)
    await next()
  })
  app.get('/orders', context => context.json(order))
  const server = createAdaptorServer({ fetch: app.fetch })
  return listenWith((port, host) => server.listen(port, host))
}
