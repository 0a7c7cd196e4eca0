import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'
import type { ConfigurationCode } from '../config/index.ts'
import { hasWeakSignature } from './signature-hash.ts'

/** What was read, not yet checked. */
export interface Material {
  readonly cert: string
  readonly key: string
  readonly passphrase?: string
  readonly ca?: string
  readonly crl?: string
}

export interface Finding {
  readonly code: Extract<ConfigurationCode, `SECURE_API_TLS_${string}` | `SECURE_API_${'SECRET' | 'TRUST'}_FILE_MODE`>
  readonly why: string
  readonly fix: string
}

/** A parsed chain. Times are epoch milliseconds. */
export interface Certificate {
  readonly subject: string
  readonly issuer: string
  readonly names: string
  readonly fingerprint: string
  readonly notBefore: number
  /** The earliest end in the chain: one expired certificate breaks it. */
  readonly notAfter: number
  /** Of the certificate that ends first, in milliseconds. */
  readonly lifetime: number
}

export interface Inspection {
  readonly certificate: Certificate | undefined
  /** What stops a start or a reload. */
  readonly refused: readonly Finding[]
  readonly warnings: readonly Finding[]
}

const blocks = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.+?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/gs

/** The certificates of a PEM text; undefined if there is none or one is broken. */
export function certificatesOf (pem: string): X509Certificate[] | undefined {
  try {
    const found = (pem.match(blocks) ?? []).map(block => new X509Certificate(block))
    return found.length === 0 ? undefined : found
  } catch {
    return undefined
  }
}

/** Checks a pair without serving it. */
export function inspect (material: Material, hosts: readonly string[], now: number): Inspection {
  const chain = certificatesOf(material.cert)
  const [leaf] = chain ?? []
  if (chain === undefined || leaf === undefined) return { certificate: undefined, refused: [unreadable], warnings: [] }
  const refused = [
    ...keyFindings(leaf, material),
    ...chain.flatMap(certificate => [...timeFindings(certificate, now), ...strengthFindings(certificate)]),
    ...purposeFindings(leaf),
    ...hostFindings(leaf, hosts),
    ...authorityFindings(material)
  ]
  return { certificate: describe(leaf, chain), refused, warnings: chainFindings(chain) }
}

const finding = (code: Finding['code'], why: string, fix: string): Finding => ({ code, why, fix })

const unreadable = finding('SECURE_API_TLS_UNREADABLE', 'the certificate is not PEM',
  'Give the path of a PEM file, or its text; convert DER and PKCS#12 with openssl.')

function keyFindings (leaf: X509Certificate, { key, passphrase }: Material): Finding[] {
  const parsed = privateKey(key, passphrase)
  if (parsed === undefined) {
    return [finding('SECURE_API_TLS_KEY', 'the private key is not PEM, or the passphrase is wrong', 'Check `key` and `passphrase`.')]
  }
  if (leaf.checkPrivateKey(parsed)) return []
  return [finding('SECURE_API_TLS_KEY_MISMATCH', 'the key does not belong to the first certificate',
    'Give the matching pair, with the server\'s certificate before its intermediates.')]
}

function privateKey (key: string, passphrase: string | undefined): KeyObject | undefined {
  try {
    return createPrivateKey(passphrase === undefined ? key : { key, passphrase })
  } catch {
    return undefined
  }
}

function timeFindings (certificate: X509Certificate, now: number): Finding[] {
  const { notBefore, notAfter } = validity(certificate)
  const name = nameOf(certificate)
  if (now > notAfter) return [finding('SECURE_API_TLS_EXPIRED', `${name} expired on ${date(notAfter)}`, 'Renew it.')]
  if (now >= notBefore) return []
  return [finding('SECURE_API_TLS_NOT_YET_VALID', `${name} is valid from ${date(notBefore)}`, 'Check the clock of this machine, or wait.')]
}

function strengthFindings (certificate: X509Certificate): Finding[] {
  const findings: string[] = []
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, namedCurve = '' } = {} } = certificate.publicKey
  if (type?.startsWith('rsa') === true && modulusLength < 2048) findings.push(`an RSA key of ${modulusLength} bits`)
  if (type === 'dsa') findings.push('a DSA key')
  if (type === 'ec' && (bitsOf(namedCurve) < 224)) findings.push(`a key on ${namedCurve}`)
  if (hasWeakSignature(certificate.raw) && !isRoot(certificate)) findings.push('a signature with SHA-1 or MD5')
  const fix = 'Reissue it with RSA of at least 2048 bits or P-256, and SHA-256.'
  return findings.map(what => finding('SECURE_API_TLS_WEAK', `${nameOf(certificate)} has ${what}`, fix))
}

/** Names of curves contain their size: prime256v1, secp384r1, brainpoolP256r1, sect163k1. */
function bitsOf (curve: string): number {
  return Number(/\d{3}/.exec(curve)?.[0] ?? 0)
}

/** Nobody checks the signature of a trust anchor (RFC 5280 §6.1). A server's own certificate is not one. */
function isRoot (certificate: X509Certificate): boolean {
  return certificate.ca && selfIssued(certificate)
}

function selfIssued (certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate)
}

/** id-kp-serverAuth and anyExtendedKeyUsage (RFC 5280 §4.2.1.12). Without the extension every purpose is allowed. */
const serverPurposes = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0']

function purposeFindings ({ keyUsage }: X509Certificate): Finding[] {
  // Node declares a list and returns undefined where the extension is absent.
  const purposes: readonly string[] | undefined = keyUsage
  if (purposes === undefined || purposes.some(purpose => serverPurposes.includes(purpose))) return []
  return [finding('SECURE_API_TLS_PURPOSE', 'its extended key usage does not include server authentication',
    'Use a server certificate; this one may be for a client.')]
}

function hostFindings (leaf: X509Certificate, hosts: readonly string[]): Finding[] {
  const foreign = hosts.filter(host => (isIP(host) === 0 ? leaf.checkHost(host, { subject: 'never' }) : leaf.checkIP(host)) === undefined)
  const valid = leaf.subjectAltName ?? 'no name at all'
  return foreign.map(host => finding('SECURE_API_TLS_HOST_MISMATCH', `it is not valid for '${host}', but for ${valid}`,
    'Reissue it for that name, or correct `hosts`.'))
}

function authorityFindings ({ ca }: Material): Finding[] {
  if (ca === undefined || certificatesOf(ca) !== undefined) return []
  return [finding('SECURE_API_TLS_CLIENT_CA', 'the CA for client certificates is not a PEM certificate',
    'Give the certificate of the CA that issues them.')]
}

function chainFindings (chain: readonly X509Certificate[]): Finding[] {
  const broken = chain.slice(0, -1).some((certificate, index) => !certificate.checkIssued(chain[index + 1] ?? certificate))
  if (broken) return [incomplete('a certificate of the chain did not issue the one before it')]
  const [leaf] = chain
  if (chain.length > 1 || leaf === undefined || selfIssued(leaf) || issuedByPublicRoot(leaf)) return []
  return [incomplete('the server\'s certificate comes alone, and no public root issued it')]
}

function incomplete (why: string): Finding {
  return finding('SECURE_API_TLS_CHAIN_INCOMPLETE', why,
    'Put the intermediates after the certificate (fullchain.pem) or in `chain`. Ignore this if a private root issues servers directly.')
}

function issuedByPublicRoot (leaf: X509Certificate): boolean {
  return rootCertificates.some(root => leaf.checkIssued(new X509Certificate(root)))
}

function describe (leaf: X509Certificate, chain: readonly X509Certificate[]): Certificate {
  const first = chain.map(validity).reduce((earliest, times) => times.notAfter < earliest.notAfter ? times : earliest)
  return {
    subject: oneLine(leaf.subject),
    issuer: oneLine(leaf.issuer),
    names: leaf.subjectAltName ?? '',
    fingerprint: leaf.fingerprint256,
    notBefore: validity(leaf).notBefore,
    notAfter: first.notAfter,
    lifetime: first.notAfter - first.notBefore
  }
}

function validity ({ validFrom, validTo }: X509Certificate): { notBefore: number, notAfter: number } {
  return { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) }
}

function nameOf ({ subject }: X509Certificate): string {
  return `the certificate of ${oneLine(subject) || 'nobody'}`
}

/** Node separates the parts of a name by line breaks; undefined for an empty name. */
function oneLine (name: string | undefined): string {
  return name?.replaceAll('\n', ', ') ?? ''
}

function date (time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
