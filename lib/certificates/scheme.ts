import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { isRepeated, TokenCache, type Failed, type Judged, type Scheme, type Unavailable, type Verification } from '../credentials/index.ts'
import { trustedProxies } from '../edge/index.ts'
import { Marks } from '../marks/index.ts'
import { readCertificate, type Presented } from './certificate.ts'
import { readForwarded, type Forwarded, type ForwardedFormat } from './forwarded.ts'
import { formatOf, type CertificateHeader } from './options.ts'
import type { CertificatePrincipals } from './principals.ts'
import { judgeCertificate, type Judgement, type Trust } from './trust.ts'

interface Parts {
  readonly principals: CertificatePrincipals
  /** What counts now: another object after each change. */
  trust (): Trust
  readonly now: () => number
}

type Code = Extract<Failed['code'], `SECURE_API_CERTIFICATE_${string}`>
const failures = Object.fromEntries((['UNKNOWN', 'REVOKED', 'EXPIRED', 'UNTRUSTED', 'MALFORMED'] as const).map(name =>
  [`SECURE_API_CERTIFICATE_${name}`, { kind: 'failed', code: `SECURE_API_CERTIFICATE_${name}` }])) as Readonly<Record<Code, Failed>>

const unavailable: Unavailable = {
  kind: 'unavailable',
  code: 'SECURE_API_REVOCATION_UNAVAILABLE',
  retryAfter: 10_000,
  cause: new Error('the revocation list of a client certificate is missing or over')
}

/** An answer, and until when it holds while the trust stays the same. */
interface Remembered { readonly trust: Trust, readonly until: number, readonly verification: Verification | undefined }

/** Certificates of the TLS connection. Each is judged once, until it or its revocation list ends or another list comes. */
export class TlsCertificateScheme implements Scheme {
  readonly credentials = ['certificate']
  readonly ambient = true
  readonly #parts: Parts
  readonly #remembered = new Marks<object, Remembered>()

  constructor (parts: Parts) {
    this.#parts = parts
  }

  isPresent (): boolean {
    return false
  }

  judge ({ raw }: FastifyRequest): Verification | undefined {
    const connection = connectionOf(raw)
    if (connection === undefined) return undefined
    const trust = this.#parts.trust()
    const now = this.#parts.now()
    const known = this.#remembered.of(connection)
    if (known !== undefined && known.trust === trust && now < known.until) return known.verification
    const judged = this.#judge(raw.socket as TLSSocket, trust, now)
    this.#remembered.set(connection, { trust, ...judged })
    return judged.verification
  }

  #judge (socket: TLSSocket, trust: Trust, now: number): Omit<Remembered, 'trust'> {
    // A session that is resumed without a certificate is `authorized` too (TLS 1.3).
    const peer = typeof socket.getPeerX509Certificate === 'function' ? socket.getPeerX509Certificate() : undefined
    if (peer === undefined) return { until: Infinity, verification: undefined }
    if (!socket.authorized) return { until: Infinity, verification: failures[causeOf(socket.authorizationError)] }
    const certificate = readCertificate(peer.raw)
    if (certificate === undefined) return { until: Infinity, verification: failures.SECURE_API_CERTIFICATE_UNKNOWN }
    return conclude(certificate, judgeCertificate(certificate, trust, now), this.#parts.principals, now)
  }
}

type Raw = FastifyRequest['raw'] & { readonly stream?: { readonly session?: object } }

/** What lives as long as a connection. Over HTTP/2 the socket of a request is a façade of its stream, and another one each time. */
function connectionOf ({ httpVersionMajor, socket, stream }: Raw): object | undefined {
  return httpVersionMajor === 1 ? socket : stream?.session
}

/** Declared as an Error, but Node sets its code. */
function causeOf (error: unknown): Code {
  if (error === 'CERT_REVOKED') return 'SECURE_API_CERTIFICATE_REVOKED'
  const isOver = error === 'CERT_HAS_EXPIRED' || error === 'CERT_NOT_YET_VALID'
  return isOver ? 'SECURE_API_CERTIFICATE_EXPIRED' : 'SECURE_API_CERTIFICATE_UNKNOWN'
}

function conclude (
  presented: Presented, judgement: Judgement, principals: CertificatePrincipals, now: number
): { until: number, verification: Verification } {
  if (judgement === 'unavailable') return { until: -Infinity, verification: unavailable }
  if (typeof judgement === 'string') {
    return { until: now < presented.notBefore ? presented.notBefore : Infinity, verification: failures[judgement] }
  }
  const principal = principals.find(presented)
  if (principal === undefined) return { until: Infinity, verification: failures.SECURE_API_CERTIFICATE_UNKNOWN }
  return { until: judgement.until, verification: { kind: 'verified', principal } }
}

interface Known { readonly verification: Verification, readonly notAfter: number, readonly key: { readonly active: boolean } }

const limits = { max: 1000, maxBytes: 16 * 1024 * 1024 }
/** The weight of what a certificate was read into, beside its text. */
const ENTRY_BYTES = 2048

/** Certificates that a proxy hands on in a header. What was seen before is only looked up. */
export class ForwardedCertificateScheme implements Scheme {
  readonly credentials = ['certificate']
  readonly ambient = true
  readonly #parts: Parts
  readonly #header: string
  readonly #format: ForwardedFormat
  readonly #isTrusted: (address: string | undefined) => boolean
  readonly #proxies = new Marks<object, boolean>()
  readonly #known = new TokenCache<Known>(limits)

  constructor (header: CertificateHeader, parts: Parts) {
    this.#parts = parts
    this.#header = header.header
    this.#format = formatOf(header)
    this.#isTrusted = trustedProxies(header.trusted)
  }

  isPresent (): boolean {
    return false
  }

  /** A stranger's header is refused beside any other credential too: whoever reads it further on must not believe it. */
  forged ({ raw }: FastifyRequest): Failed | undefined {
    if (raw.headers[this.#header] === undefined) return undefined
    const connection = connectionOf(raw)
    const isTrusted = connection === undefined ? false : this.#proxies.ofOr(connection, () => this.#isTrusted(raw.socket.remoteAddress))
    return isTrusted ? undefined : failures.SECURE_API_CERTIFICATE_UNTRUSTED
  }

  judge (request: FastifyRequest): Judged {
    const { [this.#header]: value } = request.raw.headers
    if (value === undefined) return undefined
    const forged = this.forged(request)
    if (forged !== undefined) return forged
    // Node joins the values of repeated headers, so that two would look like a list.
    const isOne = typeof value === 'string' && !isRepeated(request.raw.rawHeaders ?? [], this.#header)
    if (!isOne) return failures.SECURE_API_CERTIFICATE_MALFORMED
    if (value === '') return undefined
    // By the text itself: it is no secret, and hashing it would cost more than comparing.
    const known = this.#known.find(value, this.#parts.now())
    return known === undefined ? { kind: 'unverified', verify: async () => this.#verify(value) } : known.entry.verification
  }

  #verify (value: string): Verification {
    const forwarded = readForwarded(this.#format, value)
    if (forwarded === undefined) return failures.SECURE_API_CERTIFICATE_MALFORMED
    const trust = this.#parts.trust()
    const now = this.#parts.now()
    const judgement = judgeForwarded(forwarded, trust, now)
    if (judgement === undefined) return failures.SECURE_API_CERTIFICATE_MALFORMED
    const { until, verification } = conclude(forwarded, judgement, this.#parts.principals, now)
    if (verification.kind === 'verified') {
      const current = this.#parts.trust
      const key = { get active () { return current() === trust } }
      this.#known.set(value, { verification, notAfter: until, key }, ENTRY_BYTES + value.length)
    }
    return verification
  }
}

/** Undefined where a certificate is needed and the proxy only tells of one. */
function judgeForwarded (forwarded: Forwarded, trust: Trust, now: number): Judgement | undefined {
  if ('x509' in forwarded) return judgeCertificate(forwarded, trust, now)
  return trust.authorities === undefined && trust.lists === undefined ? { until: Infinity } : undefined
}
