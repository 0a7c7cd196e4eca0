import { claimAt, type UncheckedClaims } from './claims.ts'
import type { IssuerRules } from './rules.ts'

/**
 * Whether a token says that it is an access token (RFC 9068 §4, RFC 8725 §3.11): by the type in its header, or by the claim in which its
 * issuer writes the kind. Without either, it must not look like a token of another kind. `typ` is lower case, without `application/`.
 */
export function isAccessToken (typ: string | undefined, claims: UncheckedClaims, rules: IssuerRules): boolean {
  if (rules.tokenUse !== undefined && !isUse(claims, rules.tokenUse)) return false
  // The gate knows the types of the old form.
  if (rules.profile === 'legacy') return saysAccess(claims) && !hasForeignMark(claims)
  if (rules.profile === 'own') return typ === 'at+jwt' && saysAccess(claims) && !hasForeignMark(claims)
  if (typ === 'at+jwt') return true
  if (rules.profile !== 'any' || (typ !== undefined && typ !== 'jwt')) return false
  return rules.tokenUse !== undefined || !isOtherKind(claims, rules)
}

/** The same of an introspection response. `token_type` is that of RFC 6749 §5.1; other kinds have others, or none. */
export function describesAccessToken (claims: UncheckedClaims, rules: IssuerRules): boolean {
  if (rules.tokenUse !== undefined && !isUse(claims, rules.tokenUse)) return false
  // A refresh token can be active too, and for the same client: with `aud` it has no audience, without `aud` its type must tell.
  const told = claims.token_type !== undefined || rules.audienceClaim === 'aud'
  return told && lowerCase(claims.token_type ?? 'bearer') === 'bearer' && !isOtherKind(claims, rules)
}

function isUse (claims: UncheckedClaims, { claim, accepted }: NonNullable<IssuerRules['tokenUse']>): boolean {
  const use = claimAt(claims, [claim])
  return typeof use === 'string' && accepted.includes(use)
}

/**
 * Marks of signed tokens that are not access tokens: ID tokens (OpenID Connect Core §2, §3.3.2.11; FAPI `s_hash`), logout and security
 * event tokens (RFC 8417 §2.2). Any issuer may also name another kind in a claim, as Cognito and Keycloak do.
 */
function isOtherKind (claims: UncheckedClaims, rules: IssuerRules): boolean {
  if (foreignMarks.some(name => Object.hasOwn(claims, name)) || !mayCarryNonce(claims, rules)) return true
  return kindClaims.some(name => foreignKinds.has(lowerCase(claims[name])))
}

/** In the application's own tokens, a `nonce` too is foreign: no provider copied it there. */
function hasForeignMark (claims: UncheckedClaims): boolean {
  return Object.hasOwn(claims, 'nonce') || foreignMarks.some(name => Object.hasOwn(claims, name))
}

/** B2C and authentik copy `nonce` into access tokens. Those carry a scope, which ID tokens never do (OpenID Connect Core §2). */
function mayCarryNonce (claims: UncheckedClaims, { nonce, scopeClaims }: IssuerRules): boolean {
  if (nonce === 'allowed' || !Object.hasOwn(claims, 'nonce')) return true
  return nonce === 'with-scope' && scopeClaims.some(path => holdsName(claimAt(claims, path)))
}

function holdsName (value: unknown): boolean {
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  return members.some(member => typeof member === 'string' && member.trim() !== '')
}

/**
 * The application signs all of its tokens with one key, so only the token itself tells the kinds apart. This is a list
 * of what is accepted: kinds that nobody thought of (`reset`, `invite`, `magic-link`) are refused.
 */
function saysAccess (claims: UncheckedClaims): boolean {
  return kindClaims.every(name => !Object.hasOwn(claims, name) || accessKinds.has(lowerCase(claims[name]))) &&
    !looseKindClaims.some(name => Object.hasOwn(claims, name) && foreignSpellings.has(letters(claims[name])))
}

function lowerCase (value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value
}

/** `refresh_token`, `refresh-token` and `refreshToken` are one name. */
function letters (value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase().replace(/[-_+ ]/g, '') : value
}

const foreignMarks = ['at_hash', 'c_hash', 's_hash', 'events']
/** Where tokens name their kind: Cognito, Keycloak, Django's simplejwt, Flask-JWT-Extended, and hand-made ones. */
const kindClaims = ['token_use', 'typ', 'token_type', 'type', 'use']
/** Names that say other things, too (`kind: 'employee'`): only a value that names another kind of token tells. */
const looseKindClaims = ['kind', 'purpose', 'tokenType', 'tokenUse']
const accessKinds: ReadonlySet<unknown> = new Set(['access', 'bearer', 'at+jwt'])
const foreignKinds: ReadonlySet<unknown> = new Set([
  'id', 'id_token', 'refresh', 'refresh_token', 'rt+jwt', 'offline', 'offline_access',
  'logout', 'logout_token', 'logout+jwt', 'reset', 'password_reset'
])
/** By their letters alone: what an application writes by hand follows no registry. */
const foreignSpellings: ReadonlySet<unknown> = new Set([...foreignKinds, 'reset_password'].map(letters))
