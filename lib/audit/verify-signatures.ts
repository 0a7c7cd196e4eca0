import type { SignedMembers } from './chain.ts'
import type { ChainVerifier } from './chain-key.ts'
import type { Findings } from './verify-findings.ts'
import { follows, hasSignature, own, seqOf, timeOf, type Bound, type Line, type Place } from './verify-line.ts'

/** Which lines have a good signature at them or behind them. */
export class Signatures {
  readonly #keys: ReadonlyMap<string, ChainVerifier> | undefined
  readonly #findings: Findings
  /** The first and last line since a signature. */
  #unsigned: [first: number, last: number] | undefined
  #right = 0

  /** @param keys without one, signatures are not checked */
  constructor (keys: readonly ChainVerifier[] | undefined, findings: Findings) {
    this.#keys = keys === undefined || keys.length === 0 ? undefined : new Map(keys.map(key => [key.kid, key]))
    this.#findings = findings
  }

  /** How many were right. */
  get right (): number {
    return this.#right
  }

  addUnsigned (seq: number): void {
    this.#unsigned = [this.#unsigned?.[0] ?? seq, seq]
  }

  addSigned (line: Bound, signed: SignedMembers): void {
    if (signed.type === 'resume') this.#warn(line, 'were signed only when writing was resumed')
    const { file, line: number, link } = line
    if (!this.#isBehind(line, signed) || !this.#isRight(line, signed.kid)) return
    this.#findings.checkpoint = { file, line: number, seq: link.seq, hash: link.hash, time: timeOf(line.bytes) }
    this.#unsigned = undefined
  }

  end (place: Place): void {
    this.#warn(place, 'have no signature behind them')
  }

  /** Its own hash is not signed, and anyone can count it anew: the hash that was signed is that of the link before it. */
  #isBehind (line: Bound, { after }: SignedMembers): boolean {
    const { seq } = line.link
    if (follows(line.bytes, line.link, { seq: seq - 1, hash: after })) return true
    const from = Math.min(seq, (this.#findings.checkpoint?.seq ?? -1) + 1)
    const last = Math.max(from, seq - 1)
    this.#findings.add('changed', line, `links ${from} to ${last} are not those that link ${seq} signed: one or more were written anew`,
      { seq: [from, last] })
    return false
  }

  #isRight (line: Line, kid: string): boolean {
    if (this.#keys === undefined) return true
    const key = this.#keys.get(kid)
    const seq = own(line)
    if (key === undefined) {
      this.#findings.add('wrong-key', line, `link ${seqOf(line)} is signed by another key, ${kid}`, { seq })
      return false
    }
    if (hasSignature(line, key)) {
      this.#right++
      return true
    }
    this.#findings.add('changed', line, `the signature of link ${seqOf(line)} is wrong: lines since the last good one were written anew`,
      { seq })
    return false
  }

  #warn (place: Place, what: string): void {
    if (this.#unsigned === undefined) return
    const [first, last] = this.#unsigned
    const text = `links ${first} to ${last} ${what}: until then, whoever could write the file could change them`
    this.#findings.add('unsigned-tail', place, text, { severity: 'warning', seq: [first, last] })
  }
}
