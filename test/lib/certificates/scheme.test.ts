import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import {
  CertificatePrincipals, ForwardedCertificateScheme, readTrust, TlsCertificateScheme, type Trust
} from '../../../lib/certificates/index.ts'
import type { Judged } from '../../../lib/credentials/index.ts'
import { authority, Certificates } from '../server/certificates.ts'

const folder = t.testdir({})
const certificates = new Certificates(folder)
const ca = certificates.issue({ name: 'clients', days: 400, extensions: authority })
const client = certificates.issue({ name: 'client', issuer: ca, extensions: ['subjectAltName=DNS:orders.internal'] })
const x509 = new X509Certificate(client.cert)
const notBefore = Date.parse(x509.validFrom)
const notAfter = Date.parse(x509.validTo)
const principals = new CertificatePrincipals([{ san: 'dns:orders.internal', subject: 'orders' }])
const crlFile = join(folder, 'crl')

function trustOf (revoked: boolean, verified: boolean): Trust {
  certificates.revoke(ca, revoked ? [client] : [], crlFile)
  const trust = readTrust({ ca: ca.cert, crl: readFileSync(crlFile, 'utf8') }, verified)
  if ('part' in trust) throw new Error(trust.why)
  return trust
}
const bare: Trust = { authorities: undefined, lists: undefined }
const said = (judged: Judged) => {
  if (judged === undefined || judged instanceof Promise) return judged
  return 'code' in judged ? judged.code : judged.kind
}

t.test('a certificate of the connection is read once, and ends with its validity on a connection that lives on', t => {
  let now = notBefore - 1
  let trust = bare
  let reads = 0
  const scheme = new TlsCertificateScheme({ principals, now: () => now, trust: () => trust })
  const socket = { authorized: true, getPeerX509Certificate: () => { reads++; return x509 } }
  const judge = () => said(scheme.judge({ raw: { httpVersionMajor: 1, socket } } as unknown as FastifyRequest))
  t.equal(judge(), 'SECURE_API_CERTIFICATE_EXPIRED', 'not valid yet')
  now = notBefore
  t.equal(judge(), 'verified')
  reads = 0
  for (let count = 0; count < 3; count++) t.equal(judge(), 'verified')
  t.equal(reads, 0)
  now = notAfter - 1
  t.equal(judge(), 'verified')
  now = notAfter
  t.equal(judge(), 'SECURE_API_CERTIFICATE_EXPIRED')
  now = notBefore + 3_600_000
  trust = trustOf(true, true)
  t.equal(judge(), 'SECURE_API_CERTIFICATE_REVOKED')
  trust = trustOf(false, true)
  t.equal(judge(), 'verified')
  now += 31 * 86_400_000
  t.equal(judge(), 'SECURE_API_REVOCATION_UNAVAILABLE', 'the list is over')
  trust = { authorities: undefined, lists: new Map() }
  t.equal(judge(), 'SECURE_API_REVOCATION_UNAVAILABLE', 'no list of this authority')
  t.end()
})

t.test('why TLS did not authorize a certificate', t => {
  const scheme = new TlsCertificateScheme({ principals, now: () => notBefore, trust: () => bare })
  const judge = (socket: object | undefined) => said(scheme.judge({ raw: { httpVersionMajor: 1, socket } } as unknown as FastifyRequest))
  const because = (authorizationError: string) => judge({ authorized: false, authorizationError, getPeerX509Certificate: () => x509 })
  t.equal(because('CERT_REVOKED'), 'SECURE_API_CERTIFICATE_REVOKED')
  t.equal(because('CERT_HAS_EXPIRED'), 'SECURE_API_CERTIFICATE_EXPIRED')
  t.equal(because('CERT_NOT_YET_VALID'), 'SECURE_API_CERTIFICATE_EXPIRED')
  t.equal(because('DEPTH_ZERO_SELF_SIGNED_CERT'), 'SECURE_API_CERTIFICATE_UNKNOWN')
  t.equal(judge({ authorized: true, getPeerX509Certificate: () => undefined }), undefined, 'a session resumed without one')
  t.equal(judge({}), undefined, 'plain HTTP')
  t.equal(judge(undefined), undefined, 'app.injectWS()')
  t.equal(said(scheme.judge({ raw: { httpVersionMajor: 2 } } as unknown as FastifyRequest)), undefined, 'a session that is gone')
  t.end()
})

t.test('a certificate in a header is looked up while what it was checked against stays', async t => {
  let now = notBefore + 3_600_000
  let trust = trustOf(false, false)
  const parts = { principals, now: () => now, trust: () => trust }
  const scheme = new ForwardedCertificateScheme({ header: 'client-cert', trusted: ['127.0.0.1'] }, parts)
  const value = `:${x509.raw.toString('base64')}:`
  const socket = { remoteAddress: '127.0.0.1' }
  const judge = () => scheme.judge({
    raw: { httpVersionMajor: 1, socket, headers: { 'client-cert': value }, rawHeaders: ['Client-Cert', value] }
  } as unknown as FastifyRequest)
  const verify = async () => {
    const judged = judge()
    return judged !== undefined && 'verify' in judged ? said(await judged.verify()) : 'known'
  }
  t.equal(await verify(), 'verified')
  t.equal(said(judge()), 'verified')
  trust = trustOf(true, false)
  t.equal(said(judge()), 'unverified', 'another list')
  t.equal(await verify(), 'SECURE_API_CERTIFICATE_REVOKED')
  t.equal(said(judge()), 'unverified', 'failures are not remembered')
  trust = trustOf(false, false)
  t.equal(await verify(), 'verified')
  now += 31 * 86_400_000
  t.equal(await verify(), 'SECURE_API_REVOCATION_UNAVAILABLE', 'the list is over')
  now = notAfter
  t.equal(await verify(), 'SECURE_API_CERTIFICATE_EXPIRED')
  const gone = { raw: { httpVersionMajor: 1, socket: undefined, headers: { 'client-cert': value } } } as unknown as FastifyRequest
  t.equal(said(scheme.judge(gone)), 'SECURE_API_CERTIFICATE_UNTRUSTED', 'app.injectWS()')
})

t.test('a certificate in a header ends with the authority that issued it', async t => {
  const brief = certificates.issue({ name: 'brief', extensions: authority, days: 10 })
  const issued = certificates.issue({ name: 'client', issuer: brief, days: 90, extensions: ['subjectAltName=DNS:orders.internal'] })
  let now = Date.now() + 3_600_000
  const trust = readTrust({ ca: brief.cert })
  if ('part' in trust) throw new Error(trust.why)
  const own = new CertificatePrincipals([{ san: 'dns:orders.internal', subject: 'orders' }])
  const scheme = new ForwardedCertificateScheme({ header: 'client-cert', trusted: ['127.0.0.1'] },
    { principals: own, now: () => now, trust: () => trust })
  const value = `:${new X509Certificate(issued.cert).raw.toString('base64')}:`
  const socket = { remoteAddress: '127.0.0.1' }
  const raw = { httpVersionMajor: 1, socket, headers: { 'client-cert': value }, rawHeaders: ['Client-Cert', value] }
  const judge = () => scheme.judge({ raw } as unknown as FastifyRequest)
  const verify = async () => {
    const judged = judge()
    return judged !== undefined && 'verify' in judged ? said(await judged.verify()) : said(judged)
  }
  t.equal(await verify(), 'verified')
  t.equal(said(judge()), 'verified', 'remembered')
  now += 10 * 86_400_000
  t.equal(await verify(), 'SECURE_API_CERTIFICATE_UNKNOWN')
})
