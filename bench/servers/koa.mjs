import cors from '@koa/cors'
import Koa from 'koa'
import helmet from 'koa-helmet'
import jwt from 'koa-jwt'
import rateLimit from 'koa-ratelimit'
import { koaJwtSecret } from 'jwks-rsa'
import { listenWith } from './listen.mjs'
import { order } from './order.mjs'

/** Koa with koa-jwt and jwks-rsa. */
export function start ({ issuer, audience, jwksUri, algorithm, origin, scope, limit, addressLimit }) {
  const app = new Koa({ proxy: false })
  const limiter = () => ({ driver: 'memory', db: new Map(), duration: 60_000 })
  app.silent = true
  app.use(helmet())
  app.use(cors({ origin: context => context.get('origin') === origin ? origin : '', exposeHeaders: 'retry-after' }))
  app.use(rateLimit({ ...limiter(), max: addressLimit, id: context => context.ip }))
  app.use(jwt({ secret: koaJwtSecret({ jwksUri, cache: true }), issuer, audience, algorithms: [algorithm] }))
  app.use(rateLimit({ ...limiter(), max: limit, id: context => context.state.user.sub }))
  app.use(context => {
    if (!context.state.user.scope.split(' ').includes(scope)) context.throw(403)
    if (context.method !== 'GET' || context.path !== '/orders') return
    context.body = order
  })
  return listenWith((port, host) => app.listen(port, host))
}
