import { hash, randomBytes } from 'node:crypto'
import type { ChainKey } from './chain-key.ts'
import { Lines, type LineBuffer } from './line-buffer.ts'
import type { Frame, ReadAt } from './line-file.ts'

/** A place in a chain: the links are numbered from 0. */
export interface Link {
  readonly seq: number
  readonly hash: string
}

/** `rotate` is the last line of a file that was moved away, `file` the first of the next; `resume` follows a restart or a torn line. */
type RecordType = 'start' | 'file' | 'resume' | 'checkpoint' | 'rotate' | 'end'

/** What a signed line says of the chain, beside its link. */
export interface SignedMembers {
  readonly type: RecordType
  /** Of the chain: the same in all its files. */
  readonly id: string
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string
  /** The hash of the link before it, so that the signature can be checked without that one. */
  readonly after: string
  /** How many bytes before this line are the remains of a write that failed. */
  readonly torn?: number
  /** The SHA-256 of these bytes, so that no lines can take their place. */
  readonly remains?: string
  readonly sig: string
}

/** What is reported of a signed line, to be kept where the file's attacker cannot reach it. */
export interface Checkpoint extends Link {
  readonly time: string
  readonly type: RecordType
}

export interface ChainOptions {
  readonly key: ChainKey
  /** How many lines at most are without a signature. */
  readonly every: number
  readonly now: () => number
  readonly onCheckpoint?: ((checkpoint: Checkpoint) => void) | undefined
}

/** A line that does not come with others: see {@link link}. */
export function addLine (into: LineBuffer, json: string, last: Link, members = ''): Link {
  const lines = new Lines(json.length * 3 + 1)
  lines.add(json)
  return link(into, lines, 0, 1, last, members)
}

/**
 * How many lines one link binds at most. Under load a hash for each line took more time than making the line; what is changed is known
 * to as many lines as this.
 */
export const mostLines = 16

/**
 * The format. A line is `{…,"chain":{"seq":12,"hash":"…"}}`: JSON with one member more, the link. It may bind the lines before it too:
 * `"lines":3` says of how many it is the last. The hash is the base64url of SHA-256 over the hash of the link before and the bytes of
 * these lines up to its own. A signed line has more members, and signs its bytes up to `sig`.
 */
function link (into: LineBuffer, { bytes, ends }: Lines, from: number, to: number, { seq, hash: previous }: Link, members = ''): Link {
  const start = into.length
  into.add(previous)
  const before = into.length - start
  const end = ends[to - 1] ?? 0
  into.copy(bytes, ends[from - 1] ?? 0, end - closing)
  const isEmpty = end - (ends[to - 2] ?? 0) <= closing + 1
  const count = to - from > 1 ? `"lines":${to - from},` : ''
  into.add(`${isEmpty ? '' : ','}"chain":{"seq":${seq + 1},${count}${members}"hash":"`)
  const own = into.hashFrom(start)
  into.cut(start, before)
  into.add(`${own}"}}\n`)
  return { seq: seq + 1, hash: own }
}

/** Bytes of the brace that ends a document, and of the line feed. */
const closing = 2

/** Nothing else is signed with such a beginning. */
export const signedPrefix = 'secure-api audit chain\n'

function addRecord (into: LineBuffer, time: string, members: Omit<SignedMembers, 'sig'>, last: Link, key: ChainKey): Link {
  const json = JSON.stringify({ time, event: 'audit_chain' })
  const own = textOfMembers(members)
  const sig = key.sign(`${signedPrefix}${json.slice(0, -1)},"chain":{"seq":${last.seq + 1},${own}`)
  return addLine(into, json, last, `${own},"sig":"${sig}",`)
}

/** How far from its end the link of a line reaches at most. */
export const tailLength = 600
export const marker = '"chain":{"seq":'
const form = /^"chain":\{"seq":(\d{1,15})(?:,"lines":(\d{1,2}))?(,.+)?,"hash":"([\w-]{43})"\}\}$/

/** What a line says of its place in the chain. */
export interface FoundLink extends Link {
  /** How many lines it binds, its own with them. */
  readonly lines: number
  readonly signed: SignedMembers | undefined
}

/** The link of a line, or of its last {@link tailLength} characters. A document's own text cannot look like one: its quotes are escaped. */
export function readLink (tail: string): FoundLink | undefined {
  const at = tail.lastIndexOf(marker)
  const [, seq, count = '1', members, hash] = at === -1 ? [] : form.exec(tail.slice(at)) ?? []
  if (hash === undefined) return undefined
  const lines = Number(count)
  if (lines < 1 || lines > mostLines) return undefined
  const signed = members === undefined ? undefined : signedMembers(members)
  if (members !== undefined && signed === undefined) return undefined
  return { seq: Number(seq), hash, lines, signed }
}

const types: ReadonlySet<unknown> = new Set<RecordType>(['start', 'file', 'resume', 'checkpoint', 'rotate', 'end'])

/** Nothing may stand behind `sig`, and no member twice: the signature covers what stands before it, and JSON takes the last. */
function signedMembers (text: string): SignedMembers | undefined {
  try {
    const { type, id, kid, after, torn = 0, remains = '', sig } = JSON.parse(`{${text.slice(1)}}`)
    const isWhole = types.has(type) && [id, kid, after, remains].every(member => typeof member === 'string') && Number.isSafeInteger(torn)
    if (!isWhole || !signatureForm.test(sig)) return undefined
    const members = { type, id, kid, after, ...remainsOf(torn, remains) }
    return `,${textOfMembers(members)},"sig":"${sig}"` === text ? { ...members, sig } : undefined
  } catch {
    return undefined
  }
}

/** 64 bytes in base64url, as both kinds of keys make them. */
const signatureForm = /^[\w-]{85}[AQgw]$/

function remainsOf (torn: number, remains: string): Pick<SignedMembers, 'torn' | 'remains'> {
  return { ...(torn > 0 && { torn }), ...(remains !== '' && { remains }) }
}

function textOfMembers (members: Omit<SignedMembers, 'sig'>): string {
  return JSON.stringify(members).slice(1, -1)
}

/** Before the first line. */
const nothing: Link = { seq: -1, hash: '' }

const empty = Buffer.alloc(0)

interface State {
  readonly id: string
  readonly last: Link
}

/** Why a file cannot be continued. */
export class NotAChainError extends Error {
  override readonly name = 'NotAChainError'
}

/** Binds lines by links, and signs. The state that counts is that of the file: what could not be written did not happen. */
export class Chain implements Frame {
  readonly #options: ChainOptions
  #key: ChainKey
  #id = ''
  #last: Link = nothing
  /** What is known to be in the file. */
  #kept: State | undefined
  /** Of the lines that are being written. */
  #hashes: string[] = []
  #reports: Checkpoint[] = []
  #opening: { readonly type: RecordType, readonly torn: Buffer, readonly prefix: string } | undefined
  #unsigned = 0
  /** Whether the lines so far are to be signed with the next batch. */
  due = false
  lastCheckpoint: Checkpoint | undefined

  constructor (options: ChainOptions) {
    this.#options = options
    this.#key = options.key
  }

  /** From the next signed line on. */
  signWith (key: ChainKey): void {
    this.#key = key
  }

  /** The number of the last link that is in the file. */
  get seq (): number {
    return this.#kept?.last.seq ?? -1
  }

  async begin (size: number, read: ReadAt): Promise<void> {
    const kept = this.#kept
    // A file that was emptied under this process begins with lines of its own, which name no chain.
    const found = size === 0 ? undefined : await readEnd(size, read, kept && (last => this.#wrote(last) ? kept.id : undefined))
    const torn = found?.torn ?? empty
    const isOwn = found?.state !== undefined && (kept === undefined || this.#wrote(found.state.last))
    const { id, last } = (isOwn ? found.state : kept) ?? { id: randomBytes(16).toString('base64url'), last: nothing }
    this.#id = id
    this.#last = last
    if (isOwn) this.#kept = { id, last }
    this.#hashes = []
    this.#reports = []
    const type = isOwn ? 'resume' : kept === undefined ? 'start' : 'file'
    const isOpen = found?.isOpen === true
    // A process that goes on where it was has nothing to say, unless a line was torn.
    this.#opening = isOwn && kept !== undefined && torn.length === 0 && !isOpen ? undefined : { type, torn, prefix: isOpen ? '\n' : '' }
  }

  /** Only lines of this process may stand behind the last one that it knows of. */
  #wrote ({ hash }: Link): boolean {
    return hash === this.#kept?.last.hash || this.#hashes.includes(hash)
  }

  encode (lines: Lines, isLast: boolean, into: LineBuffer): void {
    this.#open(into)
    const { every } = this.#options
    for (let from = 0; from < lines.ends.length;) {
      const to = Math.min(from + mostLines, from + every - this.#unsigned, lines.ends.length)
      this.#note(link(into, lines, from, to, this.#last))
      this.#unsigned += to - from
      from = to
      if (this.#unsigned >= every) this.#sign(into, 'checkpoint')
    }
    if (isLast) this.#sign(into, 'end')
    else if (this.due && this.#unsigned > 0) this.#sign(into, 'checkpoint')
  }

  leave (into: LineBuffer): void {
    this.#open(into)
    this.#sign(into, 'rotate')
  }

  #open (into: LineBuffer): void {
    if (this.#opening === undefined) return
    const { type, torn, prefix } = this.#opening
    into.add(prefix)
    this.#sign(into, type, torn)
  }

  written (): void {
    this.#kept = { id: this.#id, last: this.#last }
    this.#opening = undefined
    this.#hashes = []
    const reports = this.#reports
    this.#reports = []
    for (const report of reports) {
      this.lastCheckpoint = report
      this.#options.onCheckpoint?.(report)
    }
  }

  #note (link: Link): void {
    this.#last = link
    this.#hashes.push(link.hash)
  }

  #sign (into: LineBuffer, type: RecordType, torn: Buffer = empty): void {
    const key = this.#key
    const time = new Date(this.#options.now()).toISOString()
    const remains = remainsOf(torn.length, torn.length > 0 ? hash('sha256', torn, 'base64url') : '')
    const members = { type, id: this.#id, kid: key.kid, after: this.#last.hash, ...remains }
    this.#note(addRecord(into, time, members, this.#last, key))
    this.#unsigned = 0
    this.due = false
    this.#reports.push({ ...this.#last, time, type })
  }
}

interface End {
  /** Undefined where not even the first line is whole. */
  readonly state: State | undefined
  /** Bytes behind the last whole line. */
  readonly torn: Buffer
  /** Whether the last line was not ended. */
  readonly isOpen: boolean
}

/** The first line of a file is the chain's own: whose file it is. Before it may stand what a full disk left of others. */
export function firstLink (bytes: Buffer): Link & { readonly id: string } | undefined {
  for (const line of bytes.toString('latin1', 0, firstLength).split('\n')) {
    const { seq, hash, signed } = readLink(line) ?? {}
    if (seq !== undefined && hash !== undefined && signed !== undefined) return { seq, hash, id: signed.id }
    if (!isTornRecord(line)) return undefined
  }
  return undefined
}

const recordStart = '{"time":"????-??-??T??:??:??.???Z","event":"audit_chain","chain":{"seq":'

/** Whether a line is, as far as it goes, the beginning of a signed one. */
function isTornRecord (line: string): boolean {
  return [...line.slice(0, recordStart.length)].every((character, index) => ['?', character].includes(recordStart.charAt(index)))
}

const firstLength = 4096
const mostTorn = 64 * 1024 * 1024

/** @param idOf the id of the chain whose last line it is, for a file that does not begin with one that names it */
async function readEnd (size: number, read: ReadAt, idOf?: (last: Link) => string | undefined): Promise<End> {
  const bytes = await read(0, firstLength)
  const first = firstLink(bytes)
  if (first === undefined && size < firstLength && bytes.toString('latin1').split('\n').every(isTornRecord)) {
    return { state: undefined, torn: bytes, isOpen: bytes.at(-1) !== lineFeed }
  }
  if (first === undefined && idOf === undefined) throw new NotAChainError('its first line does not begin a chain')
  for (let length = 65_536; ; length *= 4) {
    const from = Math.max(0, size - length)
    const found = lastLink(await readAll(from, size - from, read))
    if (found !== undefined) {
      const id = first?.id ?? idOf?.(found.link)
      if (id === undefined) throw new NotAChainError('its first line does not begin a chain')
      return { state: { id, last: found.link }, torn: found.torn, isOpen: found.isOpen }
    }
    if (from === 0 || length > mostTorn) throw new NotAChainError('its end is no chain')
  }
}

async function readAll (position: number, length: number, read: ReadAt): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let done = 0; done < length;) {
    const part = await read(position + done, length - done)
    if (part.length === 0) break
    parts.push(part)
    done += part.length
  }
  return Buffer.concat(parts)
}

const lineFeed = 0x0a

/**
 * The last line that has a link, and of which nothing but its line feed may be missing. Those behind it that no link binds are remains of a
 * write that failed.
 */
function lastLink (bytes: Buffer): { readonly link: Link, readonly torn: Buffer, readonly isOpen: boolean } | undefined {
  const isOpen = bytes.at(-1) !== lineFeed
  const own = isOpen ? linkIn(bytes.subarray(bytes.lastIndexOf(lineFeed) + 1)) : undefined
  if (own !== undefined) return { link: own, torn: empty, isOpen }
  for (let end = bytes.lastIndexOf(lineFeed); end >= 0;) {
    const before = end === 0 ? -1 : bytes.lastIndexOf(lineFeed, end - 1)
    const link = linkIn(bytes.subarray(before + 1, end))
    if (link !== undefined) return { link, torn: bytes.subarray(end + 1), isOpen }
    end = before
  }
  return undefined
}

/** A line that was broken, and one that was ended since, may end as a link does: in a member of the document. */
function linkIn (line: Buffer): Link | undefined {
  const { seq, hash } = readLink(line.toString('latin1', Math.max(0, line.length - tailLength))) ?? {}
  if (seq === undefined || hash === undefined) return undefined
  try {
    return 'chain' in JSON.parse(line.toString()) ? { seq, hash } : undefined
  } catch {
    return undefined
  }
}
