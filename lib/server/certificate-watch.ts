import { scheduleTimer, type Schedule } from '../async/index.ts'
import { milliseconds, type ConfigurationCode } from '../config/index.ts'
import type { ExpiryStage } from './certificate.ts'
import type { CertificateStore, Refreshed } from './certificate-store.ts'

/** Events for the log and the metrics. Without keys. */
export type CertificateEvent =
  /** A new pair is served. */
  | { readonly type: 'certificate.replaced', readonly subject: string, readonly fingerprint: string, readonly notAfter: string }
  /** The sources contain an invalid pair; the previous one stays. Reported once for the same reasons. */
  | { readonly type: 'certificate.rejected', readonly codes: readonly ConfigurationCode[] }
  /** The sources contain a valid pair again. */
  | { readonly type: 'certificate.recovered' }
  /** The next stage before expiry; reported once each. */
  | {
    readonly type: 'certificate.expiring',
    readonly stage: ExpiryStage,
    readonly subject: string,
    readonly notAfter: string
    readonly daysLeft: number
  }

/** certbot and others write two files in turn: a mismatch may be gone a moment later (nodejs/node#4464). */
const secondLooks = [250, 500, 1000, 2000, 4000]
/** With `reload: false`, expiry is still checked. */
const HOUR = 3_600_000

/** Checks a store's sources and its expiry periodically. By content, not file times: links and mounts change without them. */
export class CertificateWatch {
  readonly #store: CertificateStore
  readonly #listener: (event: CertificateEvent) => void
  readonly #schedule: Schedule
  #cancel = () => {}
  #running = false
  #looks = 0
  #told = ''
  #stage: ExpiryStage = 'valid'
  #stageOf = ''

  constructor (store: CertificateStore, listener: (event: CertificateEvent) => void, schedule: Schedule = scheduleTimer) {
    this.#store = store
    this.#listener = listener
    this.#schedule = schedule
  }

  start (): void {
    if (this.#running) return
    this.#running = true
    this.#checkExpiry()
    this.#again(this.#period)
  }

  stop (): void {
    this.#running = false
    this.#cancel()
  }

  get #period (): number {
    const { reload = '1 minute' } = this.#store.options
    return reload === false ? HOUR : milliseconds(reload)
  }

  #again (ms: number): void {
    this.#cancel = this.#schedule(() => this.#look(), ms)
  }

  async #look (): Promise<void> {
    const refreshed: Refreshed = this.#store.options.reload === false ? { type: 'same' } : await this.#store.refresh()
    if (!this.#running) return
    const ms = this.#report(refreshed)
    this.#checkExpiry()
    this.#again(ms)
  }

  /** Reports changes; returns milliseconds until the next check. */
  #report (refreshed: Refreshed): number {
    if (refreshed.type === 'rejected') return this.#rejected(refreshed.codes)
    const { subject, fingerprint, notAfter } = this.#store.status()
    if (refreshed.type === 'replaced') this.#tell({ type: 'certificate.replaced', subject, fingerprint, notAfter })
    else if (this.#told !== '') this.#tell({ type: 'certificate.recovered' })
    this.#looks = 0
    this.#told = ''
    return this.#period
  }

  #rejected (codes: readonly ConfigurationCode[]): number {
    const next = secondLooks[this.#looks++]
    if (next !== undefined) return Math.min(next, this.#period)
    const reasons = codes.join(' ')
    if (reasons !== this.#told) this.#tell({ type: 'certificate.rejected', codes })
    this.#told = reasons
    return this.#period
  }

  /** A listener that throws must not end the watch. */
  #tell (event: CertificateEvent): void {
    try {
      this.#listener(event)
    } catch {}
  }

  /** Each stage once per certificate. */
  #checkExpiry (): void {
    const { subject, fingerprint, notAfter, daysLeft, expiry: stage } = this.#store.status()
    const before = this.#stageOf === fingerprint ? this.#stage : 'valid'
    this.#stageOf = fingerprint
    this.#stage = stage
    if (stage !== before && stage !== 'valid') this.#tell({ type: 'certificate.expiring', stage, subject, notAfter, daysLeft })
  }
}
