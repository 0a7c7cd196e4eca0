import { parseDuration } from '../lib/config/index.ts'

/** A time: `90d` from now on, or back with `-1`; or a date, `2027-01-31` being its first moment in UTC. NaN for anything else. */
export function momentOf (given: string, now: number, direction: 1 | -1): number {
  const lasting = parseDuration(given)
  if (lasting !== undefined) return now + direction * lasting
  return /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(given) ? Date.parse(given) : NaN
}
