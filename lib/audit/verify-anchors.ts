import type { Link } from './chain.ts'
import type { Finding, Findings } from './verify-findings.ts'
import type { Place } from './verify-line.ts'

interface Anchor extends Link {
  /** What is said if no other chain has the link either. */
  other?: Finding
}

/** Links that are known from elsewhere. Several may have one number: of chains that follow each other, or of two ends of one chain. */
export class Anchors {
  readonly #findings: Findings
  readonly #missing = new Map<number, Anchor[]>()
  /** Whether one was found, so that this is the chain they are of. */
  #isKnown = false

  constructor (anchors: readonly Link[], findings: Findings) {
    this.#findings = findings
    for (const { seq, hash } of anchors) this.#missing.set(seq, [...this.#missing.get(seq) ?? [], { seq, hash }])
  }

  check ({ seq, hash }: Link, place: Place): void {
    const all = this.#missing.get(seq)
    if (all === undefined) return
    const others = all.filter(anchor => anchor.hash !== hash)
    if (others.length < all.length) this.#isKnown = true
    for (const anchor of others) anchor.other ??= this.#replaced(seq, place)
    this.#missing.set(seq, others)
  }

  #replaced (seq: number, place: Place): Finding {
    return this.#findings.made('replaced', place,
      `link ${seq} is not the one of the anchor: this is another file, or all of it was written anew`, { seq: [seq, seq] })
  }

  judge (place: Place, lowest: number, highest: number): void {
    for (const { seq, other } of [...this.#missing.values()].flat()) {
      if (other !== undefined) this.#findings.put(other)
      else if (seq > highest) {
        this.#findings.add('truncated', place, `the chain had a link ${seq} and this ends with ${highest}: cut, or a file is missing`,
          { seq: [highest + 1, seq] })
      } else this.#judgeBefore(seq, place, seq < lowest)
    }
  }

  /** An old chain, which was signed with the same key, may begin with a higher number than any anchor. */
  #judgeBefore (seq: number, place: Place, isBefore: boolean): void {
    const isOlder = isBefore && this.#isKnown
    const what = isBefore ? 'in an older file' : 'missing'
    const why = isBefore && !isOlder ? ', or this is another chain: none of the anchors is here' : ''
    this.#findings.add('removed', place, `link ${seq} of the anchor is ${what}${why}`,
      { seq: [seq, seq], severity: isOlder ? 'warning' : 'error' })
  }
}
