import { isThenable, withDeadline } from '../async/index.ts'
import { isFields, milliseconds, Problems, type Fields } from '../config/index.ts'
import { TokenCache } from '../credentials/index.ts'
import type { ApiKeyLookup, ApiKeysOptions } from './options.ts'
import { checkRecords, storedKey, type ApiKeyRecord, type StoredKey } from './record.ts'

/** Where records come from. */
export interface KeyStore {
  /** The record, if it is at hand. */
  peek (id: string): StoredKey | undefined
  /** Undefined: there is none. Rejects where that cannot be said. */
  find (id: string): Promise<StoredKey | undefined>
  /** Drops what is remembered of an id. */
  forget (id: string): void
  /** Looks at the source again. False: it cannot be used. */
  refresh (): Promise<boolean>
  close (): void
  status (): object
}

/** The records of the option `keys`. */
export class KeyList implements KeyStore {
  readonly #records: ReadonlyMap<string, StoredKey>

  constructor (records: readonly ApiKeyRecord[]) {
    this.#records = new Map(records.map(record => [record.id, storedKey(record)]))
  }

  peek (id: string): StoredKey | undefined {
    return this.#records.get(id)
  }

  async find (id: string): Promise<StoredKey | undefined> {
    return this.#records.get(id)
  }

  forget (): void {}

  async refresh (): Promise<boolean> {
    return true
  }

  close (): void {}

  status (): object {
    return { keys: this.#records.size }
  }
}

/** An answer of the store. */
interface Answer {
  readonly record: StoredKey | undefined
  readonly notAfter: number
  readonly key: { active: boolean }
}

/** Asks the application for records, and keeps its answers for a while. */
export class KeyLookup implements KeyStore {
  readonly #lookup: ApiKeyLookup
  readonly #timeout: number
  readonly #ttl: number
  readonly #negativeTtl: number
  readonly #now: () => number
  readonly #found: TokenCache<Answer>
  /** Apart, so that guessed ids displace no record. */
  readonly #absent: TokenCache<Answer>
  readonly #asked = new Map<string, Promise<StoredKey | undefined>>()
  #failures = 0

  constructor (lookup: ApiKeyLookup, { timeout = '1 second', cache = {} }: Pick<ApiKeysOptions, 'timeout' | 'cache'>, now: () => number) {
    const { max = 10_000, ttl = '1 minute', negativeTtl = '5 seconds' } = cache
    this.#lookup = lookup
    this.#timeout = milliseconds(timeout)
    this.#ttl = milliseconds(ttl)
    this.#negativeTtl = milliseconds(negativeTtl)
    this.#now = now
    this.#found = new TokenCache({ max, maxBytes: Infinity })
    this.#absent = new TokenCache({ max, maxBytes: Infinity })
  }

  peek (id: string): StoredKey | undefined {
    return this.#found.find(id, this.#now())?.entry.record
  }

  async find (id: string): Promise<StoredKey | undefined> {
    const now = this.#now()
    const known = this.#found.find(id, now) ?? this.#absent.find(id, now)
    if (known !== undefined) return known.entry.record
    const asked = this.#asked.get(id) ?? this.#ask(id)
    return await asked
  }

  /** Whoever asks from now on gets an answer that is not older than this call. */
  forget (id: string): void {
    for (const cache of [this.#found, this.#absent]) {
      const slot = cache.find(id, this.#now())
      if (slot !== undefined) slot.entry.key.active = false
    }
    this.#asked.delete(id)
  }

  async refresh (): Promise<boolean> {
    for (const cache of [this.#found, this.#absent]) cache.deleteWhere(() => true)
    this.#asked.clear()
    return true
  }

  close (): void {}

  status (): object {
    return { cached: this.#found.size, absent: this.#absent.size, asking: this.#asked.size, failures: this.#failures }
  }

  #ask (id: string): Promise<StoredKey | undefined> {
    const started = this.#now()
    const asked = this.#read(id).then(record => {
      if (this.#asked.get(id) === asked) this.#keep(id, record, started)
      return record
    }).catch((error: unknown) => {
      this.#failures++
      throw error
    }).finally(() => { if (this.#asked.get(id) === asked) this.#asked.delete(id) })
    this.#asked.set(id, asked)
    return asked
  }

  async #read (id: string): Promise<StoredKey | undefined> {
    const late = () => new Error(`\`lookup\` did not answer within ${this.#timeout} ms`)
    const answer: unknown = this.#lookup(id)
    return recordOf(isThenable(answer) ? await withDeadline(answer, { ms: this.#timeout, late }) : answer, id)
  }

  /** From when it was asked: the store may have changed since. */
  #keep (id: string, record: StoredKey | undefined, asked: number): void {
    const [cache, ttl] = record === undefined ? [this.#absent, this.#negativeTtl] : [this.#found, this.#ttl]
    cache.set(id, { record, notAfter: asked + ttl, key: { active: true } }, 0)
  }
}

/** Throws for what is no record, or another one: an answer that is only half right opens nothing. */
function recordOf (answer: unknown, id: string): StoredKey | undefined {
  if (answer === undefined || answer === null) return undefined
  if (!isFields(answer)) throw new TypeError('`lookup` answered neither a record nor undefined')
  const record: unknown = plainOf(answer)
  const problems = new Problems()
  checkRecords([record], 'lookup', problems)
  // Not their texts, which quote values.
  if (problems.any) {
    const reasons = problems.list().map(({ code, path }) => `${path} ${code}`)
    throw new TypeError(`\`lookup\` answered a record that is not valid: ${reasons.join(', ')}`)
  }
  // Checked: here it becomes a record.
  const sound = record as ApiKeyRecord
  if (sound.id !== id) throw new TypeError('`lookup` answered the record of another id')
  return storedKey(sound)
}

/** Own members only. An empty column of a database is `null`, and a time is a date. */
function plainOf (fields: Fields): Fields {
  const members = Object.entries(fields).filter(([, value]) => value !== null)
  return Object.assign(Object.create(null), Object.fromEntries(members.map(([name, value]) => [name, plain(value)])))
}

function plain (value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(item => plain(item))
  return isFields(value) ? plainOf(value) : value
}
