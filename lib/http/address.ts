import type { FastifyRequest } from 'fastify'

/** No address with zone and port is longer; what a proxy forwards may be. */
const longest = 100

const kAddress = Symbol('secure-api.address')
/** On the requests of an application that trusts proxies: the caller behind proxies that are named with a port, which Fastify stops at. */
export const kBehind: unique symbol = Symbol.for('secure-api.behind')
type Read = Pick<FastifyRequest, 'ip'> & { [kAddress]?: string | null, readonly [kBehind]?: () => string | undefined }

/**
 * The address of a caller: `request.ip` without a port, at most 100 characters; undefined where there is none. Read once, because
 * Fastify parses X-Forwarded-For each time. `request.ip` throws for a request without a socket (`app.injectWS()`).
 */
export function addressOf (request: Pick<FastifyRequest, 'ip'>): string | undefined {
  const read: Read = request
  if (read[kAddress] === undefined) read[kAddress] = readAddress(request) ?? null
  return read[kAddress] ?? undefined
}

function readAddress (request: Read): string | undefined {
  try {
    const { ip } = request as { readonly ip?: unknown }
    if (typeof ip !== 'string') return undefined
    const bare = withoutPort(ip)
    return (bare === ip ? ip : withoutPort(request[kBehind]?.() ?? bare)).slice(0, longest)
  } catch {
    return undefined
  }
}

const bracket = 0x5b
const shortestIPv4 = '1.1.1.1'.length

/**
 * `203.0.113.7:4711` and `[2001:db8::1]:4711` without the port: gateways write both into X-Forwarded-For (Azure Application
 * Gateway; RFC 7239 §6). Other text stays as it is.
 */
export function withoutPort (address: string): string {
  if (address.charCodeAt(0) === bracket) return /^\[([^\][]{2,64})\](?::\d{1,5})?$/.exec(address)?.[1] ?? address
  const at = address.indexOf(':')
  return at >= shortestIPv4 && /^[\d.]{7,15}:\d{1,5}$/.test(address) ? address.slice(0, at) : address
}
