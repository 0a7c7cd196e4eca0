import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import type { Problems } from '../config/index.ts'
import type { ClientCertificate, OnPeer, Route } from './connect.ts'
import { textOf, type SecretSource } from '../secrets/index.ts'
import { createExchange, createFetch, type Exchange, type FetchDocument } from './fetch.ts'

interface RouteOptions {
  readonly proxy?: string | false
  readonly ca?: string
  readonly onPeer?: OnPeer
}

type Variables = Readonly<Record<string, string | undefined>>

/** How the documents of an issuer are fetched: over the proxy that the options or the environment name, if any. */
export function fetchOver (options: RouteOptions = {}, env: Variables = process.env): FetchDocument {
  return createFetch(routeOf(options, env))
}

/** The same way for any request, with a certificate where the issuer asks for one. */
export function exchangeOver (options: RouteOptions = {}, client: ClientCertificate = {}, env: Variables = process.env): Exchange {
  return createExchange({ ...routeOf(options, env), ...client })
}

function routeOf ({ proxy, ca, onPeer }: RouteOptions, env: Variables): Route {
  const url = proxy === undefined ? proxyIn(env)?.url : proxy === false ? undefined : proxy
  const noProxy = proxy === undefined ? variable(env, 'NO_PROXY')?.value ?? '' : ''
  const authorities = ca === undefined ? undefined : authoritiesIn(ca)
  return {
    ...(url === undefined ? undefined : { proxy: new URL(url), direct: target => isDirect(target, noProxy) }),
    ...(authorities === undefined ? undefined : { ca: authorities }),
    ...(onPeer && { onPeer })
  }
}

/** Reports a proxy that cannot be used, that of the environment too, and authorities that cannot be read. */
export function checkRoute ({ proxy, ca }: { proxy?: SecretSource | false, ca?: string }, path: string, problems: Problems): void {
  const url = textOf(proxy)
  if (url !== undefined && !isProxy(url)) invalidProxy(`${path}.proxy`, problems)
  if (typeof ca !== 'string' || ca.trim() === '') return
  if (authoritiesIn(ca) === undefined) {
    problems.add('SECURE_API_OPTION_VALUE', `${path}.ca`,
      'there is no certificate in it that can be read', 'Give certificates as PEM text, or the path of a file with them.')
  }
}

/** As `checkRoute` for the proxy that the environment names, once for all issuers. */
export function checkProxyVariable (problems: Problems, env: Variables = process.env): void {
  const found = proxyIn(env)
  if (found !== undefined && !isProxy(found.url)) invalidProxy(found.name, problems)
}

/** The address is not shown: a password may be in it. */
function invalidProxy (path: string, problems: Problems): void {
  problems.add('SECURE_API_URL_INVALID', path,
    'this is not the address of a proxy that can be used', 'Write http://proxy.example.com:3128; SOCKS proxies are not supported.')
}

export function isProxy (url: string): boolean {
  try {
    const { protocol, username, password } = new URL(url)
    decodeURIComponent(username + password)
    return protocol === 'http:' || protocol === 'https:'
  } catch {
    return false
  }
}

/** `proxy.example.com:3128` is written without a scheme too, and means http. */
function proxyIn (env: Variables): { readonly name: string, readonly url: string } | undefined {
  const found = variable(env, 'HTTPS_PROXY')
  return found && { name: found.name, url: found.value.includes('://') ? found.value : `http://${found.value}` }
}

/** Lower case first, as curl and Go do; an empty one is as good as none. */
function variable (env: Variables, name: string): { readonly name: string, readonly value: string } | undefined {
  for (const spelling of [name.toLowerCase(), name]) {
    const value = env[spelling]?.trim()
    if (value !== undefined && value !== '') return { name: spelling, value }
  }
  return undefined
}

const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Each certificate on its own; undefined when one of them, or the file, cannot be read. */
function authoritiesIn (source: string): readonly string[] | undefined {
  try {
    const text = source.includes('-----BEGIN') ? source : readFileSync(source, 'utf8')
    const found = text.match(certificate) ?? []
    return found.length > 0 && found.every(pem => new X509Certificate(pem).raw.length > 0) ? found : undefined
  } catch {
    return undefined
  }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/**
 * Whether the host of a URL is reached without the proxy: this machine, and what NO_PROXY lists. There is no standard for
 * that variable; this reads what curl and Go agree on. Entries are names, which stand for what is below them too,
 * addresses, networks (`10.0.0.0/8`), each with `:port` if it is for that port only, and `*` for everything.
 */
export function isDirect ({ hostname, port }: URL, noProxy: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase()
  if (host === 'localhost' || host.endsWith('.localhost') || holds(loopback, host)) return true
  return noProxy.split(/[\s,]+/).filter(entry => entry !== '').some(entry => matches(entry.toLowerCase(), host, port === '' ? '443' : port))
}

function matches (entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  const [, bracketed, plain = '', only] = /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(entry) ?? []
  if (only !== undefined && only !== port) return false
  const name = (bracketed ?? plain).replace(/^\*?\./, '').replace(/\.$/, '')
  if (name === '') return false
  if (isIP(host) !== 0) return inNetwork(name, host)
  return host === name || host.endsWith(`.${name}`)
}

function inNetwork (network: string, host: string): boolean {
  const [address = '', bits] = network.split('/')
  const family = isIP(address)
  if (family === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return false
  const longest = family === 4 ? 32 : 128
  const list = new BlockList()
  list.addSubnet(address, Math.min(Number(bits ?? longest), longest), family === 4 ? 'ipv4' : 'ipv6')
  return holds(list, host)
}

function holds (list: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
