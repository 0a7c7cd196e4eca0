import { isDeepStrictEqual } from 'node:util'
import fastifyJwt, { type FastifyJWTOptions, type JWT } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Principal } from '../lib/credentials/index.ts'
import { refusal } from '../lib/http/index.ts'
import { RefusalError } from '../lib/pipeline/index.ts'
import { ownLifetime, type OwnSigner, type OwnSigners, type OwnTokensOptions } from '../lib/tokens/index.ts'
import { refuseTaken } from './decorators.ts'

/** The guard's decision about the request's bearer token: whom it stands for; rejects with the refusal. */
export type Decide = (request: FastifyRequest) => Promise<Principal>

type Callback = (error: unknown, claims?: unknown) => void
type Verify = (this: FastifyRequest, options: unknown, done: Callback) => void
type Call = (this: unknown, ...args: unknown[]) => unknown
type Decorate = (name: string, value: unknown) => void
type Registered = (app: { readonly [Name in 'decorate' | 'decorateRequest' | 'decorateReply']: Decorate }, options: object,
  done: (error?: Error) => void) => void

const unreadable = refusal('SECURE_API_TOKEN_MALFORMED')

/**
 * `app.jwt.sign()` for tokens of the application's own, by @fastify/jwt. What it signs comes back through the same gate
 * as every other token, and `request.jwtVerify()` goes through it too: fast-jwt knows neither revocation nor lifetimes,
 * skips claims that are absent, takes options that leave checks out, and answers 500 to a `crit` header.
 */
export async function signOwnTokens (app: FastifyInstance, options: OwnTokensOptions, signers: OwnSigners, decide: Decide):
Promise<void> {
  refuseTaken(app, ['app.jwt', 'request.user', 'request.jwtDecode', 'request.jwtVerify', 'reply.jwtSign'])
  const made = ([first, ...others]: OwnSigners['list']): [Engine, ...Engine[]] => {
    const make = (signer: OwnSigner) => engineOf(engineOptions(options, signer))
    return [make(first), ...others.map(make)]
  }
  let engines = made(signers.list)
  signers.onChange(() => { engines = made(signers.list) })
  await app.register(guardedJwt(() => engines, decide))
}

function engineOptions ({ issuer, audience, ...options }: OwnTokensOptions, signer: OwnSigner): FastifyJWTOptions {
  const { algorithm } = signer
  const signatures = algorithm as 'RS256' | 'ES256' | 'ES384' | 'EdDSA' | 'HS256'
  return {
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
  }
}

/** What @fastify/jwt decorates an application with, for one key: it reads its key once. */
interface Engine {
  readonly app: { readonly jwt: { readonly sign: Call, readonly verify: Call } }
  readonly request: Readonly<Record<string, unknown>>
  readonly reply: Readonly<Record<string, unknown>>
}

function engineOf (options: FastifyJWTOptions): Engine {
  const engine = { app: {} as Engine['app'], request: {}, reply: {} }
  const into = (members: object) => (name: string, value: unknown) => { Reflect.set(members, name, value) }
  let failure: Error | undefined
  const register = fastifyJwt as unknown as Registered
  register({ decorate: into(engine.app), decorateRequest: into(engine.request), decorateReply: into(engine.reply) }, options,
    error => { failure = error })
  if (failure !== undefined) throw failure
  return engine
}

/**
 * The plugin's decorators, each for the keys of this moment: the first one signs, and what it cannot verify a former one may. The guard
 * stands before `request.jwtVerify()`.
 */
function guardedJwt (engines: () => readonly [Engine, ...Engine[]], decide: Decide) {
  return fp(async (app: FastifyInstance) => {
    const [first] = engines()
    app.decorate('jwt', {
      ...first.app.jwt,
      sign: (...args: unknown[]) => engines()[0].app.jwt.sign(...args),
      verify: (...args: unknown[]) => inTurn(engines(), engine => engine.app.jwt.verify(...args))
    } as unknown as JWT)
    for (const [name, value] of Object.entries(first.request)) {
      app.decorateRequest(name, name === 'jwtVerify' ? guarded(engines, decide) : value)
    }
    for (const name of Object.keys(first.reply)) {
      app.decorateReply(name, function (this: unknown, ...args: unknown[]) {
        const [{ reply }] = engines()
        return Reflect.apply(reply[name] as Call, this, args)
      })
    }
  }, { name: '@fastify/jwt' })
}

/** With the next key what was signed with another. fast-jwt throws at once, with a callback too. */
function inTurn ([first, ...others]: readonly [Engine, ...Engine[]], verify: (engine: Engine) => unknown): unknown {
  try {
    return verify(first)
  } catch (error) {
    const [next, ...rest] = others
    if (next === undefined || Object(error).code !== 'FAST_JWT_INVALID_SIGNATURE') throw error
    return inTurn([next, ...rest], verify)
  }
}

/** The guard decides first; options of the call can only refuse more. */
function guarded (engines: () => readonly Engine[], decide: Decide) {
  return function jwtVerify (this: FastifyRequest, options?: unknown, done?: Callback): Promise<unknown> | undefined {
    if (typeof options === 'function') return jwtVerify.call(this, undefined, options as Callback)
    const verified = () => calledInTurn(engines(), this, options).catch(refuse)
    const claims = decide(this).then(principal => isEmpty(options) ? principal.claims : verified())
    if (done === undefined) return claims
    claims.then(value => done(null, value), done)
    return undefined
  }
}

/** The guard has verified the token: where the first key does not fit, a former one may. The error is that of the first. */
async function calledInTurn ([first, ...others]: readonly Engine[], request: FastifyRequest, options: unknown): Promise<unknown> {
  try {
    return await called(first?.request['jwtVerify'] as Verify, request, options)
  } catch (error) {
    if (others.length === 0 || Object(error).code !== 'FST_JWT_AUTHORIZATION_TOKEN_INVALID') throw error
    return await calledInTurn(others, request, options).catch(() => { throw error })
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
