import { createHash } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { withoutPort } from '../http/index.ts'

/** The key of requests without a readable address (a Unix socket, for one): they share one budget. */
export const unknownAddress = 'unknown'

/**
 * The budget key of an address. IPv4 as it is; IPv6 by /64, the network of one subscriber (RFC 6177); addresses that embed an IPv4
 * address by that one, so that callers behind a translator do not share a budget and two spellings do not make two. Without the port.
 */
export function addressKey (address: string | undefined): string {
  if (address === undefined) return unknownAddress
  if (isIPv4(address)) return address
  const bare = withoutPort(address)
  if (bare !== address) return addressKey(bare)
  return parse(address) ? embeddedIPv4() ?? network() : unknownAddress
}

/** The groups of the current address. One array is enough, because everything here is synchronous. */
const groups = new Uint16Array(8)

/** The groups that mark a form, and the group at which the IPv4 address starts. */
const translations: readonly { readonly prefix: readonly number[], readonly at: number }[] = [
  { prefix: [0, 0, 0, 0, 0, 0xffff], at: 6 },       // IPv4-mapped, RFC 4291 §2.5.5.2
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },       // IPv4-translated, RFC 2765 §2.1
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },    // NAT64, RFC 6052 §2.1
  { prefix: [0x2002], at: 1 }                       // 6to4, RFC 3056 §2
]

function embeddedIPv4 (): string | undefined {
  const form = translations.find(({ prefix }) => prefix.every((group, index) => groups[index] === group))
  if (form !== undefined) return dotted(form.at)
  // `::a.b.c.d`, RFC 4291 §2.5.5.1. `::` and `::1` have the same form and are no IPv4 addresses.
  return groups[6] !== 0 && groups.subarray(0, 6).every(group => group === 0) ? dotted(6) : undefined
}

function dotted (from: number): string {
  const [high, low] = [group(from), group(from + 1)]
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`
}

function network (): string {
  return `${group(0).toString(16)}:${group(1).toString(16)}:${group(2).toString(16)}:${group(3).toString(16)}::/64`
}

function group (index: number): number {
  return groups[index] ?? 0
}

/**
 * Reads RFC 4291 §2.2 text into `groups`; false if it is malformed. Five times as fast as `net.isIPv6` and splitting (2 µs).
 * Ignores a zone (RFC 4007 §11), which names an interface of this machine.
 */
function parse (text: string): boolean {
  const zone = text.indexOf('%')
  const end = zone === -1 ? text.length : zone
  let [count, gap, at] = text.startsWith('::') ? [0, 0, 2] : [0, -1, 0]
  while (at < end) {
    const start = at
    while (at < end && hexadecimal(text.charCodeAt(at)) >= 0) at++
    if (text[at] === '.') return pair(text.slice(start, end), count) && spread(count + 2, gap)
    if (at === start || at - start > 4 || count === 8) return false
    groups[count++] = value(text, start, at)
    if (at === end) break
    if (text[at++] !== ':' || at === end) return false
    if (text[at] !== ':') continue
    if (gap !== -1) return false
    gap = count
    at++
  }
  return spread(count, gap)
}

function value (text: string, from: number, to: number): number {
  let number = 0
  for (let at = from; at < to; at++) number = number * 16 + hexadecimal(text.charCodeAt(at))
  return number
}

/** The last two groups in the notation of IPv4. */
function pair (text: string, at: number): boolean {
  if (at > 6 || !isIPv4(text)) return false
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  groups[at] = a << 8 | b
  groups[at + 1] = c << 8 | d
  return true
}

/** Inserts zeros for `::`, which stands for at least one group. */
function spread (count: number, gap: number): boolean {
  if (gap === -1) return count === 8
  if (count > 7) return false
  groups.copyWithin(gap + 8 - count, gap, count)
  groups.fill(0, gap, gap + 8 - count)
  return true
}

function hexadecimal (code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** The key, or its hash if the key is long. A key that looks like a hash is hashed too, so that it cannot pose as one. */
export function boundedKey (key: string): string {
  return key.length <= 128 && !key.startsWith('#') ? key : hashedKey(key)
}

export function hashedKey (key: string): string {
  return `#${createHash('sha256').update(key).digest('base64url')}`
}
