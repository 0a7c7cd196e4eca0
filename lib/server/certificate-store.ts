import { constants } from 'node:crypto'
import { createSecureContext, type SecureContextOptions, type Server as TlsServer } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import { scheduleTimer, withDeadline } from '../async/index.ts'
import type { ConfigurationCode } from '../config/index.ts'
import { Marks } from '../marks/index.ts'
import { expiryStage, inspect, type Certificate, type ExpiryStage, type Finding, type Material } from './certificate.ts'
import { keyFileFindings, readAgain } from './material.ts'
import type { TlsOptions } from './options.ts'

/** Mozilla's intermediate list (5.7) without DHE, which would need parameters: forward secrecy and AEAD only. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'
].join(':')

/**
 * Renegotiation serves only attackers (RFC 9325 §3.4). The server's order applies, but clients without AES hardware, which put
 * ChaCha20 first, get ChaCha20.
 */
const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA

type TlsContext = SecureContextOptions & { readonly cert: Buffer }

/**
 * Everything that `setSecureContext` needs: it replaces the whole context, so anything omitted is lost (the CA for client
 * certificates, for one). Versions are stated because `--tls-min-v1.0` in NODE_OPTIONS changes the default.
 */
function tlsContext ({ cert, ...others }: Material, { minVersion = 'TLSv1.2' }: TlsOptions): TlsContext {
  return { ...others, cert: Buffer.from(cert), minVersion, maxVersion: 'TLSv1.3', ciphers, honorCipherOrder: true, secureOptions }
}

/** What OpenSSL objects to. Its error codes reveal nothing of the content. */
function tryContext (context: TlsContext): Finding | undefined {
  try {
    createSecureContext(context)
    return undefined
  } catch (error) {
    const { code } = error as { code?: unknown }
    const why = `OpenSSL rejects it: ${String(code ?? 'no reason given')}`
    return { code: 'SECURE_API_TLS_REFUSED', why, fix: 'Check the files with `openssl x509`, `openssl pkey` and `openssl crl`.' }
  }
}

/** A pair that can be served. */
interface Pair {
  readonly material: Material
  readonly certificate: Certificate
  readonly context: TlsContext
  readonly warnings: readonly Finding[]
}

type Judged = { readonly pair: Pair } | { readonly refused: readonly Finding[] }

/** The result of a refresh. */
export type Refreshed =
  | { readonly type: 'same' }
  | { readonly type: 'replaced' }
  | { readonly type: 'rejected', readonly codes: readonly ConfigurationCode[] }

/** `certificates` of `app.secureApi.status()`. Times are ISO 8601. */
export interface CertificateStatus {
  /** The certificate is valid, and the sources contain nothing that was rejected. */
  readonly ok: boolean
  readonly subject: string
  readonly issuer: string
  readonly names: string
  /** SHA-256 of the certificate. */
  readonly fingerprint: string
  readonly notBefore: string
  /** The earliest end in the chain. */
  readonly notAfter: string
  /** Whole days until then; negative afterwards. */
  readonly daysLeft: number
  readonly expiry: ExpiryStage
  readonly warnings: readonly ConfigurationCode[]
  /** Why the current content of the sources is not served; empty if it is. */
  readonly rejected: readonly ConfigurationCode[]
  /** Listening servers that get each new certificate. */
  readonly servers: number
}

interface StoreOptions {
  readonly tls: TlsOptions
  readonly pair: Pair
  readonly now: () => number
  /** Called for each adopted server. */
  readonly prepare?: (server: TlsServer) => void
}

/** How long files and provider may take, in milliseconds. */
const READ_TIMEOUT = 10_000

/** Node keeps the options of a server: its certificate, an object of ours, leads back to the store. */
const stores = new Marks<object, CertificateStore>()

/** The store behind a server made with `secureServer()`; undefined for every other. */
export function certificateStoreOf (server: object): CertificateStore | undefined {
  const cert = certOf(server)
  return typeof cert === 'object' && cert !== null ? stores.of(cert) : undefined
}

/** Whether a pair can be served, and every objection. */
export function judge (material: Material, tls: TlsOptions, now: number): Judged {
  const { certificate, refused, warnings } = inspect(material, tls.hosts ?? [], now)
  if (certificate === undefined || refused.length > 0) return { refused }
  const context = tlsContext(material, tls)
  const objection = tryContext(context)
  if (objection !== undefined) return { refused: [objection] }
  return { pair: { material, certificate, context, warnings: [...warnings, ...keyFileFindings(tls)] } }
}

/** Holds the served pair of all servers of one application. An invalid pair never replaces it. */
export class CertificateStore {
  readonly options: TlsOptions
  readonly now: () => number
  readonly #prepare: Array<(server: TlsServer) => void>
  readonly #servers = new Set<TlsServer>()
  #pair: Pair
  #rejected: readonly ConfigurationCode[] = []
  #refreshing: Promise<Refreshed> | undefined

  constructor ({ tls, pair, now, prepare = () => {} }: StoreOptions) {
    this.options = tls
    this.now = now
    this.#prepare = [prepare]
    this.#pair = pair
    stores.set(pair.context.cert, this)
  }

  /** For a new server. */
  get context (): TlsContext {
    return this.#pair.context
  }

  /** What client certificates are checked against, as PEM text; another object after each change. */
  get authority (): { readonly ca?: string, readonly crl?: string } {
    return this.#pair.material
  }

  get certificate (): Certificate {
    return this.#pair.certificate
  }

  get warnings (): readonly Finding[] {
    return this.#pair.warnings
  }

  /** Calls this for each server adopted from now on. */
  onAdopt (prepare: (server: TlsServer) => void): void {
    this.#prepare.push(prepare)
  }

  /** From now on this server gets each new certificate, at once if it was made with an older one. */
  adopt (server: TlsServer): void {
    if (this.#servers.has(server)) return
    this.#servers.add(server)
    server.once('close', () => { this.#servers.delete(server) })
    for (const prepare of this.#prepare) prepare(server)
    if (certOf(server) !== this.context.cert) server.setSecureContext(this.context)
  }

  /** Reads the sources again. Never rejects; concurrent calls share one result. */
  refresh (): Promise<Refreshed> {
    this.#refreshing ??= this.#refresh().finally(() => { this.#refreshing = undefined })
    return this.#refreshing
  }

  async #refresh (): Promise<Refreshed> {
    const material = await this.#read().catch(() => undefined)
    if (material === undefined) return this.#reject(['SECURE_API_TLS_UNREADABLE'])
    const same = isDeepStrictEqual(material, this.#pair.material)
    const judged = same ? { pair: this.#pair } : judge(material, this.options, this.now())
    if ('refused' in judged) return this.#reject(judged.refused.map(({ code }) => code))
    this.#rejected = []
    if (same) return { type: 'same' }
    this.#pair = judged.pair
    stores.set(this.context.cert, this)
    for (const server of this.#servers) server.setSecureContext(this.context)
    return { type: 'replaced' }
  }

  #read (): Promise<Material> {
    const controller = new AbortController()
    const late = () => new Error('time is up')
    return withDeadline(readAgain(this.options, controller.signal), { ms: READ_TIMEOUT, late, controller, schedule: scheduleTimer })
  }

  #reject (codes: readonly ConfigurationCode[]): Refreshed {
    this.#rejected = Object.freeze([...new Set(codes)])
    return { type: 'rejected', codes: this.#rejected }
  }

  status (): CertificateStatus {
    const { notBefore, notAfter, lifetime, ...described } = this.certificate
    const now = this.now()
    const expiry = expiryStage({ notAfter, lifetime }, now)
    return {
      ok: expiry !== 'expired' && this.#rejected.length === 0,
      ...described,
      notBefore: new Date(notBefore).toISOString(),
      notAfter: new Date(notAfter).toISOString(),
      daysLeft: Math.floor((notAfter - now) / 86_400_000),
      expiry,
      warnings: this.warnings.map(({ code }) => code),
      rejected: this.#rejected,
      servers: this.#servers.size
    }
  }
}

function certOf (server: object): unknown {
  return (server as { cert?: unknown }).cert
}
