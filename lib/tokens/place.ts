import type { KeyObject } from 'node:crypto'
import { isCheap, isQuick, type Algorithm } from '../keys/index.ts'

/** For how long verifications leave the event loop alone after a forged signature, in milliseconds. */
const CALM = 1000

/**
 * Where a signature is verified: in place, which takes half the processor time, as long as none has been forged lately and none is under
 * way in libuv's thread pool. One forged signature a second is all that strangers can have verified in place, from however many
 * addresses; from then on a flood goes to the pool, and leaves the event loop free. Tokens that their issuer has signed are not forged,
 * whatever else is wrong with them. Where the way to the pool takes the event loop as much time as the signature does, nothing goes there.
 */
export class Place {
  readonly #now: () => number
  #forged = -Infinity
  /** In the thread pool. */
  #running = 0

  constructor (now: () => number = () => performance.now()) {
    this.#now = now
  }

  isHere (key: KeyObject, algorithm: Algorithm): boolean {
    if (isCheap(key, algorithm)) return true
    return this.#running === 0 && isQuick(key, algorithm) && this.#now() - this.#forged > CALM
  }

  /** What a verification has found. */
  note (isGood: boolean): boolean {
    if (!isGood) this.#forged = this.#now()
    return isGood
  }

  /** Counts what runs in the pool. */
  async count (verification: Promise<boolean>): Promise<boolean> {
    this.#running++
    try {
      return this.note(await verification)
    } finally {
      this.#running--
    }
  }
}
