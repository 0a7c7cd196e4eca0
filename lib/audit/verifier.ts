import { readLink, tailLength, type Link, type SignedMembers } from './chain.ts'
import type { ChainVerifier } from './chain-key.ts'
import { Findings, type Finding, type GoodCheckpoint } from './verify-findings.ts'
import { Gaps } from './verify-gaps.ts'
import { follows, hashOf, holds, kept, nothing, own, seqOf, withNumber, type Line, type Place } from './verify-line.ts'
import { Signatures } from './verify-signatures.ts'

export interface VerifyOptions {
  /** Public keys; without one, signatures are not checked. */
  readonly keys?: readonly ChainVerifier[] | undefined
  /** What is known from elsewhere: the chain had this line. */
  readonly anchors?: readonly Link[] | undefined
  /** Whether the process still writes, so that a missing end means nothing. */
  readonly running?: boolean | undefined
}

export interface Verification {
  readonly findings: readonly Finding[]
  /** Findings beyond the first thousand, which are counted only. */
  readonly more: number
  readonly lines: number
  readonly bytes: number
  /** How many signatures were right. */
  readonly signatures: number
  /** The number of the line that it begins with: not 0 where older files were not given. */
  readonly first: number
  readonly last: Link | undefined
  readonly checkpoint: GoodCheckpoint | undefined
}

/** How many of the last hashes are known, to tell copies and forged lines from others. */
const remembered = 1024

/**
 * Most lines follow the one before. One that does not is held until the next line says what it was: a stray, a changed line, or the
 * first of others that belong elsewhere.
 */
export class Verifier {
  readonly #anchors: Map<number, string>
  readonly #running: boolean
  readonly #findings = new Findings()
  readonly #gaps = new Gaps(this.#findings)
  readonly #signatures: Signatures
  #place: Place = { file: '', line: 0 }
  #lines = 0
  #bytes = 0
  #links = 0
  #cursor: Link | undefined
  #first = 0
  #highest = -1
  #lowest = Infinity
  #held: Line[] = []
  /** Hashes of accepted lines, by number. */
  readonly #hashes: Array<Link | undefined> = []
  /** Where the chain was left for lines from elsewhere. */
  #left: Link[] = []
  /** Lines that stand before their turn. */
  readonly #early = new Map<number, Line>()
  #id: string | undefined
  #ended: 'end' | 'rotate' | undefined

  constructor ({ keys, anchors = [], running = false }: VerifyOptions) {
    this.#signatures = new Signatures(keys, this.#findings)
    this.#anchors = new Map(anchors.map(({ seq, hash }) => [seq, hash]))
    this.#running = running
  }

  open (file: string): void {
    this.#place = { file, line: 0 }
  }

  add (bytes: Buffer): void {
    this.#lines++
    this.#bytes += bytes.length + 1
    const { file, line } = this.#place
    this.#place = { file, line: line + 1 }
    const link = readLink(bytes.toString('latin1', Math.max(0, bytes.length - tailLength)))
    if (link !== undefined) this.#links++
    const cursor = this.#cursor ?? this.#begin(link)
    if (this.#held.length === 0 && link !== undefined && follows(bytes, link, cursor)) this.#accept(bytes, link)
    else this.#puzzle({ file, line: line + 1, bytes, link })
  }

  /** The end of a file: what stands behind its last line. */
  end (rest: Buffer): void {
    if (rest.length === 0) return
    this.#bytes += rest.length
    const place = { ...this.#place, line: this.#place.line + 1 }
    this.#find('torn', place, `the file ends with ${rest.length} bytes that are no whole line: a write that did not end, or a cut`,
      { severity: this.#running ? 'warning' : 'error' })
  }

  finish (): Verification {
    if (this.#lines > 0 && this.#links === 0) {
      const place = { ...this.#place, line: 1 }
      return this.#result([this.#findings.made('not-a-chain', place, 'no line has a link: this is not the file of a chain')])
    }
    for (const line of this.#held) this.#settle(line, true)
    this.#gaps.settle()
    this.#settleEarly()
    this.#judgeEnd()
    return this.#result(this.#findings.inOrder())
  }

  #result (findings: readonly Finding[]): Verification {
    const [lines, bytes, { more, checkpoint }, { right: signatures }] = [this.#lines, this.#bytes, this.#findings, this.#signatures]
    return { findings, more, lines, bytes, signatures, first: this.#first, last: this.#last(), checkpoint }
  }

  #last (): Link | undefined {
    return this.#hashes[this.#highest % remembered]
  }

  /** A file that was rotated says in its first line after which line it begins. */
  #begin (link: Line['link']): Link {
    const isLater = link?.signed?.type === 'file'
    this.#cursor = isLater ? { seq: link.seq - 1, hash: link.signed.after } : nothing
    this.#highest = this.#cursor.seq
    this.#first = this.#highest + 1
    return this.#cursor
  }

  #accept (bytes: Buffer, { seq, hash, signed }: NonNullable<Line['link']>, place: Place = this.#place): void {
    if (seq > this.#highest || !this.#gaps.fill(seq)) this.#judgeAfterEnd(seq, signed, place)
    this.#cursor = { seq, hash }
    this.#hashes[seq % remembered] = this.#cursor
    this.#highest = Math.max(this.#highest, seq)
    this.#lowest = Math.min(this.#lowest, seq)
    if (this.#anchors.size > 0) this.#checkAnchor(seq, hash, place)
    if (signed === undefined) this.#signatures.addUnsigned(seq)
    else this.#acceptSigned({ ...place, bytes, link: { seq, hash, signed } }, signed)
  }

  #judgeAfterEnd (seq: number, signed: SignedMembers | undefined, place: Place): void {
    if (this.#ended !== undefined && signed?.type !== 'resume' && signed?.type !== 'file') {
      this.#find('inserted', place, `line ${seq} was added after the signed end`, { seq: [seq, seq] })
    }
    this.#ended = undefined
  }

  #checkAnchor (seq: number, hash: string, place: Place): void {
    const expected = this.#anchors.get(seq)
    if (expected === undefined) return
    this.#anchors.delete(seq)
    if (expected !== hash) {
      this.#find('replaced', place, `line ${seq} is not the one of the anchor: this is another file, or all of it was written anew`,
        { seq: [seq, seq] })
    }
  }

  #acceptSigned (line: Line, signed: SignedMembers): void {
    const { type, id } = signed
    this.#id ??= id
    if (id !== this.#id) {
      this.#find('replaced', line, 'from here on it is another chain', { seq: own(line) })
      this.#id = id
    }
    if (type === 'end' || type === 'rotate') this.#ended = type
    this.#signatures.addSigned(line, signed)
  }

  #puzzle (line: Line): void {
    const cursor = this.#cursor ?? nothing
    if (this.#held.length > 0) return this.#explain(line, cursor)
    if (line.link !== undefined && this.#isKnown(line, line.link, cursor)) return
    this.#held = [kept(line)]
  }

  /** Lines that explain themselves: they follow a place that was left, begin a chain, or say in their signature what they follow. */
  #isKnown (line: Line, link: NonNullable<Line['link']>, cursor: Link): boolean {
    const left = this.#left.find(one => follows(line.bytes, link, one))
    if (left !== undefined) {
      this.#leave(cursor)
      this.#accept(line.bytes, link, line)
      return true
    }
    const { signed } = link
    if (signed === undefined || !follows(line.bytes, link, { seq: link.seq - 1, hash: signed.after })) return false
    if (signed.id !== (this.#id ?? signed.id)) return this.#changeChain(line, link)
    if (link.seq !== cursor.seq + 1) return false
    const from = (this.#findings.checkpoint?.seq ?? -1) + 1
    this.#find('changed', line, `lines ${from} to ${cursor.seq} are not those that line ${link.seq} signed: one or more were changed`,
      { seq: [from, cursor.seq] })
    this.#accept(line.bytes, link, line)
    return true
  }

  #changeChain (line: Line, link: NonNullable<Line['link']>): true {
    const isOrderly = line.line === 1 && this.#ended !== undefined && link.signed?.type === 'start'
    this.#find('replaced', line, isOrderly
      ? 'a new chain begins here: nothing says whether there was a file between them'
      : 'from here on it is another chain', { severity: isOrderly ? 'warning' : 'error', seq: own(line) })
    this.#id = link.signed?.id
    this.#ended = undefined
    this.#gaps.settle()
    this.#hashes.length = 0
    this.#highest = link.seq
    this.#accept(line.bytes, link, line)
    return true
  }

  /** Says of the held lines what they were, now that the next one is known. */
  #explain (next: Line, cursor: Link): void {
    const held = this.#held
    const [first, last] = [held[0] as Line, held.at(-1) as Line]
    const { link } = next
    this.#held = []
    if (link === undefined) {
      // Remains of several writes, or of one line that was broken.
      if (last.link === undefined) this.#held = [...held, kept(next)]
      else this.#give(held, next)
    } else if (follows(next.bytes, link, cursor)) {
      this.#settleStrays(held, next)
      this.#accept(next.bytes, link, next)
    } else if (last.link === undefined && link.seq === cursor.seq + 1) {
      this.#held = [{ ...kept(next), line: first.line }]
    } else if (link.seq === cursor.seq + 2 && this.#isChanged(last, next.bytes, link, cursor)) {
      this.#find('changed', first, `line ${cursor.seq + 1} was changed`, { seq: [cursor.seq + 1, cursor.seq + 1] })
      this.#skip(cursor.seq + 1)
      this.#accept(next.bytes, link, next)
    } else if (last.link !== undefined && follows(next.bytes, link, last.link) && last.link.seq !== cursor.seq + 1) {
      this.#jump(last, last.link, cursor)
      this.#accept(next.bytes, link, next)
    } else {
      this.#give(held, next)
    }
  }

  /** Whether the held line stood in the place of the one that should have been there. What cannot be read may have been anything. */
  #isChanged ({ bytes, link }: Line, next: Buffer, nextLink: Link, cursor: Link): boolean {
    if (link === undefined) return true
    const seq = cursor.seq + 1
    return [link.hash, hashOf(bytes, cursor.hash)].some(hash => follows(next, nextLink, { seq, hash }))
  }

  /** Nothing explains the held lines. */
  #give (held: readonly Line[], next: Line): void {
    for (const line of held) this.#settle(line, false)
    this.#puzzle(next)
  }

  #settleStrays (held: readonly Line[], next: Line): void {
    const torn = next.link?.signed?.type === 'resume' ? next.link.signed.torn ?? 0 : 0
    const size = held.reduce((sum, { bytes }) => sum + bytes.length + 1, -1)
    const isTorn = torn > 0 && held.every(({ link }) => link === undefined) && Math.abs(size - torn) <= 1
    if (!isTorn) return held.forEach(line => { this.#settle(line, false, true) })
    this.#find('torn', held[0] as Line, `a write did not end; line ${seqOf(next)} says so`, { severity: 'warning' })
  }

  /** @param isExtra whether the line that was expected comes next */
  #settle (line: Line, isLast: boolean, isExtra = false): void {
    const { link } = line
    const { seq } = this.#cursor ?? nothing
    if (link === undefined) {
      if (isExtra || this.#ended !== undefined) this.#find('inserted', line, 'this is no line of the chain')
      else this.#find('changed', line, `line ${seq + 1} cannot be read`, { seq: [seq + 1, seq + 1] })
      if (!isExtra) this.#skip(seq + 1)
    } else if (link.seq === seq + 1 || (isLast && hashOf(withNumber(line.bytes, seq + 1), this.#cursor?.hash ?? '') === link.hash)) {
      const [kind, what] = isExtra ? ['inserted', 'added'] as const : ['changed', 'changed'] as const
      this.#find(kind, line, `line ${seq + 1} was ${what}`, { seq: [seq + 1, seq + 1] })
      if (!isExtra) this.#pass({ seq: seq + 1, hash: link.hash })
    } else if (this.#gaps.fill(link.seq)) {
      // Said once the whole gap is known.
    } else if (link.seq <= seq || this.#early.size > remembered) {
      this.#find('inserted', line, `a copy of line ${link.seq} stands here`, { seq: own(line) })
    } else if (isLast) {
      this.#settleLast(line, link, seq)
    } else {
      this.#early.set(link.seq, line)
    }
  }

  /** The last line has a number that is too high: lines are missing before it, unless it was changed. */
  #settleLast (line: Line, link: NonNullable<Line['link']>, seq: number): void {
    const isOwn = link.signed === undefined || follows(line.bytes, link, { seq: link.seq - 1, hash: link.signed.after })
    if (!isOwn) {
      this.#find('changed', line, `line ${seq + 1} was changed`, { seq: [seq + 1, seq + 1] })
      return this.#pass({ seq: seq + 1, hash: link.hash })
    }
    this.#jump(line, link, this.#cursor ?? nothing)
  }

  /** Goes on behind a line that is not what was written. */
  #pass (link: Link): void {
    this.#ended = undefined
    this.#cursor = { seq: link.seq, hash: link.hash }
    this.#highest = Math.max(this.#highest, link.seq)
  }

  #jump (line: Line, link: NonNullable<Line['link']>, cursor: Link): void {
    this.#leave(cursor)
    const next = this.#highest + 1
    if (link.seq > next) {
      if (holds(line.bytes, next)) this.#find('changed', line, `lines ${next} and ${link.seq} are one line`, { seq: [next, link.seq] })
      else this.#open(next, link.seq - 1, line)
    } else if (link.seq < next && !this.#gaps.has(link.seq)) {
      const isCopy = this.#hashes[link.seq % remembered]?.hash === link.hash
      this.#find('inserted', line, isCopy
        ? `a copy of line ${link.seq} and others stands here`
        : `lines ${link.seq} to ${cursor.seq} are there twice, and differ: those before this line were added`,
      { seq: [link.seq, cursor.seq] })
    }
    if (link.signed !== undefined) return this.#accept(line.bytes, link, line)
    this.#gaps.fill(link.seq)
    this.#pass(link)
  }

  /** Lines are missing here, but for those that stood before their turn. */
  #open (from: number, to: number, place: Place): void {
    const found = [...this.#early.keys()].filter(seq => seq >= from && seq <= to)
    for (const seq of found) this.#early.delete(seq)
    this.#gaps.open(from, to, place, found.length)
  }

  /** The place of a changed line is not missing. */
  #skip (seq: number): void {
    this.#pass({ seq, hash: '' })
  }

  #leave (cursor: Link): void {
    this.#left = [cursor, ...this.#left.slice(0, 15)]
  }

  #judgeEnd (): void {
    const { seq } = this.#cursor ?? nothing
    const severity = this.#running ? 'warning' : 'error'
    if (this.#lines === 0) this.#find('truncated', this.#place, 'the file is empty: a chain has a first line at least', { severity })
    else if (this.#ended === undefined) {
      this.#find('truncated', this.#place, `after line ${seq} there is no signed end: the file was cut, or its process died or still runs`,
        { severity, seq: [seq + 1, seq + 1] })
    }
    this.#signatures.end(this.#place)
    for (const anchor of this.#anchors.keys()) this.#judgeAnchor(anchor)
  }

  #judgeAnchor (seq: number): void {
    if (seq > this.#highest) {
      this.#find('truncated', this.#place, `the chain had a line ${seq} and this ends with ${this.#highest}: cut, or a file is missing`,
        { seq: [this.#highest + 1, seq] })
    } else {
      const isBefore = seq < this.#lowest
      this.#find('removed', this.#place, `line ${seq} of the anchor is ${isBefore ? 'in an older file' : 'missing'}`,
        { seq: [seq, seq], severity: isBefore ? 'warning' : 'error' })
    }
  }

  /** What was not missed is a copy, unless it is the end. */
  #settleEarly (): void {
    for (const line of [...this.#early.values()].sort((a, b) => seqOf(a) - seqOf(b))) {
      const { bytes, link } = line
      if (link !== undefined && follows(bytes, link, this.#last() ?? nothing)) {
        this.#find('reordered', line, `line ${link.seq} should stand at the end`, { seq: own(line) })
        this.#accept(bytes, link, line)
      } else {
        this.#find('inserted', line, `a copy of line ${seqOf(line)} stands here`, { seq: own(line) })
      }
    }
  }

  #find (...finding: Parameters<Findings['add']>): void {
    this.#findings.add(...finding)
  }
}
