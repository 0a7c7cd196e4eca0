import http from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import {
  AuthenticationOptionsSchema, issuersOf, OwnScheme, validateAuthentication, type AuthenticationOptions
} from '../lib/authentication/index.ts'
import { defineSection, milliseconds, movedClock, type ConfigurationCode, type Environment } from '../lib/config/index.ts'
import { anonymous, hasFormToken, Schemes, type Principal, type Unverified, type Verification } from '../lib/credentials/index.ts'
import { answers, refusal, type AnswerCode, type Refusal } from '../lib/http/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { answered, RefusalError, type RouteOption, type Verdict } from '../lib/pipeline/index.ts'
import { credentialsOf, RouteRuleSchema, ruleKeys, type RouteRule } from '../lib/rules/index.ts'
import {
  BearerScheme, compileIssuer, OwnSigners, TokenAuthenticator, type IssuerOptions, type TokenAuthenticatorOptions, type UnmatchedClaim
} from '../lib/tokens/index.ts'
import { apiKeySchemes } from './api-keys.ts'
import { certificateSchemes } from './client-certificates.ts'
import { decorating } from './decorators.ts'
import { loadKeys, Rings, trust, trustLegacy, trustOwnTokens, watchKeys } from './issuers.ts'
import type { Decide } from './own-tokens.ts'
import { guardHook, pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { checkSessionOrder, CookieCallers } from './sessions.ts'
import { secretContextOf } from './secrets.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Authentication as an `onRequest` hook, for routes outside the suite's reach and for `@fastify/auth`. */
    authenticate: ReturnType<typeof guardHook>
  }
  interface FastifyRequest {
    /** Who calls. On public routes and on 404 `anonymous`, unless the route says `authentication: 'optional'` and a token came. Frozen. */
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
const prepared = Object.fromEntries(Object.keys(answers).map(code => [code, refusal(code as AnswerCode)])) as
  Readonly<Record<AnswerCode, Refusal>>

export const authenticationSection = defineSection<AuthenticationOptions, readonly CompiledIssuer[]>({
  key: 'auth',
  schema: AuthenticationOptionsSchema,
  always: true,
  rules: (options, path, problems, { environment }) =>
    validateAuthentication(options, path, problems, { development: environment === 'development' }),
  compile: options => issuersOf(options).map(issuer => ({ issuer, rules: compileIssuer(issuer) }))
})

interface CompiledIssuer { readonly issuer: IssuerOptions, readonly rules: ReturnType<typeof compileIssuer> }

const authentication: FastifyPluginAsync<AuthenticationPluginOptions> = async (app, { environment, ...given }) => {
  const context = secretContextOf(app, environment)
  const { options, compiled } = await authenticationSection.open(given, context)
  const development = context.environment === 'development'
  const pipeline = pipelineOf(app)
  const clock = movedClock(context.environment)
  const own = options.ownTokens && { options: options.ownTokens, signers: new OwnSigners(options.ownTokens) }
  const rings = new Rings(app, development, clock)
  const issuers = compiled.flatMap(({ issuer, rules }) => trust(rings, issuer, rules))
  if (own !== undefined) issuers.push(...trustOwnTokens(rings, own.options, own.signers))
  const authenticator = new TokenAuthenticator({
    issuers,
    legacy: own && trustLegacy(own.options),
    claims: { after: development ? 10 : 100, onUnmatched: unmatched => logUnmatched(app, unmatched) },
    maxTokenBytes: options.maxTokenBytes,
    now: clock?.now,
    cache: options.tokenCache,
    revocation: revocationOf(options)
  })
  const { authenticators = [] } = options
  checkSessionOrder(app, authenticators, pipeline)
  const schemes = new Schemes([
    ...(issuers.length > 0 ? [new BearerScheme(authenticator, options.token?.header.toLowerCase())] : []),
    ...apiKeySchemes(options.apiKeys, { app, pipeline, development, clock }),
    ...authenticators.map(authenticator => new OwnScheme(authenticator, clock?.now)),
    ...certificateSchemes(app, options.clientCertificates, { development, now: clock?.now })
  ])
  const unauthenticated = refusal('SECURE_API_UNAUTHENTICATED', challengeOf(schemes.challenge()))
  const cookies = new CookieCallers(authenticators, pipeline)
  const desk: Desk = { schemes, cookies, pipeline, need: { missing: unauthenticated, cookies: cookies.among(undefined) } }
  pipeline.report('issuers', () => rings.status())
  watchKeys(pipeline, rings.list)
  pipeline.report('tokens', () => {
    const { size: cached, bytes, hits, misses } = authenticator
    return { cached, bytes, hits, misses }
  })
  const option = credentialOption(desk)
  pipeline.add({
    name: 'authentication',
    phase: 'authentication',
    option,
    compile ({ route, own }) {
      if (own !== undefined) return { hook: 'onRequest', handler: request => authenticate(desk, request, own) }
      if (route.kind === 'unknown' || !schemes.areWary) return undefined
      return { hook: 'onRequest', handler: request => refuseForged(desk, request) }
    },
    posture: own => own === undefined
      ? {}
      : { ...(own.missing === undefined && { authentication: 'optional' }), ...(own.cookies.length > 0 && { sameOrigin: own.cookies }) }
  })
  pipeline.add({
    name: 'credential',
    phase: 'credential',
    option,
    compile: ({ route, own }) => own === undefined || route.methods.every(method => bodiless.includes(method))
      ? undefined
      : { hook: 'preHandler', handler: request => refuseFormToken(desk, request) }
  })
  pipeline.offer({
    credentials: schemes.credentials,
    unauthenticated,
    ...(options.token !== undefined && { tokenHeader: options.token.header.toLowerCase() })
  })
  decorate(app, desk)
  if (own !== undefined) {
    const { signOwnTokens } = await import('./own-tokens.ts')
    await signOwnTokens(app, own.options, own.signers, decisionOf(desk))
  }
  app.addHook('onReady', () => loadKeys(rings.list, options.startup))
  app.addHook('onReady', async () => warnOfHeaderLimit(app, options.maxTokenBytes))
  app.addHook('onClose', async () => rings.list.forEach(ring => ring.close()))
}

/** What a decision about a credential needs. The failure budget is a port, read each time: its plugin may be registered later. */
interface Desk {
  readonly schemes: Schemes
  readonly cookies: CookieCallers
  readonly pipeline: Frame
  /** Where no route says otherwise. */
  readonly need: Need
}

/** What a request without a credential gets: the 401 of its route, or nothing where a credential is optional. */
interface Need {
  readonly missing: Refusal | undefined
  /** Credentials that come by a cookie, among those that the route takes. */
  readonly cookies: readonly string[]
}

function challengeOf (challenge: string | undefined): { headers?: Readonly<Record<string, string>> } {
  return challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }
}

/** On a public route too: its handler, or whoever comes behind, may believe what a stranger wrote. */
function refuseForged (desk: Desk, request: FastifyRequest): Verdict {
  const forged = desk.schemes.forged(request)
  return forged && countFailure(desk, request, prepared[forged.code])
}

function refuseFormToken (desk: Desk, request: FastifyRequest): Verdict {
  const given = hasFormToken(request.headers['content-type'], request.body)
  return given ? countFailure(desk, request, prepared.SECURE_API_CREDENTIAL_AMBIGUOUS) : undefined
}

/** For `request.jwtVerify()`: the decision of the guard, which on a guarded route has been made. */
function decisionOf (desk: Desk): Decide {
  return async request => {
    const verdict = request.auth.kind === 'anonymous' ? await authenticate(desk, request) : undefined
    if (verdict !== undefined && verdict !== answered) throw new RefusalError(verdict)
    return request.auth
  }
}

function revocationOf ({ isRevoked, revocation = {} }: AuthenticationOptions): TokenAuthenticatorOptions['revocation'] {
  const { timeout, onFailure } = revocation
  return isRevoked && { isRevoked, timeout: timeout === undefined ? undefined : milliseconds(timeout), onFailure }
}

function logUnmatched (app: FastifyInstance, unmatched: UnmatchedClaim): void {
  warn(app, { code: 'SECURE_API_ISSUER_CLAIM_UNMATCHED' satisfies ConfigurationCode, ...unmatched },
    'secure-api: no token so far has a value in this claim. Is it misspelt, or is the dot part of its name?')
}

/** What else stands in the headers of a request, at most, as a rule. */
const OTHER_HEADERS = 2048

function warnOfHeaderLimit (app: FastifyInstance, maxTokenBytes: number | undefined): void {
  const { maxHeaderSize = http.maxHeaderSize } = app.server as { maxHeaderSize?: number }
  if (maxTokenBytes === undefined || maxHeaderSize >= maxTokenBytes + OTHER_HEADERS) return
  warn(app, { code: 'SECURE_API_TOKEN_HEADER_LIMIT' satisfies ConfigurationCode, maxTokenBytes, maxHeaderSize },
    'secure-api: tokens of this size do not fit into the headers that the server accepts; raise `maxHeaderSize` of secureServer()')
}

function decorate (app: FastifyInstance, desk: Desk): void {
  app.decorateRequest(kPrincipal, null)
  decorating(app).decorateRequest('auth', { getter: principalOf })
  decorating(app).decorate('authenticate',
    guardHook(request => request.auth.kind === 'anonymous' ? authenticate(desk, request) : undefined))
}

function principalOf (this: FastifyRequest): Principal {
  return (this as WithPrincipal)[kPrincipal] ?? anonymous
}

/**
 * Beside `public` a credential may be looked at all the same; without `public` it is always needed. A rule that nobody keeps is refused:
 * without the authorization plugin every token would fulfil `scope`.
 */
function credentialOption ({ schemes, cookies, pipeline, need }: Desk): RouteOption<Need | undefined> {
  return Object.freeze<RouteOption<Need | undefined>>({
    schemas: RouteRuleSchema.properties,
    parse (stated: RouteRule, route, problems) {
      if (route.kind === 'unknown') return undefined
      for (const key of ruleKeys.filter(key => stated[key] !== undefined && !pipeline.isMetBy('authorization:guard', route))) {
        problems.add('SECURE_API_ROUTE_OPTION_UNKEPT', `${route.label}: config.${key}`,
          'no authorization is registered that could enforce this rule',
          'Register the authorization plugin beside the authentication plugin, or remove the rule.')
      }
      if (stated.public === true) return stated.authentication === 'optional' ? { ...need, missing: undefined } : undefined
      if (stated.credential === undefined) return need
      const taken = credentialsOf(stated)
      return {
        missing: refusal('SECURE_API_UNAUTHENTICATED', challengeOf(schemes.challenge(taken))),
        cookies: cookies.among(taken)
      }
    }
  })
}

function authenticate (desk: Desk, request: FastifyRequest, need: Need = desk.need): Verdict | Promise<Verdict> {
  const judged = desk.schemes.judge(request)
  if (judged === undefined) return need.missing
  if (judged instanceof Promise) return judged.then(verification => conclude(desk, request, verification))
  return judged.kind === 'unverified' ? verifyNew(desk, request, judged, need) : conclude(desk, request, judged)
}

const verifying = new Marks<FastifyRequest, Promise<Verdict>>()
/** The request whose authenticator is being asked in this turn, and the answer if that asks for the verdict on its own request. */
let asking: FastifyRequest | undefined
const circular = refusal('SECURE_API_AUTHENTICATOR_UNAVAILABLE', { headers: { 'retry-after': '1' } })

/**
 * Guards by hand may ask twice at once. A request holds one reservation of the failure budget: a second one would take
 * its place, and every later caller of the address would wait for the lost one without end.
 */
function verifyNew (desk: Desk, request: FastifyRequest, unverified: Unverified, need: Need): Verdict | Promise<Verdict> {
  if (asking === request) return circular
  const running = verifying.of(request)
  if (running !== undefined) return running
  const verdict = verify(desk, request, unverified, need)
  if (!(verdict instanceof Promise)) return verdict
  const ended = verdict.finally(() => { verifying.take(request) })
  verifying.set(request, ended)
  return ended
}

/** Work is for addresses that have not used up their failures; what is in a cache never comes here. Stays in this turn where it can. */
function verify (desk: Desk, request: FastifyRequest, unverified: Unverified, need: Need): Verdict | Promise<Verdict> {
  const refused = desk.pipeline.ports.failures?.enter(request)
  if (refused instanceof Promise) return refused.then(late => late ?? verifyAdmitted(desk, request, unverified, need))
  return refused ?? verifyAdmitted(desk, request, unverified, need)
}

function verifyAdmitted (desk: Desk, request: FastifyRequest, unverified: Unverified, need: Need): Verdict | Promise<Verdict> {
  const { failures } = desk.pipeline.ports
  const conclusion = (verification: Verification | undefined) => {
    try {
      return verification === undefined ? need.missing : conclude(desk, request, verification)
    } finally {
      failures?.leave(request)
    }
  }
  // No scheme throws or rejects. One that does must not keep its place, where others of its address would wait for it.
  const lost = (error: unknown) => {
    failures?.leave(request)
    throw error
  }
  const verification = ask(request, unverified, lost)
  return verification instanceof Promise ? verification.then(conclusion, lost) : conclusion(verification)
}

function ask (request: FastifyRequest, unverified: Unverified, lost: (error: unknown) => never): ReturnType<Unverified['verify']> {
  const outer = asking
  asking = request
  try {
    return unverified.verify()
  } catch (error) {
    return lost(error)
  } finally {
    asking = outer
  }
}

function conclude (desk: Desk, request: FastifyRequest, verification: Verification): Verdict {
  switch (verification.kind) {
    case 'verified':
      // Before anybody is there: a guard by hand must not find the caller that was refused.
      return desk.cookies.refuse(request, verification.principal) ?? admit(request, verification.principal)
    case 'failed': return countFailure(desk, request, prepared[verification.code])
    case 'unavailable':
      request.log.warn({ err: verification.cause, code: verification.code }, 'secure-api: a credential could not be checked')
      return refusal(verification.code, { headers: { 'retry-after': String(Math.max(1, Math.ceil(verification.retryAfter / 1000))) } })
  }
}

/** `request.user` holds the claims, as users of @fastify/jwt expect; the decorator of that name is left to that plugin. */
function admit (request: FastifyRequest, principal: Principal): undefined {
  const target = request as WithPrincipal
  target[kPrincipal] = principal
  target.user = principal.claims
}

/** Each time: a request that lives on, as that of a socket does, may bring one credential after the other. */
function countFailure ({ pipeline }: Desk, request: FastifyRequest, answer: Refusal): Refusal {
  pipeline.ports.failures?.count(request)
  return answer
}

export default suitePlugin('secure-api-authentication', authentication)
