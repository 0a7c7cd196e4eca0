import type { Problems } from '../config/index.ts'

const ipv4Loopback = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/

/** What is wrong with an address; undefined when nothing is. */
export type UrlFault = 'syntax' | 'scheme' | 'insecure' | 'credentials' | 'query'

/**
 * True for an https URL, and for an http one that stays on this machine where `allowLoopback` says so.
 * URLs that carry credentials are never secure: they end in logs.
 */
export function isSecureUrl (url: string, allowLoopback: boolean): boolean {
  return urlFault(url, allowLoopback) === undefined
}

/** As {@link isSecureUrl}, with the reason. */
export function urlFault (url: string, allowLoopback: boolean): UrlFault | undefined {
  const parsed = parse(url)
  if (parsed === undefined) return 'syntax'
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') return 'scheme'
  if (parsed.username !== '' || parsed.password !== '') return 'credentials'
  return parsed.protocol === 'https:' || (allowLoopback && isLoopback(parsed.hostname)) ? undefined : 'insecure'
}

/** As {@link urlFault}; an issuer identifier has neither query nor fragment besides (RFC 8414 §2). */
export function issuerFault (issuer: string, allowLoopback: boolean): UrlFault | undefined {
  return urlFault(issuer, allowLoopback) ?? (/[?#]/.test(issuer) ? 'query' : undefined)
}

/**
 * Reports an issuer that is not an identifier by RFC 8414 §2, or whose keys would travel in the clear.
 * Issuers are compared as exact strings everywhere: `https://a.example` and `https://a.example/` are two issuers.
 */
export function checkIssuerUrl (issuer: string, allowLoopback: boolean, path: string, problems: Problems): void {
  report(issuerFault(issuer, allowLoopback), allowLoopback, path, problems)
}

/** Reports the address of a key set that could not be fetched safely. */
export function checkKeySetUrl (url: string, allowLoopback: boolean, path: string, problems: Problems): void {
  report(urlFault(url, allowLoopback), allowLoopback, path, problems)
}

function report (fault: UrlFault | undefined, allowLoopback: boolean, path: string, problems: Problems): void {
  if (fault === undefined) return
  const [why, fix] = explanations[fault]
  const code = fault === 'insecure' ? 'SECURE_API_URL_INSECURE' : 'SECURE_API_URL_INVALID'
  const hint = fault === 'insecure' && !allowLoopback ? ' Loopback addresses may use http when `environment` is development.' : ''
  problems.add(code, path, why, fix + hint)
}

const explanations: Readonly<Record<UrlFault, readonly [why: string, fix: string]>> = {
  syntax: ['this is not an absolute URL', 'Write it in full: https://login.example.com.'],
  scheme: ['only https addresses can be asked for keys', 'Write an https address.'],
  insecure: ['keys fetched over http can be replaced on the way, and with them every token', 'Use https.'],
  credentials: ['a URL with credentials in it ends in logs', 'Remove what stands before the @.'],
  query: ['an issuer identifier has no query and no fragment (RFC 8414 §2)', 'Copy `iss` from a token, or `issuer` from the provider\'s metadata.']
}

/** The host of a parsed URL: `URL` has brought other spellings of an address (`127.1`, `0x7f000001`) into this form. */
function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || ipv4Loopback.test(hostname)
}

/** Not `URL.parse`: that came with Node 22.1. */
function parse (url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}
