import { hash } from 'node:crypto'

const LINE_FEED = 0x0a
/** More than a batch of usual events takes. */
const usual = 256 * 1024

/** The bytes of one write after the other, in memory that is used again: a fresh buffer of this size costs as much as its text. */
export class LineBuffer {
  readonly #size: number
  #bytes: Buffer
  length = 0

  constructor (size = usual) {
    this.#size = size
    this.#bytes = Buffer.allocUnsafeSlow(size)
  }

  /** Valid until the next change. */
  get content (): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** Forgets what was written; what a flood of long lines took is given back. */
  clear (): void {
    this.length = 0
    if (this.#bytes.length > this.#size) this.#bytes = Buffer.allocUnsafeSlow(this.#size)
  }

  add (text: string): void {
    // A UTF-16 unit takes three bytes at most.
    this.#reserve(text.length * 3)
    this.length += this.#bytes.write(text, this.length)
  }

  endLine (): void {
    this.#reserve(1)
    this.#bytes[this.length++] = LINE_FEED
  }

  /** Adds bytes of another one. */
  copy (from: LineBuffer, start: number, end: number): void {
    this.#reserve(end - start)
    from.#bytes.copy(this.#bytes, this.length, start, end)
    this.length += end - start
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

  #reserve (count: number): void {
    const needed = this.length + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.length)
    this.#bytes = larger
  }
}

/** Lines that wait. As bytes: texts that live for some milliseconds are what the collector of young objects copies again and again. */
export class Lines {
  readonly bytes: LineBuffer
  /** Where each line ends, its line feed included. */
  readonly ends: number[] = []

  constructor (size?: number) {
    this.bytes = new LineBuffer(size)
  }

  add (line: string): void {
    this.bytes.add(line)
    this.bytes.endLine()
    this.ends.push(this.bytes.length)
  }

  clear (): void {
    this.bytes.clear()
    this.ends.length = 0
  }
}
