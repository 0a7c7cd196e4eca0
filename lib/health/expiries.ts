import type { X509Certificate } from 'node:crypto'
import { expiryStage, type ExpiryStage } from '../server/index.ts'

/** The end of one certificate. Times are milliseconds. */
export interface Expiry {
  /** Whose it is: `server`, `client-ca`, `issuer https://…`, `redis`. */
  readonly name: string
  readonly subject?: string | undefined
  readonly notAfter: number
  readonly lifetime: number
  /** Somebody else tells of it. */
  readonly quiet?: true
}

/** An entry of `certificates` in `app.secureApi.status()`. */
export interface ExpiryStatus {
  readonly name: string
  readonly subject?: string
  /** ISO 8601. */
  readonly expires: string
  /** Whole days until then; negative afterwards. */
  readonly daysLeft: number
}

/** What is told of a certificate that ends. */
export interface ExpiryEvent extends ExpiryStatus {
  readonly stage: Exclude<ExpiryStage, 'valid'>
}

/** Where certificates are found that may change: called at each look. */
export type ExpirySource = () => readonly Expiry[]

/** What Node tells of the certificate of a peer; empty where there is none. */
export interface PeerCertificate {
  readonly valid_from?: string
  readonly valid_to?: string
  readonly subject?: { readonly CN?: string | string[] | undefined }
}

export function expiryOfPeer (name: string, { valid_from: from = '', valid_to: to = '', subject }: PeerCertificate): Expiry {
  const notAfter = Date.parse(to)
  const subjectName = subject?.CN === undefined ? undefined : `CN=${String(subject.CN)}`
  return { name, subject: subjectName, notAfter, lifetime: notAfter - Date.parse(from) }
}

/** Those of authorities: each on its own, since an old one beside its successor may still be needed. */
export function expiriesIn (name: string, certificates: readonly X509Certificate[] = []): Expiry[] {
  return certificates.map(({ subject, validFrom, validTo }) => {
    const notAfter = Date.parse(validTo)
    return { name, subject: subject.replaceAll('\n', ', '), notAfter, lifetime: notAfter - Date.parse(validFrom) }
  })
}

/** A provider that shows another certificate at each fetch must not fill the memory. */
const MOST = 100

/** When each certificate ends that the application depends on. Tells of 30, 14, 7 and 1 days before, and of the end, once each. */
export class Expiries {
  readonly #now: () => number
  readonly #tell: (event: ExpiryEvent) => void
  readonly #sources: ExpirySource[] = []
  readonly #seen = new Map<string, Expiry>()
  readonly #told = new Map<string, ExpiryStage>()

  constructor (tell: (event: ExpiryEvent) => void, now: () => number = Date.now) {
    this.#tell = tell
    this.#now = now
  }

  /** Certificates that are at hand. */
  from (source: ExpirySource): void {
    this.#sources.push(source)
  }

  /** A certificate that a peer has shown: it replaces what was last seen at that `place`. */
  see (place: string, expiry: Expiry): void {
    if (!Number.isFinite(expiry.notAfter) || (!this.#seen.has(place) && this.#seen.size >= MOST)) return
    this.#seen.set(place, expiry)
  }

  status (): ExpiryStatus[] {
    return this.#all.map(expiry => this.#described(expiry)).sort((a, b) => a.daysLeft - b.daysLeft)
  }

  /** Tells of each certificate that has come to its next stage since the last look. */
  look (): void {
    const before = new Map(this.#told)
    this.#told.clear()
    for (const expiry of this.#all) {
      const key = `${expiry.name} ${expiry.subject} ${expiry.notAfter}`
      const stage = expiryStage(expiry, this.#now())
      this.#told.set(key, stage)
      if (expiry.quiet !== true && stage !== 'valid' && stage !== before.get(key)) this.#tell({ ...this.#described(expiry), stage })
    }
  }

  get #all (): readonly Expiry[] {
    return [...this.#sources.flatMap(source => source()), ...this.#seen.values()]
  }

  #described ({ name, subject, notAfter }: Expiry): ExpiryStatus {
    return {
      name,
      ...(subject !== undefined && { subject }),
      expires: new Date(notAfter).toISOString(),
      daysLeft: Math.floor((notAfter - this.#now()) / 86_400_000)
    }
  }
}
