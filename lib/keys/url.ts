import type { Problems } from '../config/index.ts'

const ipv4Loopback = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/

/** Which hosts may be asked over http: this machine, and those that the configuration names. */
export interface PlainHosts {
  readonly loopback: boolean
  readonly names: readonly string[]
}

/** `true` stands for this machine alone, `false` for none. */
type Plain = boolean | PlainHosts

/**
 * True for an https URL, and for an http one whose host may be asked so. URLs that carry credentials are never secure: they end in logs.
 */
export function isSecureUrl (url: string, plain: Plain): boolean {
  return urlFault(url, plain) === undefined
}

/** As {@link isSecureUrl}, with the reason. */
function urlFault (url: string, plain: Plain): UrlFault | undefined {
  // Not `URL.parse`: that came with Node 22.1.
  if (!URL.canParse(url)) return 'syntax'
  const parsed = new URL(url)
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') return 'scheme'
  if (parsed.username !== '' || parsed.password !== '') return 'credentials'
  return parsed.protocol === 'https:' || isPlainHost(parsed.hostname, plain) ? undefined : 'insecure'
}

/** The host of a parsed URL: `URL` has brought other spellings of an address (`127.1`, `0x7f000001`) into this form. */
function isPlainHost (hostname: string, plain: Plain): boolean {
  const { loopback, names } = hostsOf(plain)
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || ipv4Loopback.test(hostname)
  return (loopback && isLoopback) || names.some(name => name.toLowerCase() === hostname)
}

function hostsOf (plain: Plain): PlainHosts {
  return typeof plain === 'boolean' ? { loopback: plain, names: [] } : plain
}

/**
 * Reports an issuer that is not an identifier by RFC 8414 §2, or whose keys would travel in the clear.
 * Issuers are compared as exact strings everywhere: `https://a.example` and `https://a.example/` are two issuers.
 */
export function checkIssuerUrl (issuer: string, plain: Plain, path: string, problems: Problems): void {
  report(urlFault(issuer, plain) ?? (/[?#]/.test(issuer) ? 'query' : undefined), plain, path, problems,
    ' If that is the `iss` of the tokens, give `jwksUri` or `jwks` beside it: nothing is fetched from the issuer then.')
}

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|^\s|\s$/u

/** Reports an issuer that cannot be the `iss` of a token, for one that is compared and never asked (RFC 7519 §4.1.1). */
export function checkIssuerText (issuer: string, path: string, problems: Problems): void {
  if (unseen.test(issuer)) {
    problems.add('SECURE_API_OPTION_VALUE', path, 'it has blanks at its ends, or invisible characters',
      'Copy `iss` from a token; does the environment variable behind it end with a line break?')
  }
  if (urlFault(issuer, true) === 'credentials') report('credentials', true, path, problems)
}

/** Reports the address of a key set that could not be fetched safely. */
export function checkKeySetUrl (url: string, plain: Plain, path: string, problems: Problems): void {
  report(urlFault(url, plain), plain, path, problems)
}

function report (fault: UrlFault | undefined, plain: Plain, path: string, problems: Problems, otherwise = ''): void {
  if (fault === undefined) return
  const [why, fix] = explanations[fault]
  if (fault !== 'insecure') return problems.add('SECURE_API_URL_INVALID', path, why, `${fix}${otherwise}`)
  const inDevelopment = hostsOf(plain).loopback
    ? ' In development `keys.insecureHosts` names hosts that may be asked over http.'
    : ' When `environment` is development, loopback addresses and those in `keys.insecureHosts` may use http.'
  problems.add('SECURE_API_URL_INSECURE', path, why, `${fix}${inDevelopment}${otherwise}`)
}

type UrlFault = keyof typeof explanations

const explanations = {
  syntax: ['this is not an absolute URL', 'Write it in full: https://login.example.com.'],
  scheme: ['only https addresses can be asked for keys', 'Write an https address.'],
  insecure: ['keys fetched over http can be replaced on the way, and with them every token', 'Use https.'],
  credentials: ['a URL with credentials in it ends in logs', 'Remove what stands before the @.'],
  query: ['an issuer identifier has no query and no fragment (RFC 8414 §2)',
    'Copy `iss` from a token, or `issuer` from the provider\'s metadata.']
} as const

/**
 * For logs: without user and password, and without the query, as a redirect to a login page carries state in it. A password may hold
 * `/` and `#` that nobody encoded: where there is one, all before the last `@` goes.
 */
export function withoutSecrets (url: string): string {
  const [, authority = ''] = /^[^/]*\/\/([^/?#\\]*)/.exec(url) ?? []
  const hasSecret = authority.includes('@') || /^(?!\[).*:(?!\d*$)/.test(authority)
  const scheme = url.slice(0, url.indexOf('//') + 2)
  const shown = hasSecret ? scheme + url.slice(Math.max(url.lastIndexOf('@') + 1, scheme.length)) : url
  return shown.replace(/[?#].*$/s, '')
}
