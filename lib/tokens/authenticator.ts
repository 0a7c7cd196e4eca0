import { after, type MaybePromise } from '../async/index.ts'
import {
  isBearerToken, TokenCache, tokenDigest, type Principal, type Slot, type TokenCacheLimits, type Unavailable
} from '../credentials/index.ts'
import type { TokenFailureCode } from '../http/index.ts'
import { IntrospectionFailure } from '../introspection/index.ts'
import { KeysUnavailable, type Algorithm, type KeySource } from '../keys/index.ts'
import { ClaimWatch, type UnmatchedClaim } from './claim-watch.ts'
import type { AccessTokenClaims, UncheckedClaims } from './claims.ts'
import { createGate, MAX_TOKEN_BYTES, notAfter, type Candidate, type Gate } from './gate.ts'
import { introspect, isOpaque, readOpaque, type Introspection } from './introspected.ts'
import type { LegacyForm } from './legacy.ts'
import type { OwnSecret } from './own-secret.ts'
import { buildPrincipal, checkSigned } from './principal.ts'
import { createRevocationCheck, type RevocationAnswer, type RevocationCheck, type RevocationCheckOptions } from './revocation.ts'
import type { IssuerRules } from './rules.ts'
import { findSigner, type Signer } from './signature.ts'

/** What became of a token. */
export type Verification = Verified | Failed | Unavailable

/** The token is good. Frozen, and shared by every request that sends it. */
export interface Verified {
  readonly kind: 'verified'
  readonly principal: Principal<AccessTokenClaims>
  /** What it ends with, beside its time: what signed it. */
  readonly key: Signer
  /** Milliseconds since the epoch: by `exp` or by its age, whichever comes first, plus the clock tolerance. */
  readonly notAfter: number
}

/** The token is bad. */
interface Failed { readonly kind: 'failed', readonly code: TokenFailureCode | 'SECURE_API_CREDENTIAL_AMBIGUOUS' }

/** A token that is not in the cache, with the digest by which it was looked up there. */
export interface UnknownToken { readonly kind: 'unknown', readonly token: string, readonly digest?: string }

/** An issuer whose tokens are accepted, and where its keys are. A secret is the application's own. */
export type TrustedIssuer = TrustedProvider | {
  readonly rules: IssuerRules<'HS256'>
  readonly keys: OwnSecret
  readonly introspection?: undefined
}

interface TrustedProvider {
  readonly rules: IssuerRules<Algorithm>
  /** Absent: all of its tokens are opaque. */
  readonly keys?: KeySource
  /** Of one issuer at most. */
  readonly introspection?: Introspection
}

interface SignedSource { readonly keys: KeySource | OwnSecret, readonly introspection: Introspection | undefined }

type Outcome = TokenFailureCode | Omit<Verified, 'kind'>

export interface TokenAuthenticatorOptions {
  /** Each exact `iss` once. The keys of one issuer are never asked about tokens of another. */
  readonly issuers: readonly TrustedIssuer[]
  /** Own tokens of an old form, and the secret that signed them. @default none */
  readonly legacy?: { readonly form: LegacyForm, readonly keys: OwnSecret } | undefined
  /** @default 10,000 tokens and 64 MiB */
  readonly cache?: Partial<TokenCacheLimits> | false | undefined
  /** @default none; the time limit is 1 second, and a failure denies */
  readonly revocation?: RevocationCheckOptions | undefined
  /** Called once for each configured claim that yielded nothing in `after` verified tokens. @default nobody */
  readonly claims?: { readonly after: number, readonly onUnmatched: (unmatched: UnmatchedClaim) => void }
  /** In bytes. @default 8192 */
  readonly maxTokenBytes?: number | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
}

/** An object that lives as long as a connection, such as its socket. */
export interface Connection { [last: symbol]: { token: string, slot: Slot<Verified> } | undefined }

const defaultLimits: TokenCacheLimits = { max: 10_000, maxBytes: 64 * 1024 * 1024 }
/** When to ask again after a failure that does not say so itself, in milliseconds. */
const RETRY_AFTER = 1000

/** The weight of a cached token: an upper bound for the documented tokens of all presets, which weigh 0.7 to 1.6 KB each. */
const ENTRY_BYTES = 768
const BYTES_PER_CHARACTER = 3

/**
 * Verifies bearer tokens: gate, key, signature, profile, revocation, in this order, with a cache of those that passed.
 * Opaque ones are looked up at their issuer instead. Revocation is asked each time, about cached tokens too.
 *
 * @example
 * const known = await authenticator.lookup(token)
 * const verification = known.kind === 'unknown' ? await authenticator.authenticate(known) : known
 */
export class TokenAuthenticator {
  readonly #gate: Gate
  readonly #trusted: ReadonlyMap<IssuerRules, Pick<TrustedIssuer, 'keys' | 'introspection'>>
  readonly #opaque: TrustedIssuer | undefined
  readonly #cache: TokenCache<Verified> | undefined
  readonly #revocation: RevocationCheck | undefined
  readonly #watch: ClaimWatch | undefined
  readonly #now: () => number
  readonly #longest: number
  readonly #last = Symbol('secure-api.last-token')
  /** Requests that bring the same new token at the same time share one verification. */
  readonly #pending = new Map<string, Promise<Verification>>()

  /** Look-ups that found the token, and those that did not. */
  hits = 0
  misses = 0

  constructor (options: TokenAuthenticatorOptions) {
    const { issuers, legacy, cache, revocation, claims, maxTokenBytes = MAX_TOKEN_BYTES, now = Date.now } = options
    if (new Set(issuers.map(({ rules }) => rules.issuer)).size !== issuers.length) throw new TypeError('two sets of rules for one issuer')
    const withKeys = issuers.filter(({ keys }) => keys !== undefined)
    const rules = new Map<string, IssuerRules>(withKeys.map(entry => [entry.rules.issuer, entry.rules]))
    this.#longest = maxTokenBytes
    this.#gate = createGate(rules, maxTokenBytes, legacy?.form)
    this.#trusted = new Map<IssuerRules, Pick<TrustedIssuer, 'keys' | 'introspection'>>([
      ...issuers.map(entry => [entry.rules, entry] as const),
      ...(legacy === undefined ? [] : [[legacy.form.rules, legacy] as const])
    ])
    this.#opaque = issuers.find(({ introspection }) => introspection !== undefined)
    this.#cache = cache === false ? undefined : new TokenCache({ ...defaultLimits, ...cache })
    this.#revocation = revocation && createRevocationCheck(revocation)
    this.#watch = claims && new ClaimWatch(claims.after, claims.onUnmatched)
    this.#now = now
  }

  /** What `Principal.credential` says of those that it lets in. */
  get credentials (): readonly string[] {
    const keyed = [...this.#trusted.values()].some(({ keys }) => keys !== undefined)
    return [...(keyed ? ['jwt'] : []), ...(this.#opaque === undefined ? [] : ['opaque'])]
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
   * Answers for a token in the cache: without cryptography, and without a promise unless `isRevoked` returns one. Every
   * other token is unknown. Never throws, never rejects.
   *
   * @param connection remembers its last token: clients repeat theirs, and comparing costs a tenth of a digest
   */
  lookup (token: string, connection?: Connection): MaybePromise<Verification> | UnknownToken {
    const now = this.#now()
    const last = connection?.[this.#last]
    const repeated = last !== undefined && last.token === token && this.#cache?.current(last.slot, now) === true
    if (repeated) this.hits++
    if (repeated) return this.#unlessRevoked(last.slot.entry)
    // The gate refuses a token that is too long; hashing it would cost more than the refusal.
    if (this.#cache === undefined || token.length > this.#longest) return { kind: 'unknown', token }
    const digest = tokenDigest(token)
    const slot = this.#cache.find(digest, now)
    if (slot === undefined) this.misses++
    else this.hits++
    if (slot === undefined) return { kind: 'unknown', token, digest }
    if (last !== undefined) [last.token, last.slot] = [token, slot]
    else if (connection !== undefined) connection[this.#last] = { token, slot }
    return this.#unlessRevoked(slot.entry)
  }

  /** Verifies a token, unless that has happened since it was looked up; at once where nothing has to be waited for. Never rejects. */
  authenticate (given: string | UnknownToken): MaybePromise<Verification> {
    const { token, digest }: Omit<UnknownToken, 'kind'> = typeof given === 'string' ? { token: given } : given
    return after(this.#verifyGiven(token, digest),
      verification => verification.kind === 'verified' ? this.#unlessRevoked(verification) : verification)
  }

  #verifyGiven (token: string, digest: string | undefined): MaybePromise<Verification> {
    const opaque = this.#opaque
    if (opaque !== undefined && token.length <= this.#longest && isOpaque(token)) {
      return this.#verifyOnce(digest ?? tokenDigest(token), token, () => this.#lookUp(token, opaque))
    }
    const candidate = this.#gate(token, this.#now())
    if (typeof candidate === 'string') return refused(candidate, token)
    return this.#verifyOnce(digest ?? tokenDigest(token), token, () => this.#verify(token, candidate))
  }

  /** Drops the cached tokens for which the predicate holds, and returns their number. They can be verified again. */
  forget (predicate: (verified: Verified) => boolean): number {
    return this.#cache?.deleteWhere(predicate) ?? 0
  }

  #unlessRevoked (verified: Verified): MaybePromise<Verification> {
    if (this.#revocation === undefined) return verified
    return after(this.#revocation(verified.principal.claims), answer => judged(answer, verified))
  }

  #verifyOnce (digest: string, token: string, verify: () => MaybePromise<Outcome>): MaybePromise<Verification> {
    const known = this.#cache?.find(digest, this.#now())?.entry ?? this.#pending.get(digest)
    if (known !== undefined) return known
    const verification = this.#conclude(digest, token, verify)
    if (!(verification instanceof Promise)) return verification
    const started = verification.finally(() => this.#pending.delete(digest))
    this.#pending.set(digest, started)
    return started
  }

  #conclude (digest: string, token: string, verify: () => MaybePromise<Outcome>): MaybePromise<Verification> {
    try {
      const outcome = verify()
      return outcome instanceof Promise
        ? outcome.then(late => this.#concluded(digest, token, late)).catch(unavailable)
        : this.#concluded(digest, token, outcome)
    } catch (error) {
      return unavailable(error)
    }
  }

  #concluded (digest: string, token: string, outcome: Outcome): Verification {
    if (typeof outcome === 'string') return failed(outcome)
    const verified: Verified = Object.freeze({ kind: 'verified', ...outcome })
    if (verified.notAfter > this.#now()) this.#cache?.set(digest, verified, ENTRY_BYTES + BYTES_PER_CHARACTER * token.length)
    return verified
  }

  #verify (token: string, candidate: Candidate): MaybePromise<Outcome> {
    const trusted = this.#trusted.get(candidate.rules)
    const keys = trusted?.keys
    if (keys === undefined) return 'SECURE_API_TOKEN_ISSUER'
    return after(findSigner(candidate, keys), key => typeof key === 'string'
      ? key
      : checkSigned(candidate) ?? this.#signed(token, candidate, key, { keys, introspection: trusted?.introspection }))
  }

  #signed (token: string, { claims, rules, header: { kid } }: Candidate, key: Signer, source: SignedSource): MaybePromise<Outcome> {
    const ends = notAfter(claims, rules)
    const { keys, introspection } = source
    if (introspection?.always !== true) return this.#outcome(claims, rules, { key, notAfter: ends }, 'jwt', kid)
    return introspect(token, { rules, keys, introspection }, this.#now()).then(answer => typeof answer === 'string'
      ? answer
      : this.#outcome(claims, rules, { key, notAfter: Math.min(ends, this.#now() + introspection.cache) }, 'jwt', kid))
  }

  async #lookUp (token: string, { rules, keys, introspection }: TrustedIssuer): Promise<Outcome> {
    if (introspection === undefined) return 'SECURE_API_TOKEN_MALFORMED'
    const answer = await introspect(token, { rules, keys, introspection }, this.#now())
    const claims = typeof answer === 'string' ? answer : readOpaque(answer, rules, this.#now())
    if (typeof claims === 'string') return claims
    const ends = Math.min(notAfter(claims, rules), this.#now() + introspection.cache)
    return this.#outcome(claims, rules, { key: lasting, notAfter: ends }, 'opaque')
  }

  #outcome (
    claims: UncheckedClaims, rules: IssuerRules, ends: Pick<Verified, 'key' | 'notAfter'>, credential: 'jwt' | 'opaque', keyId?: string
  ): Outcome {
    this.#watch?.see(claims, rules)
    return { principal: buildPrincipal(claims, rules, credential, keyId), ...ends }
  }
}

/** No key withdraws an opaque token. */
const lasting = Object.freeze({ active: true })

function failed (code: Failed['code']): Failed {
  return { kind: 'failed', code }
}

/** The gate's refusal. Characters that no bearer token has are a fault of the header, not of the token (RFC 6750 §3.1). */
function refused (code: TokenFailureCode, token: string): Failed {
  return failed(code === 'SECURE_API_TOKEN_MALFORMED' && !isBearerToken(token) ? 'SECURE_API_CREDENTIAL_AMBIGUOUS' : code)
}

/** Any other error counts as unavailable keys: nobody is let in by an exception. */
function unavailable (error: unknown): Unavailable {
  const code = error instanceof IntrospectionFailure ? 'SECURE_API_INTROSPECTION_UNAVAILABLE' : 'SECURE_API_KEYS_UNAVAILABLE'
  const retryAfter = error instanceof KeysUnavailable || error instanceof IntrospectionFailure ? error.retryAfter : RETRY_AFTER
  return { kind: 'unavailable', code, retryAfter, cause: error }
}

function judged (answer: RevocationAnswer, verified: Verified): Verification {
  if (answer === 'good') return verified
  if (answer === 'revoked') return failed('SECURE_API_TOKEN_REVOKED')
  return { kind: 'unavailable', code: 'SECURE_API_REVOCATION_UNAVAILABLE', retryAfter: RETRY_AFTER, cause: answer.unknown }
}
