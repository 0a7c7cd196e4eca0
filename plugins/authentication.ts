import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ConfigurationError, environmentOf, milliseconds, movedClock, ownOptions, Problems, type Clock, type Environment } from '../lib/config/index.ts'
import { anonymous, hasFormToken, readBearer, type Principal } from '../lib/credentials/index.ts'
import { answers, refusal, type AnswerCode, type Refusal } from '../lib/http/index.ts'
import { explainFailure, KeyRing, resolveKeysOptions, type KeyEvent, type KeyRingOptions } from '../lib/keys/index.ts'
import { answered, RefusalError, type FailureBudget, type Pipeline, type Verdict } from '../lib/pipeline/index.ts'
import { AuthenticationOptionsSchema, compileIssuer, compileOwn, issuersOf, ownLifetime, readOwnKey, TokenAuthenticator, validateAuthentication, type AuthenticationOptions, type Connection, type IssuerOptions, type IssuerRules, type Outcome, type OwnKey, type OwnTokensOptions, type TrustedIssuer } from '../lib/tokens/index.ts'
import { decorating } from './decorators.ts'
import { signOwnTokens, type Decide } from './own-tokens.ts'
import { guardHook, pipelineOf } from './pipeline.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Authentication as an `onRequest` hook, for routes outside the suite's reach and for `@fastify/auth`. */
    authenticate: ReturnType<typeof guardHook>
  }
  interface FastifyRequest {
    /** Who calls. On public routes, and on 404, a principal of the kind `anonymous`. Frozen. */
    readonly auth: Principal
  }
}

export type AuthenticationPluginOptions = AuthenticationOptions & {
  /** @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

/** Fastify reads no body of these. */
const bodiless = ['GET', 'HEAD', 'TRACE']

const kPrincipal = Symbol('secure-api.principal')
type WithPrincipal = FastifyRequest & { [kPrincipal]?: Principal | null, user?: unknown }

/** Every answer without variable parts, made once. */
const prepared = Object.fromEntries(Object.keys(answers).map(code => [code, refusal(code as AnswerCode)])) as Readonly<Record<AnswerCode, Refusal>>

const authentication: FastifyPluginAsync<AuthenticationPluginOptions> = async (app, { environment, ...given }) => {
  const options = ownOptions(AuthenticationOptionsSchema, given)
  const development = environmentOf(environment) === 'development'
  const problems = new Problems()
  validateAuthentication(options, 'auth', problems, { development })
  problems.throwIfAny()

  const pipeline = pipelineOf(app)
  const clock = movedClock(environmentOf(environment))
  const own = options.ownTokens && { options: options.ownTokens, key: ownKey(options.ownTokens) }
  const issuers = issuersOf(options).flatMap(issuer => trust(app, issuer, compileIssuer(issuer), development, clock))
  if (own !== undefined) issuers.push(...trustOwnTokens(app, own.options, own.key))
  const authenticator = new TokenAuthenticator({
    issuers,
    ...(clock === undefined ? undefined : { now: clock.now }),
    ...(options.tokenCache === undefined ? undefined : { cache: options.tokenCache }),
    ...revocationOf(options)
  })
  pipeline.report('issuers', () => issuers.map(({ keys }) => keys.status()))
  pipeline.report('tokens', () => ({ cached: authenticator.size, bytes: authenticator.bytes }))
  pipeline.add({
    name: 'authentication',
    phase: 'authentication',
    keys: ['public'],
    compile: ({ kind, config }) => kind === 'unknown' || config.public === true
      ? undefined
      : { hook: 'onRequest', handler: request => authenticate(authenticator, pipeline.failures, request) }
  })
  pipeline.add({
    name: 'credential',
    phase: 'credential',
    compile: ({ kind, config, methods }) => kind === 'unknown' || config.public === true || methods.every(method => bodiless.includes(method))
      ? undefined
      : { hook: 'preHandler', handler: request => hasFormToken(request.headers['content-type'], request.body) ? countFailure(pipeline.failures, request, prepared.SECURE_API_CREDENTIAL_AMBIGUOUS) : undefined }
  })
  decorate(app, authenticator, pipeline)
  if (own !== undefined) await signOwnTokens(app, own.options, own.key, decisionOf(authenticator, pipeline))
  app.addHook('onReady', () => loadKeys(issuers.map(({ keys }) => keys), options.startup))
  app.addHook('onClose', async () => issuers.forEach(({ keys }) => keys.close()))
}

type RingedIssuer = TrustedIssuer & { readonly keys: KeyRing }

/** A tenant template stands for several exact issuers, each with a key ring of its own. */
function trust (app: FastifyInstance, issuer: IssuerOptions, compiled: readonly IssuerRules[], development: boolean, clock?: Clock): RingedIssuer[] {
  return compiled.map(rules => ({
    rules,
    keys: new KeyRing({
      issuer: rules.issuer,
      source: locationOf(issuer),
      algorithms: rules.algorithms,
      ...resolveKeysOptions(issuer.keys),
      allowLoopback: development,
      ...(clock === undefined ? undefined : { now: clock.now, schedule: clock.schedule }),
      onEvent: event => logKeys(app, event)
    })
  }))
}

function ownKey ({ privateKey }: OwnTokensOptions): OwnKey {
  const key = readOwnKey(privateKey)
  if (key === undefined) throw new TypeError('the private key was not validated')
  return key
}

function trustOwnTokens (app: FastifyInstance, options: OwnTokensOptions, { publicJwk, algorithm }: OwnKey): RingedIssuer[] {
  const { privateKey, expiresIn, ...names } = options
  const issuer: IssuerOptions = { ...names, algorithms: [algorithm], jwks: { keys: [publicJwk] } }
  return trust(app, issuer, [compileOwn(issuer, ownLifetime(options))], false)
}

/** For `request.jwtVerify()`: the decision of the guard, which on a guarded route has been made. */
function decisionOf (authenticator: TokenAuthenticator, pipeline: Pipeline): Decide {
  return async request => {
    const verdict = request.auth.kind === 'anonymous' ? await authenticate(authenticator, pipeline.failures, request) : undefined
    if (verdict !== undefined && verdict !== answered) throw new RefusalError(verdict)
    return request.auth
  }
}

function locationOf ({ jwks, jwksUri }: IssuerOptions): KeyRingOptions['source'] {
  if (jwks !== undefined) return { jwks }
  return jwksUri === undefined ? 'discovery' : { jwksUri }
}

function revocationOf ({ isRevoked, revocation = {} }: AuthenticationOptions): Pick<ConstructorParameters<typeof TokenAuthenticator>[0], 'revocation'> {
  if (isRevoked === undefined) return {}
  const { timeout, onFailure } = revocation
  return { revocation: { isRevoked, ...(timeout === undefined ? undefined : { timeout: milliseconds(timeout) }), ...(onFailure === undefined ? undefined : { onFailure }) } }
}

async function loadKeys (rings: readonly KeyRing[], startup: AuthenticationOptions['startup'] = 'warm'): Promise<void> {
  if (startup === 'lazy') return
  const loaded = await Promise.all(rings.map(ring => ring.load()))
  if (startup !== 'required' || loaded.every(Boolean)) return
  const missing = rings.filter((_, index) => loaded[index] !== true).map(reasonOf)
  throw new ConfigurationError([{
    code: 'SECURE_API_KEYS_REQUIRED',
    path: 'auth.startup',
    why: `no keys could be had: ${missing.join('; ')}`,
    fix: "Check the issuer, or use `startup: 'warm'` to start without and go on trying."
  }])
}

function reasonOf (ring: KeyRing): string {
  const { issuer, lastFailure } = ring.status()
  return lastFailure === undefined ? issuer : explainFailure(lastFailure, issuer)
}

const quiet: readonly KeyEvent['type'][] = ['keys.loaded', 'keys.changed']

function logKeys (app: FastifyInstance, event: KeyEvent): void {
  if (quiet.includes(event.type)) app.log.info(event, 'secure-api: signing keys')
  else if (event.type === 'keys.failed') app.log.warn(event, `secure-api: no signing keys: ${explainFailure(event, event.issuer)}`)
  else app.log.warn(event, 'secure-api: signing keys')
}

function decorate (app: FastifyInstance, authenticator: TokenAuthenticator, pipeline: Pipeline): void {
  app.decorateRequest(kPrincipal, null)
  decorating(app).decorateRequest('auth', { getter: principalOf })
  decorating(app).decorate('authenticate', guardHook(request => request.auth.kind === 'anonymous' ? authenticate(authenticator, pipeline.failures, request) : undefined))
}

function principalOf (this: FastifyRequest): Principal {
  return (this as WithPrincipal)[kPrincipal] ?? anonymous
}

/** A token seen before is only looked up: no cryptography, no promise. */
function authenticate (authenticator: TokenAuthenticator, failures: FailureBudget | undefined, request: FastifyRequest): Verdict | Promise<Verdict> {
  const { raw, headers } = request
  const credential = readBearer(raw.rawHeaders, headers.authorization, raw.url ?? '')
  if (credential === 'none') return prepared.SECURE_API_UNAUTHENTICATED
  if (typeof credential === 'string') return countFailure(failures, request, prepared[credential])
  const known = authenticator.lookup(credential.token, connectionOf(raw))
  if (known === undefined) return verifyNew(authenticator, failures, request, credential.token)
  return known instanceof Promise ? known.then(outcome => conclude(outcome, failures, request)) : conclude(known, failures, request)
}

/** The socket, where it belongs to one caller at a time; over HTTP/2 it is a façade that many streams share. */
function connectionOf ({ httpVersionMajor, socket }: FastifyRequest['raw']): Connection | undefined {
  return httpVersionMajor === 1 ? socket as object as Connection : undefined
}

/** Cryptography is for addresses that have not used up their failures; tokens in the cache never come here. */
async function verifyNew (authenticator: TokenAuthenticator, failures: FailureBudget | undefined, request: FastifyRequest, token: string): Promise<Verdict> {
  const refused = await failures?.enter(request)
  if (refused !== undefined) return refused
  try {
    return conclude(await authenticator.authenticate(token), failures, request)
  } finally {
    failures?.leave(request)
  }
}

function conclude (outcome: Outcome, failures: FailureBudget | undefined, request: FastifyRequest): Verdict {
  switch (outcome.kind) {
    case 'verified': return admit(request, outcome.principal)
    case 'failed': return countFailure(failures, request, prepared[outcome.code])
    case 'unavailable':
      request.log.warn({ err: outcome.cause }, 'secure-api: a token could not be checked')
      return refusal(outcome.code, { headers: { 'retry-after': String(Math.max(1, Math.ceil(outcome.retryAfter / 1000))) } })
  }
}

/** `request.user` holds the claims, as users of @fastify/jwt expect; the decorator of that name is left to that plugin. */
function admit (request: FastifyRequest, principal: Principal): undefined {
  const target = request as WithPrincipal
  target[kPrincipal] = principal
  target.user = principal.claims
}

function countFailure (failures: FailureBudget | undefined, request: FastifyRequest, answer: Refusal): Refusal {
  failures?.count(request)
  return answer
}

export default fp(authentication, { fastify: '5.x', name: 'secure-api-authentication' })
