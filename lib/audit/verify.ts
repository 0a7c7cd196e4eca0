import { hash } from 'node:crypto'
import { marker, readLink, signedPrefix, tailLength, type Link, type SignedMembers } from './chain.ts'
import type { ChainVerifier } from './chain-key.ts'

export type FindingKind =
  | 'changed' | 'removed' | 'inserted' | 'reordered' | 'truncated' | 'replaced' | 'torn' | 'unsigned-tail' | 'wrong-key' | 'not-a-chain'

/** Where a line stands. */
export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** A signed line whose signature was right, or was not looked at for want of a key. */
export interface GoodCheckpoint extends Place, Link {
  readonly time: string | undefined
}

export interface Finding extends Place {
  readonly kind: FindingKind
  /** A warning says what cannot be known, and is no proof that somebody touched the file. */
  readonly severity: 'error' | 'warning'
  /** The numbers of the lines that it is about. */
  readonly seq?: readonly [from: number, to: number]
  readonly text: string
  /** The last signed line before it: what stands before that is as it was written. */
  readonly checkpoint: GoodCheckpoint | undefined
}

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
  readonly last: Link | undefined
  readonly checkpoint: GoodCheckpoint | undefined
}

interface Line extends Place {
  readonly bytes: Buffer
  readonly link: Link & { readonly signed: SignedMembers | undefined } | undefined
}

interface Gap {
  readonly from: number
  readonly to: number
  readonly place: Place
  readonly checkpoint: GoodCheckpoint | undefined
  found: number
}

const mostFindings = 1000
/** How many of the last hashes are known, to tell copies and forged lines from others. */
const remembered = 1024
/** The hash and `"}}` at the end of a line. */
const endLength = 46
const longestLine = 16 * 1024 * 1024

/** Reads files of a chain, oldest first. Takes as much memory as one line, and some hashes. */
export async function verifyChain (
  files: Iterable<{ readonly name: string, readonly chunks: AsyncIterable<Buffer> }>, options: VerifyOptions = {}
): Promise<Verification> {
  const verifier = new Verifier(options)
  for (const { name, chunks } of files) {
    verifier.open(name)
    let parts: Buffer[] = []
    for await (const chunk of chunks) parts = splitLines(parts, chunk, verifier)
    verifier.end(Buffer.concat(parts))
  }
  return verifier.finish()
}

/** The parts of a line are joined once, so that a long one does not take the square of its time. Returns those of the last line. */
function splitLines (parts: Buffer[], chunk: Buffer, verifier: Verifier): Buffer[] {
  let start = 0
  let before = parts
  for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
    const line = chunk.subarray(start, end)
    verifier.add(before.length === 0 ? line : Buffer.concat([...before, line]))
    before = []
    start = end + 1
  }
  if (start < chunk.length) before.push(chunk.subarray(start))
  // A file without lines must not fill the memory.
  if (before.reduce((sum, { length }) => sum + length, 0) < longestLine) return before
  verifier.add(Buffer.concat(before))
  return []
}

/**
 * Most lines follow the one before. One that does not is held until the next line says what it was: a stray, a changed line, or the
 * first of others that belong elsewhere.
 */
class Verifier {
  readonly #keys: ReadonlyMap<string, ChainVerifier> | undefined
  readonly #anchors: Map<number, string>
  readonly #running: boolean
  readonly #findings: Finding[] = []
  #more = 0
  #place: Place = { file: '', line: 0 }
  #lines = 0
  #bytes = 0
  #signatures = 0
  #links = 0
  #cursor: Link | undefined
  #highest = -1
  #lowest = Infinity
  #held: Line[] = []
  /** Hashes of accepted lines, by number. */
  readonly #hashes: Array<Link | undefined> = []
  /** Where the chain was left for lines from elsewhere. */
  #left: Link[] = []
  #gaps: Gap[] = []
  /** Lines that stand before their turn. */
  readonly #early = new Map<number, Line>()
  #id: string | undefined
  #ended: 'end' | 'rotate' | undefined
  /** The first and last line since a signature. */
  #unsigned: [first: number, last: number] | undefined
  #checkpoint: GoodCheckpoint | undefined

  constructor ({ keys, anchors = [], running = false }: VerifyOptions) {
    this.#keys = keys === undefined || keys.length === 0 ? undefined : new Map(keys.map(key => [key.kid, key]))
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
      return this.#result([this.#made('not-a-chain', { ...this.#place, line: 1 }, 'no line has a link: this is not the file of a chain')])
    }
    for (const line of this.#held) this.#settle(line, true)
    this.#settleGaps()
    this.#settleEarly()
    this.#judgeEnd()
    return this.#result([...this.#findings].sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning')))
  }

  #result (findings: readonly Finding[]): Verification {
    const [more, lines, bytes, signatures] = [this.#more, this.#lines, this.#bytes, this.#signatures]
    return { findings, more, lines, bytes, signatures, last: this.#last(), checkpoint: this.#checkpoint }
  }

  #last (): Link | undefined {
    return this.#hashes[this.#highest % remembered]
  }

  /** A file that was rotated says in its first line after which line it begins. */
  #begin (link: Line['link']): Link {
    const isLater = link?.signed?.type === 'file'
    this.#cursor = isLater ? { seq: link.seq - 1, hash: link.signed.after } : nothing
    this.#highest = this.#cursor.seq
    return this.#cursor
  }

  #accept (bytes: Buffer, { seq, hash, signed }: NonNullable<Line['link']>, place: Place = this.#place): void {
    if (seq > this.#highest || !this.#fill(seq)) this.#judgeAfterEnd(seq, signed, place)
    this.#cursor = { seq, hash }
    this.#hashes[seq % remembered] = this.#cursor
    this.#highest = Math.max(this.#highest, seq)
    this.#lowest = Math.min(this.#lowest, seq)
    if (this.#anchors.size > 0) this.#checkAnchor(seq, hash, place)
    if (signed === undefined) this.#unsigned = [this.#unsigned?.[0] ?? seq, seq]
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

  #acceptSigned (line: Line, { type, id, kid }: SignedMembers): void {
    if (type === 'resume' && this.#unsigned !== undefined) this.#warnOfTail(line, 'were signed only when writing was resumed')
    this.#id ??= id
    if (id !== this.#id) {
      this.#find('replaced', line, 'from here on it is another chain', { seq: own(line) })
      this.#id = id
    }
    if (type === 'end' || type === 'rotate') this.#ended = type
    const { file, line: number, link } = line
    if (this.#isSigned(line, kid) && link !== undefined) {
      this.#checkpoint = { file, line: number, seq: link.seq, hash: link.hash, time: timeOf(line.bytes) }
      this.#unsigned = undefined
    }
  }

  #isSigned (line: Line, kid: string): boolean {
    if (this.#keys === undefined) return true
    const key = this.#keys.get(kid)
    const seq = own(line)
    if (key === undefined) {
      this.#find('wrong-key', line, `line ${seqOf(line)} is signed by another key, ${kid}`, { seq })
      return false
    }
    if (hasSignature(line, key)) {
      this.#signatures++
      return true
    }
    this.#find('changed', line, `the signature of line ${seqOf(line)} is wrong: lines since the last good one were written anew`, { seq })
    return false
  }

  #warnOfTail (place: Place, what: string): void {
    const [first, last] = this.#unsigned ?? [0, 0]
    this.#find('unsigned-tail', place, `lines ${first} to ${last} ${what}: until then, whoever could write the file could change them`,
      { severity: 'warning', seq: [first, last] })
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
    const from = (this.#checkpoint?.seq ?? -1) + 1
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
    this.#settleGaps()
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
      this.#fillQuietly(cursor.seq + 1)
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
      if (!isExtra) this.#fillQuietly(seq + 1)
    } else if (link.seq === seq + 1 || (isLast && hashOf(withNumber(line.bytes, seq + 1), this.#cursor?.hash ?? '') === link.hash)) {
      const [kind, what] = isExtra ? ['inserted', 'added'] as const : ['changed', 'changed'] as const
      this.#find(kind, line, `line ${seq + 1} was ${what}`, { seq: [seq + 1, seq + 1] })
      if (!isExtra) this.#pass({ seq: seq + 1, hash: link.hash })
    } else if (this.#fill(link.seq)) {
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
    } else if (link.seq < next && !this.#gaps.some(({ from, to }) => link.seq >= from && link.seq <= to)) {
      const isCopy = this.#hashes[link.seq % remembered]?.hash === link.hash
      this.#find('inserted', line, isCopy
        ? `a copy of line ${link.seq} and others stands here`
        : `lines ${link.seq} to ${cursor.seq} are there twice, and differ: those before this line were added`,
      { seq: [link.seq, cursor.seq] })
    }
    if (link.signed !== undefined) return this.#accept(line.bytes, link, line)
    this.#fill(link.seq)
    this.#pass(link)
  }

  /** Lines are missing, until they are found elsewhere. */
  #open (from: number, to: number, { file, line }: Place): void {
    const gap: Gap = { from, to, place: { file, line }, checkpoint: this.#checkpoint, found: 0 }
    this.#gaps.push(gap)
    for (const seq of this.#early.keys()) {
      if (seq < from || seq > to) continue
      this.#early.delete(seq)
      gap.found++
    }
    if (this.#gaps.length > remembered) this.#settleGap(this.#gaps.shift() as Gap)
  }

  /** Whether the line was missed. */
  #fill (seq: number): boolean {
    const gap = this.#gaps.find(({ from, to }) => seq >= from && seq <= to)
    if (gap !== undefined) gap.found++
    return gap !== undefined
  }

  /** The place of a changed line is not missing. */
  #fillQuietly (seq: number): void {
    this.#pass({ seq, hash: '' })
  }

  #leave (cursor: Link): void {
    this.#left = [cursor, ...this.#left.slice(0, 15)]
  }

  #settleGaps (): void {
    for (const gap of this.#gaps) this.#settleGap(gap)
    this.#gaps = []
  }

  #settleGap ({ from, to, found, place, checkpoint }: Gap): void {
    const seq = [from, to] as const
    const missing = to - from + 1 - found
    if (found > 0) {
      this.#find('reordered', place, `${linesText(from, to)} should stand before this line, and stand elsewhere`, { seq, checkpoint })
    }
    if (missing > 0) {
      const what = found > 0 ? `${missing} of the lines ${from} to ${to}` : linesText(from, to)
      this.#find('removed', place, `${what} should stand before this line, and are missing`, { seq, checkpoint })
    }
  }

  #judgeEnd (): void {
    const { seq } = this.#cursor ?? nothing
    const severity = this.#running ? 'warning' : 'error'
    if (this.#lines === 0) this.#find('truncated', this.#place, 'the file is empty: a chain has a first line at least', { severity })
    else if (this.#ended === undefined) {
      this.#find('truncated', this.#place, `after line ${seq} there is no signed end: the file was cut, or its process died or still runs`,
        { severity, seq: [seq + 1, seq + 1] })
    }
    if (this.#unsigned !== undefined) this.#warnOfTail(this.#place, 'have no signature behind them')
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

  #made (kind: FindingKind, { file, line }: Place, text: string, more: Partial<Finding> = {}): Finding {
    return { kind, severity: 'error', file, line, text, checkpoint: this.#checkpoint, ...more }
  }

  #find (kind: FindingKind, place: Place, text: string, more: Partial<Finding> = {}): void {
    if (this.#findings.length < mostFindings) this.#findings.push(this.#made(kind, place, text, more))
    else this.#more++
  }
}

const nothing: Link = { seq: -1, hash: '' }

function follows (bytes: Buffer, link: Link, last: Link): boolean {
  return link.seq === last.seq + 1 && hashOf(bytes, last.hash) === link.hash
}

let scratch = Buffer.alloc(65_536)

function hashOf (bytes: Buffer, previous: string): string {
  const length = Math.max(0, bytes.length - endLength)
  if (length + previous.length > scratch.length) scratch = Buffer.alloc(2 * (length + previous.length))
  scratch.write(previous, 'latin1')
  bytes.copy(scratch, previous.length, 0, length)
  return hash('sha256', scratch.subarray(0, previous.length + length), 'base64url')
}

/** Whether another line of the chain stands in this one. */
function holds (bytes: Buffer, seq: number): boolean {
  return new RegExp(`"chain":\\{"seq":${seq},[^{}]*"hash":"[\\w-]{43}"\\}\\}`).test(bytes.toString('latin1'))
}

/** The line with another number: where its hash is right then, only the number was changed. */
function withNumber (bytes: Buffer, seq: number): Buffer {
  const text = bytes.toString('latin1')
  const at = text.lastIndexOf(marker)
  return Buffer.from(text.slice(0, at) + text.slice(at).replace(/\d+/, String(seq)), 'latin1')
}

function hasSignature ({ bytes, link }: Line, key: ChainVerifier): boolean {
  const end = bytes.lastIndexOf(',"sig":"')
  return key.verify(Buffer.concat([Buffer.from(signedPrefix), bytes.subarray(0, end)]), link?.signed?.sig ?? '')
}

function timeOf (bytes: Buffer): string | undefined {
  return /^\{"time":"([\dT:.Z-]{20,30})"/.exec(bytes.toString('latin1', 0, 60))?.[1]
}

/** The bytes belong to a chunk that is overwritten. */
function kept (line: Line): Line {
  return { ...line, bytes: Buffer.from(line.bytes) }
}

function seqOf ({ link }: Line): number {
  return link?.seq ?? -1
}

function own (line: Line): readonly [number, number] {
  return [seqOf(line), seqOf(line)]
}

function linesText (from: number, to: number): string {
  return from === to ? `line ${from}` : `lines ${from} to ${to}`
}
