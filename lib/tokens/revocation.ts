import { isThenable, withDeadline } from '../async/index.ts'
import type { AccessTokenClaims } from './claims.ts'

/** Says whether a token has been revoked. Asked for every request, with claims that were verified before. */
export type IsRevoked = (token: AccessTokenClaims) => boolean | Promise<boolean>

/** `unknown`: it could not be found out. */
export type RevocationAnswer = 'good' | 'revoked' | { readonly unknown: unknown }

export interface RevocationCheckOptions {
  readonly isRevoked: IsRevoked
  /** In milliseconds. @default 1000 */
  readonly timeout?: number | undefined
  /** @default 'deny' */
  readonly onFailure?: 'deny' | 'allow' | undefined
}

export type RevocationCheck = (token: AccessTokenClaims) => RevocationAnswer | Promise<RevocationAnswer>

/**
 * Makes a check out of the application's function that never throws, never rejects and never takes longer than
 * `timeout`. A function that answers at once is answered at once, without a promise. Only `false` is a no: an
 * `undefined` from a forgotten `return` must not bring back every revoked token, whatever `onFailure` says.
 */
export function createRevocationCheck ({ isRevoked, timeout = 1000, onFailure = 'deny' }: RevocationCheckOptions): RevocationCheck {
  const failed = (cause: unknown): RevocationAnswer => onFailure === 'allow' ? 'good' : { unknown: cause }
  return token => {
    try {
      const answer: unknown = isRevoked(token)
      if (!isThenable(answer)) return read(answer)
      const late = () => new Error(`isRevoked did not answer within ${timeout} ms`)
      return withDeadline(answer, { ms: timeout, late }).then(read, failed)
    } catch (error) {
      return failed(error)
    }
  }
}

function read (answer: unknown): RevocationAnswer {
  if (answer === false) return 'good'
  return answer === true ? 'revoked' : { unknown: new TypeError('isRevoked answered neither true nor false') }
}
