import proxyAddr from '@fastify/proxy-addr'

/** A request as Node hands it out, over either version of HTTP. */
export interface RawRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly remoteAddress?: string | undefined, readonly encrypted?: boolean }
}

/** Whether a request came over TLS, by the word of a trusted proxy too. */
export type OverTls = (request: RawRequest) => boolean

/** Says of any request, also before Fastify has seen it, what its `request.protocol` would say. */
export function overTls (trustProxy: unknown): OverTls {
  const trusts = trustedBy(trustProxy)
  return ({ headers, socket }) => {
    const forwarded = String(headers['x-forwarded-proto'] ?? '')
    if (forwarded !== '' && trusts(socket.remoteAddress)) return forwarded.slice(forwarded.lastIndexOf(',') + 1).trim() === 'https'
    return socket.encrypted === true
  }
}

/** Every form that Fastify takes; a number trusts nobody since 5.12.1. */
function trustedBy (trustProxy: unknown): (address: string | undefined) => boolean {
  if (trustProxy === true) return () => true
  if (typeof trustProxy === 'function') return address => Boolean(trustProxy(address, 0))
  return trustedProxies(proxiesOf(trustProxy))
}

/** The list behind `trustProxy`; an environment variable's list is separated by commas. */
export function proxiesOf (value: unknown): readonly string[] {
  const list: readonly unknown[] = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : []
  return list.map(entry => String(entry).trim())
}

/** Whether an address is that of a trusted proxy, by the rules that `request.ip` goes by. */
export function trustedProxies (proxies: readonly string[]): (address: string | undefined) => boolean {
  const trusts = proxyAddr.compile([...proxies])
  return address => address !== undefined && trusts(address, 0)
}
