import { isBearerToken } from '../credentials/index.ts'
import type { TokenFailureCode } from '../http/index.ts'
import type { IntrospectionClient, IntrospectionReply } from '../introspection/index.ts'
import type { KeySource } from '../keys/index.ts'
import { claimAt, type UncheckedClaims } from './claims.ts'
import { checkClaims, decodeBase64url, readHeader, readPayload, splitCompact } from './gate.ts'
import { describesAccessToken } from './kind.ts'
import type { OwnSecret } from './own-secret.ts'
import { subjectOf } from './principal.ts'
import type { IssuerRules } from './rules.ts'
import { findSigner } from './signature.ts'

/** How tokens of an issuer are looked up there. */
export interface Introspection {
  readonly client: Pick<IntrospectionClient, 'ask' | 'failure' | 'clientId'>
  /** JWTs too. */
  readonly always: boolean
  /** How long an answer is believed, in milliseconds. */
  readonly cache: number
  /** Whether answers must be signed. */
  readonly signed: boolean
}

interface Source {
  readonly rules: IssuerRules
  readonly keys: KeySource | OwnSecret | undefined
  readonly introspection: Introspection
}

/**
 * Whether only its issuer can read the token: it is well-formed, and no JWS by its form (three parts, of which the first holds a JSON
 * object). A damaged JWT is not opaque: it is refused here, and shown to nobody.
 */
export function isOpaque (token: string): boolean {
  return isBearerToken(token) && !hasHeader(splitCompact(token)?.header)
}

function hasHeader (segment: string | undefined): boolean {
  try {
    return segment !== undefined && typeof JSON.parse(Buffer.from(segment, 'base64url').toString()) === 'object'
  } catch {
    return false
  }
}

/** What the issuer says of an active token. Rejects with `IntrospectionFailure`. */
export async function introspect (token: string, source: Source, now: number): Promise<UncheckedClaims | TokenFailureCode> {
  const { rules, introspection: { client, signed } } = source
  const reply = await client.ask(token)
  const answer = signed ? await openSigned(reply, source, now) : reply
  if (typeof answer === 'string') throw client.failure('answer')
  const active = claimAt(answer, ['active'])
  if (typeof active !== 'boolean') throw client.failure('answer')
  if (!active) return 'SECURE_API_TOKEN_INACTIVE'
  if (answer.iss !== undefined && answer.iss !== rules.issuer) return 'SECURE_API_TOKEN_ISSUER'
  // No proof of a key is verified here (RFC 9449 §6.2, RFC 8705 §3.2).
  if (Object.hasOwn(answer, 'cnf') || /^dpop$/i.test(String(answer.token_type))) return 'SECURE_API_TOKEN_BOUND'
  return answer
}

/** The claims of an opaque token, from the answer about it. */
export function readOpaque (answer: UncheckedClaims, rules: IssuerRules, now: number): UncheckedClaims | TokenFailureCode {
  const { active, ...rest } = answer
  const claims = { ...rest, iss: rules.issuer }
  if (!describesAccessToken(claims, rules)) return 'SECURE_API_TOKEN_TYPE'
  return checkClaims(claims, rules, now) ?? (subjectOf(claims, rules) === undefined ? 'SECURE_API_TOKEN_CLAIMS' : claims)
}

const signedType = /^(?:application\/)?token-introspection\+jwt$/i
/** Milliseconds. */
const LEAST_TOLERANCE = 60_000

/**
 * RFC 9701 §5: signed by the issuer, for this API (by its client id, or as oidc-provider and Glewlwyd do, by the audience of the
 * token), and now: an older answer tells of a token that was still good.
 */
async function openSigned (reply: IntrospectionReply, source: Source, now: number): Promise<UncheckedClaims> {
  const { rules, keys, introspection: { client } } = source
  const jwt = typeof reply === 'string' ? readJwt(reply) : undefined
  const algorithm = rules.algorithms.find(name => name === jwt?.header.alg)
  if (jwt === undefined || algorithm === undefined || keys === undefined) throw client.failure('forged')
  const { claims, kid } = jwt
  const issued = typeof claims.iat === 'number' ? claims.iat * 1000 : NaN
  const forUs = [claims.aud].flat().some(name => name === client.clientId || rules.audience.has(name as string))
  const fits = forUs && claims.iss === rules.issuer &&
    Math.abs(now - issued) <= Math.max(rules.clockTolerance, LEAST_TOLERANCE)
  const answer = claims.token_introspection
  if (!fits || typeof answer !== 'object' || answer === null) throw client.failure('forged')
  const signer = await findSigner({ ...jwt, header: { kid }, algorithm }, keys)
  if (typeof signer === 'string') throw client.failure('forged')
  return answer as UncheckedClaims
}

/** The parts of a signed answer, of which nothing is proven. */
function readJwt (text: string) {
  const parts = splitCompact(text)
  const header = parts && readHeader(parts.header)
  const claims = parts && readPayload(parts.payload)
  const signature = parts && decodeBase64url(parts.signature)
  if (parts === undefined || header === undefined || claims === undefined || signature === undefined) return undefined
  const { kid } = header
  if (!signedType.test(String(header.typ)) || Object.hasOwn(header, 'crit')) return undefined
  if (kid !== undefined && typeof kid !== 'string') return undefined
  return { header, claims, kid, signature, signingInput: parts.signingInput }
}
