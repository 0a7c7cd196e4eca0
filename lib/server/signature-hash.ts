import { derElements } from './der.ts'

/** Identifiers (contents of the OID, in hex) of signatures over MD2, MD4, MD5 and SHA-1. */
const weak: ReadonlySet<string> = new Set([
  '2a864886f70d010102', '2a864886f70d010103', '2a864886f70d010104', '2a864886f70d010105', '2a8648ce3d0401', '2a8648ce380403'
])
const pss = '2a864886f70d01010a'
const sequence = 0x30
const contextTag0 = 0xa0

/**
 * Whether a DER certificate is signed with a hash that has known collisions. An unreadable one counts as weak. Node exposes the signature
 * algorithm only from version 24 on. Its position is fixed (RFC 5280 §4.1):
 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signatureValue }.
 */
export function hasWeakSignature (der: Buffer): boolean {
  try {
    const [certificate] = derElements(der)
    const [, algorithm] = derElements(certificate?.content ?? der)
    if (algorithm?.tag !== sequence) return true
    const [identifier, parameters] = derElements(algorithm.content)
    const name = identifier?.content.toString('hex') ?? ''
    // RSASSA-PSS without a hash in its parameters means SHA-1 (RFC 8017 A.2.3).
    return weak.has(name) || (name === pss && parameters?.content[0] !== contextTag0)
  } catch {
    return true
  }
}
