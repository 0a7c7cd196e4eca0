import type { FastifyPluginAsync, FastifyReply, onSendHookHandler } from 'fastify'
import { defineSection, type Environment } from '../lib/config/index.ts'
import { claim, type OverTls } from '../lib/edge/index.ts'
import {
  compileHeaders, compileNonceTable, HeadersOptionsSchema, headSets, mergeHeaders, RouteHeadersSchema, validateHeaders,
  validateRouteHeaders, type EffectiveHeaders, type HeadersOptions, type HeaderTable, type RouteHeaders
} from '../lib/headers/index.ts'
import { addPairToHead, addVary, headSetOf, setHead, withoutSharing } from '../lib/http/index.ts'
import { routeOption, type Handler, type RouteInfo } from '../lib/pipeline/index.ts'
import { decorating } from './decorators.ts'
import edge from './edge.ts'
import type { Misspelt } from './misspelt.ts'
import { refuseBeside } from './neighbours.ts'
import { warnOfBlankPages } from './openapi-pages.ts'
import { pipelineOf } from './pipeline.ts'
import { collectReports } from './reports.ts'
import { contextOf, overTlsOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'

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

/** HSTS has no meaning where no request can come over TLS (RFC 6797 §8.1); where some can, each one is asked. */
export const headersSection = defineSection<HeadersOptions, HeadersOptions>({
  key: 'headers',
  schema: HeadersOptionsSchema,
  rules: validateHeaders,
  /** Browsers are told the whole path of the collector. */
  compile: (options, { prefix }) =>
    options.reports ? { ...options, reports: { ...options.reports, path: prefix + options.reports.path } } : options
})

const headers: FastifyPluginAsync<HeadersPluginOptions> = async (app, { environment, ...written }) => {
  const context = contextOf(app, environment)
  const { options: given, compiled: options } = await headersSection.open(written, context)
  refuseBeside(app, 'headers')
  const pipeline = pipelineOf(app)
  const table = compileHeaders(options, context)
  const isSecure = overTlsOf(app)
  pipeline.add({
    name: 'headers',
    phase: 'headers',
    option: routeOption<RouteHeaders, Stated>({
      key: 'headers',
      schema: RouteHeadersSchema,
      refine: (stated, { path, problems }) => {
        const isSound = stated !== undefined && problems.clean(found => validateRouteHeaders(options, stated, path, found, context))
        return { stated, effective: isSound ? mergeHeaders(options, stated) : undefined }
      }
    }),
    compile ({ route, own: { effective } }) {
      const isGuarded = pipeline.has('authentication') && (effective ?? options).cacheControl === undefined
      const own = effective === undefined ? table : compileHeaders(effective, context)
      return { hook: 'onRequest', handler: writer(own, route, isGuarded, isSecure) }
    },
    posture: ({ stated = 'default' }) => ({ headers: stated })
  })
  pipeline.offer({ edgeHeaders: table })
  await app.register(edge)
  if (given.profile === undefined && given.contentSecurityPolicy === undefined) warnOfBlankPages(app, pipeline)
  app.decorateReply(kNonce, null)
  decorating(app).decorateReply('cspNonce', { getter: nonceOf })
  if ((app.initialConfig.http2 as boolean | undefined) === true) app.addHook('onSend', finishHttp2)
  if (given.reports) await collectReports(app, given.reports, pipeline)
}

/** What a route states, and what results when it is laid over the application's. */
interface Stated { readonly stated: RouteHeaders | undefined, readonly effective: EffectiveHeaders | undefined }

/** Headers wait in the raw response: there, `reply.hijack()` and streams written to `reply.raw` send them too. */
function writer (table: HeaderTable, { kind, config }: RouteInfo, isGuarded: boolean, isSecure: OverTls): Handler {
  const isPublic = config.public === true && config.authentication === undefined
  const { http, https } = headSets(table, { isPublic, isRoute: kind === 'route', isGuarded })
  const withNonce = table.nonces.length > 0 ? compileNonceTable(table) : undefined
  return (request, reply) => {
    const { raw } = reply
    claim(raw)
    setHead(raw, http !== https && isSecure(request.raw) ? https : http)
    if (withNonce === undefined) return
    const { nonce, headers } = withNonce()
    for (const [name, value] of headers) addPairToHead(raw, name, value);
    (reply as WithNonce)[kNonce] = nonce
  }
}

/** Responses of HTTP/2 got their headers at once, before the status was known and before a handler set its own. */
const finishHttp2: onSendHookHandler = (_request, reply, payload, done) => {
  const { raw } = reply
  const set = headSetOf(raw)
  for (const name of set?.remove ?? []) reply.removeHeader(name).raw.removeHeader(name)
  const vary = raw.getHeader('vary')
  if (reply.hasHeader('vary') && vary !== undefined) reply.header('vary', addVary(String(vary), String(reply.getHeader('vary'))))
  const stated = set?.isPrivate === true && reply.hasHeader('cache-control') ? reply.getHeader('cache-control') : undefined
  if (stated !== undefined) reply.header('cache-control', withoutSharing(String(stated)))
  if (set !== undefined && reply.statusCode < 400) {
    raw.removeHeader('cache-control')
    for (const [name, value] of set.success.pairs) raw.setHeader(name, value)
  }
  done(null, payload)
}

function nonceOf (this: WithNonce): FastifyReply['cspNonce'] {
  const nonce = this[kNonce] ?? null
  return nonce === null ? null : { script: nonce, style: nonce }
}

export default suitePlugin('secure-api-headers', headers)
