import type { X509Certificate } from 'node:crypto'
import { certificatesOf } from '../server/index.ts'
import { fieldsOf, type ClientCertificate } from './certificate.ts'
import { readRevocationLists, type RevocationList } from './revocation-list.ts'

/** What client certificates are checked against. */
export interface Trust {
  /** Undefined where whoever ended the TLS connection has verified them. */
  readonly authorities: readonly X509Certificate[] | undefined
  /** Undefined where revocation is not checked. */
  readonly lists: ReadonlyMap<string, RevocationList> | undefined
}

/** PEM text. */
export interface TrustTexts { readonly ca?: string | undefined, readonly crl?: string | undefined }

/** Why texts cannot be used: which of them, and what is wrong. */
export interface TrustFault { readonly part: 'ca' | 'crl', readonly why: string }

/** Reads authorities and lists. `verified`: others have verified the certificates, and lists of authorities between are good too. */
export function readTrust ({ ca, crl }: TrustTexts, verified = false): Trust | TrustFault {
  const authorities = ca === undefined ? undefined : certificatesOf(ca)
  if (ca !== undefined && authorities?.every(isAuthority) !== true) {
    return { part: 'ca', why: 'it holds something else than certificates of authorities' }
  }
  const lists = crl === undefined ? undefined : readRevocationLists(crl)
  if (crl !== undefined && lists === undefined) return { part: 'crl', why: 'it holds no revocation list, or a partial or malformed one' }
  const why = lists && faultOf(lists, authorities ?? [], verified)
  if (why !== undefined) return { part: 'crl', why }
  return { authorities: verified ? undefined : authorities, lists: lists && latest(lists) }
}

function isAuthority ({ ca }: X509Certificate): boolean {
  return ca
}

function faultOf (lists: readonly RevocationList[], authorities: readonly X509Certificate[], verified: boolean): string | undefined {
  const named = authorities.map(authority => ({ authority, name: fieldsOf(authority.raw).subject }))
  for (const list of lists) {
    const own = named.filter(({ name }) => name === list.issuer)
    const isGood = own.length === 0 ? verified : own.some(({ authority }) => list.isSignedBy(authority))
    if (!isGood) return 'a list is not signed by an authority of `ca`'
  }
  if (verified || named.every(({ name }) => lists.some(({ issuer }) => issuer === name))) return undefined
  return 'an authority of `ca` has no list in it'
}

function latest (lists: readonly RevocationList[]): ReadonlyMap<string, RevocationList> {
  return new Map([...lists].sort((a, b) => a.thisUpdate - b.thisUpdate).map(list => [list.issuer, list]))
}

type Fault = 'SECURE_API_CERTIFICATE_UNKNOWN' | 'SECURE_API_CERTIFICATE_REVOKED' | 'SECURE_API_CERTIFICATE_EXPIRED'

/** Good until then, or bad, or nobody can tell: its revocation list is missing or over. */
export type Judgement = { readonly until: number } | Fault | 'unavailable'

/** id-kp-clientAuth and anyExtendedKeyUsage (RFC 5280 §4.2.1.12). Without the extension every purpose is allowed. */
const clientPurposes = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0']

export function judgeCertificate (certificate: ClientCertificate, { authorities, lists }: Trust, now: number): Judgement {
  const { x509, notBefore, notAfter, serial = '', issuer } = certificate
  const issuers = authorities?.filter(authority => hasIssued(authority, x509, now))
  if (issuers?.length === 0) return 'SECURE_API_CERTIFICATE_UNKNOWN'
  // Node declares a list and returns undefined where the extension is absent.
  const purposes: readonly string[] | undefined = x509.keyUsage
  if (purposes !== undefined && !purposes.some(purpose => clientPurposes.includes(purpose))) return 'SECURE_API_CERTIFICATE_UNKNOWN'
  if (now < notBefore || now >= notAfter) return 'SECURE_API_CERTIFICATE_EXPIRED'
  // A certificate ends with the last of its authorities, also where the answer is remembered.
  const ends = Math.min(notAfter, Math.max(...issuers?.map(({ validTo }) => Date.parse(validTo)) ?? [notAfter]))
  if (lists === undefined) return { until: ends }
  const list = lists.get(issuer)
  if (list?.serials.has(serial) === true) return 'SECURE_API_CERTIFICATE_REVOKED'
  return list === undefined || now >= list.nextUpdate ? 'unavailable' : { until: Math.min(ends, list.nextUpdate) }
}

/** Each authority of the list is trusted for itself: no chain is built, and so no certificate between can be made up. */
function hasIssued (authority: X509Certificate, x509: X509Certificate, now: number): boolean {
  return now >= Date.parse(authority.validFrom) && now < Date.parse(authority.validTo) &&
    x509.checkIssued(authority) && x509.verify(authority.publicKey)
}
