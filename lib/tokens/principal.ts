import { deepFreeze, immutableSet, type Principal } from '../credentials/index.ts'
import type { TokenFailureCode } from '../http/index.ts'
import { claimAt, clientOf, textClaim, type AccessTokenClaims, type ClaimPath, type UncheckedClaims } from './claims.ts'
import { isFilled, type Candidate } from './gate.ts'
import type { IssuerRules } from './rules.ts'

/** RFC 9068 §2.2; every token must have `iss`, `exp` and `aud`. */
const profileClaims = ['sub', 'client_id', 'iat', 'jti']

/** What else is required of a token once its issuer is known to have signed it. */
export function checkSigned ({ claims, rules }: Pick<Candidate, 'claims' | 'rules'>): TokenFailureCode | undefined {
  if (rules.profile === 'at+jwt' && !profileClaims.every(name => isFilled(claims[name]))) return 'SECURE_API_TOKEN_CLAIMS'
  if (subjectOf(claims, rules) === undefined) return 'SECURE_API_TOKEN_CLAIMS'
  // A token bound to a key must not work as a bearer token (RFC 9449 §7.1, RFC 8705 §3), and no proof is verified here.
  return Object.hasOwn(claims, 'cnf') ? 'SECURE_API_TOKEN_BOUND' : undefined
}

/**
 * RFC 9068 §2.2: `sub`, which names the client where no user is involved. Some providers leave it out then. Where they leave it out for
 * a user too, the client is not an answer: all its users would be one.
 */
export function subjectOf (claims: UncheckedClaims, rules: IssuerRules): string | undefined {
  return textClaim(claims, 'sub') ?? (rules.isService(claims) ? clientOf(claims) : undefined)
}

/** Who a verified token stands for. Frozen, claims included, so that requests can share it. */
export function buildPrincipal (
  unchecked: UncheckedClaims, rules: IssuerRules, credential: 'jwt' | 'opaque' = 'jwt', keyId?: string
): Principal<AccessTokenClaims> {
  // The gate has checked them: the one place where unchecked becomes checked.
  const claims = unchecked as AccessTokenClaims
  const tenant = rules.tenant ?? textClaim(claims, 'tid')
  return Object.freeze({
    kind: rules.isService(claims) ? 'service' : 'user',
    credential,
    ...(keyId === undefined ? undefined : { keyId }),
    // Checked by `checkSigned`.
    subject: subjectOf(claims, rules) as string,
    client: clientOf(claims),
    issuer: claims.iss,
    ...(tenant === undefined ? undefined : { tenant }),
    scopes: immutableSet(rules.scopeClaims.flatMap(path => scopesAt(claims, path))),
    roles: immutableSet(rules.roleClaims.flatMap(path => rolesAt(claims, path))),
    claims: deepFreeze(claims),
    expiresAt: claims.exp * 1000
  })
}

/** RFC 6749 §3.3: scopes are separated by spaces. Members of a list that are not strings are ignored. */
export function scopesAt (claims: UncheckedClaims, path: ClaimPath): readonly string[] {
  const value = claimAt(claims, path)
  if (typeof value === 'string') return value.split(' ').filter(isName)
  return Array.isArray(value) ? value.filter(isName) : []
}

/**
 * The roles in a claim: the members of a list, a string (one role, since it may hold spaces: `Domain Admins`), the keys of
 * an object (Zitadel), or the claim's own name if it is `true` (custom claims of Firebase).
 */
export function rolesAt (claims: UncheckedClaims, path: ClaimPath): readonly string[] {
  const value = claimAt(claims, path)
  if (value === true) return path.slice(-1)
  if (Array.isArray(value)) return value.filter(isName)
  if (typeof value !== 'object' || value === null) return isName(value) ? [value] : []
  return Object.keys(value).filter(name => isName(name) && isGrant(Reflect.get(value, name)))
}

/**
 * `{ admin: true }`, or Zitadel's `{ admin: { <organization>: <domain> } }`. Nothing else is a role: not `{ admin: false }`,
 * nor Keycloak's `{ <client>: { roles: […] } }`, where the roles are one level deeper.
 */
function isGrant (value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value === true
  const organizations = Object.values(value)
  return organizations.length > 0 && organizations.every(isName)
}

function isName (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
