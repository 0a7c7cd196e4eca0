import { verify, type X509Certificate } from 'node:crypto'
import { derElements, type DerElement } from '../server/index.ts'
import { contentOf, tags } from './certificate.ts'

/** A list of revoked certificates (RFC 5280 §5). Its signature is checked where its authority is known. */
export interface RevocationList {
  /** The authority's name: its DER, in hex. */
  readonly issuer: string
  /** Serial numbers in hex. */
  readonly serials: ReadonlySet<string>
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number
  /** From then on the list says nothing any more. */
  readonly nextUpdate: number
  isSignedBy (authority: X509Certificate): boolean
}

const blocks = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/g

/**
 * The lists of a PEM text; undefined if there is none or one cannot be used. Node reads no such lists: it hands them to OpenSSL for
 * handshakes, which sees neither open connections nor certificates in headers. Lists with critical extensions are partial ones
 * (RFC 5280 §5.2.4, §5.2.5), and refused, as §5.2 asks of whoever does not know them.
 */
export function readRevocationLists (pem: string): RevocationList[] | undefined {
  try {
    const lists = [...pem.matchAll(blocks)].map(([, base64 = '']) => readList(Buffer.from(base64, 'base64')))
    return lists.length === 0 || lists.length !== pem.split('-----BEGIN X509 CRL-----').length - 1 ? undefined : lists
  } catch {
    return undefined
  }
}

/** CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue BIT STRING }. */
function readList (der: Buffer): RevocationList {
  const [outer, ...more] = derElements(der)
  const [signed, algorithm, signature, ...rest] = derElements(contentOf(outer, tags.sequence))
  if (more.length > 0 || rest.length > 0 || signed === undefined || algorithm === undefined) throw new TypeError('not one list')
  const bits = contentOf(signature, tags.bits)
  const digest = digestOf(algorithm)
  const fields = readFields(contentOf(signed, tags.sequence))
  if (bits[0] !== 0 || !fields.algorithm.equals(algorithm.whole)) throw new TypeError('another signature')
  return { ...fields, isSignedBy: authority => isSigned(signed.whole, digest, bits.subarray(1), authority) }
}

const rsa = '2a864886f70d0101'
const ecdsa = '2a8648ce3d0403'
/** Hashes by the identifier of the signature; null where the key decides. SHA-1 is not among them. */
const digests: Readonly<Record<string, string | null>> = {
  ...{ [`${rsa}0b`]: 'sha256', [`${rsa}0c`]: 'sha384', [`${rsa}0d`]: 'sha512' },
  ...{ [`${ecdsa}02`]: 'sha256', [`${ecdsa}03`]: 'sha384', [`${ecdsa}04`]: 'sha512' },
  ...{ '2b6570': null, '2b6571': null }
}

function digestOf (algorithm: DerElement): string | null {
  const [identifier] = derElements(contentOf(algorithm, tags.sequence))
  const digest = digests[contentOf(identifier, tags.oid).toString('hex')]
  if (digest === undefined) throw new TypeError('an unknown signature')
  return digest
}

function isSigned (text: Buffer, digest: string | null, signature: Buffer, { publicKey }: X509Certificate): boolean {
  try {
    return verify(digest, text, publicKey, signature)
  } catch {
    return false
  }
}

/**
 * TBSCertList ::= SEQUENCE { version OPTIONAL, signature, issuer, thisUpdate, nextUpdate, revokedCertificates OPTIONAL,
 * [0] extensions OPTIONAL }. The next update is not optional here: a list without an end would be believed for ever.
 */
function readFields (content: Buffer) {
  const fields = derElements(content)
  // Version 1 has no such field, and no extensions.
  if (fields[0]?.tag === tags.integer && fields.shift()?.content.toString('hex') !== '01') throw new TypeError('an unknown version')
  const [algorithm, issuer, thisUpdate, nextUpdate, ...optional] = fields
  const revoked = optional[0]?.tag === tags.sequence ? optional.shift() : undefined
  const extensions = optional[0]?.tag === tags.version ? optional.shift() : undefined
  if (algorithm === undefined || optional.length > 0) throw new TypeError('another field')
  if (extensions !== undefined) refuseCritical(derElements(extensions.content)[0])
  return {
    algorithm: algorithm.whole,
    issuer: contentOf(issuer, tags.sequence).toString('hex'),
    thisUpdate: readTime(thisUpdate),
    nextUpdate: readTime(nextUpdate),
    serials: new Set(revoked === undefined ? [] : derElements(revoked.content).map(serialOf))
  }
}

function serialOf (entry: DerElement): string {
  const [serial, date, extensions, ...more] = derElements(contentOf(entry, tags.sequence))
  readTime(date)
  if (extensions !== undefined) refuseCritical(extensions)
  if (more.length > 0) throw new TypeError('another field')
  return contentOf(serial, tags.integer).toString('hex')
}

function refuseCritical (extensions: DerElement | undefined): void {
  for (const extension of derElements(contentOf(extensions, tags.sequence))) {
    const [, critical] = derElements(contentOf(extension, tags.sequence))
    if (critical?.tag === tags.boolean && critical.content[0] !== 0) throw new TypeError('a critical extension')
  }
}

/** UTCTime, whose years below 50 are of this century, and GeneralizedTime (RFC 5280 §4.1.2.5). */
function readTime (element: DerElement | undefined): number {
  const text = element?.content.toString('latin1') ?? ''
  const century = Number(text.slice(0, 2)) < 50 ? '20' : '19'
  const whole = element?.tag === 0x17 ? `${century}${text}` : element?.tag === 0x18 ? text : ''
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(whole) ?? []
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(time)) throw new TypeError('not a time')
  return time
}
