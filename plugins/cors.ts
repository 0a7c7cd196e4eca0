import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { check, environmentOf, ownOptions, Problems, type ConfigurationCode, type Environment } from '../lib/config/index.ts'
import {
  actual, compileCors, CorsOptionsSchema, createPreflightEngine, engineOptions, explain, isPreflight, loadPublicSuffixes, mergeCors, needsPublicSuffixes,
  preflight, preflightVary, publicSuffixes, refuses, RouteCorsSchema, validateCors,
  type ActualRequest, type CorsOptions, type CorsPolicy, type CorsValidationContext, type IsPublicSuffix, type Preflight, type PreflightRefusal, type RouteCors
} from '../lib/cors/index.ts'
import { addPairToHead, addToHead, refusal, type Refusal } from '../lib/http/index.ts'
import { rateLimitHeaderNames } from '../lib/limits/index.ts'
import { answered, type Handler, type Pipeline, type RouteInfo } from '../lib/pipeline/index.ts'
import type { Misspelt } from './misspelt.ts'
import { methodsOfRoutes, neighbours, refuseBeside } from './neighbours.ts'
import { pipelineOf } from './pipeline.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's own CORS policy, laid over the application's, or `false` for none. It decides the preflight too. */
    cors?: false | (Exclude<RouteCors, false> & Misspelt<keyof Exclude<RouteCors, false>>)
  }
}

export type CorsPluginOptions = CorsOptions & {
  /** @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

/** Headers the suite sends that scripts must be able to read. */
const exposed = [...rateLimitHeaderNames, 'WWW-Authenticate', 'X-Request-Id']
const refused = refusal('SECURE_API_CORS_REFUSED')

const cors: FastifyPluginAsync<CorsPluginOptions> = async (app, { environment, ...given }) => {
  const options = ownOptions(CorsOptionsSchema, given)
  const development = environmentOf(environment) === 'development'
  const problems = new Problems()
  await checkCors(options, environmentOf(environment), problems)
  problems.throwIfAny()

  refuseBeside(app, neighbours.cors, {
    code: 'SECURE_API_CORS_DUPLICATE',
    path: 'cors',
    why: '@fastify/cors is registered in the same scope and would answer preflights that this policy refuses',
    fix: 'Remove it, or set `cors: false`.'
  })
  const pipeline = pipelineOf(app)
  const policies = new RoutePolicies(app, pipeline, options, environmentOf(environment))
  pipeline.originHeaders = origin => policies.withoutRoute(origin)
  pipeline.add({
    name: 'cors',
    phase: 'cors',
    keys: ['cors'],
    compile (route, found) {
      const policy = policies.of(route, found)
      return policy === undefined ? undefined : { hook: 'onRequest', handler: actualHandler(policy) }
    },
    posture: ({ config }) => ({ cors: config.cors ?? 'default', corsApplication: options })
  })
  pipeline.add({
    name: 'cors:preflight',
    phase: 'preflight',
    compile: () => ({ hook: 'onRequest', handler: preflightHandler(policies, development && options.debug === true) })
  })
  app.addHook('onReady', async function compareMethods () {
    await policies.judgeDeferred()
    warnOfMethods(app, options.methods ?? [], policies.uncallable(pipeline.routes))
  })
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export async function checkCors (options: CorsOptions, environment: Environment, problems: Problems): Promise<void> {
  if (needsPublicSuffixes(options)) await loadPublicSuffixes()
  check(CorsOptionsSchema, options, 'cors', problems)
  validateCors(options, 'cors', problems, contextOf(environment))
}

function contextOf (environment: Environment, isPublicSuffix = publicSuffixes()): CorsValidationContext {
  return { environment, ...(isPublicSuffix === undefined ? undefined : { isPublicSuffix }) }
}

/** The policies of all routes, found again by method and URL: a preflight asks about another route than the one it was sent to. */
class RoutePolicies {
  readonly #app: FastifyInstance
  readonly #pipeline: Pipeline
  readonly #options: CorsOptions
  readonly #environment: Environment
  readonly #base: CorsPolicy
  readonly #known = new WeakMap<RouteInfo, CorsPolicy | undefined>()
  /** Routes, by their options, with a pattern that only the list of public suffixes can judge; it cannot be loaded while a route is declared. */
  readonly #deferred = new Map<unknown, RouteInfo>()
  #ready = false

  constructor (app: FastifyInstance, pipeline: Pipeline, options: CorsOptions, environment: Environment) {
    this.#app = app
    this.#pipeline = pipeline
    this.#options = options
    this.#environment = environment
    this.#base = compileCors(options, { exposed })
  }

  /** For answers that belong to no route: the application's policy. */
  withoutRoute (origin: string | undefined): readonly (readonly [string, string])[] {
    return actual(this.#base, origin).pairs
  }

  /** A route compiles when it is declared and again when all plugins are there; its policy is made once. */
  of (route: RouteInfo, problems: Problems): CorsPolicy | undefined {
    if (this.#known.has(route)) return this.#known.get(route)
    const before = problems.list().length
    const policy = this.#compile(route, problems)
    if (problems.list().length > before) return undefined
    this.#known.set(route, policy)
    return policy
  }

  /**
   * What the routes under this method and URL allow: none when there is no such route. Routes that differ only by a
   * constraint (host, version) are all asked: a preflight must please each of them. A route that was declared before the
   * suite, and not called yet, is known to exist but not by its own policy: it gets the application's.
   */
  at (method: string, url: string): readonly (CorsPolicy | undefined)[] {
    const routes = this.#pipeline.routesAt(method, url)
    if (routes.length > 0) return routes.map(route => this.#known.get(route))
    return this.#app.findRoute({ method, url }) === null ? [] : [this.#base]
  }

  /** Methods of routes that pages of other origins may call in general, but not with this method. */
  uncallable (routes: readonly RouteInfo[]): string[] {
    return routes.flatMap(route => {
      const policy = this.#known.get(route)
      return route.methods.filter(method => policy !== undefined && !unsent.has(method) && !policy.methods.has(method)).map(method => `${method} ${route.url}`)
    })
  }

  #compile (route: RouteInfo, problems: Problems): CorsPolicy | undefined {
    const { config, label } = route
    if (config.cors === false) return undefined
    if (!('cors' in config)) return this.#base
    const before = problems.list().length
    const path = `${label}: config.cors`
    check(RouteCorsSchema, config.cors, path, problems)
    if (problems.list().length > before) return undefined
    const merged = mergeCors(this.#options, config.cors as Exclude<RouteCors, false>, path, problems, contextOf(this.#environment, this.#listFor(route)))
    return problems.list().length > before ? undefined : compileCors(merged, { exposed })
  }

  #listFor (route: RouteInfo): IsPublicSuffix | undefined {
    return publicSuffixes() ?? (this.#ready ? undefined : () => { this.#deferred.set(route.config.cors, route); return false })
  }

  /** Before anything is served; a route that is first seen later is closed instead. */
  async judgeDeferred (): Promise<void> {
    this.#ready = true
    if (this.#deferred.size === 0) return
    await loadPublicSuffixes()
    const problems = new Problems()
    for (const route of this.#deferred.values()) this.#compile(route, problems)
    problems.throwIfAny()
  }
}

/** Methods that no page sends: forbidden by Fetch §2.2.1, or the preflight itself. */
const unsent: ReadonlySet<string> = new Set(['OPTIONS', 'CONNECT', 'TRACE', 'TRACK'])

/** Both are most often a method that was forgotten; neither opens anything. */
function warnOfMethods (app: FastifyInstance, stated: readonly string[], uncallable: readonly string[]): void {
  const routed = methodsOfRoutes(app)
  const unrouted = stated.filter(method => !routed.has(method))
  const code = 'SECURE_API_CORS_METHOD_UNROUTED' satisfies ConfigurationCode
  if (unrouted.length > 0) app.log.warn({ code, methods: unrouted }, 'secure-api: cors.methods names methods that no route has')
  if (uncallable.length > 0) app.log.warn({ code, routes: uncallable }, 'secure-api: pages of the allowed origins cannot call these routes: add the methods to cors.methods, or state cors: false there')
}

/**
 * Before everything that can refuse, so that the page of an allowed origin can read the refusal too. In the head of the raw
 * response, where hijacked replies keep it.
 */
function actualHandler (policy: CorsPolicy): Handler {
  return (request, { raw }) => {
    const { method, headers } = request
    if (isPreflight(method, headers)) return undefined
    addToHead(raw, actual(policy, headers.origin))
    return policy.enforceOrigin && refuses(policy, actualRequest(request)) ? refused : undefined
  }
}

function actualRequest ({ method, headers }: FastifyRequest): ActualRequest {
  const fetchSite = headers['sec-fetch-site']
  return { method, origin: headers.origin, host: headers.host, fetchSite: typeof fetchSite === 'string' ? fetchSite : undefined, upgrade: headers.upgrade !== undefined }
}

/** Answers preflights. @fastify/cors writes those that the target route's policy allows; the others learn nothing. */
function preflightHandler (policies: RoutePolicies, debug: boolean): Handler {
  const engine = createPreflightEngine<PreflightRequest>(request => engineOptions(request.policy, request.asked.origin))
  return (request, reply) => {
    const { headers, raw } = request
    if (!isPreflight(request.method, headers)) return undefined
    const asked = preflightOf(headers)
    const candidates = policies.at(asked.method, raw.url ?? '')
    const reason = refusalReason(candidates, asked)
    const [policy] = candidates
    if (reason !== undefined || policy === undefined) return refusePreflight(reply, explanation(reason, policy, asked), debug)
    engine({ headers, policy, asked }, reply, () => {})
    return answered
  }
}

interface PreflightRequest {
  readonly headers: FastifyRequest['headers']
  readonly policy: CorsPolicy
  readonly asked: Preflight
}

function preflightOf (headers: FastifyRequest['headers']): Preflight {
  const { origin = '', 'access-control-request-method': method = '', 'access-control-request-headers': names } = headers
  return { origin, method: String(method), headers: names === undefined ? undefined : String(names) }
}

function refusalReason (candidates: readonly (CorsPolicy | undefined)[], asked: Preflight): PreflightRefusal | 'route' | undefined {
  if (candidates.length === 0) return 'route'
  for (const policy of candidates) {
    if (policy === undefined) return 'route'
    const decision = preflight(policy, asked)
    if (!decision.allowed) return decision.reason
  }
  return undefined
}

function explanation (reason: PreflightRefusal | 'route' | undefined, policy: CorsPolicy | undefined, asked: Preflight): string {
  if (reason === undefined || reason === 'route' || policy === undefined) return `there is no route for ${asked.method} here that other origins may call`
  return explain(reason, policy, asked)
}

function refusePreflight ({ raw }: FastifyReply, why: string, debug: boolean): Refusal {
  addPairToHead(raw, 'vary', preflightVary)
  return debug ? refusal('SECURE_API_CORS_REFUSED', { reason: why, extensions: { debug: why } }) : refused
}

export default fp(cors, { fastify: '5.x', name: 'secure-api-cors' })
