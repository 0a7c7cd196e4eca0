import { parseArguments } from '../arguments.ts'
import { UsageError, type Options } from '../command.ts'
import { momentOf } from '../moment.ts'
import { application, starting } from '../routes/arguments.ts'
import type { Question } from '../routes/ask.ts'
import { findingKinds } from './report-codes.ts'

const formats = ['table', 'json', 'markdown', 'html'] as const
export type ReportFormat = typeof formats[number]

export interface ReportSettings {
  readonly trails: readonly string[]
  readonly app: Question | undefined
  readonly routes: string | undefined
  /** RFC 3339; empty for all. */
  readonly since: string
  readonly minCalls: number
  readonly format: ReportFormat
  readonly output: string | undefined
  readonly failOn: readonly string[]
  readonly maxUnused: number
}

const known = {
  app: { type: 'string' },
  routes: { type: 'string' },
  since: { type: 'string' },
  'min-calls': { type: 'string' },
  format: { type: 'string' },
  output: { type: 'string', short: 'o' },
  'fail-on': { type: 'string' },
  'max-unused': { type: 'string' },
  ...starting
} as const

export const reportOptions: Options = known
export const reportValues = { format: formats, 'fail-on': [...findingKinds, 'any'] }

/** Reads the arguments of `secure-api audit report`; throws a UsageError that says what to write instead. */
export function readReportArguments (args: readonly string[], now: number): ReportSettings {
  const { values, positionals } = parseArguments(args, known)
  const { app, routes, output, env } = values
  for (const [name, value] of Object.entries({ app, routes, output })) if (value === '') throw new UsageError(`--${name} is empty`)
  if (app !== undefined && routes !== undefined) throw new UsageError('--app and --routes say the same; give one')
  const loading = env !== undefined || values['no-options'] === true || values.timeout !== undefined
  if (app === undefined && loading) throw new UsageError('--env, --no-options and --timeout have a meaning with --app only')
  return {
    trails: positionals.length === 0 ? ['-'] : positionals,
    app: app === undefined ? undefined : application(values, [app]),
    routes,
    since: values.since === undefined ? '' : sinceOf(values.since, now),
    minCalls: count('min-calls', values['min-calls'] ?? '100', 1),
    format: formatOf(values.format),
    output,
    failOn: kindsOf(values['fail-on']),
    maxUnused: values['max-unused'] === undefined ? Infinity : count('max-unused', values['max-unused'], 0)
  }
}

function formatOf (given = 'table'): ReportFormat {
  const format = formats.find(name => name === given)
  if (format === undefined) throw new UsageError(`--format takes ${formats.join(', ')}; not ${JSON.stringify(given)}`)
  return format
}

function kindsOf (given: string | undefined): readonly string[] {
  if (given === undefined) return []
  const kinds = given.split(',').map(kind => kind.trim())
  const wrong = kinds.find(kind => kind !== 'any' && !findingKinds.includes(kind))
  if (wrong !== undefined) throw new UsageError(`--fail-on takes ${[...findingKinds, 'any'].join(', ')}; not ${JSON.stringify(wrong)}`)
  return kinds.includes('any') ? findingKinds : kinds
}

function count (name: string, given: string, least: number): number {
  const number = given.trim() === '' ? NaN : Number(given)
  if (Number.isSafeInteger(number) && number >= least) return number
  throw new UsageError(`--${name} takes a whole number from ${least} on; not ${JSON.stringify(given)}`)
}

function sinceOf (given: string, now: number): string {
  const time = momentOf(given, now, -1)
  if (Number.isNaN(new Date(time).getTime())) {
    throw new UsageError(`--since ${JSON.stringify(given)} is neither a duration nor a date; write 30d or 2027-01-31`)
  }
  return new Date(time).toISOString()
}
