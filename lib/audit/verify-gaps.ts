import type { Findings, GoodCheckpoint } from './verify-findings.ts'
import type { Place } from './verify-line.ts'

interface Gap {
  readonly from: number
  readonly to: number
  readonly place: Place
  readonly checkpoint: GoodCheckpoint | undefined
  found: number
}

const mostGaps = 1024

/** Lines that are missing from their place, until they are found elsewhere. */
export class Gaps {
  readonly #findings: Findings
  #gaps: Gap[] = []

  constructor (findings: Findings) {
    this.#findings = findings
  }

  /** @param found how many of the lines stood before their turn */
  open (from: number, to: number, { file, line }: Place, found: number): void {
    this.#gaps.push({ from, to, place: { file, line }, checkpoint: this.#findings.checkpoint, found })
    const [oldest] = this.#gaps
    if (this.#gaps.length <= mostGaps || oldest === undefined) return
    this.#gaps.shift()
    this.#say(oldest)
  }

  has (seq: number): boolean {
    return this.#of(seq) !== undefined
  }

  /** Whether the line was missing. */
  fill (seq: number): boolean {
    const gap = this.#of(seq)
    if (gap !== undefined) gap.found++
    return gap !== undefined
  }

  /** Says what was found elsewhere, and what was not found. */
  settle (): void {
    for (const gap of this.#gaps) this.#say(gap)
    this.#gaps = []
  }

  #of (seq: number): Gap | undefined {
    return this.#gaps.find(({ from, to }) => seq >= from && seq <= to)
  }

  #say ({ from, to, found, place, checkpoint }: Gap): void {
    const rest = { seq: [from, to], checkpoint } as const
    const all = from === to ? `link ${from}` : `links ${from} to ${to}`
    const missing = to - from + 1 - found
    if (found > 0) {
      this.#findings.add('reordered', place, `${all} should stand before this line, and stand elsewhere`, rest)
    }
    if (missing > 0) {
      const what = found > 0 ? `${missing} of the links ${from} to ${to}` : all
      this.#findings.add('removed', place, `${what} should stand before this line, and are missing`, rest)
    }
  }
}
