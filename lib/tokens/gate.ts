import { isUtf8 } from 'node:buffer'
import { jsonShape, type TokenFailureCode } from '../http/index.ts'
import { claimAt, type UncheckedClaims } from './claims.ts'
import { isAccessToken } from './kind.ts'
import type { LegacyForm } from './legacy.ts'
import type { IssuerRules, TokenAlgorithm } from './rules.ts'

/** What a signature is verified over, and the signature. */
export interface SignedParts {
  /** Header and payload as they were sent, joined by a dot. */
  readonly signingInput: string
  readonly signature: Buffer
}

/** What an acceptable header says. Nothing else is used: `jku`, `x5u`, `jwk` and `x5c` are the sender's word (RFC 8725 §3.10). */
interface TokenHeader {
  readonly alg: string
  readonly kid: string | undefined
  /** Lower case, without `application/`. */
  readonly typ: string | undefined
}

/** A token that passed everything but its signature: nothing in it is proven. */
export interface Candidate extends SignedParts {
  readonly header: TokenHeader
  readonly claims: UncheckedClaims
  readonly rules: IssuerRules
  readonly algorithm: TokenAlgorithm
}

/** Examines a token without a key and without the network; `now` is in milliseconds. Never throws. */
export type Gate = (token: string, now: number) => Candidate | TokenFailureCode

/** RFC 8725 §3: whoever can send a header can send anything. */
export const MAX_TOKEN_BYTES = 8192

/**
 * Compiles the gate: every check that needs no key, the cheap ones first. A foreign token therefore never causes a
 * fetch (auth0/express-jwt#214: it used up the budget of the key set).
 *
 * @param issuers rules by exact `iss`
 * @param legacy own tokens of an old form, read as those of today
 */
export function createGate (issuers: ReadonlyMap<string, IssuerRules>, maxBytes = MAX_TOKEN_BYTES, legacy?: LegacyForm): Gate {
  const accepted = new Set<string>([...issuers.values()].flatMap(({ algorithms }) => algorithms))
  if (legacy !== undefined) accepted.add('HS256')
  return (token, now) => {
    if (token.length > maxBytes) return 'SECURE_API_TOKEN_TOO_LARGE'
    const parts = splitCompact(token)
    const members = parts && readHeader(parts.header)
    if (parts === undefined || members === undefined) return 'SECURE_API_TOKEN_MALFORMED'
    const header = checkHeader(members)
    if (typeof header === 'string') return header
    if (!accepted.has(header.alg)) return 'SECURE_API_TOKEN_ALGORITHM'
    const payload = readPayload(parts.payload)
    const signature = decodeBase64url(parts.signature)
    if (payload === undefined || signature === undefined) return 'SECURE_API_TOKEN_MALFORMED'
    const adopted = header.alg === 'HS256' ? legacy?.adopt(header.typ, payload) : undefined
    const claims = adopted ?? payload
    const rules = adopted === undefined ? rulesOf(payload, issuers) : legacy?.rules
    if (rules === undefined) return 'SECURE_API_TOKEN_ISSUER'
    const algorithm = rules.algorithms.find(name => name === header.alg)
    if (algorithm === undefined) return 'SECURE_API_TOKEN_ALGORITHM'
    if (!isAccessToken(header.typ, claims, rules)) return 'SECURE_API_TOKEN_TYPE'
    const failure = checkClaims(claims, rules, now)
    return failure ?? { header, claims, rules, algorithm, signingInput: parts.signingInput, signature }
  }
}

function rulesOf ({ iss }: UncheckedClaims, issuers: ReadonlyMap<string, IssuerRules>): IssuerRules | undefined {
  return typeof iss === 'string' ? issuers.get(iss) : undefined
}

/** The three parts of a compact JWS (RFC 7515 §3.1), still encoded, and what the signature covers. */
interface CompactJws {
  readonly header: string
  readonly payload: string
  readonly signature: string
  readonly signingInput: string
}

/** Splits at the dots. A JWE has five parts and is refused here, before anything is decoded (CVE-2024-28176: zip bombs). */
export function splitCompact (token: string): CompactJws | undefined {
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first <= 0 || second === -1 || token.includes('.', second + 1)) return undefined
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signature: token.slice(second + 1),
    signingInput: token.slice(0, second)
  }
}

/**
 * The bytes, if this is their only encoding: the alphabet of RFC 7515 §2, no padding, no stray bits at the end. Node accepts all
 * of those, and a second spelling of a token would be a second identity for caches and denylists.
 */
export function decodeBase64url (text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** Ten times what headers have. */
const MAX_HEADER_MEMBERS = 100

/** The decoded header, if it is a JSON object without repeated members (RFC 7515 §4): parsers disagree on which one counts. */
export function readHeader (segment: string): UncheckedClaims | undefined {
  const text = decodeText(segment)
  if (text === undefined) return undefined
  const shape = shapeOf(text)
  if (shape.members > MAX_HEADER_MEMBERS) return undefined
  const header = parseObject(text, shape)
  return header !== undefined && shape.members === Object.keys(header).length ? header : undefined
}

/** The decoded payload, if it is a JSON object. */
export function readPayload (segment: string): UncheckedClaims | undefined {
  const text = decodeText(segment)
  return text === undefined ? undefined : parseObject(text, text.length > SHORT ? shapeOf(text) : undefined)
}

/** RFC 7519 §7.2: UTF-8. `JSON.parse` refuses a byte order mark. */
function decodeText (segment: string): string | undefined {
  const bytes = decodeBase64url(segment)
  return bytes !== undefined && isUtf8(bytes) ? bytes.toString() : undefined
}

/** In characters: what is shorter costs little, however deep. */
const SHORT = 512
/** Ten times what claims have. A parser needs far longer for a text of brackets than for any other of its length. */
const MAX_DEPTH = 64
/** A list of a thousand groups: what fits into a token that names them by words. */
const MAX_WEIGHT = 1024
/** In characters for each unit of weight. A client with one role in a token of Keycloak has 36 for a weight of 9. */
const LENGTH_PER_UNIT = 3

type Shape = ReturnType<typeof jsonShape>

function shapeOf (text: string): Shape {
  return jsonShape(text, mostWeight(text))
}

function mostWeight ({ length }: string): number {
  return Math.max(MAX_WEIGHT, length / LENGTH_PER_UNIT)
}

function parseObject (text: string, shape: Shape | undefined): UncheckedClaims | undefined {
  if (shape !== undefined && (shape.depth > MAX_DEPTH || shape.weight > mostWeight(text))) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is UncheckedClaims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** In characters. */
const MAX_KID = 256
const unprintable = /[\p{Cc}\p{Cs}]/u

/** What the header says, or why no issuer's token may have such a header. */
function checkHeader (header: UncheckedClaims): TokenHeader | TokenFailureCode {
  const { alg, kid } = header
  if (typeof alg !== 'string') return 'SECURE_API_TOKEN_ALGORITHM'
  if (hasCritical(header)) return 'SECURE_API_TOKEN_CRITICAL'
  const typ = readType(header.typ)
  if (typ === false) return 'SECURE_API_TOKEN_TYPE'
  if (!isKeyId(kid)) return 'SECURE_API_TOKEN_MALFORMED'
  return { alg, kid, typ }
}

/** RFC 7515 §4.1.11: no extension is understood. An unencoded payload (RFC 7797) is one, even if `crit` does not list it. */
function hasCritical (header: UncheckedClaims): boolean {
  return Object.hasOwn(header, 'crit') || (Object.hasOwn(header, 'b64') && header.b64 !== true)
}

/** RFC 7515 §4.1.9: media types are case-insensitive, and `application/` may be left out. */
function readType (typ: unknown): string | undefined | false {
  if (typ === undefined) return undefined
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '')
}

function isKeyId (kid: unknown): kid is string | undefined {
  if (kid === undefined) return true
  return typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID && !unprintable.test(kid)
}

type Check = (claims: UncheckedClaims, rules: IssuerRules, now: number) => TokenFailureCode | undefined

/** Types, times and audience. */
export function checkClaims (claims: UncheckedClaims, rules: IssuerRules, now: number): TokenFailureCode | undefined {
  for (const check of checks) {
    const failure = check(claims, rules, now)
    if (failure !== undefined) return failure
  }
  return undefined
}

/**
 * RFC 7519 §4.1: dates are numbers, the rest are strings. A wrong type is refused rather than ignored: a `jti` of 7 could
 * never be revoked. Nor could an empty one, and an empty `sub` would be everybody's.
 */
const types: Check = claims => {
  if (typeof claims.exp !== 'number') return 'SECURE_API_TOKEN_CLAIMS'
  const fits = dates.every(name => isDate(claims[name])) && texts.every(name => isText(claims[name])) &&
    identifiers.every(name => claims[name] === undefined || isFilled(claims[name]))
  return fits ? undefined : 'SECURE_API_TOKEN_CLAIMS'
}

const dates = ['exp', 'nbf', 'iat']
const identifiers = ['sub', 'jti']
const texts = ['sub', 'jti', 'sid', 'client_id', 'azp', 'cid', 'appid', 'tid']
/** The end of the year 9999. A later date was written in milliseconds, and the token would outlive everyone. */
const LAST_DATE = 253_402_300_799

function isDate (value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && value >= 0 && value <= LAST_DATE)
}

function isText (value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

/** Present, and not a string of blanks. */
export function isFilled (value: unknown): boolean {
  return value !== undefined && (typeof value !== 'string' || value.trim() !== '')
}

/** Refresh tokens live longer than the access tokens of the same signer; without `iat` the lifetime is unknown. */
const lifetime: Check = ({ exp, iat }, { maxLifetime }) => {
  if (maxLifetime === Infinity) return undefined
  if (iat === undefined) return 'SECURE_API_TOKEN_CLAIMS'
  return seconds(exp) - seconds(iat) > maxLifetime ? 'SECURE_API_TOKEN_TYPE' : undefined
}

/** Entra ID: the tenant in the issuer must be the one in `tid`. */
const tenant: Check = ({ tid }, rules) =>
  rules.tenant === undefined || tid === undefined || tid === rules.tenant ? undefined : 'SECURE_API_TOKEN_ISSUER'

const time: Check = (claims, rules, now) => {
  const { clockTolerance, maxTokenAge } = rules
  if (now >= seconds(claims.exp) * 1000 + clockTolerance) return 'SECURE_API_TOKEN_EXPIRED'
  if (Math.max(seconds(claims.nbf), seconds(claims.iat)) * 1000 > now + clockTolerance) return 'SECURE_API_TOKEN_NOT_YET_VALID'
  if (maxTokenAge === Infinity) return undefined
  if (claims.iat === undefined) return 'SECURE_API_TOKEN_CLAIMS'
  return now >= notAfter(claims, rules) ? 'SECURE_API_TOKEN_TOO_OLD' : undefined
}

/** When a token that passed ends, in milliseconds: by `exp` or by its age, plus the clock tolerance. */
export function notAfter (claims: UncheckedClaims, { clockTolerance, maxTokenAge }: IssuerRules): number {
  return Math.min(seconds(claims.exp) * 1000, seconds(claims.iat) * 1000 + maxTokenAge) + clockTolerance
}

/** The types have been checked. */
function seconds (date: unknown): number {
  return typeof date === 'number' ? date : 0
}

/** Keycloak names each client of which its user has a role (`audience resolve`). A token for more is nobody's. */
const MAX_AUDIENCES = 1000

/** RFC 7519 §4.1.3, and RFC 9068 §4: absent is foreign. Every member of a list must be a string. */
const audience: Check = (claims, rules) => {
  const value = claimAt(claims, [rules.audienceClaim])
  if (namesNobody(value)) return 'SECURE_API_TOKEN_AUDIENCE_MISSING'
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const wellFormed = values.length <= MAX_AUDIENCES && values.every(member => typeof member === 'string')
  return wellFormed && values.some(member => rules.audience.has(member)) ? undefined : 'SECURE_API_TOKEN_AUDIENCE'
}

function namesNobody (value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
}

const checks: readonly Check[] = [types, lifetime, tenant, time, audience]
