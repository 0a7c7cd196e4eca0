/** How a check stands, with what it was before taken into account. Times are monotonic milliseconds. */
export interface Standing {
  readonly good: boolean
  /** Since when. */
  readonly since: number
  /** Present while the check fails and does not count yet: when that began. */
  readonly badSince?: number
}

/**
 * Recovers at once, and fails when it has failed for `failAfter` without a pass between. What never passed has nothing to lose: a new
 * process without keys takes no traffic.
 */
export function nextStanding (before: Standing | undefined, good: boolean, now: number, failAfter: number): Standing {
  if (before === undefined) return { good, since: now }
  if (good) return { good, since: before.good ? before.since : now }
  if (!before.good) return before
  const { badSince = now } = before
  return now - badSince >= failAfter ? { good, since: now } : { good: true, since: before.since, badSince }
}
