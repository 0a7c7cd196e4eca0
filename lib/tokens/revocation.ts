import { isThenable, withDeadline } from '../async/index.ts'
import type { AccessTokenClaims } from './claims.ts'

/** Says whether a token has been revoked. Asked for every request, with claims that were verified before. */
export type IsRevoked = (token: AccessTokenClaims) => boolean | Promise<boolean>

/** `unknown`: it could not be found out. */
export type RevocationAnswer = 'good' | 'revoked' | { readonly unknown: unknown }

export interface RevocationCheckOptions {
  readonly isRevoked: IsRevoked
  /** Milliseconds. */
  readonly timeout: number
  readonly onFailure: 'deny' | 'allow'
}

export type RevocationCheck = (token: AccessTokenClaims) => RevocationAnswer | Promise<RevocationAnswer>

/**
 * Makes a check out of the application's function that never throws, never rejects and never takes longer than
 * `timeout`. A function that answers at once is answered at once, without a promise. Only `false` is a no: an
 * `undefined` from a forgotten `return` must not bring back every revoked token, whatever `onFailure` says.
 */
export function createRevocationCheck ({ isRevoked, timeout, onFailure }: RevocationCheckOptions): RevocationCheck {
  const failed = (cause: unknown): RevocationAnswer => onFailure === 'allow' ? 'good' : { unknown: cause }
  return token => {
    try {
      const answer: unknown = isRevoked(token)
      return isThenable(answer)
        ? withDeadline(answer,
          { ms: timeout, late: () => new Error(`isRevoked did not answer within ${timeout} ms`) }).then(read, failed)
        : read(answer)
    } catch (error) {
      return failed(error)
    }
  }
}

function read (answer: unknown): RevocationAnswer {
  if (answer === false) return 'good'
  return answer === true ? 'revoked' : { unknown: new TypeError('isRevoked answered neither true nor false') }
}
