/** No cell, no slot. */
export const none = -1

/**
 * The state of all budgets in memory. Each slot (one caller's budget) owns a chain of cells in order of time; a cell counts
 * requests between `first` and `last`. Typed arrays bound the memory: a flood of keys causes no garbage.
 *
 * Each slot always has room for one cell. Further cells come from a common reserve; once it is used up, the newest cell of a chain
 * absorbs later requests, which then count longer than they should, never shorter.
 */
export class Chains {
  head = new Int32Array(initialSize).fill(none)
  tail = new Int32Array(initialSize).fill(none)
  /** Units counted in a chain. */
  used = new Float64Array(initialSize)

  first = new Float64Array(initialSize)
  last = new Float64Array(initialSize)
  count = new Float64Array(initialSize)
  next = new Int32Array(initialSize)

  #freeCell = none
  #cells = 0
  #reserve: number

  constructor (reserve: number) {
    this.#reserve = reserve
  }

  /** Makes room for slots up to and including this one. */
  ensureSlot (slot: number): void {
    if (slot < this.head.length) return
    const filled = this.head.length
    this.head = grown(this.head)
    this.tail = grown(this.tail)
    this.used = grown(this.used)
    this.head.fill(none, filled)
    this.tail.fill(none, filled)
  }

  /** Counts `count` units at `first`; the algorithm defines `last`. */
  append (slot: number, first: number, last: number, count: number): void {
    const tail = at(this.tail, slot)
    if (tail !== none && this.#reserve === 0) return this.merge(slot, tail, last, count)
    const cell = this.#allocate()
    this.used[slot] = at(this.used, slot) + count
    this.first[cell] = first
    this.last[cell] = last
    this.count[cell] = count
    this.next[cell] = none
    this.tail[slot] = cell
    if (tail === none) this.head[slot] = cell
    else this.next[tail] = cell
    if (tail !== none) this.#reserve--
  }

  /** Adds to a cell. */
  merge (slot: number, cell: number, last: number, count: number): void {
    this.used[slot] = at(this.used, slot) + count
    this.last[cell] = Math.max(last, at(this.last, cell))
    this.count[cell] = at(this.count, cell) + count
  }

  /** Drops the oldest cell. */
  shift (slot: number): void {
    const cell = at(this.head, slot)
    const next = at(this.next, cell)
    this.used[slot] = at(this.used, slot) - at(this.count, cell)
    this.head[slot] = next
    if (next === none) this.tail[slot] = none
    else this.#reserve++
    this.#release(cell)
  }

  /** Drops an empty cell that is not the newest. @param before the cell before it, or none */
  remove (slot: number, before: number, cell: number): void {
    const next = at(this.next, cell)
    if (before === none) this.head[slot] = next
    else this.next[before] = next
    this.#reserve++
    this.#release(cell)
  }

  #release (cell: number): void {
    this.next[cell] = this.#freeCell
    this.#freeCell = cell
  }

  clear (slot: number): void {
    while (at(this.head, slot) !== none) this.shift(slot)
    this.used[slot] = 0
  }

  #allocate (): number {
    const cell = this.#freeCell
    if (cell === none) {
      if (this.#cells === this.next.length) this.#growCells()
      return this.#cells++
    }
    this.#freeCell = at(this.next, cell)
    return cell
  }

  #growCells (): void {
    this.first = grown(this.first)
    this.last = grown(this.last)
    this.count = grown(this.count)
    this.next = grown(this.next)
  }
}

const initialSize = 1024

/** Reads an element that is known to exist. */
export function at (array: Float64Array | Int32Array, index: number): number {
  return array[index] ?? 0
}

function grown<T extends Float64Array | Int32Array> (array: T): T
function grown (array: Float64Array | Int32Array): Float64Array | Int32Array {
  const length = Math.ceil(array.length * 1.5)
  const larger = array instanceof Float64Array ? new Float64Array(length) : new Int32Array(length)
  larger.set(array)
  return larger
}
