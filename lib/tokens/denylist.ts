import { hash } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { linked, milliseconds, movedClock, type Duration } from '../config/index.ts'
import { CircuitBreaker, script, scriptRunner, StoreFailed, type EvalClient, type RedisLike } from '../redis/index.ts'
import { clientOf, type AccessTokenClaims } from './claims.ts'

/** A client of ioredis, its Cluster, iovalkey or node-redis and its cluster; or one of your own that knows `eval`, called as in ioredis. */
export type DenylistRedis = RedisLike | (EvalClient & {
  /** Not called. */
  get? (key: string): unknown
})

export interface DenylistOptions {
  /** Shares the list between processes. Absent: this process only. */
  readonly redis?: DenylistRedis
  /** What its keys begin with. @default 'secure-api:revoked:' */
  readonly prefix?: string
  /** Entries in memory. @default 100_000 */
  readonly max?: number
  /**
   * How far the clocks of issuers may be ahead, as for the gate: `revoke({ sub })` ends tokens that are dated so much
   * later than now, too. Not applied to an `issuedBefore` that is stated.
   * @default '60 seconds'
   */
  readonly clockTolerance?: Duration
  readonly now?: () => number
}

/** What is revoked: one token, all tokens of one session, or all that a subject was given so far. */
export type Revocation = (
  { readonly jti: string } | { readonly sid: string } | {
    readonly sub: string
    /**
     * Milliseconds since the epoch, or a date, taken exactly. `iat` has whole seconds: tokens of the same second stay
     * good, so that one that is issued right after `revoke()` works.
     * @default now and the clock tolerance, which ends what is issued during that time as well
     */
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
    super(linked(`the denylist holds ${max} entries that still count; raise max`, 'SECURE_API_DENYLIST_FULL'))
    this.name = 'DenylistFull'
  }
}

/** Redis refused the entry, or did not answer in time: it may count in this process only. `cause` has the `reason`. */
export class DenylistLocalOnly extends Error {
  readonly code = 'SECURE_API_DENYLIST_LOCAL_ONLY'

  constructor (cause: unknown) {
    const text = 'the revocation counts in this process only, because Redis did not record it; revoke again'
    super(linked(text, 'SECURE_API_DENYLIST_LOCAL_ONLY'), { cause })
    this.name = 'DenylistLocalOnly'
  }
}

export interface Denylist {
  /** Resolves when the entry counts everywhere. Rejects with `DenylistFull`, `DenylistLocalOnly` or `TypeError`. */
  revoke (revocation: Revocation): Promise<void>
  /** For the option `isRevoked`. A promise only if Redis has to be asked. */
  readonly isRevoked: (token: AccessTokenClaims) => boolean | Promise<boolean>
  /** Entries in memory. */
  readonly size: number
}

const kinds = ['jti', 'sid', 'sub'] as const

/** A message on the diagnostics channel `secure-api:revocation`, for each call of `revoke()`. It does not say what was revoked. */
export interface RevocationMessage {
  readonly kind: typeof kinds[number]
  /** `local-only`: Redis did not record it; `full`: nobody did. */
  readonly result: 'recorded' | 'local-only' | 'full'
}

const revocations = channel('secure-api:revocation')

/** Tokens live on after `exp` for the clock tolerance, which is 5 minutes at most; entries do too. */
const GRACE = 300_000
const EVERYTHING = Number.MAX_SAFE_INTEGER
/** The year 2000. A date before it was given in seconds, and would record nothing. */
const FIRST_DATE = 946_684_800_000

/** Keeps the later of two dates and the longer of two lives, so that no revocation takes another one back. */
const keepStronger = script(`
local before = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0') or 0)
local life = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], string.format('%.0f', before), 'PX', life)
return 1`)

/** GET and not MGET: a user who may run the script above may run this one. */
const lookUp = script(`
local values = {}
for index, key in ipairs(KEYS) do values[index] = redis.call('GET', key) end
return values`)

interface Entry {
  /** Tokens issued at this time or earlier are revoked. Milliseconds. */
  readonly before: number
  readonly until: number
}

type Named = Entry & { readonly name: string }

/**
 * A list of what must not be accepted any more although it has not expired: by `jti`, `sid` or `sub`. In memory, and
 * in Redis if given; then a token that this process does not know as revoked costs one round trip a request, at most 50 ms. While
 * Redis does not answer, it is asked only twice a second, and all other look-ups fail at once.
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
  readonly #redis: CircuitBreaker | undefined
  readonly #prefix: string
  readonly #max: number
  readonly #now: () => number
  readonly #tolerance: number
  readonly #entries = new Map<string, Entry>()

  constructor (options: DenylistOptions) {
    const { redis, prefix = 'secure-api:revoked:', max = 100_000, clockTolerance = '60 seconds' } = options
    this.#redis = redis && new CircuitBreaker({ store: 'denylist', runner: scriptRunner(redis) })
    this.#prefix = prefix
    this.#max = max
    this.#now = options.now ?? movedClock()?.now ?? Date.now
    this.#tolerance = milliseconds(clockTolerance)
  }

  get size (): number {
    return this.#entries.size
  }

  async revoke (revocation: Revocation): Promise<void> {
    const { kind, ...entry } = this.#read(revocation)
    if (entry.until <= this.#now()) return
    let result: RevocationMessage['result'] = 'recorded'
    try {
      await this.#store(entry)
    } catch (error) {
      result = error instanceof DenylistFull ? 'full' : 'local-only'
      throw error
    } finally {
      if (revocations.hasSubscribers) revocations.publish({ kind, result } satisfies RevocationMessage)
    }
  }

  async #store ({ name, before, until }: Named): Promise<void> {
    const recorded = this.#record(name, before, until)
    if (this.#redis === undefined && !recorded) throw new DenylistFull(this.#max)
    if (this.#redis === undefined) return
    try {
      await this.#redis.run(keepStronger, [this.#keyOf(name)], [String(before), String(until - this.#now())])
    } catch (cause) {
      throw recorded ? new DenylistLocalOnly(cause) : new DenylistFull(this.#max)
    }
  }

  readonly isRevoked = (token: AccessTokenClaims): boolean | Promise<boolean> => {
    if (this.#redis === undefined && this.#entries.size === 0) return false
    const names = namesOf(token)
    if (names.some(name => this.#isListed(name, token))) return true
    return this.#redis === undefined || names.length === 0 ? false : this.#isStored(this.#redis, names, token)
  }

  #read (revocation: Revocation): Named & Pick<RevocationMessage, 'kind'> {
    const kind = kinds.find(name => name in revocation)
    const value: unknown = kind && Reflect.get(revocation, kind)
    const until = Number(revocation.until) + GRACE
    const before = 'issuedBefore' in revocation && revocation.issuedBefore !== undefined
      ? Math.floor(Number(revocation.issuedBefore) / 1000) * 1000 - 1
      : this.#now() + this.#tolerance
    const named = kind !== undefined && typeof value === 'string' && typeof revocation.issuer === 'string'
    if (!named || !Number.isFinite(until) || !Number.isFinite(before)) {
      throw new TypeError('give one of jti, sid and sub as a text, and dates that are dates')
    }
    if (until - GRACE < FIRST_DATE || before < FIRST_DATE) {
      throw new TypeError('dates are milliseconds since the epoch; this one is in seconds')
    }
    return { kind, name: nameOf(kind, revocation.issuer, value), before: kind === 'sub' ? before : EVERYTHING, until }
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
    for (const [name, { until }] of this.#entries) if (until <= now) this.#entries.delete(name)
  }

  #isListed (name: string, token: AccessTokenClaims): boolean {
    const entry = this.#entries.get(name)
    return entry !== undefined && entry.until > this.#now() && isCovered(token, entry.before)
  }

  async #isStored (redis: CircuitBreaker, names: readonly string[], token: AccessTokenClaims): Promise<boolean> {
    if (!redis.admits()) throw redis.failure ?? new StoreFailed('unknown')
    const keys = names.map(name => this.#keyOf(name))
    // In a cluster the keys lie in different slots, which one call cannot reach.
    const calls = redis.cluster ? keys.map(key => [key]) : [keys]
    const replies = await Promise.all(calls.map(async call => valuesOf(await redis.run(lookUp, call, []), call.length)))
    return replies.flat().some(value => value !== null && isCovered(token, Number(value)))
  }

  /** Hashed: a name may be long and hold any character, and Redis need not know who was locked out. */
  #keyOf (name: string): string {
    return this.#prefix + hash('sha256', name, 'base64url')
  }
}

/** The reply of a server that is something else, or of a proxy, is not believed. */
function valuesOf (reply: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(reply) || reply.length !== length) throw new StoreFailed('reply')
  return reply
}

/** A token that does not say when it was issued counts as issued before; so does a value that is no number. */
function isCovered ({ iat }: AccessTokenClaims, before: number): boolean {
  return iat === undefined || !(iat * 1000 > before)
}

function namesOf (token: AccessTokenClaims): string[] {
  return kinds.flatMap(kind => {
    // As in `request.auth.subject`: without `sub` the caller is its client.
    const value = token[kind] ?? (kind === 'sub' ? clientOf(token) : undefined)
    return value === undefined ? [] : [nameOf(kind, token.iss, value)]
  })
}

function nameOf (kind: typeof kinds[number], issuer: string, value: string): string {
  return JSON.stringify([kind, issuer, value])
}
