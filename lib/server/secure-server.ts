import type { Server as HttpServer, ServerOptions as HttpOptions } from 'node:http'
import type { Http2SecureServer, SecureServerOptions as Http2Options } from 'node:http2'
import type { Server as HttpsServer, ServerOptions as HttpsOptions } from 'node:https'
import type { Server as TlsServer } from 'node:tls'
import querystring from 'fast-querystring'
import type { FastifyHttp2SecureOptions, FastifyHttpOptions, FastifyHttpsOptions, FastifyServerOptions } from 'fastify'
import { check, environmentOf, milliseconds, Problems, type Duration } from '../config/index.ts'
import { edgePairsBy, overTls, proxiesOf } from '../edge/index.ts'
import { compileHeaders } from '../headers/index.ts'
import type { Finding } from './certificate.ts'
import { CertificateStore, judge } from './certificate-store.ts'
import { clientErrorHandler, frameworkErrors, houseResponse } from './house-response.ts'
import { checkPassphrase, keyFileFindings, readNow } from './material.ts'
import { SecureServerOptionsSchema, type SecureServerOptions, type TlsOptions } from './options.ts'
import { requestIds, withoutQuery } from './request-log.ts'
import { validateServer } from './validate.ts'

type WithTls = SecureServerOptions & { tls: TlsOptions }
type ServerOptions = FastifyServerOptions & { http2?: true, https?: HttpsOptions | Http2Options, http?: HttpOptions }

/**
 * Constructor options for Fastify that no plugin can set: limits against slow and oversized requests, trusted proxies, TLS, and the
 * house format for refusals before any hook. Certificates are reloaded if the suite or its plugin `tls` is registered.
 *
 * @throws ConfigurationError with every mistake, those of the certificate too.
 *
 * @example
 * const app = Fastify({ ...secureServer({ tls: { cert: '/etc/tls/fullchain.pem', key: '/etc/tls/privkey.pem' } }), logger: true })
 */
export function secureServer (options: WithTls & { http2: true }): FastifyHttp2SecureOptions<Http2SecureServer>
export function secureServer (options: WithTls & { http2?: false }): FastifyHttpsOptions<HttpsServer>
export function secureServer (options?: SecureServerOptions & { tls?: never, http2?: false }): FastifyHttpOptions<HttpServer>
export function secureServer (options: SecureServerOptions = {}): object {
  return createServerOptions(options, Date.now)
}

/** As `secureServer`, with a clock. */
export function createServerOptions (options: SecureServerOptions, now: () => number): ServerOptions {
  const store = certificates(options, now)
  const { tls, http2 = false, trustProxy = false } = options
  const limits = limitsOf(options)
  const secure = tls !== undefined || trustProxy !== false
  const pairs = edgePairsBy(compileHeaders({}, { environment: environmentOf(options.environment), secure }))
  const http = { ...limits, ServerResponse: houseResponse(pairs, overTls(trustProxy)) }
  const handlers = { frameworkErrors: frameworkErrors(pairs), clientErrorHandler: clientErrorHandler(pairs(tls !== undefined)) }
  const common = { ...fastifyOptions(options, limits), ...handlers }
  if (tls === undefined || store === undefined) return { ...common, http }
  if (!http2) return { ...common, https: { ...tlsServer(tls, store), ...http } }
  // 100 streams per client, and headers as large as over HTTP/1. nghttp2 limits resets (CVE-2023-44487).
  const settings = { maxConcurrentStreams: 100, maxHeaderListSize: limits.maxHeaderSize, enablePush: false }
  return { ...common, http2: true, https: { ...tlsServer(tls, store), allowHTTP1: true, settings } }
}

const MAX_PARAMETERS = 1000

/** As Fastify alone reads it, up to a limit. */
function parseQuery (text: string): Record<string, unknown> {
  return querystring.parse(text.length < MAX_PARAMETERS ? text : text.slice(0, endOfParameters(text)))
}

/** Where the last parameter that counts ends. Those without a name and a value count, too. */
function endOfParameters (text: string): number {
  let end = -1
  for (let count = 0; count < MAX_PARAMETERS; count++) {
    end = text.indexOf('&', end + 1)
    if (end === -1) return text.length
  }
  return end
}

type Limits = ReturnType<typeof limitsOf>

function fastifyOptions (options: SecureServerOptions, { requestTimeout, keepAliveTimeout }: Limits): FastifyServerOptions {
  const { trustProxy = false, handlerTimeout, requestIdHeader } = options
  const proxies = proxiesOf(trustProxy)
  return {
    bodyLimit: options.bodyLimit ?? 262_144,
    // Fastify reads the whole query before any hook runs, and 15 KB of `%&` cost a stranger nothing (docs/decisions/cost-of-a-stranger.md).
    routerOptions: { maxParamLength: options.maxParamLength ?? 100, querystringParser: parseQuery },
    connectionTimeout: ms(options.connectionTimeout, 120_000),
    requestTimeout,
    keepAliveTimeout,
    ...(handlerTimeout === undefined ? undefined : { handlerTimeout: milliseconds(handlerTimeout) }),
    // Fastify's defaults, stated: a body with `__proto__` or `constructor.prototype` in it is refused, not cleaned.
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    return503OnClosing: options.return503OnClosing ?? true,
    requestIdHeader: false,
    genReqId: requestIds(requestIdHeader, proxies),
    childLoggerFactory: withoutQuery,
    trustProxy: proxies.length === 0 ? false : [...proxies]
  }
}

/** No limit on requests per connection: it slows good clients down, and bad ones open another connection. */
function limitsOf (options: SecureServerOptions) {
  return {
    maxHeaderSize: options.maxHeaderSize ?? 16_384,
    headersTimeout: ms(options.headersTimeout, 10_000),
    requestTimeout: ms(options.requestTimeout, 30_000),
    keepAliveTimeout: ms(options.keepAliveTimeout, 72_000),
    connectionsCheckingInterval: 5000,
    requireHostHeader: true,
    insecureHTTPParser: false
  }
}

function tlsServer ({ clientCertificates, handshakeTimeout }: TlsOptions, { context }: CertificateStore): HttpsOptions {
  return {
    ...context,
    handshakeTimeout: ms(handshakeTimeout, 10_000),
    ...(clientCertificates === undefined ? undefined : { requestCert: true, rejectUnauthorized: clientCertificates.required ?? true })
  }
}

/** Validates everything and throws all mistakes at once, else returns the certificate store. */
function certificates (options: SecureServerOptions, now: () => number): CertificateStore | undefined {
  const problems = new Problems()
  const production = environmentOf(options.environment) === 'production'
  check(SecureServerOptionsSchema, options, '', problems)
  if (!problems.any) validateServer(options, problems)
  if (!problems.any && options.tls !== undefined) checkPassphrase(options.tls, production, 'tls.passphrase', problems)
  const store = problems.any || options.tls === undefined ? undefined : openStore(options, options.tls, now, problems)
  problems.throwIfAny()
  return store
}

function openStore (options: SecureServerOptions, tls: TlsOptions, now: () => number, problems: Problems): CertificateStore | undefined {
  const material = readNow(tls, 'tls', problems)
  if (environmentOf(options.environment) === 'production') report(keyFileFindings(tls), problems)
  if (material === undefined) return undefined
  const judged = judge(material, tls, now())
  if ('pair' in judged) {
    // For HTTP/1 clients, Node's HTTP/2 server reads these from its own properties, not from its options.
    const prepare = (server: TlsServer) => { if (options.http2 === true) Object.assign(server, limitsOf(options)) }
    return new CertificateStore({ tls, pair: judged.pair, now, prepare })
  }
  report(judged.refused, problems)
  return undefined
}

function report (findings: readonly Finding[], problems: Problems): void {
  for (const { code, why, fix } of findings) problems.add(code, places[code] ?? 'tls.cert', why, fix)
}

const places: Readonly<Record<string, string>> = {
  SECURE_API_SECRET_FILE_MODE: 'tls.key',
  SECURE_API_TRUST_FILE_MODE: 'tls.clientCertificates.ca',
  SECURE_API_TLS_KEY: 'tls.key',
  SECURE_API_TLS_KEY_MISMATCH: 'tls.key',
  SECURE_API_TLS_CLIENT_CA: 'tls.clientCertificates.ca'
}

function ms (value: Duration | undefined, fallback: number): number {
  return value === undefined ? fallback : milliseconds(value)
}
