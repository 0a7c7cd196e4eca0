import { domainToASCII, domainToUnicode } from 'node:url'
import type { ConfigurationCode } from '../config/index.ts'

/** A valid entry of `origins`. */
export interface OriginPattern {
  readonly text: string
  readonly any: boolean
  readonly scheme: string
  /** Without the leading `*.` of a pattern. */
  readonly host: string
  readonly subdomains: boolean
  /** `''` for the default port, `'*'` for every one. */
  readonly port: string
}

/** Why an entry is invalid. */
interface OriginFault {
  readonly code: ConfigurationCode
  readonly why: string
  readonly fix: string
}

const invalid = (why: string, fix: string): OriginFault => ({ code: 'SECURE_API_CORS_ORIGIN_INVALID', why, fix })
const badPattern: OriginFault = {
  code: 'SECURE_API_CORS_ORIGIN_PATTERN',
  why: '* stands only for a leading label or the port',
  fix: "Write 'https://*.example.com' for all subdomains, 'http://localhost:*' for all ports, or list the origins."
}
const nullOrigin: OriginFault = {
  code: 'SECURE_API_CORS_NULL_ORIGIN',
  why: 'any sandboxed frame, file or redirect can send the origin null',
  fix: 'Remove it; serve the page from an http(s) origin.'
}

type Shape = readonly [wrong: RegExp, why: string, fix: (text: string) => string]

/** What an origin never looks like (RFC 6454 §6.2, Fetch §3.2), most telling first. */
const shapes: readonly Shape[] = [
  [/,/, 'it is several origins in one string', () => 'Write one entry per origin; split a variable at its commas.'],
  [/\s/, 'it contains white space', text => `Write '${text.replace(/\s/g, '')}'.`],
  [/^[/^]|\\|\$$/, 'it looks like a regular expression, which is not accepted',
    () => "List the origins, or use a pattern such as 'https://*.example.com'."],
  [/^(?!.*:\/\/)/, 'the scheme is missing', text => `Write 'https://${text}'.`],
  [/@/, 'it contains a user name', text => `Write '${text.replace(/\/\/.*@/, '//')}'.`],
  [/#/, 'it has a fragment', text => `Write '${text.replace(/#.*/, '')}'.`],
  [/\?/, 'it has a query', text => `Write '${text.replace(/\?.*/, '')}'.`],
  [/:\/\/[^/]*\//, 'it has a path or a trailing slash', text => `Write '${text.replace(/(:\/\/[^/]*)\/.*/, '$1')}'.`],
  [/:\/\/[^:]+\.(:|$)/, 'the host ends with a dot', text => `Write '${text.replace(/\.(?=(:\d+)?$)/, '')}'.`],
  [/[A-Z]/, 'browsers send origins in lower case', text => `Write '${text.toLowerCase()}'.`],
  [/[^\x21-\x7e]/, 'browsers send a host name in its ASCII form', text => `Write '${punycode(text)}'.`]
]

function punycode (text: string): string {
  return text.replace(/(:\/\/)([^:]*)/, (_, slashes: string, host: string) => slashes + domainToASCII(host))
}

/** Reads one entry of `origins`, or says what is wrong with it. */
export function parseOrigin (text: string): OriginPattern | OriginFault {
  if (text === '*') return { text, any: true, scheme: '', host: '', subdomains: false, port: '' }
  if (text === 'null') return nullOrigin
  const shape = shapes.find(([wrong]) => wrong.test(text))
  if (shape !== undefined) return invalid(shape[1], shape[2](text))
  const [, scheme = '', authority = ''] = /^([^:]*):\/\/(.*)$/.exec(text) ?? []
  return schemeFault(scheme) ?? parseAuthority(text, scheme, authority)
}

export function isFault (parsed: OriginPattern | OriginFault): parsed is OriginFault {
  return 'code' in parsed
}

/** A WebSocket has the origin of its page; pages of the others have the origin null or no longer open (Fetch §2.9, URL §4.7). */
const dead: ReadonlySet<string> = new Set(['ws', 'wss', 'ftp', 'data', 'blob', 'about', 'javascript'])

function schemeFault (scheme: string): OriginFault | undefined {
  if (scheme.includes('*')) return badPattern
  if (dead.has(scheme)) return invalid(`no origin has the scheme ${scheme}`, "Write the origin of the page: 'https://app.example.com'.")
  if (scheme === 'file') return { ...nullOrigin, why: 'pages opened from files have the origin null' }
  return /^[a-z][a-z0-9+.-]*$/.test(scheme) ? undefined : invalid(`${scheme || 'nothing'} is not a scheme`, "Start with 'https://'.")
}

function parseAuthority (text: string, scheme: string, authority: string): OriginPattern | OriginFault {
  const [, named = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority) ?? []
  const subdomains = named.startsWith('*.')
  const host = subdomains ? named.slice(2) : named
  if (host.includes('*') || (port !== '*' && port?.includes('*') === true)) return badPattern
  const fault = hostFault(host, subdomains) ?? punycodeFault(scheme, host) ?? portFault(text, scheme, port)
  return fault ?? { text, any: false, scheme, host, subdomains, port: port ?? '' }
}

const defaultPorts: Readonly<Record<string, string>> = { http: '80', https: '443' }

function portFault (text: string, scheme: string, port: string | undefined): OriginFault | undefined {
  if (port === undefined || port === '*') return undefined
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65535) {
    return invalid(`${JSON.stringify(port)} is not a port`, 'Write 1 to 65535 without leading zeros, or omit the colon.')
  }
  if (defaultPorts[scheme] !== port) return undefined
  return invalid(`browsers omit the default port of ${scheme}`, `Write '${text.slice(0, -port.length - 1)}'.`)
}

function hostFault (host: string, subdomains: boolean): OriginFault | undefined {
  if (host.startsWith('[')) return subdomains ? badPattern : addressFault(host)
  if (!isHost(host)) {
    return invalid(`${JSON.stringify(host)} is not a host name`, 'Use letters, digits and hyphens; 63 per label and 253 in total at most.')
  }
  if (!/(^|\.)\d[^.]*$/.test(host)) return undefined
  return subdomains ? badPattern : addressFault(host)
}

/** Browsers open no page with an invalid IDNA host (URL §3.5), such as `xn--f`: Node 20 and 22 decode it to '', Node 24 to itself. */
function punycodeFault (scheme: string, host: string): OriginFault | undefined {
  if (!host.includes('xn--') || defaultPorts[scheme] === undefined) return undefined
  const name = domainToUnicode(host)
  if (name !== '' && !/(^|\.)xn--/.test(name) && domainToASCII(name) === host) return undefined
  return invalid(`${host} is not a valid ASCII form; no browser sends it`, 'Copy the name from the address bar or `new URL(…).origin`.')
}

/** Browsers send addresses in the form of the URL standard: compressed IPv6, dotted-quad IPv4. */
function addressFault (host: string): OriginFault | undefined {
  const url = `http://${host}`
  const written = URL.canParse(url) ? new URL(url).hostname : undefined
  if (written === host) return undefined
  return invalid(`browsers do not write the address ${host} this way`, written === undefined ? 'Correct it.' : `Write '${written}'.`)
}

function isHost (host: string): boolean {
  return host.length <= 253 && /^(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*$/.test(host)
}

/** RFC 6761 §6.3: this machine only, so plain http crosses no network. */
export function isLoopback ({ host }: OriginPattern): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
