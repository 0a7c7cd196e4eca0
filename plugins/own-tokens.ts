import { isDeepStrictEqual } from 'node:util'
import fastifyJwt, { type FastifyJWTOptions } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Principal } from '../lib/credentials/index.ts'
import { refusal } from '../lib/http/index.ts'
import { RefusalError } from '../lib/pipeline/index.ts'
import { ownLifetime, type OwnTokensOptions } from '../lib/tokens/index.ts'
import { refuseTaken } from './decorators.ts'
import type { OwnSigner } from './issuers.ts'

/** The guard's decision about the request's bearer token: whom it stands for; rejects with the refusal. */
export type Decide = (request: FastifyRequest) => Promise<Principal>

type Callback = (error: unknown, claims?: unknown) => void
type Verify = (this: FastifyRequest, options: unknown, done: Callback) => void
type Registered = (app: Pick<FastifyInstance, 'decorate' | 'decorateRequest' | 'decorateReply'>, options: object,
  done: (error?: Error) => void) => void

const unreadable = refusal('SECURE_API_TOKEN_MALFORMED')

/**
 * `app.jwt.sign()` for tokens of the application's own, by @fastify/jwt. What it signs comes back through the same gate
 * as every other token, and `request.jwtVerify()` goes through it too: fast-jwt knows neither revocation nor lifetimes,
 * skips claims that are absent, takes options that leave checks out, and answers 500 to a `crit` header.
 */
export async function signOwnTokens (app: FastifyInstance, options: OwnTokensOptions, signer: OwnSigner, decide: Decide):
Promise<void> {
  const { issuer, audience } = options
  const { algorithm } = signer
  const signatures = algorithm as 'RS256' | 'ES256' | 'ES384' | 'EdDSA' | 'HS256'
  refuseTaken(app, ['app.jwt', 'request.user', 'request.jwtDecode', 'request.jwtVerify', 'reply.jwtSign'])
  await app.register(guardedJwt(decide), {
    secret: 'secret' in signer ? signer.secret : { private: signer.privatePem, public: signer.publicPem },
    // A number counts seconds here, and milliseconds in every option of ours.
    sign: {
      algorithm: signatures,
      ...('kid' in signer && { kid: signer.kid }),
      iss: issuer,
      aud: audience,
      expiresIn: ownLifetime(options),
      header: { alg: algorithm, typ: 'at+jwt' }
    },
    verify: { algorithms: [signatures], allowedIss: issuer, allowedAud: audience, requiredClaims: ['iss', 'aud', 'exp'], cache: false },
    // For a token that `extractToken` takes from elsewhere than the guard.
    trusted: (request: FastifyRequest, decoded: object) => isDeepStrictEqual(request.auth.claims, claimsOf(decoded))
  })
}

/** The plugin with one decorator of its own replaced: Fastify lets nobody replace it afterwards. */
function guardedJwt (decide: Decide) {
  return fp<FastifyJWTOptions>((app: FastifyInstance, options: FastifyJWTOptions, done: (error?: Error) => void) => {
    const decorateRequest = (name: string, value: unknown) => app.decorateRequest(name, name === 'jwtVerify'
      ? guarded(value as Verify, decide)
      : value)
    const scope = { decorate: app.decorate.bind(app), decorateReply: app.decorateReply.bind(app), decorateRequest }
    const register = fastifyJwt as unknown as Registered
    register(scope as Parameters<Registered>[0], options, done)
  }, { name: '@fastify/jwt' })
}

/** The guard decides first; options of the call can only refuse more. */
function guarded (verify: Verify, decide: Decide) {
  return function jwtVerify (this: FastifyRequest, options?: unknown, done?: Callback): Promise<unknown> | undefined {
    if (typeof options === 'function') return jwtVerify.call(this, undefined, options as Callback)
    const claims = decide(this).then(principal => isEmpty(options) ? principal.claims : called(verify, this, options).catch(refuse))
    if (done === undefined) return claims
    claims.then(value => done(null, value), done)
    return undefined
  }
}

/** With a callback: without one it would call the decorator again, which is ours. */
function called (verify: Verify, request: FastifyRequest, options: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    verify.call(request, options, (error, claims) => error === null || error === undefined ? resolve(claims) : reject(error))
  })
}

function isEmpty (options: unknown): boolean {
  return options === undefined || options === null || Object.keys(options).length === 0
}

/** Errors of fast-jwt that its plugin passes on as they are would become a 500 of the sender's making; wrong options are the caller's. */
function refuse (error: unknown): never {
  const code = error instanceof Error && !('statusCode' in error) && 'code' in error ? String(error.code) : ''
  throw code.startsWith('FAST_JWT_') && code !== 'FAST_JWT_INVALID_OPTION' ? new RefusalError(unreadable) : error
}

/** With `complete: true` fast-jwt gives the token's parts instead of its claims. */
function claimsOf (decoded: object): unknown {
  return 'payload' in decoded && 'signature' in decoded && 'header' in decoded ? decoded.payload : decoded
}
