import type { Link } from './chain.ts'
import type { Place } from './verify-line.ts'

export type FindingKind =
  | 'changed' | 'removed' | 'inserted' | 'reordered' | 'truncated' | 'replaced' | 'torn' | 'unsigned-tail' | 'wrong-key' | 'not-a-chain'

/** A signed line whose signature was right, or was not looked at for want of a key. */
export interface GoodCheckpoint extends Place, Link {
  readonly time: string | undefined
}

export interface Finding extends Place {
  readonly kind: FindingKind
  /** A warning says what cannot be known, and is no proof that somebody touched the file. */
  readonly severity: 'error' | 'warning'
  /** The numbers of the links that it is about. */
  readonly seq?: readonly [from: number, to: number]
  readonly text: string
  /** The last signed line before it: what stands before that is as it was written. */
  readonly checkpoint: GoodCheckpoint | undefined
}

/** Findings beyond these are counted only. */
const mostFindings = 1000

/** What is wrong with a chain. */
export class Findings {
  /** The last one so far. */
  checkpoint: GoodCheckpoint | undefined
  readonly #all: Finding[] = []
  #more = 0

  /** How many were counted only. */
  get more (): number {
    return this.#more
  }

  add (kind: FindingKind, place: Place, text: string, rest: Partial<Finding> = {}): void {
    this.put(this.made(kind, place, text, rest))
  }

  put (finding: Finding): void {
    if (this.#all.length < mostFindings) this.#all.push(finding)
    else this.#more++
  }

  made (kind: FindingKind, { file, line }: Place, text: string, rest: Partial<Finding> = {}): Finding {
    return { kind, severity: 'error', file, line, text, checkpoint: this.checkpoint, ...rest }
  }

  /** Warnings last. */
  inOrder (): Finding[] {
    return [...this.#all].sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'))
  }
}
