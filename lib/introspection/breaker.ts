const failuresToOpen = 5
/** Milliseconds between probes, ±25 %, so that many processes do not return at once. */
const probeEvery = 1000

/** Stops asking a server that does not answer: after five failures in a row it admits one call a second until one succeeds. */
export class Breaker {
  readonly #elapsed: () => number
  readonly #random: () => number
  #consecutive = 0
  #probeAt = 0

  /** @param elapsed monotonic milliseconds */
  constructor (elapsed: () => number = () => performance.now(), random: () => number = Math.random) {
    this.#elapsed = elapsed
    this.#random = random
  }

  /** Whether a call is allowed now. While the breaker is open, each `true` is a probe that the caller must use. */
  admits (): boolean {
    if (this.#consecutive < failuresToOpen) return true
    if (this.#elapsed() < this.#probeAt) return false
    this.#plan()
    return true
  }

  get open (): boolean {
    return this.#consecutive >= failuresToOpen
  }

  /** Milliseconds until the next probe; 0 while calls are allowed. */
  get retryAfter (): number {
    return this.#consecutive < failuresToOpen ? 0 : Math.max(0, this.#probeAt - this.#elapsed())
  }

  succeeded (): void {
    this.#consecutive = 0
  }

  failed (): void {
    if (++this.#consecutive === failuresToOpen) this.#plan()
  }

  #plan (): void {
    this.#probeAt = this.#elapsed() + probeEvery * (0.75 + this.#random() / 2)
  }
}
