import { hash } from 'node:crypto'

/** What the cache must know of an entry. */
export interface Cacheable {
  /** Milliseconds since the epoch from which on it is no longer used. */
  readonly notAfter: number
  /** The key that verified it; a token ends with its key. */
  readonly key: { readonly active: boolean }
}

/** An entry in its place. Who keeps one asks {@link TokenCache.current} each time. */
export interface Slot<Entry> {
  readonly entry: Entry
  readonly bytes: number
  /** False once the cache has dropped it. */
  kept: boolean
  /** Asked for since it was put in, or since it was last spared. */
  seen: boolean
}

export interface TokenCacheLimits {
  readonly max: number
  readonly maxBytes: number
}

/** The part of the places that newcomers have to themselves, after S3-FIFO (Yang et al., SOSP 2023). */
const NEWCOMERS = 0.1
/** How many entries one eviction spares at most, so that no single request pays for a whole round. */
const MAX_SPARED = 32

/**
 * The identity of a token: SHA-256 of its text. The gate admits one spelling only, so that no other text is the same
 * token. (Anyone can turn an ECDSA signature (r, s) into (r, n − s), which is valid too; issuers emit both kinds, so
 * neither can be refused. Such a twin is verified and cached by itself, has the same claims, and ends with the same
 * `jti`, `sub` and `exp`: hence revocation goes by claims, never by text.)
 */
export function tokenDigest (token: string): string {
  return hash('sha256', token, 'base64url')
}

/**
 * Verified tokens by digest, bounded by number and by an estimate of bytes. Only successes come in, so that forged
 * tokens displace nothing. Newcomers leave first unless they are asked for again: a flood of good tokens that are used
 * once passes by those in use. A hit writes at most one bit.
 */
export class TokenCache<Entry extends Cacheable> {
  readonly #limits: TokenCacheLimits
  readonly #newcomers = new Map<string, Slot<Entry>>()
  readonly #residents = new Map<string, Slot<Entry>>()
  #bytes = 0

  constructor (limits: TokenCacheLimits) {
    this.#limits = limits
  }

  get size (): number {
    return this.#newcomers.size + this.#residents.size
  }

  /** Estimated. */
  get bytes (): number {
    return this.#bytes
  }

  /** The entry, unless its time is over or its key is gone; then it is dropped. */
  get (digest: string, now: number): Entry | undefined {
    return this.find(digest, now)?.entry
  }

  /** As `get`, with the entry's place. */
  find (digest: string, now: number): Slot<Entry> | undefined {
    const slot = this.#residents.get(digest) ?? this.#newcomers.get(digest)
    if (slot === undefined) return undefined
    return this.current(slot, now) ? slot : this.#drop(digest, slot)
  }

  /** Whether an entry that was found before is still in the cache, and its time and its key are not over. It counts as asked for. */
  current (slot: Slot<Entry>, now: number): boolean {
    if (!slot.kept || now >= slot.entry.notAfter || !slot.entry.key.active) return false
    if (!slot.seen) slot.seen = true
    return true
  }

  /** Puts in an entry of about so many bytes, and makes room. One that alone is larger than the cache stays out. */
  set (digest: string, entry: Entry, bytes: number): void {
    if (bytes > this.#limits.maxBytes) return
    const present = this.#residents.get(digest) ?? this.#newcomers.get(digest)
    if (present !== undefined) this.#drop(digest, present)
    while (this.size >= this.#limits.max || this.#bytes + bytes > this.#limits.maxBytes) this.#evict()
    this.#newcomers.set(digest, { entry, bytes, kept: true, seen: false })
    this.#bytes += bytes
  }

  /** Drops the entries for which the predicate holds, and says how many. */
  deleteWhere (predicate: (entry: Entry) => boolean): number {
    const before = this.size
    for (const map of [this.#newcomers, this.#residents]) {
      for (const [digest, slot] of map) {
        if (predicate(slot.entry)) this.#drop(digest, slot)
      }
    }
    return before - this.size
  }

  clear (): void {
    for (const slot of [...this.#newcomers.values(), ...this.#residents.values()]) slot.kept = false
    this.#newcomers.clear()
    this.#residents.clear()
    this.#bytes = 0
  }

  #evict (): void {
    const crowded = this.#newcomers.size > this.#limits.max * NEWCOMERS || this.#residents.size === 0
    if (crowded) this.#evictNewcomer()
    else this.#evictResident()
  }

  /** The oldest newcomer goes, or stays for good if it was asked for; then another one goes. */
  #evictNewcomer (): void {
    for (const [digest, slot] of this.#newcomers) {
      if (!slot.seen) {
        this.#drop(digest, slot)
        return
      }
      this.#newcomers.delete(digest)
      slot.seen = false
      this.#residents.set(digest, slot)
    }
    this.#evictResident()
  }

  #evictResident (): void {
    let spared = 0
    for (const [digest, slot] of this.#residents) {
      if (!slot.seen || spared === MAX_SPARED) {
        this.#drop(digest, slot)
        return
      }
      slot.seen = false
      spared++
      this.#residents.delete(digest)
      this.#residents.set(digest, slot)
    }
  }

  #drop (digest: string, slot: Slot<Entry>): undefined {
    if (!this.#residents.delete(digest)) this.#newcomers.delete(digest)
    this.#bytes -= slot.bytes
    slot.kept = false
  }
}
