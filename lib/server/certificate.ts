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

interface Inspection {
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
  // Names of curves contain their size: prime256v1, secp384r1, brainpoolP256r1, sect163k1.
  if (type === 'ec' && Number(/\d{3}/.exec(namedCurve)?.[0] ?? 0) < 224) findings.push(`a key on ${namedCurve}`)
  // Nobody checks the signature of a trust anchor (RFC 5280 §6.1). A server's own certificate is not one.
  const isRoot = certificate.ca && certificate.checkIssued(certificate)
  if (!isRoot && hasWeakSignature(certificate.raw)) findings.push('a signature with SHA-1 or MD5')
  const fix = 'Reissue it with RSA of at least 2048 bits or P-256, and SHA-256.'
  return findings.map(what => finding('SECURE_API_TLS_WEAK', `${nameOf(certificate)} has ${what}`, fix))
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
  if (chain.length > 1 || leaf === undefined || leaf.checkIssued(leaf)) return []
  if (rootCertificates.some(root => leaf.checkIssued(new X509Certificate(root)))) return []
  return [incomplete('the server\'s certificate comes alone, and no public root issued it')]
}

function incomplete (why: string): Finding {
  return finding('SECURE_API_TLS_CHAIN_INCOMPLETE', why,
    'Put the intermediates after the certificate (fullchain.pem) or in `chain`. Ignore this if a private root issues servers directly.')
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

const day = 86_400_000

/** Days before the end, or a share of the validity where that is shorter (for 6 days: 2 days, 1 day, 12 hours, 96 minutes). */
const thresholds: ReadonlyArray<{ readonly stage: ExpiryStage, readonly days: number, readonly share: number }> = [
  { stage: 'renew', days: 30, share: 1 / 3 },
  { stage: 'soon', days: 14, share: 1 / 6 },
  { stage: 'urgent', days: 7, share: 1 / 12 },
  { stage: 'last-day', days: 1, share: 1 / 90 },
  { stage: 'expired', days: 0, share: 0 }
]

/** How close a certificate is to its end, in words, so that alerts need no arithmetic. */
export type ExpiryStage = 'valid' | 'renew' | 'soon' | 'urgent' | 'last-day' | 'expired'

/** The last passed threshold: 30, 14, 7 or 1 days before the end, or a share of a shorter lifetime. */
export function expiryStage ({ notAfter, lifetime }: Pick<Certificate, 'notAfter' | 'lifetime'>, now: number): ExpiryStage {
  const left = notAfter - now
  const passed = thresholds.filter(({ days, share }) => left <= Math.min(days * day, lifetime * share))
  return passed.at(-1)?.stage ?? 'valid'
}
