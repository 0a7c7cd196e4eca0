import { isIPv4, isIPv6 } from 'node:net'

/** The key of requests whose address is not known (a Unix socket) or makes no sense: they share one budget. */
export const unknownAddress = 'unknown'

/**
 * Whose budget a request from this address counts against. IPv4 as it is; IPv6 by /64, which is what one subscriber has
 * (RFC 6177); addresses that carry an IPv4 address, in whatever spelling, by that one, or else all callers behind a translator
 * would share a budget, and one caller with two spellings would have two.
 */
export function addressKey (address: string | undefined): string {
  if (address === undefined || isIPv4(address)) return address ?? unknownAddress
  if (!isIPv6(address)) return unknownAddress
  const groups = parse(address)
  return embeddedIPv4(groups) ?? `${groups.slice(0, 4).map(hexadecimal).join(':')}::/64`
}

interface Translation {
  /** The groups that mark the form. */
  readonly prefix: readonly number[]
  /** Which group the IPv4 address starts at. */
  readonly at: number
}

const translations: readonly Translation[] = [
  { prefix: [0, 0, 0, 0, 0, 0xffff], at: 6 },       // IPv4-mapped, RFC 4291 §2.5.5.2
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },       // IPv4-translated, RFC 2765 §2.1
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },    // NAT64, RFC 6052 §2.1
  { prefix: [0x2002], at: 1 }                       // 6to4, RFC 3056 §2
]

function embeddedIPv4 (groups: readonly number[]): string | undefined {
  const form = translations.find(({ prefix }) => prefix.every((group, index) => groups[index] === group))
  if (form === undefined) return compatible(groups)
  return dotted(groups, form.at)
}

/** `::a.b.c.d`, RFC 4291 §2.5.5.1. `::` and `::1` have the same form and are no IPv4 addresses. */
function compatible (groups: readonly number[]): string | undefined {
  return groups[6] !== 0 && groups.slice(0, 6).every(group => group === 0) ? dotted(groups, 6) : undefined
}

function dotted (groups: readonly number[], at: number): string {
  return groups.slice(at, at + 2).flatMap(group => [group >> 8, group & 0xff]).join('.')
}

/** The eight groups of an address that `isIPv6` has accepted. */
function parse (address: string): number[] {
  const [withoutZone = ''] = address.split('%')
  const [front = '', back] = withoutZone.split('::')
  const head = groupsOf(front)
  if (back === undefined) return head
  const tail = groupsOf(back)
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function groupsOf (text: string): number[] {
  return text === '' ? [] : text.split(':').flatMap(part => part.includes('.') ? pairs(part) : Number.parseInt(part, 16))
}

function pairs (ipv4: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number)
  return [a << 8 | b, c << 8 | d]
}

function hexadecimal (group: number): string {
  return group.toString(16)
}
