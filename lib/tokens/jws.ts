import { isUtf8 } from 'node:buffer'
import type { UncheckedClaims } from './claims.ts'

/** The three parts of a compact JWS (RFC 7515 §3.1), still encoded, and what the signature covers. */
export interface CompactJws {
  readonly header: string
  readonly payload: string
  readonly signature: string
  readonly signingInput: string
}

/** Splits at the dots. A JWE has five parts and is refused here, before anything is decoded (CVE-2024-28176: zip bombs). */
export function splitCompact (token: string): CompactJws | undefined {
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first <= 0 || second === -1 || token.includes('.', second + 1)) return undefined
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signature: token.slice(second + 1),
    signingInput: token.slice(0, second)
  }
}

/**
 * The bytes, if this is their only encoding: RFC 7515 §2 alphabet, no padding, and no stray bits in the last
 * character. Node ignores all of that when it decodes, and another spelling of the same token would be a second
 * identity for caches and denylists.
 */
export function decodeBase64url (text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** A JSON object from bytes that are UTF-8 without a byte order mark (RFC 7519 §7.2), or undefined. */
export function parseJsonObject (bytes: Buffer): UncheckedClaims | undefined {
  return isUtf8(bytes) ? parseObject(bytes.toString()) : undefined
}

/** The decoded header, if it is a JSON object without repeated members (RFC 7515 §4): parsers disagree on which one counts. */
export function readHeader (segment: string): UncheckedClaims | undefined {
  const bytes = decodeBase64url(segment)
  if (bytes === undefined || !isUtf8(bytes)) return undefined
  const text = bytes.toString()
  const header = parseObject(text)
  return header !== undefined && countMembers(text) === Object.keys(header).length ? header : undefined
}

/** The decoded payload, if it is a JSON object. */
export function readPayload (segment: string): UncheckedClaims | undefined {
  const bytes = decodeBase64url(segment)
  return bytes === undefined ? undefined : parseJsonObject(bytes)
}

function parseObject (text: string): UncheckedClaims | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is UncheckedClaims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** How many members the outermost object has in the text, which is known to be JSON: each has one colon there. */
function countMembers (text: string): number {
  let depth = 0
  let members = 0
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '"') index = endOfString(text, index)
    else if (character === ':' && depth === 1) members++
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
  }
  return members
}

/** Where the string that begins here ends. */
function endOfString (text: string, start: number): number {
  let index = start + 1
  while (text[index] !== '"') index += text[index] === '\\' ? 2 : 1
  return index
}
