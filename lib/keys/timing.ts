/** Longest wait between attempts, in milliseconds, while good keys are at hand, and while readiness waits for the first. */
const LONGEST_RETRY = 300_000
const LONGEST_RETRY_WITHOUT_KEYS = 60_000

/** 75 to 85 % of the period: before the set counts as stale, and not together with processes that started together. `random` is 0 to 1. */
export function refreshDelay (refresh: number, random: number): number {
  return Math.round(refresh * (0.75 + random / 10))
}

interface RetrySituation {
  readonly cooldown: number
  readonly refresh: number
  /** Failures since the last success, this one included. */
  readonly failures: number
  /** Whether a last good set is there. */
  readonly usable: boolean
}

/**
 * When to try again after a failure: the cooldown, doubled with each failure, up to `LONGEST_RETRY` or `refresh`; spread by 10 % in both
 * directions, but never less than the cooldown. Without keys the limit is lower: the server is not ready, so no request may come and ask.
 */
export function retryDelay ({ cooldown, refresh, failures, usable }: RetrySituation, random: number): number {
  const longest = usable ? Math.min(LONGEST_RETRY, refresh) : LONGEST_RETRY_WITHOUT_KEYS
  const backOff = cooldown * 2 ** Math.min(failures - 1, 20)
  return Math.round(Math.max(cooldown, Math.min(longest, backOff) * (0.9 + random / 5)))
}

/** At most one thing in each period, counted from its start; what is asked meanwhile does not extend it. Milliseconds. */
export class Cooldown {
  readonly #period: number
  #until = -Infinity

  constructor (period: number) {
    this.#period = period
  }

  start (now: number): void {
    this.#until = now + this.#period
  }

  end (): void {
    this.#until = -Infinity
  }

  /** What is left of it. A remainder longer than the period comes from a clock that was set back, and counts as none. */
  left (now: number): number {
    const left = this.#until - now
    return left > 0 && left <= this.#period ? left : 0
  }
}
