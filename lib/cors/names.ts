/** Fetch §2.2.1: scripts may not send these. */
export const forbiddenMethods: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])

/** Fetch §2.2.1, CORS-safelisted: they need no preflight, so refusing them is pointless. */
export const safelistedMethods: readonly string[] = ['GET', 'HEAD', 'POST']

/** RFC 9110 §9.2.1. */
export const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export const defaultMethods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Standard methods, all in capitals: in lower case they match no request. */
export const knownMethods: ReadonlySet<string> = new Set([
  ...defaultMethods, ...forbiddenMethods, 'OPTIONS', 'QUERY', 'PROPFIND', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'UNLOCK',
  'SEARCH', 'REPORT', 'PURGE', 'LINK', 'UNLINK'
])

export const defaultRequestHeaders: readonly string[] = [
  'authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-request-id'
]

/** Fetch §2.2.2, forbidden request-header: scripts may not set these. */
const forbiddenRequestHeaders: ReadonlySet<string> = new Set([
  'accept-charset', 'accept-encoding', 'access-control-request-headers', 'access-control-request-method', 'connection',
  'content-length', 'cookie', 'cookie2', 'date', 'dnt', 'expect', 'host', 'keep-alive', 'origin', 'referer', 'set-cookie',
  'te', 'trailer', 'transfer-encoding', 'upgrade', 'via'
])

export function isForbiddenRequestHeader (name: string): boolean {
  return forbiddenRequestHeaders.has(name) || name.startsWith('proxy-') || name.startsWith('sec-')
}

/** Fetch §2.2.2, forbidden response-header name. */
export const forbiddenResponseHeaders: ReadonlySet<string> = new Set(['set-cookie', 'set-cookie2'])

/** Fetch §2.2.2, CORS-safelisted response-header name: readable without being named. */
export const safelistedResponseHeaders: ReadonlySet<string> = new Set([
  'cache-control', 'content-language', 'content-length', 'content-type', 'expires', 'last-modified', 'pragma'
])
