import { isBearerToken, type Principal } from '../credentials/index.ts'
import type { AnswerCode, TokenFailureCode } from '../http/index.ts'
import { KeysUnavailable, type KeySource, type VerificationKey } from '../keys/index.ts'
import { TokenCache, tokenDigest, type TokenCacheLimits } from './cache.ts'
import { checkSigned, notAfter } from './checks.ts'
import type { AccessTokenClaims, UncheckedClaims } from './claims.ts'
import { createGate, type Candidate, type Gate } from './gate.ts'
import { buildPrincipal } from './principal.ts'
import { createRevocationCheck, type RevocationAnswer, type RevocationCheck, type RevocationCheckOptions } from './revocation.ts'
import type { IssuerRules } from './rules.ts'
import { findSigner } from './verifier.ts'

/** A token that is good. Frozen; shared by every request that sends it. */
export interface Verified {
  readonly principal: Principal<AccessTokenClaims>
  readonly key: VerificationKey
  /** Milliseconds since the epoch: `exp` or the greatest age, whichever is first, and the clock tolerance. */
  readonly notAfter: number
}

/** What became of a token. */
export type Outcome =
  | { readonly kind: 'verified', readonly verified: Verified }
  | { readonly kind: 'failed', readonly code: TokenFailureCode | 'SECURE_API_CREDENTIAL_MALFORMED' }
  | {
    readonly kind: 'unavailable'
    readonly code: Extract<AnswerCode, 'SECURE_API_KEYS_UNAVAILABLE' | 'SECURE_API_REVOCATION_UNAVAILABLE'>
    /** In milliseconds. */
    readonly retryAfter: number
    /** For the log. */
    readonly cause: unknown
  }

type VerifiedOutcome = Extract<Outcome, { kind: 'verified' }>

export interface TrustedIssuer {
  readonly rules: IssuerRules
  readonly keys: KeySource
}

export interface TokenAuthenticatorOptions {
  /** By exact `iss`; a second entry with the same one is an error. */
  readonly issuers: readonly TrustedIssuer[]
  /** @default 10,000 tokens and 64 MiB */
  readonly cache?: Partial<TokenCacheLimits> | false
  readonly revocation?: Partial<RevocationCheckOptions> & Pick<RevocationCheckOptions, 'isRevoked'>
  /** In bytes. @default 8192 */
  readonly maxTokenBytes?: number
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

export interface TokenAuthenticator {
  /**
   * What becomes of a token that was verified before: without cryptography, and without a promise unless `isRevoked`
   * gives one. Undefined for every other token. Never throws, never rejects.
   */
  lookup (token: string): Outcome | Promise<Outcome> | undefined
  /** What becomes of any token. Never rejects. */
  authenticate (token: string): Promise<Outcome>
  /** Forgets the verified tokens for which the predicate holds, and says how many. They are verified again. */
  forget (predicate: (verified: Verified) => boolean): number
  /** Of the cache; bytes are estimated. */
  readonly size: number
  readonly bytes: number
}

const defaultLimits: TokenCacheLimits = { max: 10_000, maxBytes: 64 * 1024 * 1024 }
const REVOCATION_TIMEOUT = 1000
/** When to ask again after a failure that does not say so itself, in milliseconds. */
const RETRY_AFTER = 1000

/** What a cached token weighs beside its claims, and how much more claims weigh as objects than as text; measured. */
const ENTRY_BYTES = 1024
const BYTES_PER_CHARACTER = 4

/**
 * Decides about bearer tokens: gate, key, signature, profile, revocation, in this order, with a cache of those that
 * passed. Revocation is asked for cached tokens too, each time.
 *
 * @example
 * const outcome = authenticator.lookup(token) ?? await authenticator.authenticate(token)
 */
export function createTokenAuthenticator (options: TokenAuthenticatorOptions): TokenAuthenticator {
  return new Authenticator(options)
}

class Authenticator implements TokenAuthenticator {
  readonly #gate: Gate
  readonly #sources: ReadonlyMap<IssuerRules, KeySource>
  readonly #cache: TokenCache<CachedToken> | undefined
  readonly #revocation: RevocationCheck | undefined
  readonly #now: () => number
  /** Requests that bring the same new token at the same time share one verification. */
  readonly #pending = new Map<string, Promise<Outcome>>()

  constructor ({ issuers, cache, revocation, maxTokenBytes, now = Date.now }: TokenAuthenticatorOptions) {
    const rules = new Map(issuers.map(entry => [entry.rules.issuer, entry.rules]))
    if (rules.size !== issuers.length) throw new TypeError('two sets of rules for one issuer')
    this.#gate = createGate(rules, maxTokenBytes)
    this.#sources = new Map(issuers.map(entry => [entry.rules, entry.keys]))
    this.#cache = cache === false ? undefined : new TokenCache({ ...defaultLimits, ...cache })
    this.#revocation = revocation && createRevocationCheck({ timeout: REVOCATION_TIMEOUT, onFailure: 'deny', ...revocation })
    this.#now = now
  }

  get size (): number {
    return this.#cache?.size ?? 0
  }

  get bytes (): number {
    return this.#cache?.bytes ?? 0
  }

  lookup (token: string): Outcome | Promise<Outcome> | undefined {
    const found = this.#cache?.get(tokenDigest(token), this.#now())
    return found && this.#unlessRevoked(found.outcome)
  }

  async authenticate (token: string): Promise<Outcome> {
    const candidate = this.#gate(token, this.#now())
    if (typeof candidate === 'string') return refused(candidate, token)
    const outcome = await this.#verifyOnce(tokenDigest(token), candidate, token.length)
    return outcome.kind === 'verified' ? await this.#unlessRevoked(outcome) : outcome
  }

  forget (predicate: (verified: Verified) => boolean): number {
    return this.#cache?.deleteWhere(({ outcome }) => predicate(outcome.verified)) ?? 0
  }

  #unlessRevoked (outcome: VerifiedOutcome): Outcome | Promise<Outcome> {
    if (this.#revocation === undefined) return outcome
    const answer = this.#revocation(outcome.verified.principal.claims)
    return answer instanceof Promise ? answer.then(late => judge(late, outcome)) : judge(answer, outcome)
  }

  #verifyOnce (digest: string, candidate: Candidate, length: number): Promise<Outcome> {
    const running = this.#pending.get(digest)
    if (running !== undefined) return running
    const started = this.#verify(digest, candidate, length).finally(() => this.#pending.delete(digest))
    this.#pending.set(digest, started)
    return started
  }

  async #verify (digest: string, candidate: Candidate, length: number): Promise<Outcome> {
    try {
      const source = this.#sources.get(candidate.rules)
      const key = source === undefined ? 'SECURE_API_TOKEN_ISSUER' : await findSigner(candidate, source)
      if (typeof key === 'string') return failures[key]
      const failure = checkSigned(candidate)
      if (failure !== undefined) return failures[failure]
      return this.#remember(digest, verifiedOutcome(candidate, key), length)
    } catch (error) {
      const retryAfter = error instanceof KeysUnavailable ? error.retryAfter : RETRY_AFTER
      return { kind: 'unavailable', code: 'SECURE_API_KEYS_UNAVAILABLE', retryAfter, cause: error }
    }
  }

  #remember (digest: string, outcome: VerifiedOutcome, length: number): VerifiedOutcome {
    const { key, notAfter } = outcome.verified
    this.#cache?.set(digest, { outcome, key, notAfter }, ENTRY_BYTES + BYTES_PER_CHARACTER * length)
    return outcome
  }
}
