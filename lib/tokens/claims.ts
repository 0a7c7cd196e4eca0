/**
 * The claims of a token that passed (RFC 7519 §4.1, RFC 9068 §2.2), frozen to the bottom. Those named here have been
 * checked to have these types; of any other one, only its being there is known.
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

/** A JSON object of a token, before anything in it is known. */
export type UncheckedClaims = Readonly<Record<string, unknown>>

/** The names under which the value of a claim is found, outermost first. */
export type ClaimPath = readonly string[]

/** What stands at the end of the path. Only own members count: `constructor` is no claim. */
export function claimAt (claims: UncheckedClaims, path: ClaimPath): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

/** A claim that is a text; undefined when it is absent or something else. */
export function textClaim (claims: UncheckedClaims, name: string): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' ? value : undefined
}

/** The claims as what the gate's checks have shown them to be. The one place where unchecked becomes checked. */
export function checkedClaims (claims: UncheckedClaims): AccessTokenClaims {
  return claims as AccessTokenClaims
}
