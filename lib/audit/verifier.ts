import { readLink, tailLength, type FoundLink, type Link, type SignedMembers } from './chain.ts'
import type { ChainVerifier } from './chain-key.ts'
import { Anchors } from './verify-anchors.ts'
import { Findings, type Finding, type GoodCheckpoint } from './verify-findings.ts'
import { Gaps } from './verify-gaps.ts'
import {
  follows, hashOf, holds, kept, looksWhole, nothing, own, seqOf, withNumber, type Bound, type Line, type Place
} from './verify-line.ts'
import { Loose } from './verify-loose.ts'
import { linesOf, Mender } from './verify-mend.ts'
import { Signatures } from './verify-signatures.ts'
import { areRemains, Unbound } from './verify-unbound.ts'

export interface VerifyOptions {
  /** Public keys; without one, signatures are not checked. */
  readonly keys?: readonly ChainVerifier[] | undefined
  /** What is known from elsewhere: the chain had this link. */
  readonly anchors?: readonly Link[] | undefined
  /** Whether the process still writes, so that a missing end means nothing. */
  readonly running?: boolean | undefined
}

export interface Verification {
  readonly findings: readonly Finding[]
  /** Errors beyond the first thousand, which are counted only. */
  readonly more: number
  /** Warnings beyond the first thousand. */
  readonly moreWarnings: number
  readonly lines: number
  readonly bytes: number
  /** How many signatures were right. */
  readonly signatures: number
  /** The number of the link that it begins with: not 0 where older files were not given. */
  readonly first: number
  readonly last: Link | undefined
  readonly checkpoint: GoodCheckpoint | undefined
}

/** How many of the last hashes are known, to tell copies and forged lines from others. */
const remembered = 1024
/** How many lines in a row that cannot be read are kept, to be told for what they were. */
const mostHeld = 1000
/** More than one write can leave behind: sixteen lines of the longest. */
const mostHeldBytes = 256 * 1024 * 1024
const mostEarlyBytes = 64 * 1024 * 1024

/**
 * Most lines follow the one before; those that one link binds are one line here. One that does not is held until the next line says what
 * it was: a stray, a changed line, or the first of others that belong elsewhere.
 */
export class Verifier {
  readonly #anchors: Anchors
  readonly #running: boolean
  readonly #findings = new Findings()
  readonly #gaps = new Gaps(this.#findings)
  readonly #signatures: Signatures
  readonly #mender = new Mender()
  readonly #loose = new Loose(this.#findings, this.#mender)
  readonly #unbound = new Unbound()
  #place: Place = { file: '', line: 0 }
  #lines = 0
  #bytes = 0
  #links = 0
  #cursor: Link | undefined
  #first = 0
  #highest = -1
  #lowest = Infinity
  #held: Line[] = []
  /** Lines without a link where others are missing, of which they may be the rest. */
  #remains: readonly Line[] = []
  /** Hashes of accepted lines, by number. */
  readonly #hashes: Array<Link | undefined> = []
  /** Where the chain was left for lines from elsewhere. */
  #left: Link[] = []
  /** Lines that stand before their turn. */
  readonly #early = new Map<number, Line>()
  #earlyBytes = 0
  #id: string | undefined
  #ended: 'end' | 'rotate' | undefined

  constructor ({ keys, anchors = [], running = false }: VerifyOptions) {
    this.#signatures = new Signatures(keys, this.#findings)
    this.#anchors = new Anchors(anchors, this.#findings)
    this.#running = running
  }

  open (file: string): void {
    this.#place = { file, line: 0 }
  }

  add (bytes: Buffer): void {
    this.#lines++
    this.#bytes += bytes.length + 1
    const place = { file: this.#place.file, line: this.#place.line + 1 }
    this.#place = place
    const link = readLink(bytes.toString('latin1', Math.max(0, bytes.length - tailLength)))
    if (link === undefined) return this.#takeAll([this.#unbound.add(kept({ ...place, bytes, link, missing: 0 }))])
    this.#links++
    const { strays, bound } = this.#unbound.bind({ ...place, bytes, link, missing: 0 })
    if (strays.length > 0) this.#takeAll(strays)
    this.#take(bound)
  }

  #takeAll (lines: ReadonlyArray<Line | undefined>): void {
    for (const line of lines) if (line !== undefined) this.#take(line)
  }

  #take (line: Line): void {
    const { bytes, link } = line
    const cursor = this.#cursor ?? (link === undefined ? nothing : this.#begin(link))
    if (this.#held.length > 0 || link === undefined || !follows(bytes, link, cursor)) return this.#puzzle(line)
    if (link.signed?.torn !== undefined) this.#tellMissing(line, link.signed.torn)
    this.#accept(bytes, link, line)
  }

  /** What is left of a write is evidence too: nothing may take it away. */
  #tellMissing (line: Line, torn: number): void {
    this.#find('removed', line, `${torn} bytes of a write that did not end are missing: link ${seqOf(line)} speaks of them`,
      { seq: own(line) })
  }

  /** The end of a file: what stands behind its last line. */
  end (rest: Buffer): void {
    if (this.#place.line === 0 && rest.length === 0) this.#tellEmpty()
    const waiting = this.#unbound.take()
    const isOpen = this.#ended === undefined && waiting.every(({ bytes }) => looksWhole(bytes))
    if (!isOpen) this.#takeAll(waiting)
    this.#bytes += rest.length
    const bytes = (isOpen ? waiting : []).reduce((sum, line) => sum + line.bytes.length + 1, rest.length)
    if (bytes === 0) return
    const [first = { ...this.#place, line: this.#place.line + 1 }] = isOpen ? waiting : []
    this.#find('torn', first, `the file ends with ${bytes} bytes that no link binds: a write that did not end, or a cut`,
      { severity: this.#running ? 'warning' : 'error' })
  }

  /** One that was not given may never have been; one that is given was opened, and then its first line was written. */
  #tellEmpty (): void {
    this.#find('truncated', this.#place, 'the file is empty: a chain has a first line at least',
      { severity: this.#running ? 'warning' : 'error' })
  }

  finish (): Verification {
    if (this.#lines > 0 && this.#links === 0) {
      const place = { ...this.#place, line: 1 }
      return this.#result([this.#findings.made('not-a-chain', place, 'no line has a link: this is not the file of a chain')])
    }
    for (const line of this.#held) this.#settle(line, true)
    this.#settleRemains()
    this.#loose.settle()
    this.#gaps.settle()
    this.#settleEarly()
    this.#judgeEnd()
    return this.#result(this.#findings.inOrder())
  }

  #result (findings: readonly Finding[]): Verification {
    const [lines, bytes, { right: signatures }] = [this.#lines, this.#bytes, this.#signatures]
    const { more, moreWarnings, checkpoint } = this.#findings
    return { findings, more, moreWarnings, lines, bytes, signatures, first: this.#first, last: this.#last(), checkpoint }
  }

  #last (): Link | undefined {
    return this.#hashes[this.#highest % remembered]
  }

  /** A file that was rotated says in its first line after which line it begins. */
  #begin (link: FoundLink): Link {
    const isLater = link.signed?.type === 'file'
    this.#cursor = isLater ? { seq: link.seq - 1, hash: link.signed.after } : nothing
    this.#highest = this.#cursor.seq
    this.#first = this.#highest + 1
    return this.#cursor
  }

  #accept (bytes: Buffer, link: FoundLink, place: Place): void {
    const { seq, hash, signed } = link
    if (this.#remains.length > 0) this.#settleRemains()
    if (seq > this.#highest || !this.#gaps.fill(seq)) this.#judgeAfterEnd(seq, signed, place)
    this.#cursor = { seq, hash }
    this.#hashes[seq % remembered] = this.#cursor
    this.#highest = Math.max(this.#highest, seq)
    this.#lowest = Math.min(this.#lowest, seq)
    this.#anchors.check(this.#cursor, place)
    if (signed === undefined) this.#signatures.addUnsigned(seq)
    else this.#acceptSigned({ ...place, bytes, link, missing: 0 }, signed)
  }

  #judgeAfterEnd (seq: number, signed: SignedMembers | undefined, place: Place): void {
    if (this.#ended !== undefined && signed?.type !== 'resume' && signed?.type !== 'file') {
      this.#find('inserted', place, `link ${seq} was added after the signed end`, { seq: [seq, seq] })
    }
    this.#ended = undefined
  }

  #acceptSigned (line: Bound, signed: SignedMembers): void {
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
    this.#hold([line])
  }

  #hold (lines: readonly Line[]): void {
    this.#held = lines.map(kept)
  }

  /** Lines that explain themselves: they follow a place that was left, begin a chain, or say in their signature what they follow. */
  #isKnown (line: Line, link: FoundLink, cursor: Link): boolean {
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
    this.#find('changed', line, `links ${from} to ${cursor.seq} are not those that link ${link.seq} signed: one or more were changed`,
      { seq: [from, cursor.seq] })
    this.#accept(line.bytes, link, line)
    return true
  }

  #changeChain (line: Line, link: FoundLink): true {
    // A file that was rotated has a next one, which begins in the same write.
    const isOrderly = line.line === 1 && this.#ended === 'end' && link.signed?.type === 'start'
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
      if (last.link === undefined) this.#holdMore(held, next)
      else this.#give(held, next)
    } else if (follows(next.bytes, link, cursor)) {
      this.#settleStrays(held, next)
      this.#accept(next.bytes, link, next)
    } else if (last.link === undefined && link.seq === cursor.seq + 1) {
      if (!this.#isAdded(held, { ...next, link }, cursor)) this.#hold([{ ...next, line: first.line }])
    } else if (link.seq === cursor.seq + 2 && this.#isChanged(last, next.bytes, link, cursor)) {
      this.#tellChanged(held, cursor)
      this.#skip(cursor.seq + 1)
      this.#accept(next.bytes, link, next)
    } else if (last.link !== undefined && follows(next.bytes, link, last.link) && last.link.seq !== cursor.seq + 1) {
      this.#jump(last, last.link, cursor)
      this.#accept(next.bytes, link, next)
    } else {
      this.#give(held, next)
    }
  }

  /** Remains of several writes, of one line that was broken, or of lines whose link is missing. */
  #holdMore (held: Line[], next: Line): void {
    held.push(kept(next))
    this.#held = held
    while (held.length > mostHeld || areLong(held, next)) {
      const oldest = held.shift() ?? next
      this.#find('inserted', oldest, 'this is no line of the chain')
    }
  }

  /** Whether the lines of a link and those before it are as they were written, without some that were added between them. */
  #isAdded (held: readonly Line[], { bytes, link, line, file }: Bound, { hash: previous }: Link): boolean {
    if (link.lines === 1 || held.length >= link.lines) return false
    const all = [...held, ...linesOf({ bytes }).map((bytes, index) => ({ file, line: line + index, bytes, link: undefined, missing: 0 }))]
    const mended = this.#mender.withoutAdded(all.map(({ bytes }) => bytes), held.length, previous, link.hash)
    if (mended === undefined) return false
    const added = all.slice(mended.place, mended.place + held.length)
    for (const one of added) this.#loose.extra(one)
    this.#accept(mended.bytes, link, all.find(one => !added.includes(one)) ?? { file, line })
    return true
  }

  /** The lines of the link behind the cursor, which the next one proves to be others. */
  #tellChanged (held: readonly Line[], cursor: Link): void {
    const [first, last] = [held[0] as Line, held.at(-1) as Line]
    const { link } = last
    const seq = cursor.seq + 1
    if (link !== undefined) this.#loose.broken({ ...last, link: { ...link, seq } }, cursor.hash)
    else if (held.every(({ bytes }) => looksWhole(bytes))) {
      this.#find('removed', first, `the line with link ${seq} is missing: no other binds those that stand here`, { seq: [seq, seq] })
    } else this.#find('changed', first, `link ${seq} was changed`, { seq: [seq, seq] })
  }

  /** Whether the held line stood in the place of the one that should have been there. What cannot be read may have been anything. */
  #isChanged ({ bytes, link }: Line, next: Buffer, nextLink: Link, cursor: Link): boolean {
    if (link === undefined) return true
    const seq = cursor.seq + 1
    return [link.hash, hashOf(bytes, cursor.hash)].some(hash => follows(next, nextLink, { seq, hash }))
  }

  /** Nothing explains the held lines. */
  #give (held: readonly Line[], next: Line): void {
    const isBefore = next.link !== undefined && next.link.seq > (this.#cursor ?? nothing).seq + 1
    if (isBefore && held.every(({ bytes, link }) => link === undefined && looksWhole(bytes))) {
      this.#settleRemains()
      this.#remains = held
    } else {
      for (const line of held) this.#settle(line, false)
    }
    this.#puzzle(next)
  }

  #settleRemains (): void {
    const remains = this.#remains
    this.#remains = []
    for (const line of remains) this.#loose.extra(line)
  }

  #settleStrays (held: readonly Line[], next: Line): void {
    const signed = next.link?.signed
    const isTorn = signed?.torn !== undefined && areRemains(held, signed)
    if (!isTorn) return held.forEach(line => { this.#settle(line, false, true) })
    this.#find('torn', held[0] as Line, `a write did not end; link ${seqOf(next)} says so`, { severity: 'warning' })
  }

  /** @param isExtra whether the line that was expected comes next */
  #settle (line: Line, isLast: boolean, isExtra = false): void {
    const { link } = line
    const { seq } = this.#cursor ?? nothing
    if (link === undefined) {
      if (isExtra || this.#ended !== undefined) this.#loose.extra(line)
      else this.#find('changed', line, `link ${seq + 1} cannot be read`, { seq: [seq + 1, seq + 1] })
      if (!isExtra) this.#skip(seq + 1)
    } else if (link.seq === seq + 1 || (isLast && hashOf(withNumber(line.bytes, seq + 1), this.#cursor?.hash ?? '') === link.hash)) {
      if (isExtra) this.#find('inserted', line, `link ${seq + 1} was added`, { seq: [seq + 1, seq + 1] })
      else {
        this.#loose.broken({ ...line, link: { ...link, seq: seq + 1 } }, this.#cursor?.hash ?? '')
        this.#pass({ seq: seq + 1, hash: link.hash })
      }
    } else if (this.#gaps.fill(link.seq)) {
      // Said once the whole gap is known.
    } else if (link.seq <= seq || this.#early.size > remembered || this.#earlyBytes > mostEarlyBytes) {
      this.#find('inserted', line, `a copy of link ${link.seq} stands here`, { seq: own(line) })
    } else if (isLast) {
      this.#settleLast(line, link, seq)
    } else {
      this.#early.set(link.seq, line)
      this.#earlyBytes += line.bytes.length
    }
  }

  /** The last line has a number that is too high: lines are missing before it, unless it was changed. */
  #settleLast (line: Line, link: FoundLink, seq: number): void {
    const isOwn = link.signed === undefined || follows(line.bytes, link, { seq: link.seq - 1, hash: link.signed.after })
    if (!isOwn) {
      this.#find('changed', line, `link ${seq + 1} was changed`, { seq: [seq + 1, seq + 1] })
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

  #jump (line: Line, link: FoundLink, cursor: Link): void {
    this.#leave(cursor)
    const next = this.#highest + 1
    if (link.seq > next) {
      if (holds(line.bytes, next)) {
        this.#find('changed', line, `the lines of links ${next} and ${link.seq} are one line`, { seq: [next, link.seq] })
      } else {
        this.#remains = []
        this.#open(next, link.seq - 1, line)
      }
    } else if (link.seq < next && !this.#gaps.has(link.seq)) {
      const isCopy = this.#hashes[link.seq % remembered]?.hash === link.hash
      this.#find('inserted', line, isCopy
        ? `a copy of link ${link.seq} and others stands here`
        : `links ${link.seq} to ${cursor.seq} are there twice, and differ: those before this line were added`,
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
    if (this.#lines > 0 && this.#ended === undefined) {
      this.#find('truncated', this.#place, `after link ${seq} there is no signed end: the file was cut, or its process died or still runs`,
        { severity, seq: [seq + 1, seq + 1] })
    }
    this.#signatures.end(this.#place)
    this.#anchors.judge(this.#place, this.#lowest, this.#highest)
  }

  /** What was not missed is a copy, unless it is the end. */
  #settleEarly (): void {
    for (const line of [...this.#early.values()].sort((a, b) => seqOf(a) - seqOf(b))) {
      const { bytes, link } = line
      if (link !== undefined && follows(bytes, link, this.#last() ?? nothing)) {
        this.#find('reordered', line, `link ${link.seq} should stand at the end`, { seq: own(line) })
        this.#accept(bytes, link, line)
      } else {
        this.#find('inserted', line, `a copy of link ${seqOf(line)} stands here`, { seq: own(line) })
      }
    }
  }

  #find (...finding: Parameters<Findings['add']>): void {
    this.#findings.add(...finding)
  }
}

/** Counted where the last of them is long, since all others together are little. */
function areLong (held: readonly Line[], { bytes }: Line): boolean {
  return bytes.length > mostHeldBytes / mostHeld && held.reduce((sum, line) => sum + line.bytes.length, 0) > mostHeldBytes
}
