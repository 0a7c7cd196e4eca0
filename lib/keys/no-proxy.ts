import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/**
 * Whether the host of a URL is reached without the proxy: this machine, and what NO_PROXY lists. There is no standard for
 * that variable; this reads what curl and Go agree on. Entries are names, which stand for what is below them too,
 * addresses, networks (`10.0.0.0/8`), each with `:port` if it is for that port only, and `*` for everything.
 */
export function isDirect ({ hostname, port }: URL, noProxy: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase()
  if (host === 'localhost' || host.endsWith('.localhost') || holds(loopback, host)) return true
  return noProxy.split(/[\s,]+/).filter(entry => entry !== '').some(entry => matches(entry.toLowerCase(), host, port === '' ? '443' : port))
}

function matches (entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  const [, bracketed, plain = '', only] = /^(?:\[([^\]]+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(entry) ?? []
  if (only !== undefined && only !== port) return false
  const name = (bracketed ?? plain).replace(/^\*?\./, '').replace(/\.$/, '')
  if (name === '') return false
  if (isIP(host) !== 0) return inNetwork(name, host)
  return host === name || host.endsWith(`.${name}`)
}

function inNetwork (network: string, host: string): boolean {
  const [address = '', bits] = network.split('/')
  const family = isIP(address)
  if (family === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return false
  const longest = family === 4 ? 32 : 128
  const list = new BlockList()
  list.addSubnet(address, Math.min(Number(bits ?? longest), longest), family === 4 ? 'ipv4' : 'ipv6')
  return holds(list, host)
}

function holds (list: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && list.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
