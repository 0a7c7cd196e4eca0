import { hashOf, type Bound } from './verify-line.ts'

/** Bytes that may be hashed in vain for one trail, so that a file full of faults takes a second more and not hours. */
const mostBytes = 1_000_000_000
/** What one try costs beside its bytes. */
const costOfTry = 8192

/**
 * What was done to the lines of a link is found by trying: its hash says when they are again as they were written. Its last line, which
 * holds the hash, stays where it is.
 */
export class Mender {
  #left = mostBytes

  /** The bytes as they were written, and the index of the first line that was added to them. */
  withoutAdded (lines: readonly Buffer[], added: number, previous: string, hash: string): Mended<number> | undefined {
    return this.#firstOf(places(lines.length - added), index => lines.toSpliced(index, added), previous, hash)
  }

  /** The lines of a link in another order: one was moved, or two were exchanged. */
  reordered (line: Bound, previous: string): boolean {
    const lines = linesOf(line)
    const pairs = pairsOf(lines.length - 1, lines.length - 1)
    const { hash } = line.link
    return [movedIn(lines), exchangedIn(lines)].some(change => this.#firstOf(pairs, change, previous, hash) !== undefined)
  }

  /** Whether these lines are those that the link lacks. */
  completes (line: Bound, added: readonly Buffer[], previous: string): boolean {
    const lines = linesOf(line)
    return this.#firstOf(places(lines.length), index => lines.toSpliced(index, 0, ...added), previous, line.link.hash) !== undefined
  }

  /** Whether a line of each link stands in the place of the other. */
  exchanged (one: Bound, other: Bound, previous: string, previousOfOther: string): boolean {
    if (this.#left <= 0) return false
    const [lines, others] = [linesOf(one), linesOf(other)]
    return pairsOf(lines.length - 1, others.length - 1).some(([a, b]) => {
      const [mine = nothing, theirs = nothing] = [lines[a], others[b]]
      return this.#isWhole(lines.with(a, theirs), previous, one.link.hash) &&
        this.#isWhole(others.with(b, mine), previousOfOther, other.link.hash)
    })
  }

  #firstOf <Place> (
    candidates: readonly Place[], change: (place: Place) => readonly Buffer[], previous: string, hash: string
  ): Mended<Place> | undefined {
    for (const place of candidates) {
      if (this.#left <= 0) return undefined
      const lines = change(place)
      if (this.#isWhole(lines, previous, hash)) return { place, bytes: joined(lines) }
    }
    return undefined
  }

  #isWhole (lines: readonly Buffer[], previous: string, hash: string): boolean {
    if (this.#left <= 0) return false
    const bytes = joined(lines)
    this.#left -= bytes.length + costOfTry
    return hashOf(bytes, previous) === hash
  }
}

interface Mended<Place> {
  readonly place: Place
  readonly bytes: Buffer
}

type Pair = readonly [number, number]

function movedIn (lines: readonly Buffer[]) {
  return ([from, to]: Pair) => lines.toSpliced(from, 1).toSpliced(to, 0, lines[from] ?? nothing)
}

function exchangedIn (lines: readonly Buffer[]) {
  return ([a, b]: Pair) => lines.with(a, lines[b] ?? nothing).with(b, lines[a] ?? nothing)
}

function places (count: number): number[] {
  return Array.from({ length: Math.max(0, count) }, (_, index) => index)
}

function pairsOf (one: number, other: number): Pair[] {
  return places(one).flatMap(a => places(other).map(b => [a, b] as const))
}

const nothing = Buffer.alloc(0)
const lineFeed = Buffer.from('\n')

export function joined (lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, index) => index === 0 ? [line] : [lineFeed, line]))
}

/** What {@link joined} has joined. */
export function linesOf ({ bytes }: { readonly bytes: Buffer }): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
    lines.push(bytes.subarray(start, end))
    start = end + 1
  }
  return [...lines, bytes.subarray(start)]
}
