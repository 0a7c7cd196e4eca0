import { readCertificate, type ClientCertificate, type Presented } from './certificate.ts'
import { nameOf } from './names.ts'

/** How a proxy writes the certificate of its client into a header. */
export type ForwardedFormat = 'rfc9440' | 'nginx' | 'envoy'

/** What a proxy says of its client. Without a certificate there is nothing to verify again. */
export type Forwarded = ClientCertificate | Presented

/** No proxy writes more, and a server that reads 16 KiB of headers takes none that is longer. */
const longest = 16_384

/** Reads the value of a header; undefined where it is not exactly of the format. */
export function readForwarded (format: ForwardedFormat, value: string): Forwarded | undefined {
  return value.length > longest ? undefined : readers[format](value)
}

const readers: Readonly<Record<ForwardedFormat, (value: string) => Forwarded | undefined>> = {
  rfc9440: readByteSequence,
  nginx: readEscapedPem,
  envoy: readEnvoy
}

/** RFC 9440 §2.2: an Item of RFC 8941 that is a Byte Sequence, without parameters, which nobody has defined. */
function readByteSequence (value: string): ClientCertificate | undefined {
  const [, base64 = ''] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(value) ?? []
  return readBase64(base64)
}

const pem = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END CERTIFICATE-----(?:\r?\n)?$/

/** `$ssl_client_escaped_cert`: one certificate as PEM, percent-encoded. */
function readEscapedPem (value: string): ClientCertificate | undefined {
  if (!/^[\w\-.~%+/=]+$/.test(value)) return undefined
  const [, lines = ''] = pem.exec(unescape(value)) ?? []
  return readBase64(lines.replace(/\r?\n/g, ''))
}

/** Octets beyond ASCII have no place in PEM, and a bad escape none anywhere. */
function unescape (value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return ''
  }
}

/** One spelling for each certificate: padding in its place, no bits beside. */
function readBase64 (base64: string): ClientCertificate | undefined {
  const der = Buffer.from(base64, 'base64')
  return base64 !== '' && der.toString('base64') === base64 ? readCertificate(der) : undefined
}

type Pair = readonly [key: string, value: string]

/**
 * The last element of `x-forwarded-client-cert`: those before it were written by proxies, or callers, further away. Read from the left all
 * the same: a quote that a caller opened must not swallow or cut what the proxy added.
 */
function readEnvoy (header: string): Forwarded | undefined {
  const element = readElements(header)?.at(-1)
  if (element === undefined) return undefined
  const valuesOf = (name: string) => element.filter(([key]) => key === name).map(([, value]) => value)
  const [certificates, hashes] = [valuesOf('cert'), valuesOf('hash')]
  if (certificates.length > 1 || hashes.length > 1) return undefined
  const [escaped] = certificates
  const thumbprint = hashes[0] === undefined ? undefined : readHash(hashes[0])
  if (thumbprint === '') return undefined
  if (escaped === undefined) return readNames(valuesOf('uri'), valuesOf('dns'), thumbprint)
  const certificate = readEscapedPem(escaped)
  return thumbprint !== undefined && thumbprint !== certificate?.thumbprint ? undefined : certificate
}

/** SHA-256 in hex; empty where it is something else. */
function readHash (hex: string): string {
  return /^[0-9a-f]{64}$/i.test(hex) ? Buffer.from(hex, 'hex').toString('base64url') : ''
}

function readNames (uris: readonly string[], hosts: readonly string[], thumbprint: string | undefined): Presented | undefined {
  // Envoy writes `URI=` where the certificate has none.
  const all = [...uris.map(text => ['uri', text] as const), ...hosts.map(text => ['dns', text] as const)]
  const given = all.filter(([, text]) => text !== '')
  const names = given.map(([kind, text]) => nameOf(kind, text)).filter(name => name !== undefined)
  if (names.length !== given.length || (names.length === 0 && thumbprint === undefined)) return undefined
  return { names, thumbprint, serial: undefined, notBefore: -Infinity, notAfter: Infinity }
}

const key = /[A-Za-z]+(?==)/y
const plain = /[^",;=]*/y
const quoted = /"((?:[^"\\]|\\.)*)"/y

/** Elements separated by commas, pairs by semicolons: `By=…;Hash=…,By=…;Subject="CN=a, b"`. Undefined for anything else. */
function readElements (header: string): Pair[][] | undefined {
  const elements: Pair[][] = [[]]
  for (let at = 0; ;) {
    const name = match(key, header, at)
    if (name === undefined) return undefined
    const start = at + name[0].length + 1
    const value = match(quoted, header, start) ?? match(plain, header, start)
    if (value === undefined) return undefined
    elements.at(-1)?.push([name[0].toLowerCase(), value[1]?.replace(/\\(.)/g, '$1') ?? value[0]])
    at = start + value[0].length
    if (at === header.length) return elements
    const separator = header[at++]
    if (separator === ',') elements.push([])
    else if (separator !== ';') return undefined
    // Envoy writes no space after a comma, but proxies that join two lines do (RFC 9110 §5.3).
    if (separator === ',') at += match(/ */y, header, at)?.[0].length ?? 0
  }
}

function match (pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at
  return pattern.exec(text) ?? undefined
}
