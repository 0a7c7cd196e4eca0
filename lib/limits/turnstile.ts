interface Gate {
  running: number
  readonly waiting: (() => void)[]
}

/** So many wait behind one key; more are turned away. */
const longestQueue = 1000

/** Lets at most so many tasks of one key run at once; the others wait for their turn. Keeps nothing of keys that are idle. */
export class Turnstile {
  readonly #places: number
  readonly #gates = new Map<string, Gate>()

  constructor (places: number) {
    this.#places = places
  }

  /** Undefined: go on. A promise: go on when it is fulfilled. False: the queue is full. Whoever goes on has to `leave`. */
  enter (key: string): undefined | Promise<void> | false {
    const gate = this.#gates.get(key)
    if (gate === undefined) {
      this.#gates.set(key, { running: 1, waiting: [] })
      return undefined
    }
    if (gate.running < this.#places) {
      gate.running++
      return undefined
    }
    if (gate.waiting.length >= longestQueue) return false
    return new Promise(resolve => { gate.waiting.push(resolve) })
  }

  /** The place goes to the next in the queue. */
  leave (key: string): void {
    const gate = this.#gates.get(key)
    if (gate === undefined) return
    const next = gate.waiting.shift()
    if (next !== undefined) return next()
    gate.running--
    if (gate.running === 0) this.#gates.delete(key)
  }
}
