import { deepFreeze, immutableSet, type Principal } from '../credentials/index.ts'
import { claimAt, textClaim, type AccessTokenClaims, type ClaimPath, type UncheckedClaims } from './claims.ts'
import type { IssuerRules } from './rules.ts'

/** The names of the client, those of the standards first: RFC 9068, OpenID Connect, Okta, Entra ID v1. */
const clientClaims = ['client_id', 'azp', 'cid', 'appid'] as const

/** Who a verified token stands for. Everything in it is frozen, the claims too, so that requests can share it. */
export function buildPrincipal (claims: AccessTokenClaims, rules: IssuerRules): Principal<AccessTokenClaims> {
  const tenant = rules.tenant ?? textClaim(claims, 'tid')
  return Object.freeze({
    kind: rules.isService(claims) ? 'service' : 'user',
    subject: claims.sub,
    client: firstText(claims, clientClaims),
    issuer: claims.iss,
    ...(tenant === undefined ? undefined : { tenant }),
    scopes: immutableSet(rules.scopeClaims.flatMap(path => scopesAt(claims, path))),
    roles: immutableSet(rules.roleClaims.flatMap(path => rolesAt(claims, path))),
    claims: deepFreeze(claims),
    expiresAt: claims.exp * 1000
  })
}

function firstText (claims: AccessTokenClaims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = textClaim(claims, name)
    if (value !== undefined && value !== '') return value
  }
  return undefined
}

/** RFC 6749 §3.3: scopes are separated by spaces. Members that are no text are passed over: `true` is nobody's scope. */
export function scopesAt (claims: UncheckedClaims, path: ClaimPath): readonly string[] {
  const value = claimAt(claims, path)
  if (typeof value === 'string') return value.split(' ').filter(isName)
  return Array.isArray(value) ? value.filter(isName) : []
}

/**
 * The roles that a claim gives: those of a list, a text (one role, as it may hold spaces: `Domain Admins`), the keys of
 * an object (Zitadel), or the claim's own name where it is `true` (custom claims of Firebase).
 */
export function rolesAt (claims: UncheckedClaims, path: ClaimPath): readonly string[] {
  const value = claimAt(claims, path)
  if (value === true) return path.slice(-1)
  if (Array.isArray(value)) return value.filter(isName)
  if (typeof value === 'object' && value !== null) return Object.keys(value).filter(name => isName(name) && isGrant(Reflect.get(value, name)))
  return isName(value) ? [value] : []
}

/**
 * `{ admin: true }`, or Zitadel's `{ admin: { <organization>: <domain> } }`. Nothing else is a role: not `{ admin: false }`,
 * and not Keycloak's `{ <client>: { roles: […] } }`, where the roles are further inside.
 */
function isGrant (value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value === true
  const organizations = Object.values(value)
  return organizations.length > 0 && organizations.every(isName)
}

function isName (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
