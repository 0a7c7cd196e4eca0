import proxyAddr from '@fastify/proxy-addr'
import { addressKey, unknownAddress } from './address.ts'

/**
 * What the addresses of requests reveal about `trustProxy`. `forwarded-ignored`: a proxy on a private address sends X-Forwarded-For, but
 * Fastify does not trust it. `shared-address`: nearly all requests come from one private address, as behind a silent proxy.
 * `unreadable`: a trusted proxy forwards something that is not an address.
 */
export type AddressFinding = 'forwarded-ignored' | 'shared-address' | 'unreadable'

interface Sighting {
  /** The caller's, without a port: undefined on a Unix socket. */
  readonly ip: string | undefined
  /** The address at the other end of the socket. */
  readonly peer: string | undefined
  readonly forwarded: boolean
}

/** Low enough to warn on the first day, high enough to ignore a few callers who forge the header. */
const enoughForwarded = 100
const sample = 1000
const nearlyAll = 0.95

const isPrivate = within(['uniquelocal', 'linklocal', '100.64.0.0/10'])
/** Proxies have addresses that strangers cannot have. */
const isNear = within(['uniquelocal', 'linklocal', '100.64.0.0/10', 'loopback'])

/** Compiled when it is first asked: few applications ever ask, and it takes 5 ms of a start. */
function within (networks: string[]): (address: string) => boolean {
  let compiled: ((address: string, hop: number) => boolean) | undefined
  return address => (compiled ??= proxyAddr.compile(networks))(address, 0)
}

/** Detects callers behind a proxy that share one budget. Reports each finding once. */
export class ProxyWatch {
  readonly #tell: (finding: AddressFinding) => void
  readonly #found = new Set<AddressFinding>()
  #ignored = 0
  #seen = 0
  #candidate = ''
  #same = 0
  #readable = ''

  constructor (tell: (finding: AddressFinding) => void) {
    this.#tell = tell
  }

  get findings (): readonly AddressFinding[] {
    return [...this.#found]
  }

  see ({ ip, peer, forwarded }: Sighting): void {
    if (ip === undefined || ip === '') return
    // Most callers return; parsing an address takes 0.2 µs.
    if (ip !== this.#readable && addressKey(ip) === unknownAddress) this.#find('unreadable')
    else this.#readable = ip
    this.#seen++
    if (forwarded && ip === peer && isNear(ip)) this.#ignored++
    if (this.#same === 0) this.#candidate = ip
    if (ip === this.#candidate) this.#same++
    if (this.#ignored === enoughForwarded) this.#find('forwarded-ignored')
    if (this.#seen === sample) this.#conclude()
  }

  /** Loopback is left out: a developer, or a proxy that the header reveals. */
  #conclude (): void {
    if (this.#same >= this.#seen * nearlyAll && isPrivate(this.#candidate)) this.#find('shared-address')
    this.#seen = this.#same = this.#ignored = 0
  }

  #find (finding: AddressFinding): void {
    if (this.#found.has(finding)) return
    this.#found.add(finding)
    this.#tell(finding)
  }
}
