import { isBearerToken, type Principal } from '../credentials/index.ts'
import type { AnswerCode, TokenFailureCode } from '../http/index.ts'
import { KeysUnavailable, type VerificationKey } from '../keys/index.ts'
import type { AccessTokenClaims } from './claims.ts'
import type { RevocationAnswer } from './revocation.ts'

/** A token that is good. Frozen; shared by every request that sends it. */
export interface Verified {
  readonly kind: 'verified'
  readonly principal: Principal<AccessTokenClaims>
  readonly key: VerificationKey
  /** Milliseconds since the epoch: `exp` or the greatest age, whichever is first, and the clock tolerance. */
  readonly notAfter: number
}

/** A token that is not, and never will be. */
export interface Failed {
  readonly kind: 'failed'
  readonly code: TokenFailureCode | 'SECURE_API_CREDENTIAL_AMBIGUOUS'
}

/** A token of which nothing can be said now. */
export interface Unavailable {
  readonly kind: 'unavailable'
  readonly code: Extract<AnswerCode, 'SECURE_API_KEYS_UNAVAILABLE' | 'SECURE_API_REVOCATION_UNAVAILABLE'>
  /** In milliseconds. */
  readonly retryAfter: number
  /** For the log, never for the caller. */
  readonly cause: unknown
}

/** What became of a token. */
export type Outcome = Verified | Failed | Unavailable

/** When to ask again after a failure that does not say so itself, in milliseconds. */
const RETRY_AFTER = 1000

export function failed (code: Failed['code']): Failed {
  return { kind: 'failed', code }
}

/** What the gate refused. Characters that no bearer token may have are a fault of the header, not of a token (RFC 6750 §3.1). */
export function refused (code: TokenFailureCode, token: string): Failed {
  return failed(code === 'SECURE_API_TOKEN_MALFORMED' && !isBearerToken(token) ? 'SECURE_API_CREDENTIAL_AMBIGUOUS' : code)
}

/** Keys could not be had. Any other error of a key source counts as that too: nobody is let in by an exception. */
export function keysUnavailable (error: unknown): Unavailable {
  const retryAfter = error instanceof KeysUnavailable ? error.retryAfter : RETRY_AFTER
  return { kind: 'unavailable', code: 'SECURE_API_KEYS_UNAVAILABLE', retryAfter, cause: error }
}

/** A good token after the question whether it was revoked. */
export function judged (answer: RevocationAnswer, verified: Verified): Outcome {
  if (answer === 'good') return verified
  if (answer === 'revoked') return failed('SECURE_API_TOKEN_REVOKED')
  return { kind: 'unavailable', code: 'SECURE_API_REVOCATION_UNAVAILABLE', retryAfter: RETRY_AFTER, cause: answer.unknown }
}
