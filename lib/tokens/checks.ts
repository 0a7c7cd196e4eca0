import type { TokenFailureCode } from '../http/index.ts'
import { claimAt, type UncheckedClaims } from './claims.ts'
import type { TokenHeader } from './header.ts'
import type { IssuerRules } from './rules.ts'

/** A token whose issuer claims to be one of ours; nothing is proven yet. */
export interface Claimed {
  readonly header: TokenHeader
  readonly claims: UncheckedClaims
  readonly rules: IssuerRules
}

type Check = (token: Claimed, now: number) => TokenFailureCode | undefined

/** What is asked before any key is looked up, cheap checks first. `now` is in milliseconds. */
export function checkClaimed (token: Claimed, now: number): TokenFailureCode | undefined {
  for (const check of beforeSignature) {
    const failure = check(token, now)
    if (failure !== undefined) return failure
  }
  return undefined
}

/** What is asked of a token that its issuer did sign. */
export function checkSigned ({ claims, rules }: Claimed): TokenFailureCode | undefined {
  if (rules.profile === 'at+jwt' && !profileClaims.every(name => isFilled(claims[name]))) return 'SECURE_API_TOKEN_CLAIMS'
  // A token bound to a key must not work as a bearer token (RFC 9449 §7.1, RFC 8705 §3), and no proof is looked at here.
  return Object.hasOwn(claims, 'cnf') ? 'SECURE_API_TOKEN_BOUND' : undefined
}

/** RFC 9068 §2.2; `iss`, `exp` and `aud` are required of every token. */
const profileClaims = ['sub', 'client_id', 'iat', 'jti']

/** RFC 9068 §4 and RFC 8725 §3.11: the type says what a token is for, where the issuer gives one. */
const type: Check = ({ header: { typ }, claims, rules }) => {
  if (rules.tokenUse !== undefined && !isUse(claims, rules.tokenUse)) return 'SECURE_API_TOKEN_TYPE'
  if (rules.profile === 'own') return typ === 'at+jwt' && saysAccess(claims) && !hasForeignMark(claims) ? undefined : 'SECURE_API_TOKEN_TYPE'
  if (typ === 'at+jwt') return undefined
  const accepted = rules.profile === 'any' && (typ === undefined || typ === 'jwt')
  return accepted && (rules.tokenUse !== undefined || !isOtherKind(claims, rules)) ? undefined : 'SECURE_API_TOKEN_TYPE'
}

function isUse (claims: UncheckedClaims, { claim, accepted }: NonNullable<IssuerRules['tokenUse']>): boolean {
  const use = claimAt(claims, [claim])
  return typeof use === 'string' && accepted.includes(use)
}

/**
 * Marks of signed tokens that are no access tokens: ID tokens (OpenID Connect Core §2, §3.3.2.11; FAPI `s_hash`),
 * logout and security event tokens (RFC 8417 §2.2). Cognito and Keycloak name the kind in a claim, other issuers that
 * do so are believed when they say it is another one.
 */
function isOtherKind (claims: UncheckedClaims, rules: IssuerRules): boolean {
  return foreignMarks.some(name => Object.hasOwn(claims, name)) || !mayCarryNonce(claims, rules) || kindClaims.some(name => foreignKinds.has(lowerCase(claims[name])))
}

/** Own tokens: nobody but the application could have put `nonce` into them. */
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
 * The application signs all of its kinds with one key, so that nothing but the token itself tells them apart. A kind
 * that nobody thought of (`reset`, `invite`, `magic-link`) is refused too: only these three are access tokens.
 */
function saysAccess (claims: UncheckedClaims): boolean {
  return kindClaims.every(name => !Object.hasOwn(claims, name) || accessKinds.has(lowerCase(claims[name])))
}

function lowerCase (value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value
}

const foreignMarks = ['at_hash', 'c_hash', 's_hash', 'events']
/** Where tokens say their kind: Cognito, Keycloak, Django's simplejwt, Flask-JWT-Extended, and others by hand. */
const kindClaims = ['token_use', 'typ', 'token_type', 'type', 'use']
const accessKinds: ReadonlySet<unknown> = new Set(['access', 'bearer', 'at+jwt'])
const foreignKinds: ReadonlySet<unknown> = new Set([
  'id', 'id_token', 'refresh', 'refresh_token', 'rt+jwt', 'offline', 'offline_access', 'logout', 'logout_token', 'logout+jwt', 'reset', 'password_reset'
])

/**
 * RFC 7519 §4.1: dates are numbers, the rest are texts. A wrong type is refused rather than ignored: a `jti` of 7 could
 * never be revoked. Nor could an empty one, and an empty `sub` would be everybody's.
 */
const types: Check = ({ claims }) => {
  if (typeof claims.exp !== 'number') return 'SECURE_API_TOKEN_CLAIMS'
  const fits = dates.every(name => isDate(claims[name])) && texts.every(name => isText(claims[name])) &&
    identifiers.every(name => claims[name] === undefined || isFilled(claims[name]))
  return fits ? undefined : 'SECURE_API_TOKEN_CLAIMS'
}

const dates = ['exp', 'nbf', 'iat']
const identifiers = ['sub', 'jti']
const texts = ['sub', 'jti', 'sid', 'client_id', 'azp', 'cid', 'appid', 'tid']
/** The end of the year 9999. Beyond it, somebody wrote milliseconds, and the token would outlive everyone. */
const LAST_DATE = 253_402_300_799

function isDate (value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && value >= 0 && value <= LAST_DATE)
}

function isText (value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

/** Present, and no text of blanks only. */
function isFilled (value: unknown): boolean {
  return value !== undefined && (typeof value !== 'string' || value.trim() !== '')
}

/** Refresh tokens live longer than the access tokens of the same signer; without `iat` there is no telling. */
const lifetime: Check = ({ claims, rules: { maxLifetime } }) => {
  if (maxLifetime === Infinity) return undefined
  if (claims.iat === undefined) return 'SECURE_API_TOKEN_CLAIMS'
  return seconds(claims.exp) - seconds(claims.iat) > maxLifetime ? 'SECURE_API_TOKEN_TYPE' : undefined
}

const time: Check = ({ claims, rules }, now) => {
  const { clockTolerance, maxTokenAge } = rules
  if (now >= seconds(claims.exp) * 1000 + clockTolerance) return 'SECURE_API_TOKEN_EXPIRED'
  if (Math.max(seconds(claims.nbf), seconds(claims.iat)) * 1000 > now + clockTolerance) return 'SECURE_API_TOKEN_NOT_YET_VALID'
  if (maxTokenAge === Infinity) return undefined
  if (claims.iat === undefined) return 'SECURE_API_TOKEN_CLAIMS'
  return now >= notAfter(claims, rules) ? 'SECURE_API_TOKEN_TOO_OLD' : undefined
}

/** Until when a token that passed may be used without asking again, in milliseconds. */
export function notAfter (claims: UncheckedClaims, { clockTolerance, maxTokenAge }: IssuerRules): number {
  return Math.min(seconds(claims.exp) * 1000, seconds(claims.iat) * 1000 + maxTokenAge) + clockTolerance
}

/** Seconds; the types have been checked. */
function seconds (date: unknown): number {
  return typeof date === 'number' ? date : 0
}

/** RFC 7519 §4.1.3, and RFC 9068 §4: absent is foreign. In a list every member must be a text. */
const audience: Check = ({ claims, rules }) => {
  const value = claimAt(claims, [rules.audienceClaim])
  if (namesNobody(value)) return 'SECURE_API_TOKEN_AUDIENCE_MISSING'
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const wellFormed = values.every(member => typeof member === 'string')
  return wellFormed && values.some(member => typeof member === 'string' && rules.audience.has(member)) ? undefined : 'SECURE_API_TOKEN_AUDIENCE'
}

function namesNobody (value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
}

/** Entra ID: the tenant in the issuer and the one in `tid` are the same, or the token is not of that tenant. */
const tenant: Check = ({ claims, rules }) =>
  rules.tenant === undefined || claims.tid === undefined || claims.tid === rules.tenant ? undefined : 'SECURE_API_TOKEN_ISSUER'

const beforeSignature: readonly Check[] = [type, types, lifetime, tenant, time, audience]
