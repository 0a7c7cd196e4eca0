/**
 * The claims of a token that passed (RFC 7519 §4.1, RFC 9068 §2.2), deeply frozen. The types of the claims named here
 * have been checked; any other claim may be anything.
 */
export interface AccessTokenClaims {
  readonly iss: string
  /** Seconds since the epoch, as all dates here. */
  readonly exp: number
  readonly nbf?: number
  readonly iat?: number
  readonly aud?: string | readonly string[]
  readonly sub?: string
  readonly client_id?: string
  readonly azp?: string
  readonly jti?: string
  readonly sid?: string
  readonly [claim: string]: unknown
}

/** A JSON object from a token, of which nothing has been checked. */
export type UncheckedClaims = Readonly<Record<string, unknown>>

/** The names that lead to a claim, outermost first. */
export type ClaimPath = readonly string[]

/** The value at the end of the path. Only own members count: `constructor` is not a claim. */
export function claimAt (claims: UncheckedClaims, path: ClaimPath): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

/** The claim if it is a string. */
export function textClaim (claims: UncheckedClaims, name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' ? value : undefined
}

/** Where the client is named, the standards first: RFC 9068, OpenID Connect, Okta, Entra ID v1. */
const clientClaims = ['client_id', 'azp', 'cid', 'appid'] as const

/** The application that asked for the token. */
export function clientOf (claims: UncheckedClaims): string | undefined {
  return clientClaims.map(name => textClaim(claims, name)).find(name => name !== undefined && name.trim() !== '')
}

/** `'a.b'` as names. A string with a slash or of the form `urn:…` is one name, since the dots of a host are not a path. */
export function parseClaimPath (path: string | readonly string[]): ClaimPath {
  if (typeof path !== 'string') return path
  return path.includes('/') || path.startsWith('urn:') ? [path] : path.split('.')
}

/** The paths, with each audience in place of `{audience}`. */
export function expandAudience (paths: readonly ClaimPath[], audiences: readonly string[]): ClaimPath[] {
  return paths.flatMap(path => path.includes('{audience}')
    ? audiences.map(audience => path.map(name => name === '{audience}' ? audience : name))
    : [path])
}

/** JSON Pointer, JSONPath and the brackets of JavaScript: no provider has such names, and the path would never match. */
const otherSyntax = /^[/$]|[[\]*\\]/

/** What is wrong with a path, or undefined. A list is taken literally: any name may be in it. */
export function claimPathFault (path: string | readonly string[]): string | undefined {
  const names = parseClaimPath(path)
  if (names.length === 0 || names.some(name => name.trim() === '')) return 'a name in the path is empty'
  if (names.some(name => name !== name.trim())) return 'a name in the path begins or ends with a space'
  if (typeof path !== 'string') return undefined
  if (otherSyntax.test(path)) return 'names in a path are separated by dots, and nothing else has a meaning'
  const stray = names.some(name => /[{}]/.test(name) && name !== '{audience}')
  return stray ? 'the only placeholder is {audience}, for a whole name' : undefined
}
