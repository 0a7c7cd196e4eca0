import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { defineSection, type ConfigurationCode, type Environment } from '../lib/config/index.ts'
import {
  actual, compileCors, CorsOptionsSchema, createPreflightEngine, engineOptions, explain, isPreflight, loadPublicSuffixes, mergeCors,
  needsPublicSuffixes, preflight, preflightVary, publicSuffixes, refuses, RouteCorsSchema, validateCors, type ActualRequest,
  type CorsOptions, type CorsPolicy, type CorsValidationContext, type Preflight, type PreflightRefusal,
  type RouteCors
} from '../lib/cors/index.ts'
import { addPairToHead, addToHead, refusal, type Refusal } from '../lib/http/index.ts'
import { rateLimitHeaderNames } from '../lib/limits/index.ts'
import { answered, routeOption, type CompiledRoute, type Handler, type RouteInfo, type RouteOption } from '../lib/pipeline/index.ts'
import type { Misspelt } from './misspelt.ts'
import { methodsOfRoutes, refuseBeside } from './neighbours.ts'
import { pipelineOf } from './pipeline.ts'
import { contextOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

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

/** With the headers that the suite sends and scripts must be able to read. */
const compiled = (options: CorsOptions) => compileCors(options, { exposed: [...rateLimitHeaderNames, 'WWW-Authenticate', 'X-Request-Id'] })
const refused = refusal('SECURE_API_CORS_REFUSED')

export const corsSection = defineSection<CorsOptions, CorsPolicy>({
  key: 'cors',
  schema: CorsOptionsSchema,
  always: true,
  prepare: loadFor,
  rules: (options, path, problems, { environment }) => validateCors(options, path, problems, contextFor(environment)),
  compile: compiled
})

const cors: FastifyPluginAsync<CorsPluginOptions> = async (app, { environment: stated, ...given }) => {
  const context = contextOf(app, stated)
  const { environment } = context
  const { options, compiled: base } = await corsSection.open(given, context)
  refuseBeside(app, 'cors')
  const pipeline = pipelineOf(app)
  const option = corsOption(options, base, environment)
  const policyOf = ({ own }: CompiledRoute) => (own.get(option) as OwnCors | undefined)?.policy
  // Of a route that was declared before the suite, and not called yet, it is known that it exists, and not what its policy is.
  const policiesAt: PoliciesAt = (method, url) => {
    const routes = pipeline.routesAt(method, url)
    if (routes.length > 0) return routes.map(policyOf)
    return app.findRoute({ method, url }) === null ? [] : [base]
  }
  pipeline.add({
    name: 'cors',
    phase: 'cors',
    option,
    compile: ({ own: { policy } }) => policy && { hook: 'onRequest', handler: actualHandler(policy) },
    posture: ({ stated }) => ({ cors: stated, corsApplication: options })
  })
  pipeline.add({
    name: 'cors:preflight',
    phase: 'preflight',
    compile: () => ({ hook: 'onRequest', handler: preflightHandler(policiesAt, environment === 'development' && options.debug === true) })
  })
  pipeline.offer({
    originHeaders: origin => actual(base, origin).pairs,
    mayUseCredentials: ({ routeOptions: { config } }, origin) => {
      const route = pipeline.find(config)
      const policy = route && policyOf(route)
      return policy?.credentials === true && policy.matches(origin)
    }
  })
  app.addHook('onReady', async function compareMethods () {
    warnOfMethods(app, options.methods ?? [], pipeline.routes.flatMap(route => uncallable(route.info, policyOf(route))))
  })
}

function corsOption (options: CorsOptions, base: CorsPolicy, environment: Environment): RouteOption<OwnCors> {
  return routeOption<RouteCors, OwnCors>({
    key: 'cors',
    schema: RouteCorsSchema,
    prepare: async stated => { for (const own of stated) if (own !== false) await loadFor({ ...options, ...own }) },
    refine (stated, { path, problems }) {
      if (stated === undefined) return { stated: 'default', policy: base }
      if (stated === false) return { stated, policy: undefined }
      let merged = options
      const isSound = problems.clean(found => { merged = mergeCors(options, stated, path, found, contextFor(environment)) })
      return { stated, policy: isSound ? compiled(merged) : undefined }
    }
  })
}

/** What a route states, and the policy that results; undefined where no other origin may call. */
interface OwnCors { readonly stated: RouteCors | 'default', readonly policy: CorsPolicy | undefined }

/** What the routes under this method and URL allow. Those that differ only by a constraint are all asked: a preflight must please each. */
type PoliciesAt = (method: string, url: string) => readonly (CorsPolicy | undefined)[]

function contextFor (environment: Environment): CorsValidationContext {
  const isPublicSuffix = publicSuffixes()
  return { environment, ...(isPublicSuffix && { isPublicSuffix }) }
}

/** The list of public suffixes is large, and only patterns with credentials need it. */
async function loadFor (options: Parameters<typeof needsPublicSuffixes>[0]): Promise<void> {
  if (needsPublicSuffixes(options)) await loadPublicSuffixes()
}

/** Methods of a route that pages of other origins may call in general, but not with this method. */
function uncallable ({ methods, url }: RouteInfo, policy: CorsPolicy | undefined): string[] {
  if (policy === undefined) return []
  return methods.filter(method => !unsent.has(method) && !policy.methods.has(method)).map(method => `${method} ${url}`)
}

/** Methods that no page sends: forbidden by Fetch §2.2.1, or the preflight itself. */
const unsent: ReadonlySet<string> = new Set(['OPTIONS', 'CONNECT', 'TRACE', 'TRACK'])

/** Both are most often a method that was forgotten; neither opens anything. */
function warnOfMethods (app: FastifyInstance, stated: readonly string[], uncallable: readonly string[]): void {
  const routed = methodsOfRoutes(app)
  const unrouted = stated.filter(method => !routed.has(method))
  const code = 'SECURE_API_CORS_METHOD_UNROUTED' satisfies ConfigurationCode
  if (unrouted.length > 0) warn(app, { code, methods: unrouted }, 'secure-api: cors.methods lists methods that no route has')
  if (uncallable.length > 0) {
    warn(app, { code, routes: uncallable },
      'secure-api: allowed origins cannot call these routes. Add the methods to cors.methods, or set cors: false on the routes')
  }
}

/** Before all that can refuse: the page of an allowed origin can read the refusal too. In the raw head, where hijacked replies keep it. */
function actualHandler (policy: CorsPolicy): Handler {
  return (request, { raw }) => {
    const { method, headers } = request
    if (isPreflight(method, headers)) return undefined
    addToHead(raw, actual(policy, headers.origin))
    return policy.enforceOrigin && refuses(policy, actualRequest(request)) ? refused : undefined
  }
}

function actualRequest ({ method, headers: { origin, host, upgrade, 'sec-fetch-site': site } }: FastifyRequest): ActualRequest {
  return { method, origin, host, fetchSite: typeof site === 'string' ? site : undefined, upgrade: upgrade !== undefined }
}

/** Answers preflights. @fastify/cors writes those that the target route's policy allows; the others learn nothing. */
function preflightHandler (policiesAt: PoliciesAt, debug: boolean): Handler {
  const engine = createPreflightEngine<PreflightRequest>(request => engineOptions(request.policy, request.asked.origin))
  return (request, reply) => {
    const { headers, raw } = request
    if (!isPreflight(request.method, headers)) return undefined
    const asked = preflightOf(headers)
    const candidates = policiesAt(asked.method, raw.url ?? '')
    const decision = decide(candidates, asked)
    const [policy] = candidates
    if (decision !== undefined || policy === undefined) return refusePreflight(reply, debug ? why(decision, policy, asked) : undefined)
    engine({ headers, policy, asked }, reply, () => {})
    return answered
  }
}

interface PreflightRequest extends Pick<FastifyRequest, 'headers'> { readonly policy: CorsPolicy, readonly asked: Preflight }

function preflightOf (headers: FastifyRequest['headers']): Preflight {
  const { origin = '', 'access-control-request-method': method = '', 'access-control-request-headers': names } = headers
  return { origin, method: String(method), headers: names === undefined ? undefined : String(names) }
}

type Reason = PreflightRefusal | 'route'

/** Why the preflight is refused; undefined: it is allowed. */
function decide (candidates: readonly (CorsPolicy | undefined)[], asked: Preflight): Reason | undefined {
  for (const policy of candidates) {
    const decision = policy && preflight(policy, asked)
    if (decision?.allowed !== true) return decision?.reason ?? 'route'
  }
  return candidates.length === 0 ? 'route' : undefined
}

function why (reason: Reason = 'route', policy: CorsPolicy | undefined, asked: Preflight): string {
  return reason === 'route' || policy === undefined
    ? `there is no route for ${asked.method} here that other origins may call`
    : explain(reason, policy, asked)
}

function refusePreflight ({ raw }: FastifyReply, debug: string | undefined): Refusal {
  addPairToHead(raw, 'vary', preflightVary)
  return debug === undefined ? refused : refusal('SECURE_API_CORS_REFUSED', { reason: debug, extensions: { debug } })
}

export default suitePlugin('secure-api-cors', cors)
