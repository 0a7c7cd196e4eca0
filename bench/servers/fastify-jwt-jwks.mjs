import fastifyJwtJwks from 'fastify-jwt-jwks'
import { Fastify, listen } from './fastify.mjs'
import { addOrders, registerCommon } from './official.mjs'

/** fastify-jwt-jwks in place of `@fastify/jwt` and `get-jwks`, the rest as composed by hand. It chooses the algorithms itself. */
export async function start (setting) {
  const { issuer, audience, jwksUri, cache } = setting
  const app = Fastify()
  await registerCommon(app, setting)
  await app.register(fastifyJwtJwks, { jwksUrl: jwksUri, issuer, audience, cache })
  app.addHook('onRequest', app.authenticate)
  addOrders(app, setting)
  return listen(app)
}
