import { BlockList, isIP } from 'node:net'
import type { Problems } from '../config/index.ts'
import { proxiesOf } from '../edge/index.ts'

/** Names that proxy-addr knows. */
const named = ['loopback', 'linklocal', 'uniquelocal']

/** Prefixes of the widest private networks (RFC 1918, RFC 4193); shorter ones include strangers. */
const shortest: Readonly<Record<number, number>> = { 4: 8, 6: 7 }
/** IPv4-mapped addresses (RFC 4291 §2.5.5.2): `proxy-addr` matches IPv4 callers with them, so the IPv4 part counts. */
const mapped = blockList([{ address: '::ffff:0:0', bits: 96 }])

const howTo = "List the proxies by address or network: trustProxy: ['10.0.0.0/8', '::1'], or 'loopback'."

export function validateTrustProxy (value: unknown, path: string, problems: Problems): void {
  if (value === undefined || value === false) return
  const why = refusedTypes[Array.isArray(value) ? 'list' : typeof value] ?? `it is of type ${typeof value}`
  if (why !== '') return problems.add('SECURE_API_SERVER_TRUST_PROXY', path, why, howTo)
  const list = proxiesOf(value)
  if (list.length === 0) problems.add('SECURE_API_OPTION_EMPTY', path, 'the list is empty', 'List at least one, or omit the option.')
  list.forEach((entry, index) => validateEntry(entry, typeof value === 'string' ? path : `${path}[${index}]`, problems))
}

const refusedTypes: Readonly<Record<string, string>> = {
  list: '',
  string: '',
  number: 'a number of hops trusts nobody since Fastify 5.12.1 (CVE-2026-16732), and trusted strangers before',
  boolean: '`true` trusts the leftmost X-Forwarded-For, which the caller writes, and defeats every limit by address',
  function: 'a function cannot be checked'
}

function validateEntry (entry: string, path: string, problems: Problems): void {
  if (named.includes(entry)) return
  const parsed = parse(entry)
  if (parsed === undefined) {
    return problems.add('SECURE_API_SERVER_TRUST_PROXY', path, `'${entry.slice(0, 60)}' is not an address or a CIDR network`, howTo)
  }
  const { family, prefix } = parsed
  if (prefix < (shortest[family] ?? 0)) {
    problems.add('SECURE_API_SERVER_TRUST_PROXY_WIDE', path, `'${entry}' is wider than any private network`, howTo)
  }
}

interface Network { readonly address: string, readonly bits: number }

/** An address is a network of one. Zones and netmasks are not supported. */
function parse (entry: string): Network & { family: 4 | 6, prefix: number } | undefined {
  const [, address = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const family = isIP(address)
  if (family !== 4 && family !== 6) return undefined
  const longest = family === 4 ? 32 : 128
  const bits = length === undefined ? longest : Number(length)
  if (bits > longest) return undefined
  const isMapped = family === 6 && holdsMapped(address, bits)
  return { address, bits, family: isMapped ? 4 : family, prefix: isMapped ? bits - 96 : bits }
}

function holdsMapped (address: string, bits: number): boolean {
  return mapped.check(address, 'ipv6') || blockList([{ address, bits }]).check('::ffff:0:0', 'ipv6')
}

function blockList (networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, bits } of networks) list.addSubnet(address, bits, isIP(address) === 4 ? 'ipv4' : 'ipv6')
  return list
}
