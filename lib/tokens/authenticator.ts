import type { KeySource } from '../keys/index.ts'
import { TokenCache, tokenDigest, type Slot, type TokenCacheLimits } from './cache.ts'
import { checkSigned, notAfter } from './checks.ts'
import { ClaimWatch, type UnmatchedClaim } from './claim-watch.ts'
import { checkedClaims } from './claims.ts'
import { createGate, MAX_TOKEN_BYTES, type Candidate, type Gate } from './gate.ts'
import { failed, judged, keysUnavailable, refused, type Outcome, type Verified } from './outcome.ts'
import { buildPrincipal } from './principal.ts'
import { createRevocationCheck, type RevocationCheck, type RevocationCheckOptions } from './revocation.ts'
import type { IssuerRules } from './rules.ts'
import { findSigner } from './signer.ts'

/** An issuer whose tokens are accepted, and where its keys are. */
export interface TrustedIssuer {
  readonly rules: IssuerRules
  readonly keys: KeySource
}

export interface TokenAuthenticatorOptions {
  /** Each exact `iss` once. The keys of one are never asked about tokens of another. */
  readonly issuers: readonly TrustedIssuer[]
  /** @default 10,000 tokens and 64 MiB */
  readonly cache?: Partial<TokenCacheLimits> | false
  /** @default never asked; the time limit is 1 second and a failure denies */
  readonly revocation?: Partial<RevocationCheckOptions> & Pick<RevocationCheckOptions, 'isRevoked'>
  /** Told once of each configured claim that gave nothing in `after` verified tokens. @default nobody */
  readonly claims?: { readonly after: number, readonly onUnmatched: (unmatched: UnmatchedClaim) => void }
  /** In bytes. @default 8192 */
  readonly maxTokenBytes?: number
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
}

/** An object that lives as long as a connection, such as its socket. */
export interface Connection { [last: symbol]: { token: string, slot: Slot<Verified> } | undefined }

const defaultLimits: TokenCacheLimits = { max: 10_000, maxBytes: 64 * 1024 * 1024 }
const REVOCATION_TIMEOUT = 1000

/** What a cached token weighs: an upper bound for the documented tokens of all presets, which weigh 0.7 to 1.6 KB each. */
const ENTRY_BYTES = 768
const BYTES_PER_CHARACTER = 3

/**
 * Decides about bearer tokens: gate, key, signature, profile, revocation, in this order, with a cache of those that
 * passed. Revocation is asked about cached tokens too, each time.
 *
 * @example
 * const outcome = authenticator.lookup(token) ?? await authenticator.authenticate(token)
 */
export class TokenAuthenticator {
  readonly #gate: Gate
  readonly #sources: ReadonlyMap<IssuerRules, KeySource>
  readonly #cache: TokenCache<Verified> | undefined
  readonly #revocation: RevocationCheck | undefined
  readonly #watch: ClaimWatch | undefined
  readonly #now: () => number
  readonly #longest: number
  readonly #last = Symbol('secure-api.last-token')
  /** Requests that bring the same new token at the same time share one verification. */
  readonly #pending = new Map<string, Promise<Outcome>>()

  constructor ({ issuers, cache, revocation, claims, maxTokenBytes = MAX_TOKEN_BYTES, now = Date.now }: TokenAuthenticatorOptions) {
    const rules = new Map(issuers.map(entry => [entry.rules.issuer, entry.rules]))
    if (rules.size !== issuers.length) throw new TypeError('two sets of rules for one issuer')
    this.#longest = maxTokenBytes
    this.#gate = createGate(rules, maxTokenBytes)
    this.#sources = new Map(issuers.map(entry => [entry.rules, entry.keys]))
    this.#cache = cache === false ? undefined : new TokenCache({ ...defaultLimits, ...cache })
    this.#revocation = revocation && createRevocationCheck({ timeout: REVOCATION_TIMEOUT, onFailure: 'deny', ...revocation })
    this.#watch = claims && new ClaimWatch(claims.after, claims.onUnmatched)
    this.#now = now
  }

  /** How many tokens are in the cache. */
  get size (): number {
    return this.#cache?.size ?? 0
  }

  /** About how many bytes they take. */
  get bytes (): number {
    return this.#cache?.bytes ?? 0
  }

  /**
   * What becomes of a token that was verified before: without cryptography, and without a promise unless `isRevoked`
   * gives one. Undefined for every other token. Never throws, never rejects.
   *
   * @param connection remembers its last token: clients send the same one again and again, and comparing it with the
   *   last takes a tenth of its digest
   */
  lookup (token: string, connection?: Connection): Outcome | Promise<Outcome> | undefined {
    const verified = this.#find(token, connection)
    return verified && this.#unlessRevoked(verified)
  }

  #find (token: string, connection: Connection | undefined): Verified | undefined {
    const now = this.#now()
    const last = connection?.[this.#last]
    if (last !== undefined && last.token === token && this.#cache?.current(last.slot, now) === true) return last.slot.entry
    if (token.length > this.#longest) return undefined // the gate refuses it; hashing it would cost more than the refusal
    const slot = this.#cache?.find(tokenDigest(token), now)
    if (slot === undefined) return undefined
    if (last !== undefined) [last.token, last.slot] = [token, slot]
    else if (connection !== undefined) connection[this.#last] = { token, slot }
    return slot.entry
  }

  /** What becomes of any token. Never rejects. */
  async authenticate (token: string): Promise<Outcome> {
    const candidate = this.#gate(token, this.#now())
    if (typeof candidate === 'string') return refused(candidate, token)
    const digest = tokenDigest(token)
    const outcome = this.#cache?.get(digest, this.#now()) ?? await this.#verifyOnce(digest, candidate)
    return outcome.kind === 'verified' ? await this.#unlessRevoked(outcome) : outcome
  }

  /** Forgets the verified tokens for which the predicate holds, and says how many. They can be verified again. */
  forget (predicate: (verified: Verified) => boolean): number {
    return this.#cache?.deleteWhere(predicate) ?? 0
  }

  #unlessRevoked (verified: Verified): Outcome | Promise<Outcome> {
    if (this.#revocation === undefined) return verified
    const answer = this.#revocation(verified.principal.claims)
    return answer instanceof Promise ? answer.then(late => judged(late, verified)) : judged(answer, verified)
  }

  #verifyOnce (digest: string, candidate: Candidate): Promise<Outcome> {
    const running = this.#pending.get(digest)
    if (running !== undefined) return running
    const started = this.#verify(digest, candidate).finally(() => this.#pending.delete(digest))
    this.#pending.set(digest, started)
    return started
  }

  async #verify (digest: string, candidate: Candidate): Promise<Outcome> {
    const source = this.#sources.get(candidate.rules)
    if (source === undefined) return failed('SECURE_API_TOKEN_ISSUER')
    try {
      const key = await findSigner(candidate, source)
      if (typeof key === 'string') return failed(key)
      const failure = checkSigned(candidate)
      if (failure !== undefined) return failed(failure)
      this.#watch?.see(candidate.claims, candidate.rules)
      const principal = buildPrincipal(checkedClaims(candidate.claims), candidate.rules)
      const verified = Object.freeze({ kind: 'verified', principal, key, notAfter: notAfter(candidate.claims, candidate.rules) } as const)
      this.#cache?.set(digest, verified, ENTRY_BYTES + BYTES_PER_CHARACTER * candidate.signingInput.length)
      return verified
    } catch (error) {
      return keysUnavailable(error)
    }
  }
}
