import type { Hashes } from './hash.ts'

const size = 1 << 20

/** A Bloom filter of 128 KB: `has` is never wrong about what was added. About the rest it is wrong in the share that `fill` cubed is. */
export class Seen {
  readonly #bits = new Uint32Array(size / 32)
  #set = 0

  add (hashes: Hashes): void {
    for (let turn = 0; turn < 3; turn++) this.#raise(place(hashes, turn))
  }

  has (hashes: Hashes): boolean {
    return [0, 1, 2].every(turn => this.#isRaised(place(hashes, turn)))
  }

  /** The share of its bits that are set. */
  get fill (): number {
    return this.#set / size
  }

  #raise (bit: number): void {
    if (this.#isRaised(bit)) return
    this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) | (1 << (bit & 31))
    this.#set++
  }

  #isRaised (bit: number): boolean {
    return ((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0
  }
}

/** Kirsch and Mitzenmacher (2006): two hashes make as many as are wanted. */
function place ({ one, two }: Hashes, turn: number): number {
  return (one + Math.imul(turn, two | 1)) & (size - 1)
}
