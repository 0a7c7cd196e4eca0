import { hash } from 'node:crypto'

/** A megabyte is more than a batch of usual events takes. */
const usual = 1024 * 1024

/** The bytes of one write after the other, in memory that is used again: a fresh buffer of this size costs as much as its text. */
export class LineBuffer {
  #bytes = Buffer.allocUnsafeSlow(usual)
  length = 0

  /** Valid until the next change. */
  get content (): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** Forgets what was written; what a flood of long lines took is given back. */
  clear (): void {
    this.length = 0
    if (this.#bytes.length > usual) this.#bytes = Buffer.allocUnsafeSlow(usual)
  }

  add (text: string): void {
    // A UTF-16 unit takes three bytes at most.
    const needed = this.length + text.length * 3
    if (needed > this.#bytes.length) this.#grow(needed)
    this.length += this.#bytes.write(text, this.length)
  }

  /** SHA-256 in base64url of what was written since `start`. */
  hashFrom (start: number): string {
    return hash('sha256', this.#bytes.subarray(start, this.length), 'base64url')
  }

  /** Takes out bytes at `start`. */
  cut (start: number, count: number): void {
    this.#bytes.copyWithin(start, start + count, this.length)
    this.length -= count
  }

  #grow (needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.length)
    this.#bytes = larger
  }
}
