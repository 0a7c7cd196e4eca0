import { createHash, hash } from 'node:crypto'
import { marker, signedPrefix, type FoundLink, type Link } from './chain.ts'
import type { ChainVerifier } from './chain-key.ts'

/** Where a line stands. */
export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** A line of a file, and what it says of its place in the chain; with it the lines before it that its link binds. */
export interface Line extends Place {
  /** From the first to the last of them, without the last line feed. */
  readonly bytes: Buffer
  readonly link: FoundLink | undefined
  /** How many of the lines that it binds are not there. */
  readonly missing: number
}

export interface Bound extends Line {
  readonly link: FoundLink
}

/** The hash and `"}}` at the end of a line. */
const endLength = 46

/** Before the first line. */
export const nothing: Link = { seq: -1, hash: '' }

export function follows (bytes: Buffer, link: Link, last: Link): boolean {
  return link.seq === last.seq + 1 && hashOf(bytes, last.hash) === link.hash
}

/** Shorter ones are hashed at once, which takes half the time. */
const scratch = Buffer.alloc(65_536)

export function hashOf (bytes: Buffer, previous: string): string {
  const length = Math.max(0, bytes.length - endLength)
  if (length + previous.length > scratch.length) {
    return createHash('sha256').update(previous, 'latin1').update(bytes.subarray(0, length)).digest('base64url')
  }
  scratch.write(previous, 'latin1')
  bytes.copy(scratch, previous.length, 0, length)
  return hash('sha256', scratch.subarray(0, previous.length + length), 'base64url')
}

/** Whether the line of another link stands in this one. */
export function holds (bytes: Buffer, seq: number): boolean {
  return new RegExp(`"chain":\\{"seq":${seq},[^{}]*"hash":"[\\w-]{43}"\\}\\}`).test(bytes.toString('latin1'))
}

/** The line with another number: where its hash is right then, only the number was changed. */
export function withNumber (bytes: Buffer, seq: number): Buffer {
  const text = bytes.toString('latin1')
  const at = text.lastIndexOf(marker)
  return Buffer.from(text.slice(0, at) + text.slice(at).replace(/\d+/, String(seq)), 'latin1')
}

export function hasSignature ({ bytes, link }: Line, key: ChainVerifier): boolean {
  const end = bytes.lastIndexOf(',"sig":"')
  return key.verify(Buffer.concat([Buffer.from(signedPrefix), bytes.subarray(0, end)]), link?.signed?.sig ?? '')
}

/** A document that never had a link, as far as can be seen: of one that was damaged some member is left. */
export function looksWhole (bytes: Buffer): boolean {
  const document = parsed(bytes)
  if (document === undefined || 'chain' in document) return false
  const last = Object.values(document).at(-1)
  return !isMembers(last) || !(typeof last.seq === 'number' || (typeof last.hash === 'string' && last.hash.length === hashLength))
}

export function isDocument (bytes: Buffer): boolean {
  return parsed(bytes) !== undefined
}

const hashLength = 43

type Members = Readonly<Record<string, unknown>>

function parsed (bytes: Buffer): Members | undefined {
  try {
    const document: unknown = JSON.parse(bytes.toString())
    return isMembers(document) && !Array.isArray(document) ? document : undefined
  } catch {
    return undefined
  }
}

function isMembers (value: unknown): value is Members {
  return typeof value === 'object' && value !== null
}

export function timeOf (bytes: Buffer): string | undefined {
  return /^\{"time":"([\dT:.Z-]{20,30})"/.exec(bytes.toString('latin1', 0, 60))?.[1]
}

/** The bytes belong to a chunk that is overwritten. */
export function kept (line: Line): Line {
  return { ...line, bytes: Buffer.from(line.bytes) }
}

export function seqOf ({ link }: Line): number {
  return link?.seq ?? -1
}

export function own (line: Line): readonly [number, number] {
  return [seqOf(line), seqOf(line)]
}
