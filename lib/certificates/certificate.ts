import { X509Certificate } from 'node:crypto'
import { derElements, type DerElement } from '../server/index.ts'
import { nameOf } from './names.ts'

/** What is known of a certificate, whoever verified it. */
export interface Presented {
  /** `dns:` and `uri:` names. */
  readonly names: readonly string[]
  /** SHA-256 of the DER, base64url: `x5t#S256` (RFC 8705 §3.1). Undefined where a proxy does not tell. */
  readonly thumbprint: string | undefined
  /** In hex. */
  readonly serial: string | undefined
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
}

/** A certificate that is at hand, and so can be verified. */
export interface ClientCertificate extends Presented {
  readonly x509: X509Certificate
  /** The issuer's name: its DER, in hex. */
  readonly issuer: string
}

/** Tags of DER. */
export const tags = {
  ...{ boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, sequence: 0x30 },
  ...{ version: 0xa0, extensions: 0xa3, dns: 0x82, uri: 0x86 }
}
/** id-ce-subjectAltName. */
const alternativeNames = '551d11'

/**
 * Reads a certificate from its bytes. Names come from the DER, not from Node's text of them, in which a comma or a quote of a name can
 * look like the start of another. Undefined for what is no certificate, or holds a name that is not plain.
 */
export function readCertificate (der: Buffer): ClientCertificate | undefined {
  try {
    const x509 = new X509Certificate(der)
    if (x509.raw.length !== der.length) return undefined
    const { serial, issuer, extensions } = fieldsOf(x509.raw)
    return {
      x509,
      serial,
      issuer,
      names: extensions === undefined ? [] : namesIn(extensions),
      thumbprint: Buffer.from(x509.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
      notBefore: time(x509.validFrom),
      notAfter: time(x509.validTo)
    }
  } catch {
    return undefined
  }
}

function time (text: string): number {
  const value = Date.parse(text)
  if (Number.isNaN(value)) throw new TypeError('not a time')
  return value
}

/** RFC 5280 §4.1: TBSCertificate ::= SEQUENCE { [0] version, serialNumber, signature, issuer, validity, subject, …, [3] extensions }. */
export function fieldsOf (der: Buffer) {
  const [certificate] = derElements(der)
  const [signed] = derElements(contentOf(certificate, tags.sequence))
  const fields = derElements(contentOf(signed, tags.sequence))
  const [serial, , issuer, , subject] = fields[0]?.tag === tags.version ? fields.slice(1) : fields
  return {
    serial: contentOf(serial, tags.integer).toString('hex'),
    issuer: contentOf(issuer, tags.sequence).toString('hex'),
    subject: contentOf(subject, tags.sequence).toString('hex'),
    extensions: fields.find(({ tag }) => tag === tags.extensions)
  }
}

/** Extensions ::= SEQUENCE OF SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }. */
function namesIn (extensions: DerElement): readonly string[] {
  const [list] = derElements(extensions.content)
  const found = derElements(contentOf(list, tags.sequence)).map(extension => derElements(contentOf(extension, tags.sequence)))
    .filter(([id]) => contentOf(id, tags.oid).toString('hex') === alternativeNames)
  if (found.length > 1) throw new TypeError('two lists of names')
  const [value] = (found[0] ?? []).slice(-1)
  if (value === undefined) return []
  const [names] = derElements(contentOf(value, tags.octets))
  return derElements(contentOf(names, tags.sequence)).flatMap(plainName)
}

/** Names of other kinds, such as addresses, are passed over. */
function plainName ({ tag, content }: DerElement): readonly string[] {
  if (tag !== tags.dns && tag !== tags.uri) return []
  const name = nameOf(tag === tags.dns ? 'dns' : 'uri', content.toString('latin1'))
  if (name === undefined) throw new TypeError('not a plain name')
  return [name]
}

/** Throws where another element stands. */
export function contentOf (element: DerElement | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new TypeError('another element')
  return element.content
}
