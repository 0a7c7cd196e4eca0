import proxyAddr from '@fastify/proxy-addr'
import { withoutPort } from '../http/index.ts'

/** A raw request, over either version of HTTP. */
export interface RawRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly remoteAddress?: string | undefined, readonly encrypted?: boolean }
}

/** Whether a request came over TLS, as far as the socket or a trusted proxy tells. */
export type OverTls = (request: RawRequest) => boolean

/** The same answer as `request.protocol`, also before Fastify has seen the request. */
export function overTls (trustProxy: unknown): OverTls {
  const trusts = trustedBy(trustProxy)
  return ({ headers, socket }) => {
    const forwarded = String(headers['x-forwarded-proto'] ?? '')
    if (forwarded !== '' && trusts(socket.remoteAddress)) return forwarded.slice(forwarded.lastIndexOf(',') + 1).trim() === 'https'
    return socket.encrypted === true
  }
}

/**
 * The address of a caller, as `request.ip` gives it, before Fastify has seen the request. A proxy is also known by its address with a
 * port, as another one writes it into X-Forwarded-For: `request.ip` would be that proxy for all callers behind it.
 */
export function callerBy (trustProxy: unknown): (request: RawRequest) => string | undefined {
  const isTrusted = trustedBy(trustProxy)
  const trusts: Trusts = (address, hop) => isTrusted(address === undefined ? undefined : withoutPort(address), hop)
  return ({ headers, socket: { remoteAddress } }) =>
    proxyAddr({ headers, socket: { remoteAddress } } as Parameters<typeof proxyAddr>[0], trusts)
}

type Trusts = (address: string | undefined, hop?: number) => boolean

/** Every form that Fastify accepts; a number trusts nobody since 5.12.1. */
function trustedBy (trustProxy: unknown): Trusts {
  if (trustProxy === true) return () => true
  if (typeof trustProxy !== 'function') return trustedProxies(proxiesOf(trustProxy))
  // It may count hops. Where it throws, as at the missing address of a closed connection, nobody is trusted: no hook would catch it.
  return (address, hop = 0) => {
    try {
      return Boolean(trustProxy(address, hop))
    } catch {
      return false
    }
  }
}

/** The list behind `trustProxy`; an environment variable's list is separated by commas. */
export function proxiesOf (value: unknown): readonly string[] {
  const list: readonly unknown[] = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : []
  return list.map(entry => String(entry).trim())
}

/** Whether an address is a trusted proxy, by the rules of `request.ip`. */
export function trustedProxies (proxies: readonly string[]): (address: string | undefined) => boolean {
  const trusts = proxyAddr.compile([...proxies])
  return address => address !== undefined && trusts(address, 0)
}
