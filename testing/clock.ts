import { milliseconds, moveTime, type Clock, type Duration } from '../lib/config/index.ts'

/** Time that a test can move forward. Between moves it goes on by itself. */
export interface TestClock extends Disposable {
  /** Milliseconds since the epoch. */
  now (): number
  /**
   * Moves on: `advance('1 minute')`, or a number of milliseconds. What was planned for meanwhile (a refresh of keys) is done, one after
   * the other, before the promise resolves. Throws while no application uses the clock.
   */
  advance (by: Duration): Promise<void>
  /** Applications that are built from now on read the machine's clock again. */
  close (): void
}

/**
 * A clock for rate limits, the expiry of tokens, the refresh of keys and the denylist. Make it before the application: what is built
 * afterwards reads it, and test issuers sign by it. Timers of others, `Date` and Redis stay as they are.
 * Throws in production, and an application in production does not start beside it.
 *
 * @example
 * const clock = createTestClock()
 * const app = await build()
 * await clock.advance('1 minute')
 */
export function createTestClock (): TestClock {
  const clock = new MovableClock()
  moveTime(clock.face)
  current = clock
  return clock
}

let current: MovableClock | undefined

/** Milliseconds since the epoch, by the test clock if there is one. */
export function testTime (): number {
  return current === undefined ? Date.now() : current.now()
}

interface Plan {
  /** In the monotonic time of the clock. */
  readonly due: number
  readonly run: () => unknown
}

class MovableClock implements TestClock {
  /** What applications see of it. */
  readonly face: Clock
  readonly #plans = new Set<Plan>()
  #ahead = 0
  #used = false
  #moving = false

  constructor () {
    const used = <Ask extends object>(ask: Ask): Ask => {
      this.#used = true
      return ask
    }
    const now = () => this.now()
    const elapsed = () => this.#elapsed()
    const schedule: Clock['schedule'] = (callback, ms) => this.#plan(callback, ms)
    this.face = { get now () { return used(now) }, get elapsed () { return used(elapsed) }, get schedule () { return used(schedule) } }
  }

  now (): number {
    return Date.now() + this.#ahead
  }

  async advance (by: Duration): Promise<void> {
    if (!this.#used) {
      throw new Error('no application uses this clock: make the clock first, then build the application and await app.ready()')
    }
    if (this.#moving) throw new Error('the clock is still moving: await the advance() before')
    const target = this.#ahead + milliseconds(by)
    this.#moving = true
    try {
      for (let next = this.#nextBefore(target); next !== undefined; next = this.#nextBefore(target)) await this.#keep(next)
      this.#ahead = target
    } finally {
      this.#moving = false
    }
  }

  close (): void {
    if (current !== this) return
    current = undefined
    moveTime(undefined)
  }

  [Symbol.dispose] (): void {
    this.close()
  }

  #elapsed (): number {
    return performance.now() + this.#ahead
  }

  /** Also kept when nobody moves the clock: a hanging provider must not hang the test. */
  #plan (callback: () => unknown, ms: number): () => void {
    const timer = setTimeout(() => plan.run(), ms).unref()
    const cancel = () => {
      this.#plans.delete(plan)
      clearTimeout(timer)
    }
    const plan: Plan = {
      due: this.#elapsed() + ms,
      run: () => {
        cancel()
        return callback()
      }
    }
    this.#plans.add(plan)
    return cancel
  }

  #nextBefore (ahead: number): Plan | undefined {
    const [next] = [...this.#plans].sort((one, other) => one.due - other.due)
    return next !== undefined && next.due <= performance.now() + ahead ? next : undefined
  }

  async #keep (plan: Plan): Promise<void> {
    this.#ahead = Math.max(this.#ahead, plan.due - performance.now())
    await plan.run()
  }
}
