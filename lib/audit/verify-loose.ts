import type { Finding, FindingKind, Findings } from './verify-findings.ts'
import { isDocument, looksWhole, own, seqOf, type Bound, type Line } from './verify-line.ts'
import { linesOf, type Mender } from './verify-mend.ts'

interface Broken {
  readonly line: Bound
  readonly previous: string
  readonly finding: Finding
}

interface Extra {
  readonly line: Line
  readonly finding: Finding
}

/** How many of either wait to be explained by one another. */
const most = 64
const mostBytes = 64 * 1024 * 1024

/**
 * What no link binds, and links that bind other lines than they did: a line that one lacks may be one that stands elsewhere. What nothing
 * explains is said at the end.
 */
export class Loose {
  readonly #findings: Findings
  readonly #mender: Mender
  readonly #extras: Extra[] = []
  readonly #broken: Broken[] = []

  constructor (findings: Findings, mender: Mender) {
    this.#findings = findings
    this.#mender = mender
  }

  /** A line that was not written here. */
  extra (line: Line, text = 'this is no line of the chain'): void {
    const finding = this.#findings.made('inserted', line, text, line.link && { seq: own(line) })
    if (line.link !== undefined || !looksWhole(line.bytes)) return this.#findings.put(finding)
    this.#extras.push({ line, finding })
    const short = this.#broken.find(broken => broken.line.missing > 0 && this.#isCompleted(broken))
    if (short !== undefined) this.#broken.splice(this.#broken.indexOf(short), 1)
    this.#bound(this.#extras)
  }

  /** Lines that a link binds, and whose hash is not that of the link. */
  broken (line: Bound, previous: string): void {
    const { link: { seq, lines }, missing } = line
    const isShort = missing > 0 && areWhole(linesOf(line))
    const [kind, text]: [FindingKind, string] = isShort
      ? ['removed', `${missing} of the ${lines} lines of link ${seq} ${missing === 1 ? 'is' : 'are'} missing`]
      : ['changed', lines === 1 ? `link ${seq} was changed` : `link ${seq} was changed: one or more of its ${lines} lines`]
    const broken = { line, previous, finding: this.#findings.made(kind, line, text, { seq: own(line) }) }
    if (lines === 1) this.#findings.put(broken.finding)
    else if (!this.#isExplained(broken)) this.#broken.push(broken)
    this.#bound(this.#broken)
  }

  settle (): void {
    for (const list of [this.#extras, this.#broken]) while (list.length > 0) this.#say(list)
  }

  #bound (list: Array<Extra | Broken>): void {
    while (list.length > most || list.reduce((sum, { line }) => sum + line.bytes.length, 0) > mostBytes) this.#say(list)
  }

  /** The oldest. */
  #say (list: Array<Extra | Broken>): void {
    const first = list.shift()
    if (first !== undefined) this.#findings.put(first.finding)
  }

  #isExplained (broken: Broken): boolean {
    const { line, previous } = broken
    if (line.missing > 0) return this.#isCompleted(broken)
    if (this.#mender.reordered(line, previous)) {
      this.#reordered(line, `the lines of link ${seqOf(line)} stand in another order`)
      return true
    }
    const other = this.#broken.find(one => one.line.missing === 0 && this.#mender.exchanged(one.line, line, one.previous, previous))
    if (other === undefined) return false
    this.#broken.splice(this.#broken.indexOf(other), 1)
    this.#reordered(other.line, `a line of link ${seqOf(other.line)} and one of link ${seqOf(line)} were exchanged`)
    return true
  }

  /** Whether lines that stand elsewhere, one behind the other, are those that are missing. */
  #isCompleted ({ line, previous }: Broken): boolean {
    const { missing } = line
    for (let at = 0; at + missing <= this.#extras.length; at++) {
      const added = this.#extras.slice(at, at + missing)
      if (!this.#mender.completes(line, added.map(extra => extra.line.bytes), previous)) continue
      this.#extras.splice(at, missing)
      const { file, line: number } = added[0]?.line ?? line
      this.#reordered(line, `${missing === 1 ? 'a line' : `${missing} lines`} of link ${seqOf(line)} stand${missing === 1 ? 's' : ''} at ` +
        `${file}:${number}`)
      return true
    }
    return false
  }

  #reordered (line: Line, text: string): void {
    this.#findings.add('reordered', line, text, { seq: own(line) })
  }
}

/** Whether none of the lines of a link was broken or joined with another. */
function areWhole (lines: readonly Buffer[]): boolean {
  return lines.every((line, index) => index === lines.length - 1 ? isDocument(line) : looksWhole(line))
}
