const day = 86_400_000

/** Days before the end, and the share of the whole validity that stands for them where that is shorter (a certificate of 6 days: 2 days, 1 day, 12 hours, 96 minutes). */
const thresholds: ReadonlyArray<{ readonly stage: ExpiryStage, readonly days: number, readonly share: number }> = [
  { stage: 'renew', days: 30, share: 1 / 3 },
  { stage: 'soon', days: 14, share: 1 / 6 },
  { stage: 'urgent', days: 7, share: 1 / 12 },
  { stage: 'last-day', days: 1, share: 1 / 90 },
  { stage: 'expired', days: 0, share: 0 }
]

/** How near the end of a certificate is; in words, so that alerts need no arithmetic. */
export type ExpiryStage = 'valid' | 'renew' | 'soon' | 'urgent' | 'last-day' | 'expired'

interface Validity { readonly notAfter: number, readonly lifetime: number }

/** Which of 30, 14, 7 and 1 days before the end has been passed, or the shares of the lifetime for short-lived ones. */
export function expiryStage ({ notAfter, lifetime }: Validity, now: number): ExpiryStage {
  const left = notAfter - now
  const passed = thresholds.filter(({ days, share }) => left <= Math.min(days * day, lifetime * share))
  return passed.at(-1)?.stage ?? 'valid'
}

/** Tells each stage once; another certificate begins anew. */
export class ExpiryWatch {
  #told: ExpiryStage = 'valid'
  #of = ''

  /** The stage, if it is one that was not told of this certificate. */
  next (certificate: Validity & { readonly fingerprint: string }, now: number): ExpiryStage | undefined {
    const stage = expiryStage(certificate, now)
    const before = this.#of === certificate.fingerprint ? this.#told : 'valid'
    this.#of = certificate.fingerprint
    this.#told = stage
    return stage === before || stage === 'valid' ? undefined : stage
  }
}
