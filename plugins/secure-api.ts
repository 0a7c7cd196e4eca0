import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { AuditOptionsSchema, type AuditOptions } from '../lib/audit/index.ts'
import { check, environmentOf, EnvironmentSchema, ownOptions, Problems, readEnvironment, type Environment } from '../lib/config/index.ts'
import { CorsOptionsSchema, type CorsOptions } from '../lib/cors/index.ts'
import { HeadersOptionsSchema, type HeadersOptions } from '../lib/headers/index.ts'
import { RateLimitOptionsSchema, type RateLimitOptions } from '../lib/limits/index.ts'
import { OpenApiOptionsSchema, type OpenApiOptions } from '../lib/openapi/index.ts'
import type { RouteInfo, Step } from '../lib/pipeline/index.ts'
import { AuthorizationOptionsSchema, routeRuleKeys, type AuthorizationOptions } from '../lib/policy/index.ts'
import { AuthenticationOptionsSchema, validateAuthentication, type AuthenticationOptions } from '../lib/tokens/index.ts'
import audit, { checkAudit } from './audit.ts'
import authentication from './authentication.ts'
import authorization, { checkAuthorization } from './authorization.ts'
import cors, { checkCors } from './cors.ts'
import { decorating } from './decorators.ts'
import errors from './errors.ts'
import headers, { checkHeaders, headersContext } from './headers.ts'
import method from './method.ts'
import middleware from './middleware.ts'
import { acceptHooksBefore } from './neighbours.ts'
import openapi, { checkOpenApi, discoveredBy } from './openapi.ts'
import { guardNarrowScope } from './narrow-scope.ts'
import { pipelineOf } from './pipeline.ts'
import rateLimit, { checkRateLimit } from './rate-limit.ts'
import tls from './tls.ts'

/** Options of the suite: each section is its plugin's options, or `false` to leave that control out. */
export interface SecureApiOptions {
  /** Which tokens are accepted. `false`: nobody is authenticated, and routes may not state rules. */
  auth?: AuthenticationOptions | false
  /** Named policies, and what a route without a rule means. */
  authorization?: AuthorizationOptions
  /** @default 100 reads and 10 writes a minute for each caller, 1000 requests a minute for each address */
  rateLimit?: RateLimitOptions | false
  /** @default the API profile */
  headers?: HeadersOptions | false
  /** @default no other origin */
  cors?: CorsOptions | false
  /**
   * Answer 405 with `Allow` where a path has routes, but none for the method. `false` leaves those requests to the
   * application's 404 handler: for one that hands what it does not know to another service.
   * @default true
   */
  methodNotAllowed?: boolean
  /** @default events go to the application's logger */
  audit?: AuditOptions | false
  /**
   * What is written into the API description, in an application that has the swagger plugin.
   * @default security schemes, and for each route what it needs and how it refuses
   */
  openapi?: OpenApiOptions | false
  /**
   * `'problem'` sends refusals, and errors of the application that no handler of its own answers, as RFC 9457 documents; in
   * production a failure says nothing of its cause, which is in the log. `'throw'` hands refusals to the application's error
   * handler, with the headers that they must carry already on the reply.
   * @default 'problem'
   */
  errors?: 'problem' | 'throw'
  /**
   * Accepts Connect middleware of `@fastify/middie` and `@fastify/express` beside the suite, which otherwise stops the boot.
   * Only for middleware that never answers: what it answers goes to strangers too, and is audited as allowed.
   * @default false
   */
  dangerouslyAllowMiddleware?: boolean
  /**
   * Names of hooks, or of plugins with their hooks, that may run before the suite: they are not warned of. What they
   * answer carries no headers and is not counted.
   * @default none
   */
  hooksBefore?: string[]
  /** @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

/** What the application can ask the suite. */
export interface SecureApi {
  /** Every known route with its effective rule, limit, CORS and header policy. */
  routes (): readonly RoutePosture[]
  /** Key rings, rate-limit store, audit trail. Holds no secret. */
  status (): Readonly<Record<string, unknown>>
}

/** The effective policies of one route. */
export interface RoutePosture {
  readonly methods: readonly string[]
  readonly url: string
  /** Steps in the order in which a request meets them. */
  readonly steps: { readonly onRequest: readonly string[], readonly preHandler: readonly string[] }
  /** The rule, or `'public'`, `'authenticated'`, `'none'`. */
  readonly access?: unknown
  /** Present where a token is checked if one is sent, on a public route. */
  readonly authentication?: 'optional'
  /** What `'none'` means in this application: `authorization.default`. */
  readonly accessByDefault?: 'deny' | 'authenticated'
  /** The pattern of `authorization.routes` that says what the route does not state itself. */
  readonly source?: string
  /** The limits, each `{ policy, limit, windowMs, algorithm, by, dryRun }`, or `false`. */
  readonly rateLimit?: unknown
  /** The route's statement, laid over the application's: `'default'`, `false` or its options. */
  readonly cors?: unknown
  /** The application's own CORS options. */
  readonly corsApplication?: CorsOptions
  readonly headers?: unknown
  readonly audit?: unknown
}

declare module 'fastify' {
  interface FastifyInstance {
    /** What the suite tells of itself: the posture of every route, and its state. */
    secureApi: SecureApi
  }
}

const anything = Type.Unsafe({})
const sections = Type.Object({
  auth: anything,
  authorization: Type.Optional(anything),
  rateLimit: Type.Optional(anything),
  headers: Type.Optional(anything),
  cors: Type.Optional(anything),
  methodNotAllowed: Type.Optional(Type.Boolean()),
  audit: Type.Optional(anything),
  openapi: Type.Optional(anything),
  errors: Type.Optional(Type.Union([Type.Literal('problem'), Type.Literal('throw')])),
  dangerouslyAllowMiddleware: Type.Optional(Type.Boolean()),
  hooksBefore: Type.Optional(Type.Array(Type.String({ minLength: 1 }))),
  environment: Type.Optional(EnvironmentSchema)
}, { additionalProperties: false })

/** The shape of all options, to copy them by; each section is checked by its plugin. */
const shape = Type.Object({
  ...sections.properties,
  auth: AuthenticationOptionsSchema,
  authorization: AuthorizationOptionsSchema,
  rateLimit: RateLimitOptionsSchema,
  headers: HeadersOptionsSchema,
  cors: CorsOptionsSchema,
  audit: AuditOptionsSchema,
  openapi: OpenApiOptionsSchema
})

const secureApi: FastifyPluginAsync<SecureApiOptions> = async (app, given) => {
  const pipeline = pipelineOf(app)
  pipeline.add(suiteStep)
  const options = ownOptions(shape, Object.keys(given).length === 0 ? fromEnvironment(app) : given)
  await checkOptions(app, options)
  const environment = environmentOf(options.environment)
  pipeline.answerBy(options.errors ?? 'problem')

  const { auth, authorization: rules = {}, rateLimit: limits = {}, headers: table = {}, cors: origins = false, methodNotAllowed = true, audit: trail = {}, openapi: description = {} } = options
  pipeline.add(unkept(app, options))
  if (auth === false || auth === undefined) pipeline.add(rulesRefused)
  else {
    await app.register(authentication, { ...auth, environment })
    await app.register(authorization, { ...rules, environment })
  }
  if (limits !== false) await app.register(rateLimit, limits)
  if (table !== false) await app.register(headers, { ...table, environment })
  if (origins !== false) await app.register(cors, { ...origins, environment })
  if (methodNotAllowed) await app.register(method)
  if (trail !== false) await app.register(audit, trail)
  if (description !== false) await app.register(openapi, { ...(auth && { openIdConnect: discoveredBy(auth) }), ...description })
  await app.register(errors, { environment, errors: options.errors ?? 'problem' })
  await app.register(tls, { environment })
  await app.register(middleware, { dangerouslyAllowMiddleware: options.dangerouslyAllowMiddleware === true })
  acceptHooksBefore(app, options.hooksBefore ?? [])
  decorating(app).decorate('secureApi', Object.freeze({ routes: () => pipeline.routes.map(posture), status: () => pipeline.status() }))
  if (!Object.hasOwn(app, 'server')) guardNarrowScope(app)

  function posture (info: RouteInfo): RoutePosture {
    const { names: steps } = pipeline.chain(info)
    return { methods: info.methods, url: info.url, steps, ...pipeline.posture(info) }
  }
}

/** Does nothing on a route; a second suite in this scope, or in one around or inside it, is refused for having it too. */
const suiteStep: Step = Object.freeze({
  name: 'secure-api',
  phase: 'headers',
  keys: [...routeRuleKeys, 'rateLimit', 'headers', 'cors', 'audit'],
  compile: () => undefined
})

const engines = { rateLimit: '@fastify/rate-limit', headers: undefined, cors: '@fastify/cors', audit: undefined } as const

/** An option of a control that is switched off is kept by nobody, unless the official plugin reads it. The collector of reports is ours, and closed without CORS. */
function unkept (app: FastifyInstance, options: SecureApiOptions): Step {
  const collector = options.headers && options.headers.reports ? app.prefix + options.headers.reports.path : undefined
  const off = (['rateLimit', 'headers', 'cors', 'audit'] as const).filter(key => (options[key] ?? (key === 'cors' ? false : {})) === false)
  return {
    name: 'unkept',
    phase: 'headers',
    compile ({ url, config, label }, problems) {
      for (const key of url === collector ? [] : off) {
        const { [key]: engine } = engines
        if (!(key in config) || config[key] === false || (engine !== undefined && app.hasPlugin(engine))) continue
        problems.add('SECURE_API_ROUTE_OPTION_UNKEPT', `${label}: config.${key}`, `the application has no \`${key}\` that could keep it`, `Configure \`${key}\`, or remove it here.`)
      }
      return undefined
    }
  }
}

/** All sections are looked at before anything is thrown, so that one start shows every mistake. */
async function checkOptions (app: FastifyInstance, options: SecureApiOptions): Promise<void> {
  const problems = new Problems()
  const environment = environmentOf(options.environment)
  check(sections, options, '', problems)
  const { auth, authorization: rules, rateLimit: limits, headers: table, cors: origins, audit: trail, openapi: description } = options
  if (isSection(auth)) validateAuthentication(auth, 'auth', problems, { development: environment === 'development' })
  else refuseOther('auth', auth, problems)
  if (auth === false && isSection(rules) && Object.keys(rules).length > 0) {
    problems.add('SECURE_API_OPTION_CONFLICT', 'authorization', 'nobody is authenticated, so that no rule could be kept', 'Configure `auth`, or remove this section.')
  }
  if (isSection(rules)) checkAuthorization(rules, problems)
  else if (rules !== undefined) problems.add('SECURE_API_OPTION_TYPE', 'authorization', 'this section cannot be switched off', 'Give an object, or `auth: false` for an API without authentication.')
  if (isSection(limits)) checkRateLimit(limits, problems)
  else refuseOther('rateLimit', limits, problems)
  if (isSection(table)) checkHeaders(table, headersContext(app, environment), problems)
  else refuseOther('headers', table, problems)
  if (isSection(origins)) await checkCors(origins, environment, problems)
  else refuseOther('cors', origins, problems)
  if (isSection(trail)) checkAudit(trail, problems)
  else refuseOther('audit', trail, problems)
  if (isSection(description)) checkOpenApi(description, problems)
  else refuseOther('openapi', description, problems)
  problems.throwIfAny()
}

function isSection <Section extends object> (value: Section | false | undefined): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuseOther (name: string, value: unknown, problems: Problems): void {
  if (value === undefined || value === false) return
  problems.add('SECURE_API_OPTION_TYPE', name, 'a section is an object of options', `Give an object, or \`${name}: false\` to leave this control out.`)
}

/** `register(secureApi)` without options. */
function fromEnvironment (app: FastifyInstance): SecureApiOptions {
  const [problems, warnings] = [new Problems(), new Problems()]
  const { issuer = '', audience = '', origins, redis } = readEnvironment(problems, process.env, warnings)
  problems.throwIfAny()
  for (const { code, path, why, fix } of warnings.list()) app.log.warn({ code, path }, `secure-api: ${why}. ${fix}`)
  return {
    auth: { issuer, audience: listed(audience) },
    ...(origins === undefined ? undefined : { cors: { origins: listed(origins) } }),
    ...(redis === undefined ? undefined : { rateLimit: { redis } })
  }
}

function listed (text: string): string[] {
  return text.split(',').map(part => part.trim())
}

/** With `auth: false` a rule on a route would be a promise that nobody keeps. */
const rulesRefused = Object.freeze({
  name: 'no-authentication',
  phase: 'guard' as const,
  compile ({ config, label }: RouteInfo, problems: Problems) {
    for (const key of ['scope', 'role', 'policy', 'authenticated', 'authentication']) {
      if (key in config) problems.add('SECURE_API_ROUTE_NOT_AUTHENTICATED', `${label}: config.${key}`, 'the route has a rule, and `auth` is false', 'Configure `auth`, or remove the rule.')
    }
    return undefined
  }
})

export default fp(secureApi, { fastify: '5.x', name: 'secure-api' })
