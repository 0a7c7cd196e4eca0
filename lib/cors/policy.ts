import { milliseconds } from '../config/index.ts'
import { headPart, type HeaderPair, type HeadPart } from '../http/index.ts'
import { compileOrigins, type OriginMatcher } from './matcher.ts'
import { defaultMethods, defaultRequestHeaders, safelistedMethods, safelistedResponseHeaders, safeMethods } from './names.ts'
import type { CorsOptions } from './options.ts'
import { isFault, parseOrigin } from './origins.ts'

/** What other origins may do, with every header value prepared. Frozen. */
export interface CorsPolicy {
  readonly matches: OriginMatcher
  /** Any origin, without credentials: the response does not depend on the origin. */
  readonly anyOrigin: boolean
  readonly credentials: boolean
  readonly methods: ReadonlySet<string>
  readonly requestHeaders: ReadonlySet<string>
  readonly anyRequestHeader: boolean
  /** Header values. */
  readonly allowMethods: string
  readonly allowHeaders: string
  readonly exposeHeaders: string | undefined
  /** Seconds. */
  readonly maxAge: number
  readonly enforceOrigin: boolean
  readonly debug: boolean
  /** Headers of actual responses by exact origin; `'*'` for any. */
  readonly prepared: ReadonlyMap<string, HeadPart>
  /** Those of every other response. */
  readonly foreign: HeadPart
}

/**
 * Prepares a policy from options that passed `validateCors`; throws on an invalid origin. `exposed` are the suite's response headers
 * that scripts may read.
 */
export function compileCors (options: CorsOptions, { exposed }: { readonly exposed: readonly string[] }): CorsPolicy {
  const patterns = options.origins.map(usable)
  const { methods = defaultMethods } = options
  const requestHeaders = [...new Set((options.requestHeaders ?? defaultRequestHeaders).map(name => name.toLowerCase()))]
  const policy = {
    matches: compileOrigins(patterns),
    anyOrigin: patterns.some(({ any }) => any),
    credentials: options.credentials === true,
    methods: new Set([...safelistedMethods, ...methods]),
    requestHeaders: new Set(requestHeaders),
    anyRequestHeader: requestHeaders.includes('*'),
    // As configured: the three methods of Fetch §2.2.1 need not be listed.
    allowMethods: (methods.length === 0 ? safelistedMethods : [...new Set(methods)]).join(', '),
    allowHeaders: requestHeaders.join(', '),
    exposeHeaders: exposeText([...exposed, ...options.responseHeaders ?? []]),
    maxAge: Math.floor(milliseconds(options.maxAge ?? '10 minutes') / 1000),
    enforceOrigin: options.enforceOrigin === true,
    debug: options.debug === true
  }
  if (policy.anyOrigin && policy.credentials) throw new TypeError('any origin with credentials')
  const named = policy.anyOrigin ? ['*'] : options.origins.filter(text => !text.includes('*'))
  const prepared = new Map(named.map(origin => [origin, headPart(actualHeaders(policy, origin))]))
  const foreign = headPart(policy.anyOrigin ? [] : [varies])
  return Object.freeze({ ...policy, prepared, foreign })
}

function usable (text: string) {
  const parsed = parseOrigin(text)
  if (isFault(parsed)) throw new TypeError(`${text}: ${parsed.why}`)
  return parsed
}

function exposeText (names: readonly string[]): string | undefined {
  const first = new Map(names.map(name => [name.toLowerCase(), name]))
  const text = [...first].filter(([name]) => !safelistedResponseHeaders.has(name)).map(([, name]) => name).join(', ')
  return text === '' ? undefined : text
}

/** RFC 9110 §12.5.5: also on responses without CORS headers, or a cache serves them to allowed origins. */
const varies: HeaderPair = ['vary', 'Origin']

type Shared = Pick<CorsPolicy, 'credentials' | 'exposeHeaders' | 'anyOrigin'>

function actualHeaders ({ credentials, exposeHeaders, anyOrigin }: Shared, origin: string): readonly HeaderPair[] {
  const headers: HeaderPair[] = [['access-control-allow-origin', origin]]
  if (credentials) headers.push(['access-control-allow-credentials', 'true'])
  if (exposeHeaders !== undefined) headers.push(['access-control-expose-headers', exposeHeaders])
  return anyOrigin ? headers : [...headers, varies]
}

/** Headers for the response to an actual request. Foreign origins and requests without an Origin get only `Vary`. */
export function actual (policy: CorsPolicy, origin: string | undefined): HeadPart {
  if (origin === undefined && !policy.anyOrigin) return policy.foreign
  const prepared = policy.prepared.get(policy.anyOrigin ? '*' : origin ?? '')
  if (prepared !== undefined) return prepared
  return origin !== undefined && policy.matches(origin) ? headPart(actualHeaders(policy, origin)) : policy.foreign
}

export interface ActualRequest {
  readonly method: string
  readonly origin: string | undefined
  readonly host: string | undefined
  /** `Sec-Fetch-Site` (Fetch Metadata §2.3). */
  readonly fetchSite: string | undefined
  /** A WebSocket handshake: a GET, but browsers hide nothing of what follows (RFC 6455 §10.2). */
  readonly upgrade: boolean
}

/** Whether `enforceOrigin` refuses this request: unsafe, from a browser, neither same-origin nor from an allowed origin. */
export function refuses (policy: CorsPolicy, { method, origin, host, fetchSite, upgrade }: ActualRequest): boolean {
  if (!policy.enforceOrigin || (safeMethods.has(method) && !upgrade)) return false
  if (origin === undefined) return fetchSite === 'cross-site' || fetchSite === 'same-site'
  return !policy.matches(origin) && !isSameOrigin(origin, host, fetchSite)
}

/** By `Sec-Fetch-Site`; for older browsers, by Host. */
function isSameOrigin (origin: string, host: string | undefined, fetchSite: string | undefined): boolean {
  if (fetchSite !== undefined) return fetchSite === 'same-origin'
  return host !== undefined && origin.slice(origin.indexOf('://') + 3) === host
}
