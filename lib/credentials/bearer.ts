/** What the request offers as a bearer token: the token, nothing, or why it cannot be read. */
type Bearer = { readonly token: string } | 'none' | 'SECURE_API_CREDENTIAL_AMBIGUOUS' | 'SECURE_API_CREDENTIAL_DPOP'

/** Not exactly one token: none, several, or something that is not a token. */
const ambiguous = 'SECURE_API_CREDENTIAL_AMBIGUOUS'
const scheme = 'bearer'
const parameter = 'access_token'
const SPACE = 0x20
const form = 'application/x-www-form-urlencoded'

/**
 * Reads the one bearer token of a request (RFC 6750 §2.1). Only the header counts: a token in the query alone is no
 * credential (RFC 9700 §4.3.2), and beside the header it makes two methods, which RFC 6750 §2 forbids.
 * The characters of the token are not checked here, except for spaces: a cached token has passed, and for others `isBearerToken` says
 * whether a refusal is the header's fault.
 *
 * @param rawHeaders names and values as Node received them, since `headers` hides a second Authorization header; absent
 *   from requests of `app.injectWS()`
 */
export function readBearer (rawHeaders: readonly string[] | undefined, authorization: string | undefined, url: string): Bearer {
  if (authorization === undefined) return 'none'
  // Before what the first one says: an empty one would hide a second, which nobody looks at.
  if (rawHeaders !== undefined && isRepeated(rawHeaders, 'authorization')) return ambiguous
  if (authorization === '') return 'none'
  // Any case counts, but nearly everybody writes this one.
  if (!authorization.startsWith('Bearer ')) {
    // RFC 9449 §7.1: the sender has a token, and should learn why it is refused.
    if (/^dpop(?:\s|$)/i.test(authorization)) return 'SECURE_API_CREDENTIAL_DPOP'
    if (!isOfScheme(authorization, scheme)) return 'none'
  }
  let start = scheme.length
  while (authorization.charCodeAt(start) === SPACE) start++
  if (start === scheme.length || start === authorization.length) return ambiguous
  const token = authorization.slice(start)
  if (token.includes(' ')) return ambiguous
  return hasQueryToken(url) ? ambiguous : { token }
}

/**
 * The same where the token is the whole value of another header, in which a proxy puts it. A scheme in front of it makes it
 * no token.
 */
export function readToken (
  rawHeaders: readonly string[] | undefined, name: string, value: string | string[] | undefined, url: string
): Bearer {
  if (value === undefined) return 'none'
  if (typeof value !== 'string' || (rawHeaders !== undefined && isRepeated(rawHeaders, name))) return ambiguous
  if (value === '') return 'none'
  return value.includes(' ') || hasQueryToken(url) ? ambiguous : { token: value }
}

const b64token = /^[A-Za-z0-9\-._~+/]+=*$/

/** Whether the token follows the grammar of RFC 6750 §2.1 (`b64token`). */
export function isBearerToken (token: string): boolean {
  return b64token.test(token)
}

/** Whether a header comes more than once; its name is in lower case. Length first: it rules out nearly every other name. */
export function isRepeated (rawHeaders: readonly string[], header: string): boolean {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name !== undefined && name.length === header.length && isNamed(name, header)) count++
  }
  return count > 1
}

/** Without a copy in lower case: a stranger may send 900 names of the right length. Of the characters of a header name this is enough. */
function isNamed (name: string, header: string): boolean {
  for (let index = 0; index < header.length; index++) {
    if ((name.charCodeAt(index) | 0x20) !== (header.charCodeAt(index) | 0x20)) return false
  }
  return true
}

/**
 * Whether a header is of a scheme, which is in lower case here, and in any case there (RFC 9110 §11.1). `Bearertoken` is another scheme;
 * `Bearer:x` and a tab are mistakes in this one, and whoever stands in front may overlook them.
 */
export function isOfScheme (authorization: string, scheme: string): boolean {
  const next = authorization.charCodeAt(scheme.length)
  // RFC 9110 §5.6.2 tchar.
  if (next !== SPACE && /[\w!#$%&'*+\-.^`|~]/.test(authorization.charAt(scheme.length))) return false
  return authorization.slice(0, scheme.length).toLowerCase() === scheme
}

/**
 * A parameter of this name, with each character literal or escaped (`access%5Ftoken`), as a query parser would read it. One
 * pass without allocations: an object for each pair of a 16 KB query took milliseconds.
 */
const queryToken = new RegExp(`(?:^|&)${Array.from(parameter, escapable).join('')}(?:[=&]|$)`)

function escapable (character: string): string {
  const [high = '', low = ''] = character.charCodeAt(0).toString(16)
  return `(?:${character}|%${high}[${low}${low.toUpperCase()}])`
}

function hasQueryToken (url: string): boolean {
  // Fastify's router begins the query at a `#`, too (find-my-way, `safeDecodeURI`). Most URLs have neither.
  if (!url.includes('?') && !url.includes('#')) return false
  const query = url.slice(url.search(/[?#]/) + 1)
  return (query.includes(parameter) || query.includes('%')) && queryToken.test(query)
}

/**
 * Whether a form carries a token (RFC 6750 §2.2). Beside the header that makes two methods, which §2 forbids.
 *
 * @param body as the application's parser left it: an object, a string, bytes, or `URLSearchParams`
 */
export function hasFormToken (contentType: string | undefined, body: unknown): boolean {
  if (contentType?.slice(0, form.length).toLowerCase() !== form || body === undefined || body === null) return false
  if (typeof body === 'string') return new URLSearchParams(body).has(parameter)
  if (Buffer.isBuffer(body)) return new URLSearchParams(body.toString('latin1')).has(parameter)
  if (typeof body !== 'object') return false
  return body instanceof URLSearchParams || body instanceof Map ? body.has(parameter) : Object.hasOwn(body, parameter)
}
