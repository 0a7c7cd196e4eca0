import { environmentOf, parseDuration, type Problems } from '../config/index.ts'
import type { SecureServerOptions, TlsOptions } from './options.ts'
import { validateTrustProxy } from './trust-proxy.ts'

/** Timeouts that, if wrong, keep a connection forever or cut it before use. */
const timeouts = ['headersTimeout', 'requestTimeout', 'connectionTimeout', 'keepAliveTimeout', 'handlerTimeout'] as const
/** Longest timer of Node, in milliseconds. */
const longest = 2_147_483_647

/** Checks beyond the schema, for options that passed it. */
export function validateServer (options: SecureServerOptions, path: string, problems: Problems): void {
  for (const name of timeouts) checkDuration(options[name], join(path, name), 1, problems)
  checkOrder(options, path, problems)
  validateTrustProxy(options.trustProxy, join(path, 'trustProxy'), problems)
  if (options.tls !== undefined) validateTls(options.tls, join(path, 'tls'), problems)
  checkTransport(options, path, problems)
  checkRequestId(options, path, problems)
}

function checkTransport (options: SecureServerOptions, path: string, problems: Problems): void {
  const { tls, http2, trustProxy = false, dangerouslyAllowPlaintext = false, environment } = options
  if (http2 === true && tls === undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', join(path, 'http2'), 'browsers and most clients use HTTP/2 over TLS only',
      'Add `tls`, or leave HTTP/2 to the proxy.')
  }
  if (tls !== undefined || trustProxy !== false || dangerouslyAllowPlaintext || environmentOf(environment) !== 'production') return
  problems.add('SECURE_API_SERVER_PLAINTEXT', join(path, 'tls'), 'in production, tokens would travel unencrypted',
    'Give `tls`, or list the proxy that terminates TLS in `trustProxy`; `dangerouslyAllowPlaintext: true` accepts the risk.')
}

function checkRequestId ({ requestIdHeader, trustProxy = false }: SecureServerOptions, path: string, problems: Problems): void {
  if (requestIdHeader === undefined || trustProxy !== false) return
  problems.add('SECURE_API_OPTION_CONFLICT', join(path, 'requestIdHeader'),
    'without a trusted proxy, callers could choose their request ids', 'List the proxy in `trustProxy`, or omit the header.')
}

/** Node rejects a headersTimeout longer than the requestTimeout. */
function checkOrder (options: SecureServerOptions, path: string, problems: Problems): void {
  const { headersTimeout = '10 seconds', requestTimeout = '30 seconds' } = options
  const [headers = 0, request = 0] = [parseDuration(headersTimeout), parseDuration(requestTimeout)]
  if (headers <= request) return
  problems.add('SECURE_API_OPTION_CONFLICT', join(path, 'headersTimeout'), 'the headers may take longer than the whole request',
    'Make it at most `requestTimeout`.')
}

function validateTls (tls: TlsOptions, path: string, problems: Problems): void {
  const { minVersion = 'TLSv1.2', cert, key, provider, reload } = tls
  if (!['TLSv1.2', 'TLSv1.3'].includes(minVersion)) {
    problems.add('SECURE_API_TLS_MIN_VERSION', `${path}.minVersion`, 'versions below 1.2 are broken (RFC 8996), and 1.3 is the latest',
      "Write 'TLSv1.2' or 'TLSv1.3'.")
  }
  if ((cert === undefined) !== (key === undefined) || (cert === undefined && provider === undefined)) {
    problems.add('SECURE_API_TLS_CERTIFICATE_MISSING', `${path}.${cert === undefined ? 'cert' : 'key'}`,
      'without both, every handshake fails', 'Give `cert` and `key`, or a `provider`.')
  }
  if (reload !== false) checkDuration(reload, `${path}.reload`, 1000, problems)
  checkDuration(tls.handshakeTimeout, `${path}.handshakeTimeout`, 1, problems)
}

function checkDuration (value: string | number | undefined, path: string, shortest: number, problems: Problems): void {
  const ms = value === undefined ? shortest : parseDuration(value) ?? shortest
  if (ms >= shortest && ms <= longest) return
  problems.add('SECURE_API_OPTION_RANGE', path, `${ms} ms is out of range`, `Give ${shortest} ms to 24 days.`)
}

function join (path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
