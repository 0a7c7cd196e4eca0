import type { TokenFailureCode } from '../http/index.ts'
import type { Algorithm } from '../keys/index.ts'
import { checkClaimed, type Claimed } from './checks.ts'
import { checkHeader } from './header.ts'
import { decodeBase64url, readHeader, readPayload, splitCompact } from './jws.ts'
import type { IssuerRules } from './rules.ts'
import type { SignedParts } from './signature.ts'

/** A token that passed everything but its signature. */
export interface Candidate extends Claimed, SignedParts {
  readonly algorithm: Algorithm
}

/** Looks at a token without a key and without the network; `now` is in milliseconds. Never throws. */
export type Gate = (token: string, now: number) => Candidate | TokenFailureCode

/** RFC 8725 §3: whoever can send a header can send anything. */
export const MAX_TOKEN_BYTES = 8192

/**
 * Compiles the gate: everything that can be refused about a token before its key is looked up, cheap checks before
 * dear ones. A foreign token thus never causes a fetch (auth0/express-jwt#214: it used up the key set's budget).
 *
 * @param issuers rules by exact `iss`
 */
export function createGate (issuers: ReadonlyMap<string, IssuerRules>, maxBytes = MAX_TOKEN_BYTES): Gate {
  const accepted = new Set<string>([...issuers.values()].flatMap(({ algorithms }) => algorithms))
  return (token, now) => {
    if (token.length > maxBytes) return 'SECURE_API_TOKEN_TOO_LARGE'
    const parts = splitCompact(token)
    const members = parts && readHeader(parts.header)
    if (parts === undefined || members === undefined) return 'SECURE_API_TOKEN_MALFORMED'
    const header = checkHeader(members)
    if (typeof header === 'string') return header
    if (!accepted.has(header.alg)) return 'SECURE_API_TOKEN_ALGORITHM'
    const claims = readPayload(parts.payload)
    const signature = decodeBase64url(parts.signature)
    if (claims === undefined || signature === undefined) return 'SECURE_API_TOKEN_MALFORMED'
    const rules = typeof claims.iss === 'string' ? issuers.get(claims.iss) : undefined
    if (rules === undefined) return 'SECURE_API_TOKEN_ISSUER'
    const algorithm = rules.algorithms.find(name => name === header.alg)
    if (algorithm === undefined) return 'SECURE_API_TOKEN_ALGORITHM'
    const candidate = { header, claims, rules, algorithm, signingInput: parts.signingInput, signature }
    return checkClaimed(candidate, now) ?? candidate
  }
}
