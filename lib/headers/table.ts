import { randomBytes, randomUUID } from 'node:crypto'
import { headPart, writable, type HeaderPair, type HeadSet } from '../http/index.ts'
import { helmetHeaders } from './helmet.ts'
import type { EffectiveHeaders } from './options.ts'
import { resolve, type Resolved } from './resolve.ts'

/** A header whose value is its segments, joined by the nonce. */
type NonceHeader = readonly [name: string, segments: readonly string[]]

/** All headers of a route's responses, ready to write. Frozen. */
export interface HeaderTable {
  /** On every response. */
  readonly headers: readonly HeaderPair[]
  /** For responses over https; undefined where it must not be sent. */
  readonly hsts: HeaderPair | undefined
  /** Cache-Control, for responses whose handler did not set it. `Authorization` alone does not prevent shared caching (RFC 9111 §3.5). */
  readonly cache: Readonly<Record<'authenticated' | 'anonymous' | 'error', HeaderPair | undefined>>
  /** Headers with a fresh nonce for each response: see `compileNonceTable()`. Empty without nonces. */
  readonly nonces: readonly NonceHeader[]
  /** Names of headers to remove. */
  readonly remove: readonly string[]
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
  const joined = nonces.map(([name, segments]): HeaderPair => [name, segments.join('')])
  const pairs = [...headers, hsts, ...Object.values(cache), ...joined]
  return pairs.flatMap(pair => pair === undefined || writable(pair[1]) ? [] : [pair[0]])
}

export function buildTable (options: EffectiveHeaders, { environment, secure }: HeadersContext): HeaderTable {
  const resolved = resolve(options)
  const written = [...helmetHeaders(resolved, options, placeholder), ...ownHeaders(resolved, options)]
  const hsts = written.find(([name]) => name === 'strict-transport-security')
  const sent = written.filter(pair => pair !== hsts)
  const nonced = sent.filter(([, value]) => value.includes(placeholder))
  return Object.freeze({
    headers: Object.freeze(sent.filter(pair => !nonced.includes(pair)).map(pair => Object.freeze(pair))),
    hsts: environment === 'production' && secure ? hsts : undefined,
    cache: cacheTable(options),
    nonces: Object.freeze(nonced.map(([name, value]) => Object.freeze([name, Object.freeze(value.split(placeholder))] as const))),
    remove: Object.freeze((options.remove ?? ['x-powered-by', 'server']).map(name => name.toLowerCase()))
  })
}

/** Headers that helmet does not write. `Clear-Site-Data` has no spaces, as the OWASP Secure Headers validator expects. */
function ownHeaders ({ permissions, endpoints }: Resolved, { clearSiteData }: EffectiveHeaders): HeaderPair[] {
  const headers: HeaderPair[] = []
  const add = (name: string, items: readonly string[], separator: string) => headers.push([name, items.join(separator)])
  if (permissions !== undefined) add('permissions-policy', [...permissions].map(([feature, who]) => `${feature}=${allowlist(who)}`), ', ')
  if (endpoints.size > 0) add('reporting-endpoints', [...endpoints].map(([name, url]) => `${name}="${url}"`), ', ')
  const cleared = clearSiteData === true ? ['cache', 'cookies', 'storage'] : clearSiteData
  if (cleared) add('clear-site-data', cleared.map(kind => `"${kind}"`), ',')
  return headers
}

/** Structured-field inner list (Permissions Policy §5.2): tokens bare, origins quoted. */
function allowlist (who: readonly string[]): string {
  if (who.includes('*')) return '*'
  return `(${who.map(entry => entry === 'self' || entry === 'src' ? entry : `"${entry}"`).join(' ')})`
}

function cacheTable ({ cacheControl, routeCacheControl }: EffectiveHeaders): HeaderTable['cache'] {
  if (cacheControl === false) return Object.freeze({ authenticated: undefined, anonymous: undefined, error: undefined })
  const noStore: HeaderPair = Object.freeze(['cache-control', 'no-store, max-age=0'] as const)
  const stated: HeaderPair | undefined = cacheControl === undefined ? undefined : Object.freeze(['cache-control', cacheControl] as const)
  return Object.freeze({ authenticated: stated ?? noStore, anonymous: routeCacheControl === true ? stated : undefined, error: noStore })
}

/** What decides caching, apart from the status. */
interface Audience {
  /** The route needs no credential. */
  readonly isPublic: boolean
  /** The route is guarded and does not state its own caching. */
  readonly isGuarded?: boolean
  /** The request matches a route; a page of a 404 handler is not cached, even with status 200. */
  readonly isRoute: boolean
}

/** A route's header table, ready for the response's head: one set for plain HTTP, one with HSTS. */
export function headSets (
  { headers, hsts, cache, remove }: HeaderTable, { isPublic, isRoute, isGuarded = false }: Audience
): Readonly<Record<'http' | 'https', HeadSet>> {
  const stored = isPublic ? cache.anonymous : cache.authenticated
  const partOf = (pair: HeaderPair | undefined) => headPart(pair === undefined ? [] : [pair])
  const common = {
    success: partOf(isRoute ? stored : cache.error),
    error: partOf(cache.error),
    remove: new Set(remove),
    isPrivate: isGuarded && !isPublic && isRoute
  }
  const http = Object.freeze({ always: headPart(headers), ...common })
  return Object.freeze({ http, https: hsts === undefined ? http : Object.freeze({ ...common, always: headPart([...headers, hsts]) }) })
}

const bytes = 16 // CSP3 §7.1: at least 128 bits
const batch = 256

/** Cuts nonces from a larger draw: a call of `randomBytes` costs more than its bytes. */
export function createNonceSource (): () => string {
  let pool = Buffer.alloc(0)
  let offset = 0
  return () => {
    if (offset >= pool.length) {
      pool = randomBytes(bytes * batch)
      offset = 0
    }
    offset += bytes
    return pool.toString('base64', offset - bytes, offset)
  }
}

/** Makes the headers of each response with a nonce, and the nonce they allow; joins text that was split at boot. */
export function compileNonceTable ({ nonces }: HeaderTable, next = createNonceSource()): () => { nonce: string, headers: HeaderPair[] } {
  return () => {
    const nonce = next()
    return { nonce, headers: nonces.map(([name, segments]) => [name, segments.join(nonce)]) }
  }
}
