import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { connect, type ConnectionOptions, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { expiryStage, inspectCertificate } from '../../lib/server/index.ts'
import type { Findings } from './finding.ts'

export interface TlsTarget {
  readonly host: string
  readonly port: number
}

const TIMEOUT = 5000
const DAY = 86_400_000

/** Where TLS is spoken for a URL; undefined for one that is not encrypted. */
export function tlsTarget (url: URL): TlsTarget | undefined {
  const ports: Readonly<Record<string, number>> = { 'https:': 443, 'rediss:': 6379 }
  const usual = ports[url.protocol]
  return usual === undefined ? undefined : { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || usual }
}

/** Looks at protocol, chain and end of the certificate that a server sends. `now` is in milliseconds. */
export async function examineTls (target: TlsTarget, findings: Findings, now: number): Promise<void> {
  try {
    await withConnection(target, { rejectUnauthorized: false }, socket => { judge(socket, target, findings, now) })
  } catch (error) {
    findings.error('TLS_PROTOCOL', `no TLS connection to ${target.host}:${target.port} (${reason(error)})`,
      'Check the address, and that the server speaks TLS 1.2 or 1.3.')
  }
}

/** Whether the server would also speak what has been broken (RFC 8996). */
export async function examineFloor (target: TlsTarget, findings: Findings): Promise<void> {
  const old: ConnectionOptions = { rejectUnauthorized: false, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
  try {
    await withConnection(target, old, socket => {
      findings.error('TLS_FLOOR', `the server accepts ${socket.getProtocol() ?? 'an old version'}`,
        'Allow TLS 1.2 and 1.3 only (RFC 8996).')
    })
  } catch {
    findings.ok('TLS_FLOOR', 'TLS 1.1 and older are refused')
  }
}

function judge (socket: TLSSocket, { host }: TlsTarget, findings: Findings, now: number): void {
  findings.ok('TLS_PROTOCOL', `${socket.getProtocol() ?? 'TLS'} with ${socket.getCipher().name}`)
  if (socket.authorized) findings.ok('TLS_CHAIN', `trusted for ${host}`)
  else {
    findings.error('TLS_CHAIN', `not trusted for ${host} (${errorName(socket.authorizationError)})`,
      'Send the whole chain of a certificate for this name; for a private authority set NODE_EXTRA_CA_CERTS where the client runs.')
  }
  const chain = chainOf(socket.getPeerCertificate(true))
  // Where Node found a root of its own, it is part of what it shows, though the server did not send it.
  const { certificate, refused, warnings } = inspectCertificate({ cert: chain.map(String).join('\n'), key: '' }, [], now)
  const faults = [...refused.filter(({ code }) => code !== 'SECURE_API_TLS_KEY'), ...socket.authorized ? [] : warnings]
  for (const { code, why, fix } of faults) findings.error('TLS_CERTIFICATE', why, fix, code)
  if (faults.length === 0) findings.ok('TLS_CERTIFICATE', `${certificate?.subject ?? ''}, issued by ${certificate?.issuer ?? ''}`)
  if (certificate !== undefined) judgeEnd(certificate, findings, now)
}

function judgeEnd (certificate: { readonly notAfter: number, readonly lifetime: number }, findings: Findings, now: number): void {
  const stage = expiryStage(certificate, now)
  const days = Math.floor((certificate.notAfter - now) / DAY)
  const what = `ends on ${new Date(certificate.notAfter).toISOString().slice(0, 10)}, in ${days} days`
  if (stage === 'valid') findings.ok('TLS_EXPIRY', what)
  else if (stage === 'renew' || stage === 'soon') {
    findings.warning('TLS_EXPIRY', what,
      'Renew it, and check why the automatic renewal failed.')
  } else {
    findings.error('TLS_EXPIRY', stage === 'expired' ? `ended on ${new Date(certificate.notAfter).toISOString().slice(0, 10)}` : what,
      'Renew it now.')
  }
}

/** The last one is its own issuer. */
function chainOf (leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = []
  const seen = new Set<string>()
  let next: DetailedPeerCertificate | undefined = leaf
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256)
    chain.push(new X509Certificate(next.raw))
    next = next.issuerCertificate
  }
  return chain
}

async function withConnection (target: TlsTarget, options: ConnectionOptions, work: (socket: TLSSocket) => void): Promise<void> {
  const servername = isIP(target.host) === 0 ? { servername: target.host } : {}
  const socket = connect({ ...target, ...servername, ...options })
  socket.on('error', () => {})
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(TIMEOUT) })
    work(socket)
  } finally {
    socket.destroy()
  }
}

function reason (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return error.name === 'AbortError' ? 'no answer in 5 seconds' : errorName(error)
}

/** Node gives the name of the fault as the error itself for certificates, and as its code elsewhere. */
function errorName (error: unknown): string {
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message
  return String(error)
}
