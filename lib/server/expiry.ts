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

interface Validity { readonly notAfter: number, readonly lifetime: number }

/** The last passed threshold: 30, 14, 7 or 1 days before the end, or a share of a shorter lifetime. */
export function expiryStage ({ notAfter, lifetime }: Validity, now: number): ExpiryStage {
  const left = notAfter - now
  const passed = thresholds.filter(({ days, share }) => left <= Math.min(days * day, lifetime * share))
  return passed.at(-1)?.stage ?? 'valid'
}

/** Reports each stage once per certificate. */
export class ExpiryWatch {
  #told: ExpiryStage = 'valid'
  #of = ''

  /** The stage, unless already reported for this certificate. */
  next (certificate: Validity & { readonly fingerprint: string }, now: number): ExpiryStage | undefined {
    const stage = expiryStage(certificate, now)
    const before = this.#of === certificate.fingerprint ? this.#told : 'valid'
    this.#of = certificate.fingerprint
    this.#told = stage
    return stage === before || stage === 'valid' ? undefined : stage
  }
}
