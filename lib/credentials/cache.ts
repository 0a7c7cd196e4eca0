import { hash } from 'node:crypto'

/** What the cache needs to know of an entry. */
export interface Cacheable {
  /** Milliseconds since the epoch; from then on it is not used. */
  readonly notAfter: number
  /** The key that verified it; a token ends with its key. */
  readonly key: { readonly active: boolean }
}

/** An entry and its place. Whoever keeps one asks {@link TokenCache.current} each time. */
export interface Slot<Entry> {
  readonly digest: string
  readonly entry: Entry
  readonly bytes: number
  /** Whether it was asked for since it came, or since it was last spared. */
  seen: boolean
  /** Undefined once the cache has dropped it. */
  queue: Queue<Entry> | undefined
  older: Slot<Entry> | undefined
  newer: Slot<Entry> | undefined
}

export interface TokenCacheLimits {
  readonly max: number
  readonly maxBytes: number
}

/** The share of the cache that newcomers may fill when it is full, after S3-FIFO (Yang et al., SOSP 2023). */
const NEWCOMERS = 0.1
/** How many entries one eviction may spare, so that no single request pays for a whole round. */
const MAX_SPARED = 32

/**
 * The identity of a token: SHA-256 of its text. The gate admits only one spelling of a token, so another text is another token. (Anyone can
 * turn an ECDSA signature (r, s) into (r, n − s), which is valid too; issuers emit both forms, so neither can be refused. Such a twin is
 * verified and cached separately, but has the same claims. That is why revocation goes by `jti`, `sid` and `sub`, never by text.)
 */
export function tokenDigest (token: string): string {
  return hash('sha256', token, 'base64url')
}

/**
 * Verified tokens by digest, bounded by number and by an estimate of bytes. Only successes are stored, so forged tokens
 * displace nothing. Entries that nobody has asked for again leave first: a flood of good tokens, each used once, does not
 * displace those in use. A hit writes one flag at most.
 */
export class TokenCache<Entry extends Cacheable> {
  readonly #limits: TokenCacheLimits
  readonly #slots = new Map<string, Slot<Entry>>()
  readonly #newcomers = new Queue<Entry>()
  readonly #residents = new Queue<Entry>()
  #bytes = 0

  constructor (limits: TokenCacheLimits) {
    this.#limits = limits
  }

  get size (): number {
    return this.#slots.size
  }

  /** Estimated. */
  get bytes (): number {
    return this.#bytes
  }

  /** The entry in its place. One that has expired, or whose key is gone, is dropped instead. */
  find (digest: string, now: number): Slot<Entry> | undefined {
    const slot = this.#slots.get(digest)
    if (slot === undefined || this.current(slot, now)) return slot
    this.#drop(slot)
    return undefined
  }

  /** Whether an entry that was found before may still be used. Counts as asking for it. */
  current (slot: Slot<Entry>, now: number): boolean {
    if (slot.queue === undefined || now >= slot.entry.notAfter || !slot.entry.key.active) return false
    if (!slot.seen) slot.seen = true
    return true
  }

  /** Stores an entry of about this many bytes. One that is larger than the whole cache is not stored. */
  set (digest: string, entry: Entry, bytes: number): void {
    if (bytes > this.#limits.maxBytes) return
    const present = this.#slots.get(digest)
    if (present !== undefined) this.#drop(present)
    while (this.size >= this.#limits.max || this.#bytes + bytes > this.#limits.maxBytes) this.#evict()
    const slot = { digest, entry, bytes, seen: false, queue: undefined, older: undefined, newer: undefined }
    this.#slots.set(digest, slot)
    this.#newcomers.push(slot)
    this.#bytes += bytes
  }

  /** Drops the entries for which the predicate holds, and returns their number. */
  deleteWhere (predicate: (entry: Entry) => boolean): number {
    const before = this.size
    for (const slot of this.#slots.values()) if (predicate(slot.entry)) this.#drop(slot)
    return before - this.size
  }

  /** The oldest entry leaves, unless it was asked for: then it becomes the newest resident, and the next one is up. */
  #evict (): void {
    for (let spared = 0; ; spared++) {
      const crowded = this.#newcomers.size > this.size * NEWCOMERS
      const { oldest, newest } = crowded ? this.#newcomers : this.#residents
      if (oldest === undefined || newest === undefined) return
      if (!oldest.seen) return this.#drop(oldest)
      // Of newcomers that are all in use, the last to come has the least to lose.
      if (spared === MAX_SPARED) return this.#drop(crowded ? newest : oldest)
      oldest.seen = false
      oldest.queue?.remove(oldest)
      this.#residents.push(oldest)
    }
  }

  #drop (slot: Slot<Entry>): void {
    this.#slots.delete(slot.digest)
    slot.queue?.remove(slot)
    this.#bytes -= slot.bytes
  }
}

/**
 * Linked, so that an entry leaves from any place at the same cost. A `Map` keeps the order too, but to find its first
 * entry means to walk past all that were deleted since it was last compacted: with 20,000 tokens 11 µs for each newcomer.
 */
class Queue<Entry> {
  size = 0
  oldest: Slot<Entry> | undefined
  newest: Slot<Entry> | undefined

  push (slot: Slot<Entry>): void {
    slot.queue = this
    slot.older = this.newest
    if (this.newest === undefined) this.oldest = slot
    else this.newest.newer = slot
    this.newest = slot
    this.size++
  }

  remove (slot: Slot<Entry>): void {
    if (slot.older === undefined) this.oldest = slot.newer
    else slot.older.newer = slot.newer
    if (slot.newer === undefined) this.newest = slot.older
    else slot.newer.older = slot.older
    slot.queue = slot.older = slot.newer = undefined
    this.size--
  }
}
