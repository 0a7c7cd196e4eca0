import { BlockList, isIP } from 'node:net'
import { environmentOf, parseDuration, type Problems } from '../config/index.ts'
import { proxiesOf } from '../edge/index.ts'
import type { SecureServerOptions, TlsOptions } from './options.ts'

/** Timeouts that, if wrong, keep a connection forever or cut it before use. */
const timeouts = ['headersTimeout', 'requestTimeout', 'connectionTimeout', 'keepAliveTimeout', 'handlerTimeout'] as const
/** Longest timer of Node, in milliseconds. */
const longest = 2_147_483_647

/** Checks beyond the schema, for options that passed it. */
export function validateServer (options: SecureServerOptions, problems: Problems): void {
  for (const name of timeouts) checkDuration(options[name], name, 1, problems)
  checkOrder(options, problems)
  validateTrustProxy(options.trustProxy, problems)
  if (options.tls !== undefined) validateTls(options.tls, problems)
  checkTransport(options, problems)
  checkRequestId(options, problems)
}

function checkTransport (options: SecureServerOptions, problems: Problems): void {
  const { tls, http2, trustProxy = false, dangerouslyAllowPlaintext = false, environment } = options
  if (http2 === true && tls === undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', 'http2', 'browsers and most clients use HTTP/2 over TLS only',
      'Add `tls`, or leave HTTP/2 to the proxy.')
  }
  if (tls !== undefined || trustProxy !== false || dangerouslyAllowPlaintext || environmentOf(environment) !== 'production') return
  problems.add('SECURE_API_SERVER_PLAINTEXT', 'tls', 'in production, tokens would travel unencrypted',
    'Give `tls`, or list the proxy that terminates TLS in `trustProxy`; `dangerouslyAllowPlaintext: true` accepts the risk.')
}

function checkRequestId ({ requestIdHeader, trustProxy = false }: SecureServerOptions, problems: Problems): void {
  if (requestIdHeader === undefined || trustProxy !== false) return
  problems.add('SECURE_API_OPTION_CONFLICT', 'requestIdHeader',
    'without a trusted proxy, callers could choose their request ids', 'List the proxy in `trustProxy`, or omit the header.')
}

/** Node rejects a headersTimeout longer than the requestTimeout. */
function checkOrder (options: SecureServerOptions, problems: Problems): void {
  const { headersTimeout = '10 seconds', requestTimeout = '30 seconds' } = options
  const [headers = 0, request = 0] = [parseDuration(headersTimeout), parseDuration(requestTimeout)]
  if (headers <= request) return
  problems.add('SECURE_API_OPTION_CONFLICT', 'headersTimeout', 'the headers may take longer than the whole request',
    'Make it at most `requestTimeout`.')
}

function validateTls (tls: TlsOptions, problems: Problems): void {
  const { minVersion = 'TLSv1.2', cert, key, provider, reload } = tls
  if (!['TLSv1.2', 'TLSv1.3'].includes(minVersion)) {
    problems.add('SECURE_API_TLS_MIN_VERSION', 'tls.minVersion', 'versions below 1.2 are broken (RFC 8996), and 1.3 is the latest',
      "Write 'TLSv1.2' or 'TLSv1.3'.")
  }
  if ((cert === undefined) !== (key === undefined) || (cert === undefined && provider === undefined)) {
    problems.add('SECURE_API_TLS_CERTIFICATE_MISSING', cert === undefined ? 'tls.cert' : 'tls.key',
      'without both, every handshake fails', 'Give `cert` and `key`, or a `provider`.')
  }
  if (reload !== false) checkDuration(reload, 'tls.reload', 1000, problems)
  checkDuration(tls.handshakeTimeout, 'tls.handshakeTimeout', 1, problems)
}

function checkDuration (value: string | number | undefined, path: string, shortest: number, problems: Problems): void {
  const ms = value === undefined ? shortest : parseDuration(value) ?? shortest
  if (ms >= shortest && ms <= longest) return
  problems.add('SECURE_API_OPTION_RANGE', path, `${ms} ms is out of range`, `Give ${shortest} ms to 24 days.`)
}

/** Names that proxy-addr knows. */
const named = ['loopback', 'linklocal', 'uniquelocal']

/** Prefixes of the widest private networks (RFC 1918, RFC 4193); shorter ones include strangers. */
const shortest: Readonly<Record<number, number>> = { 4: 8, 6: 7 }
/** IPv4-mapped addresses (RFC 4291 §2.5.5.2): `proxy-addr` matches IPv4 callers with them, so the IPv4 part counts. */
const mapped = blockList([{ address: '::ffff:0:0', bits: 96 }])

const howTo = "List the proxies by address or network: ['10.0.0.0/8', '::1'], or 'loopback'."

export function validateTrustProxy (value: unknown, problems: Problems, path = 'trustProxy'): void {
  if (value === undefined || value === false) return
  const why = refusedTypes[Array.isArray(value) ? 'list' : typeof value] ?? `it is of type ${typeof value}`
  if (why !== '') return problems.add('SECURE_API_SERVER_TRUST_PROXY', path, why, howTo)
  const list = proxiesOf(value)
  if (list.length === 0) problems.add('SECURE_API_OPTION_EMPTY', path, 'the list is empty', 'List at least one, or omit the option.')
  list.forEach((entry, index) => validateEntry(entry, typeof value === 'string' ? path : `${path}[${index}]`, problems))
}

const refusedTypes: Readonly<Record<string, string>> = {
  list: '',
  string: '',
  number: 'a number of hops trusts nobody since Fastify 5.12.1 (CVE-2026-16732), and trusted strangers before',
  boolean: '`true` trusts the leftmost X-Forwarded-For, which the caller writes, and defeats every limit by address',
  function: 'a function cannot be checked'
}

function validateEntry (entry: string, path: string, problems: Problems): void {
  if (named.includes(entry)) return
  const parsed = parse(entry)
  if (parsed === undefined) {
    return problems.add('SECURE_API_SERVER_TRUST_PROXY', path, `'${entry.slice(0, 60)}' is not an address or a CIDR network`, howTo)
  }
  const { family, prefix } = parsed
  if (prefix < (shortest[family] ?? 0)) {
    problems.add('SECURE_API_SERVER_TRUST_PROXY_WIDE', path, `'${entry}' is wider than any private network`, howTo)
  }
}

interface Network { readonly address: string, readonly bits: number }

/** An address is a network of one. Zones and netmasks are not supported. */
function parse (entry: string): Network & { family: 4 | 6, prefix: number } | undefined {
  const [, address = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const family = isIP(address)
  if (family !== 4 && family !== 6) return undefined
  const longest = family === 4 ? 32 : 128
  const bits = length === undefined ? longest : Number(length)
  if (bits > longest) return undefined
  const isMapped = family === 6 && holdsMapped(address, bits)
  return { address, bits, family: isMapped ? 4 : family, prefix: isMapped ? bits - 96 : bits }
}

function holdsMapped (address: string, bits: number): boolean {
  return mapped.check(address, 'ipv6') || blockList([{ address, bits }]).check('::ffff:0:0', 'ipv6')
}

function blockList (networks: readonly Network[]): BlockList {
  const list = new BlockList()
  // Not isIP(): Node compiles its expression for IPv6 at the first call, which takes 20 ms of every start.
  for (const { address, bits } of networks) list.addSubnet(address, bits, address.includes(':') ? 'ipv6' : 'ipv4')
  return list
}
