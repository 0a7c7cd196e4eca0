import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { AuditOptions } from '../lib/audit/index.ts'
import type { AuthenticationOptions } from '../lib/authentication/index.ts'
import {
  check, DurationSchema, EnvironmentSchema, environmentVariables, isFields, milliseconds, mistake, ownOptions, Problems, readEnvironment,
  sectionAdvice, Type, type Duration, type Environment, type Schema, type Section, type SectionContext
} from '../lib/config/index.ts'
import type { CorsOptions } from '../lib/cors/index.ts'
import type { HeadersOptions } from '../lib/headers/index.ts'
import type { HealthOptions } from '../lib/health/index.ts'
import type { RateLimitOptions } from '../lib/limits/index.ts'
import type { OpenApiOptions } from '../lib/openapi/index.ts'
import type { TelemetryOptions } from '../lib/telemetry/index.ts'
import { routeOption, type CompiledRoute, type Control } from '../lib/pipeline/index.ts'
import { RouteRuleSchema, type AuthorizationOptions } from '../lib/rules/index.ts'
import type { SecretPlace } from '../lib/secrets/index.ts'
import type { PolicyRules, UsageSummary } from '../lib/usage/index.ts'
import audit, { auditSection } from './audit.ts'
import authentication, { authenticationSection } from './authentication.ts'
import authorization, { authorizationSection } from './authorization.ts'
import cors, { corsSection } from './cors.ts'
import { decorating } from './decorators.ts'
import edge from './edge.ts'
import errors from './errors.ts'
import headers, { headersSection } from './headers.ts'
import health, { healthSection } from './health.ts'
import method from './method.ts'
import middleware from './middleware.ts'
import openapi, { discoveredBy, openApiSection } from './openapi.ts'
import { guardNarrowScope } from './neighbours.ts'
import { addOwnControls, OwnControlsSchema } from './own-controls.ts'
import { pipelineOf } from './pipeline.ts'
import rateLimit, { rateLimitSection } from './rate-limit.ts'
import { secretContextOf } from './secrets.ts'
import { suitePlugin } from './suite-plugin.ts'
import telemetry, { telemetrySection } from './telemetry.ts'
import tls from './tls.ts'
import { warn } from './warn.ts'

/** Options of the suite: each section is its plugin's options, or `false` to leave that control out. */
export interface SecureApiOptions {
  /** Which tokens are accepted. `false`: nobody is authenticated, and routes may not state rules. */
  auth?: AuthenticationOptions | false
  /** Named policies, and what a route without a rule means. */
  authorization?: AuthorizationOptions
  /**
   * Limits by name, by address and for failed authentication; with Redis for several processes.
   * @default 100 reads and 10 writes a minute for each caller, 1000 requests a minute for each address
   */
  rateLimit?: RateLimitOptions | false
  /**
   * Changes to the security headers, which every answer carries.
   * @default the API profile
   */
  headers?: HeadersOptions | false
  /**
   * Which web origins may read answers.
   * @default no other origin
   */
  cors?: CorsOptions | false
  /**
   * Answer 405 with `Allow` where a path has routes, but none for the method. `false` leaves those requests to the
   * application's 404 handler: for one that hands what it does not know to another service.
   * @default true
   */
  methodNotAllowed?: boolean
  /**
   * Where the audit trail goes: one event for each request.
   * @default events go to the application's logger, and to standard output where it has none
   */
  audit?: AuditOptions | false
  /**
   * What is written into the API description, in an application that has the swagger plugin.
   * @default security schemes, and for each route what it needs and how it refuses
   */
  openapi?: OpenApiOptions | false
  /**
   * Routes for the probes of an orchestrator, `/health/live` and `/health/ready`, and the drain before the server closes.
   * `health: {}` adds them.
   * @default no routes
   */
  health?: HealthOptions | false
  /**
   * Metrics and traces, and the time that each control takes on a diagnostics channel.
   * @default none
   */
  telemetry?: TelemetryOptions | false
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
   * How long `app.close()` waits for requests under way, WebSockets and streams before it cuts their connections, so that nobody can
   * hold the server, nor the end of its audit trail. It begins when the server stops to listen. Answers under way end their connection,
   * sessions of HTTP/2 are told to go, and connections without a request end within a second.
   * @default '30 seconds'
   */
  closeTimeout?: Duration
  /**
   * Names of hooks, or of plugins with their hooks, that may run before the suite: they are not warned of. What they
   * answer carries no headers and counts for no limit; the audit trail has it.
   * @default none
   */
  hooksBefore?: string[]
  /**
   * Controls of your own, each in one of the phases of a request, with a route option that is checked like those of the suite.
   * `examples/own-control` shows one.
   * @default none
   */
  controls?: readonly Control[]
  /**
   * `'production'` or `'development'`, which allows addresses on this machine and turns some mistakes into warnings.
   * @default NODE_ENV, and production when that is unset
   */
  environment?: Environment
}

/** What the application can ask the suite. */
export interface SecureApi {
  /** Every known route with its effective rule, limit, CORS and header policy. */
  routes (): readonly RoutePosture[]
  /** Key rings, rate-limit store, audit trail, and where each secret comes from. Holds no secret. */
  status (): Readonly<Record<string, unknown>>
  /**
   * Who called what since the start, which scopes their tokens carried and which their calls needed: what
   * `secure-api audit report` says of a trail. Undefined with `audit: false`. Names subjects, so show it to nobody else.
   */
  usage (): UsageSummary | undefined
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
  /** Credentials that come by a cookie: with them an unsafe method, or an upgrade, from a foreign origin is refused. */
  readonly sameOrigin?: readonly string[]
  /** What `'none'` means in this application: `authorization.default`. */
  readonly accessByDefault?: 'deny' | 'authenticated'
  /** Where the rule names policies: those of `authorization.policies` that are rules. */
  readonly policies?: PolicyRules
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

const sections: readonly Section[] = [authenticationSection, authorizationSection, rateLimitSection, headersSection, corsSection,
  auditSection, openApiSection, healthSection, telemetrySection]

const own = {
  methodNotAllowed: Type.Optional(Type.Boolean()),
  errors: Type.Optional(Type.Union([Type.Literal('problem'), Type.Literal('throw')])),
  dangerouslyAllowMiddleware: Type.Optional(Type.Boolean()),
  closeTimeout: Type.Optional(DurationSchema),
  hooksBefore: Type.Optional(Type.Array(Type.String())),
  environment: Type.Optional(EnvironmentSchema)
}

function suiteSchema (schemaOf: (section: Section) => Schema, controls: Schema) {
  const members = { ...Object.fromEntries(sections.map(section => [section.key, schemaOf(section)])), ...own }
  return Type.Object({ ...members, controls: Type.Optional(controls) })
}

/** Each section checks itself. */
const anything = Type.Unsafe({})
const suite = suiteSchema(({ key }) => key === 'auth' ? anything : Type.Optional(anything), OwnControlsSchema)
/** The shape of all options, to copy them by. Controls stay the objects that they are. */
const shape = suiteSchema(({ schema }) => schema, anything)

const secureApi: FastifyPluginAsync<SecureApiOptions> = async (app, given) => {
  const pipeline = pipelineOf(app)
  pipeline.claim('secure-api')
  const isBare = Object.keys(given).every(key => key === 'health' || key === 'telemetry')
  const options = ownOptions(shape, isBare ? { ...fromEnvironment(app), ...given } : given)
  const context = secretContextOf(app, options.environment)
  const { environment } = context
  await checkOptions(options, context)
  const { auth = false, authorization: rules = {}, rateLimit: limits = {}, headers: table = {}, cors: origins = false } = options
  const { methodNotAllowed = true, audit: trail = {}, openapi: description = {}, errors: answers = 'problem' } = options
  const { health: probes = false } = options
  const { telemetry: measures = false } = options
  const { hooksBefore = [], closeTimeout = '30 seconds' } = options
  pipeline.offer({ answers, hooksBefore, closeTimeout: milliseconds(closeTimeout) })
  for (const control of unkept(app, options)) pipeline.add(control)
  if (auth !== false) {
    await app.register(authentication, { ...auth, environment })
    await app.register(authorization, { ...rules, environment })
  }
  if (limits !== false) await app.register(rateLimit, limits)
  if (table !== false) await app.register(headers, { ...table, environment })
  if (origins !== false) await app.register(cors, { ...origins, environment })
  if (table === false) await app.register(edge)
  if (methodNotAllowed) await app.register(method)
  if (trail !== false) await app.register(audit, { ...trail, environment })
  if (measures !== false) await app.register(telemetry, measures)
  if (description !== false) await app.register(openapi, { ...(auth && { openIdConnect: discoveredBy(auth) }), ...description })
  await app.register(errors, { environment, mode: answers })
  await app.register(tls, { environment })
  if (probes !== false) await app.register(health, probes)
  if (options.dangerouslyAllowMiddleware !== true) await app.register(middleware)
  addOwnControls(pipeline, options.controls ?? [])
  const postureOf = (route: CompiledRoute): RoutePosture =>
    ({ methods: route.info.methods, url: route.info.url, steps: route.names, ...plain(pipeline.posture(route)) })
  decorating(app).decorate('secureApi', Object.freeze({
    routes: () => pipeline.routes.map(postureOf), status: () => pipeline.status(), usage: () => pipeline.ports.usage?.()
  }))
  if (Object.hasOwn(app, 'server')) return
  guardNarrowScope(app)
  if (options.closeTimeout === undefined) return
  throw mistake('SECURE_API_OPTION_CONFLICT', 'closeTimeout', 'a suite in a scope does not end the connections of the server',
    'Register it at the root, or leave the option out.')
}

/** Copies whose objects inherit as usual: those inside the suite inherit nothing, and `String()` of them throws. */
function plain <Value> (value: Value): Value
function plain (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(item => plain(item))
  if (!isFields(value)) return value
  const prototype: unknown = Reflect.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

/** Route options of controls that are switched off would be promises that nobody keeps: they stop the boot. */
function unkept (app: FastifyInstance, options: SecureApiOptions): Control[] {
  const { auth, rateLimit: limits, headers: table, cors: origins = false, audit: trail } = options
  const collector = table && table.reports ? app.prefix + table.reports.path : undefined
  const off = (key: string, engine?: string): Control => ({
    name: `${key}:off`,
    phase: 'guard',
    option: routeOption<unknown, void>({
      key,
      schema: anything,
      refine (stated, { route, path, problems }) {
        // The collector of reports is ours, and the official plugin reads the option where it is there.
        if (stated === undefined || stated === false || route.url === collector || (engine !== undefined && app.hasPlugin(engine))) return
        problems.add('SECURE_API_ROUTE_OPTION_UNKEPT', path, `the application has no \`${key}\` that could enforce it`,
          `Configure \`${key}\`, or remove it here.`)
      }
    }),
    compile: () => undefined
  })
  const controls = [limits === false && off('rateLimit', '@fastify/rate-limit'), table === false && off('headers'),
    origins === false && off('cors', '@fastify/cors'), trail === false && off('audit'), auth === false && rulesOff]
  return controls.filter(control => control !== false)
}

const rulesOff: Control = Object.freeze<Control<void>>({
  name: 'authorization:off',
  phase: 'guard',
  option: {
    schemas: Object.fromEntries(Object.keys(RouteRuleSchema.properties).map(key => [key, anything])),
    parse (stated, { label }, problems) {
      for (const key of Object.keys(stated).filter(key => key !== 'public' && key !== 'authorization')) {
        problems.add('SECURE_API_ROUTE_NOT_AUTHENTICATED', `${label}: config.${key}`, 'the route has a rule, but `auth` is false',
          'Configure `auth`, or remove the rule.')
      }
    }
  },
  compile: () => undefined
})

/** All sections are looked at before anything is thrown, so that one start shows every mistake. */
async function checkOptions (options: SecureApiOptions, context: SectionContext): Promise<void> {
  const problems = new Problems()
  // Those of all sections at once: each may take as long as a provider needs.
  await context.secrets?.read(shape, options, '', problems, context.environment)
  check(suite, options, '', problems)
  const { auth, authorization } = options
  if (auth === false && isFields(authorization) && Object.keys(authorization).length > 0) {
    problems.add('SECURE_API_OPTION_CONFLICT', 'authorization', 'nobody is authenticated, so no rule can be enforced',
      'Configure `auth`, or remove this section.')
  }
  for (const section of sections) {
    const given = (options as Readonly<Record<string, unknown>>)[section.key]
    if (isFields(given)) await section.check(given, problems, context)
    else refuseOther(section.key, given, problems)
  }
  problems.throwIfAny()
}

function refuseOther (key: string, value: unknown, problems: Problems): void {
  if (value === undefined || (value === false && key !== 'authorization')) return
  const [why, fix] = key === 'authorization'
    ? ['this section cannot be switched off', 'Give an object, or `auth: false` for an API without authentication.']
    : ['a section is an object of options', sectionAdvice(key, value) ?? `Give an object, or \`${key}: false\` to leave this control out.`]
  problems.add('SECURE_API_OPTION_TYPE', key, why, fix)
}

/** `register(secureApi)` without options, or with `health` alone. */
function fromEnvironment (app: FastifyInstance): SecureApiOptions {
  const [problems, warnings] = [new Problems(), new Problems()]
  const { issuer = '', audience = '', origins, redis } = readEnvironment(problems, process.env, warnings)
  problems.throwIfAny()
  for (const { code, path, why, fix } of warnings.list()) warn(app, { code, path }, `secure-api: ${why}. ${fix}`)
  return {
    auth: { issuer, audience: listed(audience) },
    ...(origins === undefined ? undefined : { cors: { origins: listed(origins) } }),
    ...(redis === undefined ? undefined : { rateLimit: { redis: placeOfRedis() } })
  }
}

/** Where it has just been read: as a place, so that a new one is noticed. */
function placeOfRedis (): SecretPlace {
  const { [`${environmentVariables.redis}_FILE`]: file } = process.env
  return file === undefined ? { env: environmentVariables.redis } : { file }
}

function listed (text: string): string[] {
  return text.split(',').map(part => part.trim())
}

/**
 * The suite: checks access tokens, denies by default, limits callers, sends security headers, answers CORS and keeps an audit trail.
 * Registered without options, or with `health` alone, it reads `SECURE_API_ISSUER`, `SECURE_API_AUDIENCE` and others of the environment.
 *
 * @example
 * await app.register(secureApi, { auth: { issuer: 'https://login.example.com', audience: 'api://orders' } })
 * app.get('/orders', { config: { scope: 'api.read' } }, async request => await ordersOf(request.auth.subject))
 * @throws ConfigurationError with every mistake in the options
 */
export default suitePlugin('secure-api', secureApi)
