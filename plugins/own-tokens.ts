import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import { milliseconds } from '../lib/config/index.ts'
import { readOwnKey, type OwnKey, type OwnTokensOptions } from '../lib/tokens/index.ts'
import { refuseTaken } from './decorators.ts'

/**
 * `app.jwt.sign()` for tokens of the application's own, by @fastify/jwt. What it signs comes back through the same gate
 * as every other token; `request.jwtVerify()` checks the claims too, which fast-jwt would skip where they are absent.
 */
export async function signOwnTokens (app: FastifyInstance, { issuer, audience, privateKey, expiresIn = '15 minutes' }: OwnTokensOptions): Promise<OwnKey> {
  const key = readOwnKey(privateKey)
  if (key === undefined) throw new TypeError('the private key was not validated')
  const { algorithm, kid, privatePem, publicPem } = key
  const signatures = algorithm as 'RS256' | 'ES256' | 'ES384' | 'EdDSA'
  refuseTaken(app, ['app.jwt', 'request.user', 'request.jwtDecode', 'request.jwtVerify', 'reply.jwtSign'])
  await app.register(fastifyJwt, {
    secret: { private: privatePem, public: publicPem },
    sign: { algorithm: signatures, kid, iss: issuer, aud: audience, expiresIn: milliseconds(expiresIn), header: { alg: algorithm, typ: 'at+jwt' } },
    verify: { algorithms: [signatures], allowedIss: issuer, allowedAud: audience, requiredClaims: ['iss', 'aud', 'exp'], cache: false }
  })
  return key
}
