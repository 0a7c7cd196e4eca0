import { randomUUID } from 'node:crypto'
import { writable, type HeaderPair } from '../http/index.ts'
import { helmetHeaders } from './helmet.ts'
import type { EffectiveHeaders } from './options.ts'
import { resolve, type Resolved } from './resolve.ts'

/** A header whose value is its segments, joined by the nonce. */
export interface NonceHeader {
  readonly name: string
  readonly segments: readonly string[]
}

/** All headers of a route's responses, ready to write. Frozen. */
export interface HeaderTable {
  /** On every response. */
  readonly headers: readonly HeaderPair[]
  /** For responses over https; undefined where it must not be sent. */
  readonly hsts: HeaderPair | undefined
  /** Cache-Control, for responses whose handler did not set it. */
  readonly cache: CacheTable
  /** Headers with a fresh nonce for each response: see `compileNonceTable()`. Empty without nonces. */
  readonly nonces: readonly NonceHeader[]
  /** Names of headers to remove. */
  readonly remove: readonly string[]
}

/** An Authorization header alone does not prevent shared caching (RFC 9111 §3.5). */
interface CacheTable {
  readonly authenticated: HeaderPair | undefined
  readonly anonymous: HeaderPair | undefined
  readonly error: HeaderPair | undefined
}

export interface HeadersContext {
  readonly environment: 'production' | 'development'
  /** TLS is configured, or a trusted proxy reports it. */
  readonly secure: boolean
}

/** Stands for the nonce while helmet checks and writes a policy. Random, so no source equals it. */
const placeholder = randomUUID()

/** Writes all headers once, at boot, with helmet. Expects options that passed `validateHeaders`; throws on others. */
export function compileHeaders (options: EffectiveHeaders, context: HeadersContext): HeaderTable {
  const table = buildTable(options, context)
  const [name] = unwritable(table)
  if (name !== undefined) throw new TypeError(`the value of ${name} cannot be sent`)
  return table
}

/** Names of headers whose value would split the response (RFC 9112 §11.1) or be refused by Node. */
export function unwritable ({ headers, hsts, cache, nonces }: HeaderTable): string[] {
  const joined = nonces.map(({ name, segments }): HeaderPair => [name, segments.join('')])
  const pairs = [...headers, hsts, ...Object.values<HeaderPair | undefined>({ ...cache }), ...joined]
  return pairs.flatMap(pair => pair === undefined || writable(pair[1]) ? [] : [pair[0]])
}

export function buildTable (options: EffectiveHeaders, { environment, secure }: HeadersContext): HeaderTable {
  const resolved = resolve(options)
  const written = [...helmetHeaders(resolved, options, placeholder), ...ownHeaders(resolved, options)]
  const hsts = written.find(isHsts)
  const sent = written.filter(pair => !isHsts(pair))
  return Object.freeze({
    headers: Object.freeze(sent.filter(([, value]) => !value.includes(placeholder)).map(pair => Object.freeze(pair))),
    hsts: environment === 'production' && secure ? hsts : undefined,
    cache: cacheTable(options),
    nonces: Object.freeze(sent.filter(([, value]) => value.includes(placeholder)).map(nonceHeader)),
    remove: Object.freeze((options.remove ?? ['x-powered-by', 'server']).map(name => name.toLowerCase()))
  })
}

function isHsts ([name]: HeaderPair): boolean {
  return name === 'strict-transport-security'
}

function nonceHeader ([name, value]: HeaderPair): NonceHeader {
  return Object.freeze({ name, segments: Object.freeze(value.split(placeholder)) })
}

/** Headers that helmet does not write. `Clear-Site-Data` has no spaces, as the OWASP Secure Headers validator expects. */
function ownHeaders ({ permissions, endpoints }: Resolved, { clearSiteData }: EffectiveHeaders): HeaderPair[] {
  const headers: HeaderPair[] = []
  const add = (name: string, items: readonly string[], separator: string) => headers.push([name, items.join(separator)])
  if (permissions !== undefined) add('permissions-policy', [...permissions].map(([feature, who]) => `${feature}=${allowlist(who)}`), ', ')
  if (endpoints.size > 0) add('reporting-endpoints', [...endpoints].map(([name, url]) => `${name}="${url}"`), ', ')
  if (clearSiteData) add('clear-site-data', cleared(clearSiteData).map(kind => `"${kind}"`), ',')
  return headers
}

/** Structured-field inner list (Permissions Policy §5.2): tokens bare, origins quoted. */
function allowlist (who: readonly string[]): string {
  if (who.includes('*')) return '*'
  return `(${who.map(entry => entry === 'self' || entry === 'src' ? entry : `"${entry}"`).join(' ')})`
}

function cleared (what: true | readonly string[]): readonly string[] {
  return what === true ? ['cache', 'cookies', 'storage'] : what
}

function cacheTable ({ cacheControl, routeCacheControl }: EffectiveHeaders): CacheTable {
  if (cacheControl === false) return Object.freeze({ authenticated: undefined, anonymous: undefined, error: undefined })
  const noStore: HeaderPair = Object.freeze(['cache-control', 'no-store, max-age=0'] as const)
  const stated: HeaderPair | undefined = cacheControl === undefined ? undefined : Object.freeze(['cache-control', cacheControl] as const)
  return Object.freeze({ authenticated: stated ?? noStore, anonymous: routeCacheControl === true ? stated : undefined, error: noStore })
}
