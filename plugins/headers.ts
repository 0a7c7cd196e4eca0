import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { check, environmentOf, Problems, type Environment } from '../lib/config/index.ts'
import {
  cacheControl, compileHeaders, compileNonceTable, HeadersOptionsSchema, mergeHeaders, RouteHeadersSchema, validateHeaders, validateRouteHeaders,
  type EffectiveHeaders, type HeaderPair, type HeadersContext, type HeadersOptions, type HeaderTable, type RouteHeaders
} from '../lib/headers/index.ts'
import type { Handler, Pipeline, RouteInfo } from '../lib/pipeline/index.ts'
import { claim, edgeAnswers, installEdge } from '../lib/server/index.ts'
import { refuseBeside } from './neighbours.ts'
import { pipelineOf } from './pipeline.ts'
import { collectReports } from './reports.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Changes to the security headers for this route, laid over the application's one by one. */
    headers?: RouteHeaders
  }
  interface FastifyReply {
    /** The nonce of this response, on routes whose `contentSecurityPolicy` asks for nonces. */
    readonly cspNonce: { readonly script: string, readonly style: string } | null
  }
}

export type HeadersPluginOptions = HeadersOptions & {
  /** @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

const kNonce = Symbol('secure-api.nonce')
type WithNonce = FastifyReply & { [kNonce]?: string | null }

const headers: FastifyPluginAsync<HeadersPluginOptions> = async (app, { environment, ...given }) => {
  const context = headersContext(environment)
  const problems = new Problems()
  checkHeaders(given, context, problems)
  problems.throwIfAny()

  refuseBeside(app, '@fastify/helmet', {
    code: 'SECURE_API_HEADERS_DUPLICATE',
    path: 'headers',
    why: '@fastify/helmet is registered in the same scope and would write the same headers again',
    fix: 'Remove it, or set `headers: false`.'
  })
  const pipeline = pipelineOf(app)
  const options = withPrefix(given, app.prefix)
  const table = compileHeaders(options, context)
  pipeline.add({
    name: 'headers',
    phase: 'headers',
    compile (route, found) {
      const own = routeOptions(route, options, context, found)
      return { hook: 'onRequest', handler: writer(own === undefined ? table : compileHeaders(own, context), route) }
    },
    posture: ({ config }) => ({ headers: config.headers ?? 'default' })
  })
  guardEdge(app, table, pipeline)
  app.decorateReply(kNonce, null)
  app.decorateReply('cspNonce', { getter: nonceOf })
  if (table.remove.length > 0) app.addHook('onSend', removeHeaders(table.remove))
  app.addHook('onRoute', function cacheAnswers (route) {
    const { headers: own, public: isPublic } = route.config ?? {}
    const effective = own === undefined ? table : compileHeaders(mergeHeaders(options, own), context)
    if (isPublic !== true && !dependsOnStatus(effective)) return
    route.onSend = [...[route.onSend ?? []].flat(), cacheHook(effective, isPublic === true)]
  })
  if (given.reports) await collectReports(app, given.reports, pipeline)
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export function checkHeaders (options: HeadersOptions, context: HeadersContext, problems: Problems): void {
  const before = problems.list().length
  check(HeadersOptionsSchema, options, 'headers', problems)
  if (problems.list().length === before) validateHeaders(options, 'headers', problems, context)
}

/** Browsers are told the whole path of the collector. */
function withPrefix (options: HeadersOptions, prefix: string): HeadersOptions {
  const { reports } = options
  return reports ? { ...options, reports: { ...reports, path: prefix + reports.path } } : options
}

/** Answers that no hook sees. The server belongs to the root: a child scope leaves it alone. */
function guardEdge (app: FastifyInstance, table: HeaderTable, pipeline: Pipeline): void {
  if (!Object.hasOwn(app, 'server')) return
  const { maxParamLength = 100 } = { ...app.initialConfig, ...app.initialConfig.routerOptions }
  const edge = installEdge(app.server, {
    table,
    maxParamLength,
    originHeaders: origin => pipeline.originHeaders(origin),
    onClientError: ({ status, address }) => pipeline.onEdgeAnswer({ status, code: edgeAnswers[status], address })
  })
  app.addHook('preClose', async () => edge.closing())
  app.addHook('onClose', async () => edge.dispose())
}

/** Whether a request came over TLS is asked of each one: `request.protocol` knows this server's TLS and a trusted proxy's. */
export function headersContext (environment: Environment | undefined): HeadersContext {
  return { environment: environmentOf(environment), secure: true }
}

function routeOptions ({ config, label }: RouteInfo, base: HeadersOptions, context: HeadersContext, problems: Problems): EffectiveHeaders | undefined {
  if (!('headers' in config)) return undefined
  const before = problems.list().length
  check(RouteHeadersSchema, config.headers, `${label}: config.headers`, problems)
  if (problems.list().length > before) return undefined
  const own = config.headers as RouteHeaders
  validateRouteHeaders(base, own, `${label}: config.headers`, problems, context)
  return problems.list().length > before ? undefined : mergeHeaders(base, own)
}

/**
 * Headers go on the raw response at once: there they survive an answer that never comes back to Fastify
 * (`reply.hijack()`, streams written to `reply.raw`).
 */
function writer (table: HeaderTable, route: RouteInfo): Handler {
  const always = [...table.headers, ...cacheOf(table, route)]
  const { hsts } = table
  const withNonce = table.nonces.length > 0 ? compileNonceTable(table) : undefined
  return (request, reply) => {
    const { raw } = reply
    claim(raw)
    for (const [name, value] of always) raw.setHeader(name, value)
    if (hsts !== undefined && request.protocol === 'https') raw.setHeader(hsts[0], hsts[1])
    if (withNonce === undefined) return
    const { nonce, headers } = withNonce()
    for (const [name, value] of headers) raw.setHeader(name, value);
    (reply as WithNonce)[kNonce] = nonce
  }
}

/**
 * What is not public is never stored by a cache (RFC 9111 §3.5). Where the status decides, `onSend` writes the header;
 * a route declared before the suite has no such hook and gets the strict one.
 */
function cacheOf (table: HeaderTable, { kind, early, config }: RouteInfo): HeaderPair[] {
  const hooked = kind === 'route' && !early && (config.public === true || dependsOnStatus(table))
  return hooked || table.cache.error === undefined ? [] : [table.cache.error]
}

function dependsOnStatus ({ cache }: HeaderTable): boolean {
  return cache.authenticated?.[1] !== cache.error?.[1]
}

/** Where success and failure differ, the status decides; a handler's own Cache-Control wins. */
function cacheHook (table: HeaderTable, isPublic: boolean) {
  return async function setCacheControl (_request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (reply.hasHeader('cache-control')) return
    const pair = cacheControl(table, reply.statusCode, !isPublic)
    if (pair !== undefined) reply.header(pair[0], pair[1])
  }
}

/** What a handler, or an upstream that it forwards from, says of the software behind. */
function removeHeaders (names: readonly string[]): onSendHookHandler {
  return function removeTelltales (_request, reply, payload, done) {
    for (const name of names) if (reply.hasHeader(name) || reply.raw.hasHeader(name)) reply.removeHeader(name).raw.removeHeader(name)
    done(null, payload)
  }
}

function nonceOf (this: FastifyReply): { script: string, style: string } | null {
  const nonce = (this as WithNonce)[kNonce] ?? null
  return nonce === null ? null : { script: nonce, style: nonce }
}

export default fp(headers, { fastify: '5.x', name: 'secure-api-headers' })
