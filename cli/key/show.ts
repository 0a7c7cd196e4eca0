import type { ApiKeyRecord } from '../../lib/api-keys/index.ts'
import type { Terminal } from '../command.ts'
import { padEnd, printable, truncate } from '../display.ts'
import { painter, type Paint } from '../terminal.ts'

/** What a key is worth now. */
export type State = 'active' | 'rotating' | 'expired' | 'revoked'

export interface Standing {
  readonly state: State
  /** The next moment at which something ends by itself. */
  readonly until: number | undefined
}

export function standingOf ({ secrets, expires, revoked }: ApiKeyRecord, now: number): Standing {
  if (revoked !== undefined) return { state: 'revoked', until: undefined }
  const ends = secrets.map(secret => Math.min(time(secret.expires), time(expires))).filter(end => end > now)
  const until = Math.min(...ends)
  if (ends.length === 0) return { state: 'expired', until: undefined }
  return { state: ends.length > 1 ? 'rotating' : 'active', until: Number.isFinite(until) ? until : undefined }
}

function time (date: string | undefined): number {
  return date === undefined ? Infinity : Date.parse(date)
}

/** `active`, `active, 12 days left`, `rotating, the old secret has 3 hours left`, `revoked`. */
export function stateText (record: ApiKeyRecord, now: number): string {
  const { state, until } = standingOf(record, now)
  if (until === undefined) return state
  return `${state}, ${state === 'rotating' ? 'old secret ' : ''}${left(until - now)} left`
}

/** Rounded down: nobody should count on more. */
function left (ms: number): string {
  const units = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], [1000, 'second']] as const
  const [size, name] = units.find(([size]) => ms >= 2 * size) ?? units[3]
  const count = Math.floor(ms / size)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** One line for people. */
export function summary (record: ApiKeyRecord, now: number): string {
  const { id, name, owner, allowedAddresses } = record
  const parts = [id, name, owner === undefined ? undefined : `of ${owner}`, grants(record) || 'no scope, no role',
    allowedAddresses && `from ${allowedAddresses.join(', ')} only`, stateText(record, now)]
  return printable(parts.filter(part => part !== undefined).join(', '))
}

function grants ({ scopes = [], roles = [] }: ApiKeyRecord): string {
  return [...scopes, ...(roles.length === 0 ? [] : [`[${roles.join(', ')}]`])].join(' ')
}

/** What `list --json` says of a key: everything but hashes. */
export function shown ({ secrets, ...record }: ApiKeyRecord, now: number): object {
  const { state, until } = standingOf({ ...record, secrets }, now)
  return {
    ...record,
    state,
    ...(until !== undefined && { until: new Date(until).toISOString() }),
    secrets: secrets.map(({ expires }) => ({ ...(expires !== undefined && { expires }) }))
  }
}

const heading = ['ID', 'STATE', 'NAME', 'OWNER', 'SCOPES AND ROLES', 'ONLY FROM']

/** A table as wide as the terminal. */
export function table (records: readonly ApiKeyRecord[], now: number, terminal: Pick<Terminal, 'columns' | 'colour'>): string {
  const rows = records.map(record => cells(record, now))
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]?.length ?? 0)))
  const paint = painter(terminal)
  const line = (row: readonly string[]) =>
    truncate(row.map((cell, column) => padEnd(cell, widths[column] ?? 0)).join('  ').trimEnd(), terminal.columns)
  return [paint('bold', line(heading)), ...rows.map((row, index) => coloured(line(row), records[index], now, paint))].join('\n')
}

function coloured (line: string, record: ApiKeyRecord | undefined, now: number, paint: Paint): string {
  const isUsable = record !== undefined && ['active', 'rotating'].includes(standingOf(record, now).state)
  return isUsable ? line : paint('dim', line)
}

function cells (record: ApiKeyRecord, now: number): string[] {
  const { id, name = '', owner = '', allowedAddresses = [] } = record
  return [id, stateText(record, now), name, owner, grants(record), allowedAddresses.join(', ')].map(printable)
}
