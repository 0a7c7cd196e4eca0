import { FetchFailure } from './failure.ts'
import type { FetchDocument } from './fetch.ts'
import { isSecureUrl, withoutSecrets, type PlainHosts } from './url.ts'

export interface DiscoveryOptions {
  readonly fetch: FetchDocument
  /** For each of at most two requests, in milliseconds. */
  readonly timeout: number
  readonly allowLoopback: boolean
  /** Further hosts that may be asked over http; only in development. */
  readonly insecureHosts?: readonly string[] | undefined
  readonly signal?: AbortSignal
}

/**
 * Where an issuer's metadata may be, in the order of requests: OpenID Connect Discovery 1.0 §4, then RFC 8414 §3.1,
 * which puts the well-known part between host and path. Both drop a terminating slash of the issuer.
 */
export function metadataUrls (issuer: string): readonly [oidc: string, oauth: string] {
  const { origin, pathname } = new URL(issuer)
  return [
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`
  ]
}

/** The `jwks_uri` of an issuer's metadata. Rejects with `FetchFailure`. */
export async function discoverKeySetUrl (issuer: string, options: DiscoveryOptions): Promise<string> {
  return await discoverUrl(issuer, ({ jwks_uri: url }) => url, options)
}

/**
 * An address in an issuer's metadata. The metadata must name exactly the configured issuer, as a string
 * (RFC 8414 §3.3, OpenID Connect Discovery §4.3); a trailing slash counts. Rejects with `FetchFailure`.
 */
export async function discoverUrl (
  issuer: string, pick: (metadata: Record<string, unknown>) => unknown, options: DiscoveryOptions
): Promise<string> {
  const metadata = await fetchMetadata(issuer, options)
  const found = typeof metadata.issuer === 'string' ? metadata.issuer : 'none'
  if (metadata.issuer !== issuer) throw new FetchFailure('issuer', { found })
  const url = pick(metadata)
  if (typeof url !== 'string') throw new FetchFailure('metadata')
  if (!isSecureUrl(url, plainHosts(options))) throw new FetchFailure('url', { found: withoutSecrets(url) })
  return url
}

/** The hosts that options let be asked over http. */
export function plainHosts ({ allowLoopback, insecureHosts = [] }: Pick<DiscoveryOptions, 'allowLoopback' | 'insecureHosts'>): PlainHosts {
  return { loopback: allowLoopback, names: insecureHosts }
}

async function fetchMetadata (issuer: string, options: DiscoveryOptions): Promise<Record<string, unknown>> {
  if (!isSecureUrl(issuer, plainHosts(options))) throw new FetchFailure('url')
  const { fetch, timeout, signal } = options
  const limits = { timeout, signal }
  const [oidc, oauth] = metadataUrls(issuer)
  try {
    return asRecord(await fetch(oidc, limits))
  } catch (error) {
    if (!isElsewhere(error)) throw error
    return asRecord(await fetch(oauth, limits).catch(later => { throw telling(error, oidc, later) }))
  }
}

/** True for a healthy server that does not publish metadata here: 404, a page, a login redirect. */
function isElsewhere (error: unknown): boolean {
  if (!(error instanceof FetchFailure)) return false
  if (error.reason === 'status') return error.status !== undefined && error.status < 500
  return error.reason === 'parse' || error.reason === 'redirect'
}

/** A page or a redirect at the first place says more than the usual 404 at the second. */
function telling (first: unknown, url: string, second: unknown): unknown {
  if (!(first instanceof FetchFailure) || first.reason === 'status') return second
  first.url = url
  return first
}

function asRecord (document: unknown): Record<string, unknown> {
  if (typeof document !== 'object' || document === null) throw new FetchFailure('parse')
  return { ...document }
}
