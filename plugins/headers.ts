import type { FastifyInstance, FastifyPluginAsync, FastifyReply, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { check, environmentOf, ownOptions, Problems, type Environment } from '../lib/config/index.ts'
import {
  compileHeaders, compileNonceTable, HeadersOptionsSchema, headPlans, mergeHeaders, RouteHeadersSchema, validateHeaders, validateRouteHeaders,
  type EffectiveHeaders, type HeadersContext, type HeadersOptions, type HeaderTable, type RouteHeaders
} from '../lib/headers/index.ts'
import { addPairToHead, addVary, headPlanOf, planHead, withoutSharing } from '../lib/http/index.ts'
import type { Handler, Pipeline, RouteInfo } from '../lib/pipeline/index.ts'
import { claim, edgeAnswers, installEdge, overTls } from '../lib/server/index.ts'
import { decorating } from './decorators.ts'
import type { Misspelt } from './misspelt.ts'
import { neighbours, refuseBeside } from './neighbours.ts'
import { warnOfBlankPages } from './openapi-pages.ts'
import { pipelineOf } from './pipeline.ts'
import { collectReports } from './reports.ts'
import { canBeSecure, closingOf, serverOptionsOf } from './transport.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Changes to the security headers for this route, laid over the application's one by one. */
    headers?: RouteHeaders & Misspelt<keyof RouteHeaders>
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

const headers: FastifyPluginAsync<HeadersPluginOptions> = async (app, { environment, ...written }) => {
  const given = ownOptions(HeadersOptionsSchema, written)
  const context = headersContext(app, environment)
  const problems = new Problems()
  checkHeaders(given, context, problems)
  problems.throwIfAny()

  refuseBeside(app, neighbours.helmet, {
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
    keys: ['headers'],
    compile (route, found) {
      const own = routeOptions(route, options, context, found)
      return { hook: 'onRequest', handler: writer(own === undefined ? table : compileHeaders(own, context), route, pipeline.has('authentication') && (own ?? options).cacheControl === undefined) }
    },
    posture: ({ config }) => ({ headers: config.headers ?? 'default' })
  })
  guardEdge(app, table, pipeline)
  if (given.profile === undefined && given.contentSecurityPolicy === undefined) warnOfBlankPages(app, pipeline)
  app.decorateReply(kNonce, null)
  decorating(app).decorateReply('cspNonce', { getter: nonceOf })
  if (isHttp2(app)) app.addHook('onSend', finishHttp2)
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
    overTls: overTls(serverOptionsOf(app)?.trustProxy),
    isClosing: closingOf(app),
    onClientError: ({ status, address }) => pipeline.onEdgeAnswer({ status, code: edgeAnswers[status], address })
  })
  app.addHook('preClose', async () => edge.closing())
  app.addHook('onClose', async () => edge.dispose())
}

/**
 * HSTS has no meaning where no request can come over TLS (RFC 6797 §8.1). Where some can, each one is asked:
 * `request.protocol` knows this server's TLS and a trusted proxy's.
 */
export function headersContext (app: FastifyInstance, environment: Environment | undefined): HeadersContext {
  return { environment: environmentOf(environment), secure: canBeSecure(app) }
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
 * Headers wait for the head of the raw response: there they are part of an answer that never comes back to Fastify too
 * (`reply.hijack()`, streams written to `reply.raw`).
 */
function writer (table: HeaderTable, { kind, config }: RouteInfo, isGuarded: boolean): Handler {
  const { http, https } = headPlans(table, { isPublic: config.public === true && config.authentication === undefined, isRoute: kind === 'route', isGuarded })
  const withNonce = table.nonces.length > 0 ? compileNonceTable(table) : undefined
  return (request, reply) => {
    const { raw } = reply
    claim(raw)
    planHead(raw, http !== https && request.protocol === 'https' ? https : http)
    if (withNonce === undefined) return
    const { nonce, headers } = withNonce()
    for (const [name, value] of headers) addPairToHead(raw, name, value);
    (reply as WithNonce)[kNonce] = nonce
  }
}

/** Responses of HTTP/2 got their headers at once, before the status was known and before a handler set its own. */
const finishHttp2: onSendHookHandler = (_request, reply, payload, done) => {
  const { raw } = reply
  const plan = headPlanOf(raw)
  for (const name of plan?.remove ?? []) reply.removeHeader(name).raw.removeHeader(name)
  const vary = raw.getHeader('vary')
  if (reply.hasHeader('vary') && vary !== undefined) reply.header('vary', addVary(String(vary), String(reply.getHeader('vary'))))
  const stated = plan?.isPrivate === true && reply.hasHeader('cache-control') ? reply.getHeader('cache-control') : undefined
  if (stated !== undefined) reply.header('cache-control', withoutSharing(String(stated)))
  if (plan !== undefined && reply.statusCode < 400) {
    raw.removeHeader('cache-control')
    for (const [name, value] of plan.success.pairs) raw.setHeader(name, value)
  }
  done(null, payload)
}

function isHttp2 ({ initialConfig }: FastifyInstance): boolean {
  return initialConfig.http2 === true
}

function nonceOf (this: FastifyReply): { script: string, style: string } | null {
  const nonce = (this as WithNonce)[kNonce] ?? null
  return nonce === null ? null : { script: nonce, style: nonce }
}

export default fp(headers, { fastify: '5.x', name: 'secure-api-headers' })
