import type { FastifyRequest } from 'fastify'

/** What an authenticator says of the cookie that its callers come by. */
export interface CookieRules {
  /**
   * Lets requests pass that say nothing of where they come from: neither `Sec-Fetch-Site` nor `Origin`. Browsers of today send
   * one of them with every unsafe method; clients that are no browsers send none. @default false
   */
  readonly allowWithoutOrigin?: boolean
}

/** RFC 9110 §9.2.1: they change nothing, and CORS decides who may read the answer. */
const free: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a page of another site may have made a browser send this request, together with the cookie of its user (CSRF). A WebSocket
 * handshake is a GET, but its page reads and writes all that follows (RFC 6455 §10.2). A header that a browser never sends so, such as
 * `Sec-Fetch-Site` twice, proves nothing.
 *
 * @param isTrusted whether pages of this origin may use credentials here, by the route's CORS policy
 */
export function isCrossSite (request: FastifyRequest, rules: CookieRules, isTrusted: (origin: string) => boolean): boolean {
  const { method, headers: { origin, upgrade, 'sec-fetch-site': site } } = request
  if (free.has(method) && upgrade === undefined) return false
  // Fetch Metadata §2.3: no script can set it. `none`: the user did it, in the address bar for example.
  if (site === 'same-origin' || site === 'none') return false
  if (origin === undefined) return site !== undefined || rules.allowWithoutOrigin !== true
  return !(site === undefined && isOwn(origin, request)) && !isTrusted(origin)
}

const defaultPort: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/** A page over https is believed where TLS ends in a proxy that nobody named; a page over http never speaks for https. */
function isOwn (origin: string, request: FastifyRequest): boolean {
  const [, scheme = '', authority = ''] = /^(https?):\/\/(.+)$/.exec(origin) ?? []
  if (authority === '' || (scheme === 'http' && request.protocol === 'https')) return false
  const host = request.host.toLowerCase()
  return host === authority || host === authority + defaultPort[scheme]
}
