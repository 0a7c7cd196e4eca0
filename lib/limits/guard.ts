import type { LimiterEvent } from './decision.ts'
import type { Transport } from './redis-transport.ts'
import { asStoreFailure, StoreFailed } from './store-failure.ts'

export interface GuardOptions {
  readonly transport: Transport
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly onEvent?: (event: LimiterEvent) => void
  /** The longest a call may wait, in milliseconds. @default 50 */
  readonly deadline?: number
}

interface Call {
  readonly expires: number
  readonly reject: (error: StoreFailed) => void
  settled: boolean
  /** How often it has been looked at. */
  looks: number
}

const defaultDeadline = 50
/** One timer looks at all calls, this often: a timer for each would cost as much as the call. */
const tick = 5
/** A process that was busy has hardly looked, and the time that passed was not the server's. Where nothing is busy there are nine in 50 ms. */
const leastLooks = 4
const failuresToOpen = 5
/** Between attempts while Redis is away, plus or minus a quarter, so that many processes do not come back at the same moment. */
const probeEvery = 500

/**
 * A transport that answers within its deadline or fails, and that stops asking a server which does not answer
 * (a circuit breaker): after five failures in a row only one call each half second is let through, until one succeeds.
 */
export class Guard implements Transport {
  readonly cluster: boolean
  readonly #transport: Transport
  readonly #now: () => number
  readonly #deadline: number
  readonly #onEvent: ((event: LimiterEvent) => void) | undefined
  #calls: Call[] = []
  #timer: NodeJS.Timeout | undefined
  #consecutive = 0
  #failures = 0
  #failure: StoreFailed | undefined
  #openedAt = 0
  #probeAt = 0
  #open = false

  constructor ({ transport, now, onEvent, deadline = defaultDeadline }: GuardOptions) {
    this.cluster = transport.cluster
    this.#transport = transport
    this.#now = now
    this.#deadline = deadline
    this.#onEvent = onEvent
  }

  /** True when a call may be made now. While the breaker is open each true is one probe, and is to be used. */
  admits (): boolean {
    if (!this.#open) return true
    const now = this.#now()
    if (now < this.#probeAt) return false
    this.#probeAt = now + withJitter(probeEvery)
    return true
  }

  get open (): boolean {
    return this.#open
  }

  get failure (): StoreFailed | undefined {
    return this.#failure
  }

  get failures (): number {
    return this.#failures
  }

  /** When asking again makes sense, in milliseconds. */
  get retryAfter (): number {
    return this.#open ? Math.max(0, this.#probeAt - this.#now()) : 0
  }

  run (keys: string[], args: string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call: Call = { expires: this.#now() + this.#deadline - tick, reject, settled: false, looks: 0 }
      this.#calls.push(call)
      this.#timer ??= setTimeout(() => this.#look(), tick)
      this.#attempt(keys, args).then(
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

  /** A client may throw where it should reject. */
  async #attempt (keys: string[], args: string[]): Promise<unknown> {
    return this.#transport.run(keys, args)
  }

  #settle (call: Call): boolean {
    const first = !call.settled
    call.settled = true
    return first
  }

  /**
   * After the timer come the sockets: a reply that lay there while this process was busy still counts. So does one that takes two
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
    if (!this.#open) return
    this.#open = false
    this.#onEvent?.({ type: 'store-restored', downMs: this.#now() - this.#openedAt })
  }

  #failed (call: Call, failure: StoreFailed): void {
    const told = this.#explained(failure)
    this.#failures++
    this.#failure = told
    if (++this.#consecutive >= failuresToOpen && !this.#open) this.#trip(told)
    call.reject(told)
  }

  /** A client that is not connected says no more than that; why, it said when the connection ended. */
  #explained (failure: StoreFailed): StoreFailed {
    const cause = failure.reason === 'connection' ? this.#transport.lastError?.() : undefined
    return cause === undefined ? failure : asStoreFailure(cause)
  }

  #trip ({ reason, code }: StoreFailed): void {
    this.#open = true
    this.#openedAt = this.#now()
    this.#probeAt = this.#openedAt + withJitter(probeEvery)
    this.#onEvent?.({ type: 'store-unavailable', reason, ...(code === undefined ? undefined : { code }) })
  }
}

function withJitter (ms: number): number {
  return ms * (0.75 + Math.random() / 2)
}
