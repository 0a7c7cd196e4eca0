import { Type, type Static } from './schema.ts'

const units: Readonly<Record<string, number>> = {
  ...{ ms: 1, millisecond: 1, milliseconds: 1 },
  ...{ s: 1000, second: 1000, seconds: 1000 },
  ...{ m: 60_000, minute: 60_000, minutes: 60_000 },
  ...{ h: 3_600_000, hour: 3_600_000, hours: 3_600_000 },
  ...{ d: 86_400_000, day: 86_400_000, days: 86_400_000 }
}

const written = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/

/** A duration: whole milliseconds, or text such as `'5 minutes'`, `'30 seconds'`, `'24 hours'`. */
export const DurationSchema = Type.Union([Type.Integer({ minimum: 0 }), Type.String({ format: 'duration' })])
export type Duration = Static<typeof DurationSchema>

/** Milliseconds of a duration; undefined if unreadable. A number in a string is refused: its unit is unclear. */
export function parseDuration (value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  const [, amount, unit] = written.exec(value.trim().toLowerCase()) ?? []
  const factor = unit === undefined ? undefined : units[unit]
  if (amount === undefined || factor === undefined) return undefined
  const ms = Math.round(Number(amount) * factor)
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** Milliseconds of a duration that has been validated. */
export function milliseconds (value: Duration): number {
  const ms = parseDuration(value)
  if (ms === undefined) throw new TypeError(`unreadable duration ${JSON.stringify(value)}`)
  return ms
}
