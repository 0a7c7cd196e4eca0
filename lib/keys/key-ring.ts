import { channel } from 'node:diagnostics_channel'
import { scheduleTimer, withDeadline } from '../async/index.ts'
import { asFailure, failedAt, FetchFailure, type KeyFailure } from './failure.ts'
import { fetchDocument } from './fetch.ts'
import { importKeys, type DroppedKey } from './import-keys.ts'
import { KeySet } from './key-set.ts'
import { KeySetLoader, type KeyLoader } from './loader.ts'
import type { KeyMessage, KeyNews, KeyRingOptions, KeyRingStatus } from './ring-options.ts'
import { SourceLoader } from './source.ts'
import { Cooldown, refreshDelay, retryDelay } from './timing.ts'
import { KeysUnavailable, type Algorithm, type KeySource, type VerificationKey } from './types.ts'

type RingOptions = KeyRingOptions & { [Name in 'now' | 'random' | 'schedule' | 'onEvent']: NonNullable<KeyRingOptions[Name]> }

const messages = channel('secure-api:keys')

/** How many requests may wait for one attempt; the others are answered from what is known. */
const MAX_WAITING = 1000

/**
 * The keys of one issuer, kept fresh in the background. Under failure: a removed key ends with the next good document, a failure never
 * removes one before `maxStale`, and requests cause at most one attempt for each `cooldown`, whatever they ask for.
 *
 * @example
 * const ring = new KeyRing({ issuer, source: 'discovery', algorithms: ['RS256'], allowLoopback: false, ...resolveKeysOptions() })
 * await ring.load()
 * const known = ring.peek(kid, 'RS256')
 * const keys = known === undefined || known.length === 0 ? await ring.find(kid, 'RS256') : known
 */
export class KeyRing implements KeySource {
  readonly #options: RingOptions
  /** Undefined for an inline set, which is never fetched. */
  readonly #loader: KeyLoader | undefined
  readonly #cooldown: Cooldown
  #set: KeySet | undefined
  /** What the document before held of keys that are not used. */
  #dropped: ReadonlySet<string> = new Set()
  #running: Promise<boolean> | undefined
  #abort = new AbortController()
  #waiting = 0
  #closed = false
  #fetches = 0
  #failures = 0
  #expiresAt = Infinity
  #lastSuccess: number | undefined
  #lastFailure: KeyFailure & { readonly at: number } | undefined
  #nextRefresh: number | undefined
  #cancelRefresh = () => {}
  #cancelExpiry = () => {}

  constructor (options: KeyRingOptions) {
    const { source, fetch = fetchDocument, now = Date.now, random = Math.random, schedule = scheduleTimer, onEvent = () => {} } = options
    this.#options = { ...options, now, random, schedule, onEvent }
    this.#cooldown = new Cooldown(options.cooldown)
    if (source !== 'discovery' && 'jwks' in source) this.#adoptInline(source.jwks)
    else if (source !== 'discovery' && 'askFor' in source) this.#loader = new SourceLoader(options.issuer, source.askFor)
    else this.#loader = new KeySetLoader({ ...options, source, fetch })
  }

  /** Fetches the first set, in one attempt. Never rejects: false when there is no usable set, and the ring keeps trying. */
  async load (): Promise<boolean> {
    return this.#usable() !== undefined || await this.refresh()
  }

  /** Fetches the set now, or joins the attempt that is under way. Never rejects: false when it failed. */
  async refresh (): Promise<boolean> {
    if (this.#closed || this.#loader === undefined) return this.#usable() !== undefined
    return await this.#attemptOnce(this.#loader)
  }

  peek (kid: string | undefined, algorithm: Algorithm): readonly VerificationKey[] | undefined {
    // Of keys that are known one by one, "the only one" says nothing.
    return kid === undefined && this.#loader?.byKid === true ? [] : this.#usable()?.select(kid, algorithm)
  }

  async find (kid: string | undefined, algorithm: Algorithm): Promise<readonly VerificationKey[]> {
    if (kid !== undefined) this.#loader?.want(kid, algorithm)
    if (this.#loader !== undefined && this.#mayAsk()) {
      await this.#ask(this.#loader)
      if (this.peek(kid, algorithm)?.length === 0) this.#loader.doubt()
      // Nobody can find more keys than the issuer has: the next of them need not wait.
      else if (this.#loader.byKid && this.#set !== undefined) this.#cooldown.end()
    }
    const keys = this.peek(kid, algorithm)
    if (keys === undefined) throw new KeysUnavailable(this.#options.issuer, this.#retryAfter())
    return keys
  }

  status (): KeyRingStatus {
    const keys = this.#usable()?.keys ?? []
    return {
      issuer: this.#options.issuer,
      state: this.#state(),
      keys: keys.map(({ kid, algorithms }) => ({ kid, algorithms })),
      lastSuccess: this.#lastSuccess,
      ...(this.#lastFailure === undefined ? undefined : { lastFailure: this.#lastFailure }),
      nextRefresh: this.#nextRefresh,
      fetches: this.#fetches
    }
  }

  /** Ends timers and the attempt under way. The last known keys can still be looked up. */
  close (): void {
    this.#closed = true
    this.#cancelRefresh()
    this.#cancelExpiry()
    this.#nextRefresh = undefined
    this.#abort.abort(new FetchFailure('transport'))
  }

  /** The set in use. Reads the clock, since a timer may be late: a machine that slept wakes with old keys. */
  #usable (): KeySet | undefined {
    if (this.#set !== undefined && this.#options.now() >= this.#expiresAt) this.#expire()
    return this.#set
  }

  #state (): KeyRingStatus['state'] {
    if (this.#set === undefined) return 'empty'
    const age = this.#options.now() - (this.#lastSuccess ?? 0)
    return this.#loader === undefined || age <= this.#options.refresh ? 'fresh' : 'stale'
  }

  #mayAsk (): boolean {
    if (this.#closed) return false
    return this.#running === undefined ? this.#cooldown.left(this.#options.now()) === 0 : this.#waiting < MAX_WAITING
  }

  async #ask (loader: KeyLoader): Promise<void> {
    if (this.#running === undefined) this.#cooldown.start(this.#options.now())
    this.#waiting++
    await this.#attemptOnce(loader)
    this.#waiting--
  }

  #attemptOnce (loader: KeyLoader): Promise<boolean> {
    this.#running ??= this.#attempt(loader).finally(() => { this.#running = undefined })
    return this.#running
  }

  async #attempt (loader: KeyLoader): Promise<boolean> {
    const { now, timeout, schedule } = this.#options
    const startedAt = now()
    const controller = this.#abort = new AbortController()
    this.#fetches++
    try {
      const document = loader.load(controller.signal, this.#usable()?.keys ?? [])
      this.#adopt(await withDeadline(document, { ms: timeout, late: () => new FetchFailure('timeout'), schedule, controller }))
      this.#fetched(true, startedAt)
      return true
    } catch (error) {
      if (!this.#closed) this.#fail(asFailure(error), startedAt, loader)
      return false
    }
  }

  /** Another inline set: keys that it lacks end at once, and the tokens that they signed. An empty one changes nothing. */
  replace (jwks: object): void {
    const before = this.#set
    this.#adoptInline(jwks)
    if (this.#set === undefined || this.#set === before) return
    const { added, removed } = this.#set.change
    this.#tell({ type: 'keys.changed', added: kids(added), removed: kids(removed) })
  }

  #adoptInline (jwks: object): void {
    const { keys } = importKeys(jwks, this.#options.algorithms)
    if (keys.length === 0) return
    const next = new KeySet(keys, this.#set)
    this.#set?.retire(next)
    this.#set = next
    this.#lastSuccess = this.#options.now()
  }

  /**
   * Replaces the set by a document's. An empty one is the provider's mistake, not a revocation, unless each key was asked
   * for by name: then the provider has said that there is no such key.
   */
  #adopt (document: unknown): void {
    const { keys, dropped } = importKeys(document, this.#options.algorithms)
    this.#tellDropped(dropped)
    if (keys.length === 0 && this.#loader?.byKid !== true) throw new FetchFailure('empty')
    const previous = this.#usable()
    const next = new KeySet(keys, previous)
    previous?.retire(next)
    this.#set = next
    if (previous === undefined || this.#failures > 0) this.#tell({ type: 'keys.loaded', kids: kids(next.keys) })
    const added = kids(next.change.added)
    const removed = kids(next.change.removed)
    if (previous !== undefined && added.length + removed.length > 0) this.#tell({ type: 'keys.changed', added, removed })
    this.#planAfterSuccess()
  }

  #planAfterSuccess (): void {
    const { now, refresh, maxStale, random, schedule } = this.#options
    this.#failures = 0
    this.#lastSuccess = now()
    this.#expiresAt = this.#lastSuccess + maxStale
    this.#cancelExpiry()
    this.#cancelExpiry = schedule(() => this.#expire(), maxStale)
    this.#plan(refreshDelay(refresh, random()))
  }

  #fail (failure: FetchFailure, startedAt: number, loader: KeyLoader): void {
    const { now, cooldown, refresh, random } = this.#options
    const usable = this.#usable() !== undefined
    this.#fetched(false, startedAt)
    loader.doubt()
    this.#failures++
    const told = failedAt(failure, loader.asked)
    this.#lastFailure = { at: now(), ...told }
    this.#cooldown.start(startedAt)
    this.#tell({ type: 'keys.failed', ...told, usable })
    this.#plan(retryDelay({ cooldown, refresh, failures: this.#failures, usable }, random()))
  }

  #plan (delay: number): void {
    this.#cancelRefresh()
    this.#nextRefresh = this.#options.now() + delay
    this.#cancelRefresh = this.#options.schedule(() => this.refresh(), delay)
  }

  #expire (): void {
    this.#cancelExpiry()
    this.#set?.retire()
    this.#set = undefined
    this.#tell({ type: 'keys.expired', lastSuccess: this.#lastSuccess ?? 0 })
  }

  /** When the cooldown ends; without one, the queue of waiting requests was full. */
  #retryAfter (): number {
    return this.#cooldown.left(this.#options.now()) || Math.min(this.#options.cooldown, 1000)
  }

  #tellDropped (dropped: readonly DroppedKey[]): void {
    const before = this.#dropped
    this.#dropped = new Set(dropped.map(({ kid, reason }) => `${reason} ${kid}`))
    for (const { kid, reason } of dropped) if (!before.has(`${reason} ${kid}`)) this.#tell({ type: 'keys.dropped', kid, reason })
  }

  #fetched (ok: boolean, startedAt: number): void {
    const { issuer, now } = this.#options
    this.#publish({ type: 'keys.fetched', issuer, ok, durationMs: now() - startedAt })
  }

  #publish (message: KeyMessage): void {
    if (messages.hasSubscribers) messages.publish(message)
  }

  /** A listener that throws must not cost the keys. */
  #tell (news: KeyNews): void {
    const event = { issuer: this.#options.issuer, ...news }
    this.#publish(event)
    try {
      this.#options.onEvent(event)
    } catch {}
  }
}

function kids (keys: readonly VerificationKey[]): ReadonlyArray<string | undefined> {
  return keys.map(({ kid }) => kid)
}
