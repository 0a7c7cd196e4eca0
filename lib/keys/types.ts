import type { KeyObject } from 'node:crypto'

/** Asymmetric JWS algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864). HMAC is never one of them: a key set is public. */
export const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const
export type Algorithm = typeof algorithms[number]

/** A public key that may verify tokens of one issuer. One object for as long as the issuer publishes that key. */
export interface VerificationKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  /** The algorithms it may be used with: those of the issuer's list that fit its type and its own `alg`. */
  readonly algorithms: readonly Algorithm[]
  /** False from the moment a good key set lacks it, or the last good set is older than `maxStale`. */
  readonly active: boolean
}

/** Where the keys of one issuer come from. */
export interface KeySource {
  /** Keys known now, without any I/O: empty when no key fits, undefined when there is no usable set at all. */
  peek (kid: string | undefined, algorithm: Algorithm): readonly VerificationKey[] | undefined
  /**
   * Asks the issuer, if it was not asked within the cooldown, and answers as `peek` does then: empty when the key is not known, or a new
   * one is not available. Call it when `peek` did not help; it may wait for `timeout`. Rejects with `KeysUnavailable`.
   */
  find (kid: string | undefined, algorithm: Algorithm): Promise<readonly VerificationKey[]>
}

/** There is no usable key set: neither a fresh one nor one younger than `maxStale`. */
export class KeysUnavailable extends Error {
  /** When asking again makes sense, in milliseconds. */
  readonly retryAfter: number

  constructor (issuer: string, retryAfter: number) {
    super(`no usable key set of ${issuer}`)
    this.name = 'KeysUnavailable'
    this.retryAfter = retryAfter
  }
}
