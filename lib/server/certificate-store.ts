import type { Server as TlsServer } from 'node:tls'
import { scheduleTimer, withDeadline } from '../async/index.ts'
import type { ConfigurationCode } from '../config/index.ts'
import { Marks } from '../marks/index.ts'
import { inspect, type Certificate, type Finding, type Material } from './certificate.ts'
import { expiryStage, type ExpiryStage } from './expiry.ts'
import { keyFileFindings, readAgain } from './material.ts'
import type { TlsOptions } from './options.ts'
import { tlsContext, tryContext, type TlsContext } from './tls-context.ts'

/** A pair that can be served. */
interface Pair {
  readonly material: Material
  readonly certificate: Certificate
  readonly context: TlsContext
  readonly warnings: readonly Finding[]
}

export type Judged = { readonly pair: Pair } | { readonly refused: readonly Finding[] }

/** The result of a refresh. */
export type Refreshed =
  | { readonly type: 'same' }
  | { readonly type: 'replaced', readonly certificate: Certificate }
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

export interface StoreOptions {
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
  const { cert } = server as { cert?: unknown }
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
    const material = await this.#read()
    if (material === undefined) return this.#reject(['SECURE_API_TLS_UNREADABLE'])
    if (sameMaterial(material, this.#pair.material)) {
      this.#rejected = []
      return { type: 'same' }
    }
    const judged = judge(material, this.options, this.now())
    if ('refused' in judged) return this.#reject(judged.refused.map(({ code }) => code))
    this.#replace(judged.pair)
    return { type: 'replaced', certificate: judged.pair.certificate }
  }

  async #read (): Promise<Material | undefined> {
    try {
      const controller = new AbortController()
      const late = () => new Error('time is up')
      return await withDeadline(readAgain(this.options, controller.signal), { ms: READ_TIMEOUT, late, controller, schedule: scheduleTimer })
    } catch {
      return undefined
    }
  }

  #reject (codes: readonly ConfigurationCode[]): Refreshed {
    this.#rejected = Object.freeze([...new Set(codes)])
    return { type: 'rejected', codes: this.#rejected }
  }

  #replace (pair: Pair): void {
    this.#pair = pair
    this.#rejected = []
    stores.set(pair.context.cert, this)
    for (const server of this.#servers) server.setSecureContext(pair.context)
  }

  status (): CertificateStatus {
    const { subject, issuer, names, fingerprint, notBefore, notAfter } = this.certificate
    const now = this.now()
    const expiry = expiryStage(this.certificate, now)
    return {
      ok: expiry !== 'expired' && this.#rejected.length === 0,
      subject,
      issuer,
      names,
      fingerprint,
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

function certOf (server: TlsServer): unknown {
  return (server as { cert?: unknown }).cert
}

function sameMaterial (one: Material, other: Material): boolean {
  return one.cert === other.cert && one.key === other.key && one.ca === other.ca && one.crl === other.crl
}
