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

/** Findings of a severity beyond these are counted only. */
const mostFindings = 1000

/** What is wrong with a chain. */
export class Findings {
  /** The last one so far. */
  checkpoint: GoodCheckpoint | undefined
  readonly #errors: Finding[] = []
  /** A process that is often restarted has thousands, among which no error may be lost. */
  readonly #warnings: Finding[] = []
  #more = 0
  #moreWarnings = 0

  /** How many errors were counted only. */
  get more (): number {
    return this.#more
  }

  get moreWarnings (): number {
    return this.#moreWarnings
  }

  add (kind: FindingKind, place: Place, text: string, rest: Partial<Finding> = {}): void {
    this.put(this.made(kind, place, text, rest))
  }

  put (finding: Finding): void {
    const isError = finding.severity === 'error'
    const list = isError ? this.#errors : this.#warnings
    if (list.length < mostFindings) list.push(finding)
    else if (isError) this.#more++
    else this.#moreWarnings++
  }

  made (kind: FindingKind, { file, line }: Place, text: string, rest: Partial<Finding> = {}): Finding {
    return { kind, severity: 'error', file, line, text, checkpoint: this.checkpoint, ...rest }
  }

  /** Warnings last. */
  inOrder (): Finding[] {
    return [...this.#errors, ...this.#warnings]
  }
}
