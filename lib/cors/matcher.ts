import type { OriginPattern } from './origins.ts'

export type OriginMatcher = (origin: string) => boolean

/** Longer than any origin of http(s) can be: scheme, 253 octets of host, port. */
const longest = 300

/**
 * Compiles origins to one look-up. No regular expression and no copy of the list is run against what a caller sends:
 * exact origins are one hash, a pattern is one hash for each label of the host.
 */
export function compileOrigins (patterns: readonly OriginPattern[]): OriginMatcher {
  if (patterns.some(({ any }) => any)) return () => true
  const exact = new Set(patterns.filter(isExact).map(({ text }) => text))
  const wild = patterns.filter(pattern => !isExact(pattern))
  if (wild.length === 0) return origin => exact.has(origin)
  const index = indexPatterns(wild)
  return origin => exact.has(origin) || (origin.length <= longest && matches(index, origin))
}

function isExact ({ subdomains, port }: OriginPattern): boolean {
  return !subdomains && port !== '*'
}

type Ports = ReadonlyMap<string, ReadonlySet<string>>

/** Two maps, since `https://.example.com` is the parent of others and not itself a host. */
interface PatternIndex {
  /** By `scheme://host`. */
  readonly hosts: Ports
  /** By `scheme://.domain`. */
  readonly parents: Ports
}

function indexPatterns (patterns: readonly OriginPattern[]): PatternIndex {
  const hosts = new Map<string, Set<string>>()
  const parents = new Map<string, Set<string>>()
  for (const { scheme, host, subdomains, port } of patterns) {
    const [index, key] = subdomains ? [parents, `${scheme}://.${host}`] : [hosts, `${scheme}://${host}`]
    index.set(key, (index.get(key) ?? new Set()).add(port))
  }
  return { hosts, parents }
}

function matches (index: PatternIndex, origin: string): boolean {
  const start = origin.indexOf('://') + 3
  if (start < 4) return false
  const end = hostEnd(origin, start)
  const port = portOf(origin, end)
  if (port === undefined) return false
  const scheme = origin.slice(0, start)
  const host = origin.slice(start, end)
  return allows(index.hosts.get(scheme + host), port) || (isPlainHost(host) && matchesParent(index.parents, scheme, host, port))
}

/** Walks up the labels of `a.b.example.com`: `.b.example.com`, `.example.com`, `.com`. */
function matchesParent (parents: Ports, scheme: string, host: string, port: string): boolean {
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
    if (allows(parents.get(scheme + host.slice(dot)), port)) return true
  }
  return false
}

function allows (ports: ReadonlySet<string> | undefined, port: string): boolean {
  return ports !== undefined && (ports.has(port) || ports.has('*'))
}

function hostEnd (origin: string, start: number): number {
  const bracket = origin.indexOf(']', start)
  const colon = origin.indexOf(':', bracket === -1 ? start : bracket)
  return colon === -1 ? origin.length : colon
}

/** The port as text, `''` when there is none; undefined when what follows the host is not a port. */
function portOf (origin: string, end: number): string | undefined {
  if (end === origin.length) return ''
  const port = origin.slice(end + 1)
  if (port.length === 0 || port.length > 5 || port.startsWith('0')) return undefined
  for (let i = 0; i < port.length; i++) {
    if (!isDigit(port.charCodeAt(i))) return undefined
  }
  return Number(port) <= 65535 ? port : undefined
}

/** Labels of what browsers let through as a host; no empty label, so `https://.example.com` matches nothing. */
function isPlainHost (host: string): boolean {
  let label = 0
  for (let i = 0; i < host.length; i++) {
    const code = host.charCodeAt(i)
    if (code === 46) {
      if (label === 0) return false
      label = 0
    } else if (!isLabelCode(code) || ++label > 63) return false
  }
  return label > 0
}

function isLabelCode (code: number): boolean {
  return isDigit(code) || (code >= 97 && code <= 122) || code === 45 || code === 95
}

function isDigit (code: number): boolean {
  return code >= 48 && code <= 57
}
