import { randomBytes } from 'node:crypto'
import { milliseconds, movedClock, type Duration } from '../config/index.ts'
import { deepFreeze } from '../credentials/index.ts'
import { refusal } from '../http/index.ts'
import { RefusalError } from '../pipeline/index.ts'
import type { EvalClient, RedisLike } from '../redis/index.ts'
import { digestOf, successorOf } from './family.ts'
import { MemoryStore, RedisFamilies, StoredFamilies, type Families, type RefreshTokenStore } from './stores.ts'

export interface RefreshTokensOptions {
  /** Shares the tokens between processes. Absent: this process only, and a restart signs everybody out. */
  readonly redis?: RedisLike | EvalClient
  /** A store of the application's, in place of `redis`. */
  readonly store?: RefreshTokenStore
  /** How long a login lasts, whatever is rotated. @default '30 days' */
  readonly lifetime?: Duration
  /**
   * For so long after a rotation the token before it gets the same successor again: the answer was lost, or two tabs asked at once. With 0
   * such a client is signed out. @default '10 seconds'
   */
  readonly grace?: Duration
  /** How long `store` may take. Redis has 50 ms. @default '1 second' */
  readonly timeout?: Duration
  /** Logins in memory. @default 100_000 */
  readonly max?: number
  /** What keys in Redis begin with. @default 'secure-api:refresh:' */
  readonly prefix?: string
  /** Told why the store failed, each time: for your log. An answer never says it. */
  readonly onFailure?: (cause: unknown) => void
  readonly now?: () => number
}

/** Whom a token is for. */
export interface RefreshFacts {
  readonly subject: string | undefined
  /** What the next access token is made of, as JSON: `{ tenant: 'acme' }`. Kept in the store. */
  readonly data?: unknown
}

export interface RefreshToken {
  /** For the client. Nobody else has it: the store has hashes. */
  readonly token: string
  /** The name of the login, which does not change: for `revoke()`. Opens nothing. */
  readonly family: string
  readonly subject: string
  readonly data: unknown
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

export interface RefreshTokens {
  /** The first token of a login. */
  issue (who: RefreshFacts): Promise<RefreshToken>
  /**
   * The next token, for one that was not used before. Rejects with the refusal that the route then answers: 400
   * `SECURE_API_REFRESH_INVALID` or `SECURE_API_REFRESH_REUSED`, and 503 `SECURE_API_REFRESH_UNAVAILABLE` while the store is away.
   */
  rotate (token: unknown): Promise<RefreshToken>
  /** Ends a login, by its family or by one of its tokens. */
  revoke (familyOrToken: string): Promise<void>
}

/**
 * Refresh tokens for applications with a login of their own: opaque and random, each good once, all of a login ended when an old one comes
 * again (RFC 9700 §4.14.2).
 *
 * @example
 * const refreshTokens = createRefreshTokens({ redis })
 * const { token } = await refreshTokens.issue({ subject: 'alice' })
 * const { subject, token: next } = await refreshTokens.rotate(token)
 */
export function createRefreshTokens (options: RefreshTokensOptions = {}): RefreshTokens {
  const { lifetime = '30 days', grace = '10 seconds', now = movedClock()?.now ?? Date.now } = options
  if (options.redis !== undefined && options.store !== undefined) throw new TypeError('give `redis` or `store`')
  const { onFailure = () => {} } = options
  return new OwnRefreshTokens(familiesOf(options, now), { lifetime: milliseconds(lifetime), grace: milliseconds(grace), now, onFailure })
}

function familiesOf ({ redis, store, timeout = '1 second', max = 100_000, prefix = 'secure-api:refresh:' }: RefreshTokensOptions,
  now: () => number): Families {
  if (redis !== undefined) return new RedisFamilies(redis, prefix)
  return new StoredFamilies(store ?? new MemoryStore(max, now), milliseconds(timeout), now)
}

const invalid = refusal('SECURE_API_REFRESH_INVALID')
const reused = refusal('SECURE_API_REFRESH_REUSED')
const unavailable = refusal('SECURE_API_REFRESH_UNAVAILABLE', { headers: { 'retry-after': '1' } })

/** 128 bits that name the login, 256 that prove it. */
const form = /^([\w-]{22})\.([\w-]{43})$/

type Settings = Required<Pick<RefreshTokensOptions, 'now' | 'onFailure'>> & { readonly lifetime: number, readonly grace: number }

class OwnRefreshTokens implements RefreshTokens {
  readonly #families: Families
  readonly #settings: Settings

  constructor (families: Families, settings: Settings) {
    this.#families = families
    this.#settings = settings
  }

  async issue ({ subject, data: given }: RefreshFacts): Promise<RefreshToken> {
    if (typeof subject !== 'string' || subject === '') throw new TypeError('a refresh token needs a `subject`')
    const [login, secret] = [random(16), random(32)]
    const family = digestOf(login)
    const now = this.#settings.now()
    const expiresAt = now + this.#settings.lifetime
    // The same in every store, and nobody's to change.
    const data: unknown = given === undefined ? undefined : JSON.parse(JSON.stringify(given))
    const record = { subject, data, current: digestOf(secret), rotatedAt: now, expiresAt, revoked: false, version: 1 }
    await this.#orUnavailable(this.#families.create(family, record))
    return { token: `${login}.${secret}`, family, subject, data: deepFreeze(data), expiresAt }
  }

  async rotate (token: unknown): Promise<RefreshToken> {
    const [, login, secret] = (typeof token === 'string' && form.exec(token)) || []
    if (login === undefined || secret === undefined) throw new RefusalError(invalid)
    const family = digestOf(login)
    const nonce = random(32)
    const attempt = { presented: digestOf(secret), next: digestOf(successorOf(secret, nonce)), nonce, grace: this.#settings.grace }
    const answer = await this.#orUnavailable(this.#families.rotate(family, attempt))
    if (answer.kind !== 'rotated') throw new RefusalError(answer.kind === 'reused' ? reused : invalid)
    const { subject, data, expiresAt } = answer
    return { token: `${login}.${successorOf(secret, answer.nonce)}`, family, subject, data: deepFreeze(data), expiresAt }
  }

  async revoke (familyOrToken: string): Promise<void> {
    const [, login] = form.exec(familyOrToken) ?? []
    await this.#orUnavailable(this.#families.revoke(login === undefined ? familyOrToken : digestOf(login)))
  }

  /** What is not known is not accepted. */
  async #orUnavailable <Value> (asked: Promise<Value>): Promise<Value> {
    try {
      return await asked
    } catch (cause) {
      this.#settings.onFailure(cause)
      throw new RefusalError(unavailable)
    }
  }
}

function random (bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
