import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import buildGetJwks from 'get-jwks'
import { Fastify, listen } from './fastify.mjs'
import { order, schema } from './order.mjs'

/** The official plugins, composed as their READMEs say, with the cache of fast-jwt on. */
export async function start (setting) {
  const { issuer, audience, jwksUri, algorithm, cache } = setting
  const app = Fastify()
  await registerCommon(app, setting)
  const { origin: domain, pathname } = new URL(jwksUri)
  const getJwks = buildGetJwks({ jwksPath: pathname })
  await app.register(jwt, {
    decode: { complete: true },
    secret: (request, { header: { kid, alg } }) => getJwks.getPublicKey({ kid, alg, domain }),
    verify: { algorithms: [algorithm], allowedIss: [issuer], allowedAud: audience, cache }
  })
  app.addHook('onRequest', request => request.jwtVerify())
  addOrders(app, setting)
  return listen(app)
}

/** Headers, CORS and the limit for each address. */
export async function registerCommon (app, { origin, addressLimit }) {
  await app.register(helmet)
  await app.register(cors, { origin: [origin], exposedHeaders: ['retry-after'] })
  await app.register(rateLimit, { max: addressLimit, timeWindow: '1 minute' })
}

/** The route, with the limit for each principal and the scope checked before it. */
export function addOrders (app, { limit, scope }) {
  const checkLimit = app.createRateLimit({ max: limit, timeWindow: '1 minute', keyGenerator: request => request.user.sub })
  const limitPrincipal = async (request, reply) => {
    const { isAllowed, isExceeded } = await checkLimit(request)
    if (!isAllowed && isExceeded) return reply.code(429).send({ error: 'too_many_requests' })
  }
  const requireScope = async (request, reply) => {
    if (!request.user.scope.split(' ').includes(scope)) return reply.code(403).send({ error: 'insufficient_scope' })
  }
  app.get('/orders', { schema, preHandler: [limitPrincipal, requireScope] }, async () => order)
}
