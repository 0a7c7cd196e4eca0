import { channel } from 'node:diagnostics_channel'
import { asStoreFailure, StoreFailed, type StoreFailureReason } from './failure.ts'
import type { Script, ScriptRunner } from './client.ts'

/** Reported once for each change, not for each call. */
export type StoreEvent =
  | { readonly type: 'store-unavailable', readonly reason: StoreFailureReason, readonly code?: string }
  | { readonly type: 'store-restored', readonly downMs: number }

/** What a Redis is used for. */
export type StoreName = 'rate-limit' | 'denylist' | 'refresh-tokens'

/**
 * A message on the diagnostics channel `secure-api:store`: a call to Redis with the time that its caller waited, or a change of the
 * circuit breaker.
 */
export type StoreMessage = { readonly store: StoreName } & StoreNews
type StoreNews = StoreEvent | { readonly type: 'call', readonly result: 'ok' | StoreFailureReason, readonly durationMs: number }

const messages = channel('secure-api:store')

interface CircuitBreakerOptions {
  /** The name in messages of `secure-api:store`; without one there are none. */
  readonly store?: StoreName
  readonly runner: ScriptRunner
  /** Monotonic milliseconds. @default `performance.now` */
  readonly now?: (() => number) | undefined
  readonly onEvent?: ((event: StoreEvent) => void) | undefined
  /** The longest a call may wait, in milliseconds. @default 50 */
  readonly deadline?: number | undefined
}

interface Call {
  readonly expires: number
  readonly reject: (error: StoreFailed) => void
  settled: boolean
  /** How often the timer has checked it. */
  looks: number
}

/** Interval of the one timer for all calls, in milliseconds: a timer per call would cost as much as the call. */
const tick = 5
/** A busy process checks rarely and must not blame the server for its own delay. An idle one checks nine times in 50 ms. */
const leastLooks = 4
const failuresToOpen = 5
/** Between probes while Redis is unavailable, ±25 %, so that many processes do not return at once. */
const probeEvery = 500

/**
 * Runs scripts within a deadline, and stops asking a server that does not answer: after five failures in a row it admits one call
 * every half second until one succeeds. Rejects with {@link StoreFailed}.
 */
export class CircuitBreaker implements ScriptRunner {
  readonly cluster: boolean
  readonly #store: StoreName | undefined
  readonly #runner: ScriptRunner
  readonly #now: () => number
  readonly #deadline: number
  readonly #onEvent: CircuitBreakerOptions['onEvent']
  #calls: Call[] = []
  #timer: NodeJS.Timeout | undefined
  #consecutive = 0
  #openedAt = 0
  #probeAt = 0
  open = false
  failures = 0
  failure: StoreFailed | undefined

  constructor ({ store, runner, now = () => performance.now(), onEvent, deadline = 50 }: CircuitBreakerOptions) {
    this.cluster = runner.cluster
    this.#store = store
    this.#runner = runner
    this.#now = now
    this.#deadline = deadline
    this.#onEvent = onEvent
  }

  /** Whether a call is allowed now. While the breaker is open, each `true` is a probe that the caller must use. */
  admits (): boolean {
    if (!this.open) return true
    const now = this.#now()
    if (now < this.#probeAt) return false
    this.#probeAt = now + withJitter(probeEvery)
    return true
  }

  /** Milliseconds until the next probe. */
  get retryAfter (): number {
    return this.open ? Math.max(0, this.#probeAt - this.#now()) : 0
  }

  run (script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const running = this.#call(script, keys, args)
    if (this.#store !== undefined && messages.hasSubscribers) this.#measure(running)
    return running
  }

  /** Here, and not where a call is settled: a time-out comes from the timer of another request, in whose trace it does not belong. */
  async #measure (running: Promise<unknown>): Promise<void> {
    const started = this.#now()
    let result: 'ok' | StoreFailureReason = 'ok'
    try {
      await running
    } catch (error) {
      result = asStoreFailure(error).reason
    }
    this.#publish({ type: 'call', result, durationMs: this.#now() - started })
  }

  #publish (news: StoreNews): void {
    if (this.#store !== undefined && messages.hasSubscribers) messages.publish({ store: this.#store, ...news } satisfies StoreMessage)
  }

  #call (script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call: Call = { expires: this.#now() + this.#deadline - tick, reject, settled: false, looks: 0 }
      this.#calls.push(call)
      this.#timer ??= setTimeout(() => this.#look(), tick)
      const attempt = async () => this.#runner.run(script, keys, args) // a client may throw instead of rejecting
      attempt().then(
        reply => { if (this.#settle(call)) { this.#succeeded(); resolve(reply) } },
        (error: unknown) => { if (this.#settle(call)) this.#failed(call, asStoreFailure(error)) })
    })
  }

  close (): void {
    clearTimeout(this.#timer)
    for (const call of this.#calls) {
      if (this.#settle(call)) call.reject(new StoreFailed('connection'))
    }
    this.#calls = []
  }

  #settle (call: Call): boolean {
    const first = !call.settled
    call.settled = true
    return first
  }

  /**
   * Sockets are read after the timer: a reply that arrived while this process was busy still counts. So does one that takes two
   * round trips (NOSCRIPT, then the source): see {@link leastLooks}.
   */
  #look (): void {
    setImmediate(() => {
      const now = this.#now()
      this.#calls = this.#calls.filter(call => !call.settled && !this.#expire(call, now))
      this.#timer = this.#calls.length === 0 ? undefined : setTimeout(() => this.#look(), tick)
    })
  }

  #expire (call: Call, now: number): boolean {
    if (++call.looks < leastLooks || now < call.expires) return false
    this.#settle(call)
    this.#failed(call, new StoreFailed('timeout'))
    return true
  }

  #succeeded (): void {
    this.#consecutive = 0
    if (!this.open) return
    this.open = false
    this.#tell({ type: 'store-restored', downMs: this.#now() - this.#openedAt })
  }

  #failed (call: Call, failure: StoreFailed): void {
    // A disconnected client reports only that it is disconnected.
    const cause = failure.reason === 'connection' ? this.#runner.lastError?.() : undefined
    this.failures++
    this.failure = cause === undefined ? failure : asStoreFailure(cause)
    if (++this.#consecutive >= failuresToOpen && !this.open) this.#trip(this.failure)
    call.reject(this.failure)
  }

  #tell (event: StoreEvent): void {
    this.#onEvent?.(event)
    this.#publish(event)
  }

  #trip ({ reason, code }: StoreFailed): void {
    this.open = true
    this.#openedAt = this.#now()
    this.#probeAt = this.#openedAt + withJitter(probeEvery)
    this.#tell({ type: 'store-unavailable', reason, ...(code === undefined ? undefined : { code }) })
  }
}

function withJitter (ms: number): number {
  return ms * (0.75 + Math.random() / 2)
}
