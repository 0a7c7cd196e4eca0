/**
 * Node exposes the signature algorithm of a certificate only from version 24 on. Its position is fixed (RFC 5280 §4.1):
 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signatureValue }.
 */
interface Element { readonly tag: number, readonly content: Buffer, readonly end: number }

/** Identifiers (contents of the OID, in hex) of signatures over MD2, MD4, MD5 and SHA-1. */
const weak: ReadonlySet<string> = new Set([
  '2a864886f70d010102', '2a864886f70d010103', '2a864886f70d010104', '2a864886f70d010105', '2a8648ce3d0401', '2a8648ce380403'
])
const pss = '2a864886f70d01010a'
const sequence = 0x30
const contextTag0 = 0xa0

/** Whether a DER certificate is signed with a hash that has known collisions. An unreadable one counts as weak. */
export function hasWeakSignature (der: Buffer): boolean {
  const certificate = read(der, 0)
  const signed = read(certificate.content, 0)
  const algorithm = read(certificate.content, signed.end)
  if (algorithm.tag !== sequence) return true
  const identifier = read(algorithm.content, 0)
  const name = identifier.content.toString('hex')
  // RSASSA-PSS without a hash in its parameters means SHA-1 (RFC 8017 A.2.3).
  return weak.has(name) || (name === pss && read(algorithm.content, identifier.end).content[0] !== contextTag0)
}

/** One element with a definite length (X.690 §8.1.3), the only form of DER. */
function read (bytes: Buffer, at: number): Element {
  const tag = bytes[at] ?? 0
  const first = bytes[at + 1] ?? 0
  const octets = first < 0x80 ? 0 : first & 0x7f
  const length = octets === 0 ? first : Number.parseInt(bytes.toString('hex', at + 2, at + 2 + octets), 16)
  const start = at + 2 + octets
  return { tag, content: bytes.subarray(start, start + length), end: start + length }
}
