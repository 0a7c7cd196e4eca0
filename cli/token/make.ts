import { randomUUID, sign } from 'node:crypto'
import { DEVELOPMENT_ISSUER, type OwnKey } from '../../lib/tokens/index.ts'
import type { TokenRequest } from './request.ts'

/** What is kept of a token: everything but its signature, so that nobody can use the list to call an API. */
export interface TokenRecord {
  readonly id: string
  readonly kid: string
  readonly kind: 'user' | 'service'
  /** Epoch seconds. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly claims: Readonly<Record<string, unknown>>
}

export interface MadeToken {
  readonly token: string
  readonly record: TokenRecord
}

/** An RFC 9068 access token of the development issuer. `now` is in milliseconds. */
export function makeToken (request: TokenRequest, audience: string | readonly string[], key: OwnKey, now: number): MadeToken {
  const claims = claimsOf(request, audience, Math.floor(now / 1000))
  const { jti: id, iat: issuedAt, exp: expiresAt } = claims
  return {
    token: signed({ alg: key.algorithm, typ: 'at+jwt', kid: key.kid }, claims, key),
    record: { id, kid: key.kid, kind: request.kind, issuedAt, expiresAt, claims }
  }
}

const names = { user: 'dev-user', client: 'dev-client', service: 'dev-service' } as const

function claimsOf ({ scopes, roles, subject, kind, lifetime, claims }: TokenRequest, audience: string | readonly string[], now: number) {
  return {
    iss: DEVELOPMENT_ISSUER,
    aud: audience,
    ...partiesOf(kind, subject),
    ...(scopes.length === 0 ? undefined : { scope: scopes.join(' ') }),
    ...(roles.length === 0 ? undefined : { roles }),
    ...claims,
    iat: now,
    exp: now + lifetime,
    jti: randomUUID()
  }
}

/** RFC 9068 §2.2: where no user is involved, the subject is the client itself. */
function partiesOf (kind: TokenRequest['kind'], subject: string | undefined): { sub: string, client_id: string } {
  if (kind === 'user') return { sub: subject ?? names.user, client_id: names.client }
  const client = subject ?? names.service
  return { sub: client, client_id: client }
}

/** RFC 7518 §3.4: both halves of an ECDSA signature side by side, not DER. */
function signed (header: object, claims: object, { privatePem }: OwnKey): string {
  const input = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const signature = sign('sha256', Buffer.from(input), { key: privatePem, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}
