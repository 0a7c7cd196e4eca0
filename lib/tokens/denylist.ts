import { hash } from 'node:crypto'
import { movedClock } from '../config/index.ts'
import type { AccessTokenClaims } from './claims.ts'

/** What the denylist needs of a Redis client; ioredis has it, alone and as a cluster. */
export interface DenylistRedis {
  get (key: string): Promise<string | null>
  eval (script: string, keys: number, ...values: string[]): Promise<unknown>
}

export interface DenylistOptions {
  /** Shares the list between processes. Absent: this process only. */
  readonly redis?: DenylistRedis
  /** What its keys begin with. @default 'secure-api:revoked:' */
  readonly prefix?: string
  /** Entries in memory. @default 100_000 */
  readonly max?: number
  readonly now?: () => number
}

/** What is revoked: one token, all tokens of one session, or all that a subject was given so far. */
export type Revocation = (
  | { readonly jti: string }
  | { readonly sid: string }
  | {
    readonly sub: string
    /** Milliseconds since the epoch, or a date; `iat` has whole seconds. @default now */
    readonly issuedBefore?: number | Date
  }) & {
    /** All three names are unique only at their issuer. */
    readonly issuer: string
    /** When the last token concerned has expired: milliseconds since the epoch, or a date. */
    readonly until: number | Date
  }

/** The memory is full of revocations that still count. None is dropped for another: this one was not recorded. */
export class DenylistFull extends Error {
  readonly code = 'SECURE_API_DENYLIST_FULL'

  constructor (max: number) {
    super(`the denylist holds ${max} entries that still count; raise max`)
    this.name = 'DenylistFull'
  }
}

export interface Denylist {
  /** Resolves when the entry counts everywhere. Rejects with `DenylistFull`, `TypeError`, or what Redis says. */
  revoke (revocation: Revocation): Promise<void>
  /** For the option `isRevoked`. A promise only if Redis has to be asked. */
  readonly isRevoked: (token: AccessTokenClaims) => boolean | Promise<boolean>
  /** Entries in memory. */
  readonly size: number
}

type Kind = 'jti' | 'sid' | 'sub'
const kinds: readonly Kind[] = ['jti', 'sid', 'sub']

/** Tokens live on after `exp` for the clock tolerance, which is 5 minutes at most; entries do too. */
const GRACE = 300_000
const EVERYTHING = Number.MAX_SAFE_INTEGER

/** Keeps the later of two dates and the longer of two lives, so that no revocation takes another one back. */
const KEEP_STRONGER = `
local before = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0') or 0)
local life = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], string.format('%.0f', before), 'PX', life)
return 1`

interface Entry {
  /** Tokens issued at this time or earlier are revoked. Milliseconds. */
  readonly before: number
  readonly until: number
}

/**
 * A list of what must not be accepted any more although it has not expired: by `jti`, `sid` or `sub`. In memory, and
 * in Redis if given; then a token that this process does not know as revoked costs up to three GETs a request.
 *
 * @example
 * const denylist = createDenylist({ redis })
 * app.register(secureApi, { auth: { issuer, audience, isRevoked: denylist.isRevoked } })
 * await denylist.revoke({ sub: 'alice', issuer, until: Date.now() + 3_600_000 })
 */
export function createDenylist (options: DenylistOptions = {}): Denylist {
  return new StoredDenylist(options)
}

class StoredDenylist implements Denylist {
  readonly #redis: DenylistRedis | undefined
  readonly #prefix: string
  readonly #max: number
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()

  constructor ({ redis, prefix = 'secure-api:revoked:', max = 100_000, now = movedClock()?.now ?? Date.now }: DenylistOptions) {
    this.#redis = redis
    this.#prefix = prefix
    this.#max = max
    this.#now = now
  }

  get size (): number {
    return this.#entries.size
  }

  async revoke (revocation: Revocation): Promise<void> {
    const { name, before, until } = this.#read(revocation)
    if (until <= this.#now()) return
    if (this.#redis !== undefined) {
      await this.#redis.eval(KEEP_STRONGER, 1, this.#keyOf(name), String(before), String(until - this.#now()))
    }
    const recorded = this.#record(name, before, until)
    if (!recorded && this.#redis === undefined) throw new DenylistFull(this.#max)
  }

  readonly isRevoked = (token: AccessTokenClaims): boolean | Promise<boolean> => {
    if (this.#redis === undefined && this.#entries.size === 0) return false
    const names = namesOf(token)
    if (names.some(name => this.#isListed(name, token))) return true
    return this.#redis === undefined || names.length === 0 ? false : this.#isStored(this.#redis, names, token)
  }

  #read (revocation: Revocation): Entry & { readonly name: string } {
    const kind = kinds.find(name => name in revocation)
    const value: unknown = kind && Reflect.get(revocation, kind)
    const until = Number(revocation.until) + GRACE
    const before = 'issuedBefore' in revocation ? Number(revocation.issuedBefore) : this.#now()
    if (kind === undefined || typeof value !== 'string' || typeof revocation.issuer !== 'string' || !Number.isFinite(until) || !Number.isFinite(before)) {
      throw new TypeError('give one of jti, sid and sub as a text, and dates that are dates')
    }
    return { name: nameOf(kind, revocation.issuer, value), before: kind === 'sub' ? before : EVERYTHING, until }
  }

  /** False when there is no room. */
  #record (name: string, before: number, until: number): boolean {
    const present = this.#entries.get(name)
    if (present === undefined && this.#entries.size >= this.#max) this.#prune()
    if (present === undefined && this.#entries.size >= this.#max) return false
    this.#entries.set(name, { before: Math.max(before, present?.before ?? 0), until: Math.max(until, present?.until ?? 0) })
    return true
  }

  #prune (): void {
    const now = this.#now()
    for (const [name, { until }] of this.#entries) {
      if (until <= now) this.#entries.delete(name)
    }
  }

  #isListed (name: string, token: AccessTokenClaims): boolean {
    const entry = this.#entries.get(name)
    return entry !== undefined && entry.until > this.#now() && isCovered(token, entry.before)
  }

  /** Single GETs rather than one MGET: in a cluster the keys lie in different slots. */
  async #isStored (redis: DenylistRedis, names: readonly string[], token: AccessTokenClaims): Promise<boolean> {
    const values = await Promise.all(names.map(name => redis.get(this.#keyOf(name))))
    return values.some(value => value !== null && isCovered(token, Number(value)))
  }

  /** Hashed: a name may be long and hold any character, and Redis need not know who was locked out. */
  #keyOf (name: string): string {
    return this.#prefix + hash('sha256', name, 'base64url')
  }
}

/** A token that does not say when it was issued counts as issued before; so does a value that is no number. */
function isCovered ({ iat }: AccessTokenClaims, before: number): boolean {
  return iat === undefined || !(iat * 1000 > before)
}

function namesOf (token: AccessTokenClaims): string[] {
  return kinds.flatMap(kind => {
    const value = token[kind]
    return value === undefined ? [] : [nameOf(kind, token.iss, value)]
  })
}

function nameOf (kind: Kind, issuer: string, value: string): string {
  return JSON.stringify([kind, issuer, value])
}
