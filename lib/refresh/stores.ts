import { isThenable, withDeadline } from '../async/index.ts'
import { CircuitBreaker, script, scriptRunner, StoreFailed, type EvalClient, type RedisLike } from '../redis/index.ts'
import { decide, type Attempt, type RefreshFamily, type RotationAnswer } from './family.ts'

/** Where families are kept, by a hash: a table of the application's. */
export interface RefreshTokenStore {
  get (family: string): RefreshFamily | undefined | Promise<RefreshFamily | undefined>
  /**
   * Writes the record if the stored one has the version before it, or if none is stored and this is version 1. Otherwise it leaves
   * everything as it is and answers false. Both in one step: of two rotations at once one must find the other's version.
   */
  put (family: string, record: RefreshFamily): boolean | Promise<boolean>
}

/** What the tokens ask. Rejects when it cannot know. */
export interface Families {
  create (family: string, record: RefreshFamily): Promise<void>
  rotate (family: string, attempt: Attempt): Promise<RotationAnswer>
  revoke (family: string): Promise<void>
}

/** In this process. Full, it takes no new family, and forgets none that counts. */
export class MemoryStore implements RefreshTokenStore {
  readonly #families = new Map<string, RefreshFamily>()
  readonly #max: number
  readonly #now: () => number

  constructor (max: number, now: () => number) {
    this.#max = max
    this.#now = now
  }

  get (family: string): RefreshFamily | undefined {
    return this.#families.get(family)
  }

  put (family: string, record: RefreshFamily): boolean {
    const version = this.#families.get(family)?.version ?? 0
    if (version !== record.version - 1) return false
    if (version === 0 && this.#families.size >= this.#max) this.#prune()
    if (version === 0 && this.#families.size >= this.#max) throw new Error(`${this.#max} logins still count: raise \`max\``)
    this.#families.set(family, record)
    return true
  }

  #prune (): void {
    const now = this.#now()
    // Those that ended early too: nobody is told an unknown login from a revoked one, and signing in and out would fill the memory.
    for (const [name, { expiresAt, revoked }] of this.#families) if (revoked || expiresAt <= now) this.#families.delete(name)
  }
}

/** How often a family may change under the hands of one call. */
const ATTEMPTS = 5

/** Families in a store that compares versions. */
export class StoredFamilies implements Families {
  readonly #store: RefreshTokenStore
  readonly #timeout: number
  readonly #now: () => number

  constructor (store: RefreshTokenStore, timeout: number, now: () => number) {
    this.#store = store
    this.#timeout = timeout
    this.#now = now
  }

  async create (family: string, record: RefreshFamily): Promise<void> {
    if (await this.#wait(this.#store.put(family, record)) !== true) throw new Error('the store did not take a new family')
  }

  async rotate (family: string, attempt: Attempt): Promise<RotationAnswer> {
    return await this.#change(family, stored => decide(stored, attempt, this.#now()))
  }

  async revoke (family: string): Promise<void> {
    await this.#change(family, stored => stored === undefined || stored.revoked
      ? { answer: undefined }
      : { answer: undefined, family: { ...stored, revoked: true, version: stored.version + 1 } })
  }

  async #change <Answer> (name: string, change: (stored: RefreshFamily | undefined) => { answer: Answer, family?: RefreshFamily }):
  Promise<Answer> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { answer, family } = change(await this.#wait(this.#store.get(name)))
      if (family === undefined || await this.#wait(this.#store.put(name, family)) === true) return answer
    }
    throw new Error('the family changed at each attempt')
  }

  async #wait <Value> (value: Value | Promise<Value>): Promise<Value> {
    if (!isThenable(value)) return value
    const late = () => new Error(`the store did not answer within ${this.#timeout} ms`)
    return await withDeadline(value, { ms: this.#timeout, late })
  }
}

const create = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'facts', ARGV[1], 'current', ARGV[2], 'expires', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 1`)

/** As `decide()`, by the clock of the server: those of callers differ. */
const rotate = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local field = function (name) return redis.call('HGET', KEYS[1], name) end
local current, expires = field('current'), field('expires')
if not current then return { 'unknown' } end
if field('revoked') then return { 'revoked' } end
if now >= tonumber(expires) then return { 'expired' } end
local presented, successor, nonce, grace = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if presented == current then
  redis.call('HSET', KEYS[1], 'current', successor, 'previous', presented, 'nonce', nonce, 'rotated', string.format('%.0f', now))
  return { 'rotated', field('facts'), nonce, expires }
end
if presented == field('previous') and now < tonumber(field('rotated')) + grace then
  return { 'rotated', field('facts'), field('nonce'), expires }
end
redis.call('HSET', KEYS[1], 'revoked', '1')
return { 'reused' }`)

const revoke = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'revoked', '1') end
return 1`)

const refusals = ['unknown', 'expired', 'revoked', 'reused'] as const

/** Families in Redis: each call is one round trip, and one step for all processes. */
export class RedisFamilies implements Families {
  readonly #redis: CircuitBreaker
  readonly #prefix: string

  constructor (redis: RedisLike | EvalClient, prefix: string) {
    this.#redis = new CircuitBreaker({ store: 'refresh-tokens', runner: scriptRunner(redis) })
    this.#prefix = prefix
  }

  async create (family: string, { subject, data, current, expiresAt }: RefreshFamily): Promise<void> {
    const facts = JSON.stringify({ subject, data })
    if (await this.#run(create, family, [facts, current, String(expiresAt)]) !== 1) throw new StoreFailed('reply')
  }

  async rotate (family: string, { presented, next, nonce, grace }: Attempt): Promise<RotationAnswer> {
    return answerOf(await this.#run(rotate, family, [presented, next, nonce, String(grace)]))
  }

  async revoke (family: string): Promise<void> {
    if (await this.#run(revoke, family, []) !== 1) throw new StoreFailed('reply')
  }

  async #run (code: ReturnType<typeof script>, family: string, args: readonly string[]): Promise<unknown> {
    if (!this.#redis.admits()) throw this.#redis.failure ?? new StoreFailed('unknown')
    return await this.#redis.run(code, [this.#prefix + family], args)
  }
}

/** The reply of a server that is something else, or of a proxy, is not believed. */
function answerOf (reply: unknown): RotationAnswer {
  const [kind, facts, nonce, expires] = Array.isArray(reply) ? reply.map(String) : []
  const refused = refusals.find(known => known === kind)
  if (refused !== undefined) return { kind: refused }
  if (kind !== 'rotated' || facts === undefined || nonce === undefined || expires === undefined) throw new StoreFailed('reply')
  const { subject, data } = JSON.parse(facts) as Pick<RefreshFamily, 'subject' | 'data'>
  return { kind, subject, data, nonce, expiresAt: Number(expires) }
}
