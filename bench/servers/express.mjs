import cors from 'cors'
import express from 'express'
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer'
import rateLimit from 'express-rate-limit'
import helmet from 'helmet'
import { listenWith } from './listen.mjs'
import { order } from './order.mjs'

/** Express 5 with the middleware that its own pages name. */
export function start ({ issuer, audience, jwksUri, algorithm, origin, scope, limit, addressLimit }) {
  const app = express()
  // Express prints the stack of every refusal otherwise.
  app.set('env', 'test')
  const limiter = { windowMs: 60_000, standardHeaders: 'draft-8', legacyHeaders: false }
  app.use(helmet())
  app.use(cors({ origin: [origin], exposedHeaders: ['retry-after'] }))
  app.use(rateLimit({ ...limiter, limit: addressLimit }))
  app.use(auth({ issuer, audience, jwksUri, tokenSigningAlg: algorithm }))
  app.use(rateLimit({ ...limiter, limit, keyGenerator: request => request.auth.payload.sub }))
  app.get('/orders', requiredScopes(scope), (request, response) => { response.json(order) })
  return listenWith(app.listen.bind(app))
}
