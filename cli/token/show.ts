import { padEnd, printable, truncate } from '../display.ts'
import type { Terminal } from '../command.ts'
import { painter, type Paint } from '../terminal.ts'
import type { MadeToken, TokenRecord } from './make.ts'
import type { Output } from './request.ts'

/** What goes to standard output, so that `$(secure-api token …)` is the token and nothing else. */
export const written: Readonly<Record<Output, (made: MadeToken) => string>> = {
  token: ({ token }) => token,
  header: ({ token }) => `Authorization: Bearer ${token}`,
  json: ({ token, record }) => JSON.stringify({ token, ...record }, undefined, 2)
}

/** One line for people. */
export function summary ({ kind, claims, expiresAt }: TokenRecord): string {
  const { sub, aud, scope, roles } = claims
  const parts = [`${kind} ${String(sub)}`, `for ${names(aud)}`, scope === undefined ? 'no scope' : `scope ${String(scope)}`]
  if (roles !== undefined) parts.push(`roles ${names(roles)}`)
  return printable([...parts, `until ${date(expiresAt)}`].join(', '))
}

/** What has become of a token. One whose key was replaced ends when the application starts again. */
export function stateOf ({ kid, expiresAt }: TokenRecord, currentKid: string, now: number): 'valid' | 'expired' | 'key replaced' {
  if (expiresAt * 1000 <= now) return 'expired'
  return kid === currentKid ? 'valid' : 'key replaced'
}

interface Listing {
  readonly records: readonly TokenRecord[]
  readonly currentKid: string
  readonly now: number
}

const heading = ['ID', 'STATE', 'UNTIL', 'KIND', 'SUBJECT', 'SCOPES AND ROLES']

/** A table as wide as the terminal. */
export function table ({ records, currentKid, now }: Listing, terminal: Pick<Terminal, 'columns' | 'colour'>): string {
  const rows = records.map(record => cells(record, stateOf(record, currentKid, now)))
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]?.length ?? 0)))
  const paint = painter(terminal)
  const line = (row: readonly string[]) => truncate(row.map((cell, column) => padEnd(cell, widths[column] ?? 0)).join('  ').trimEnd(),
    terminal.columns)
  return [paint('bold', line(heading)), ...rows.map(row => coloured(line(row), row[1], paint))].join('\n')
}

function coloured (line: string, state: string | undefined, paint: Paint): string {
  return state === 'valid' ? line : paint('dim', line)
}

function cells ({ id, kind, expiresAt, claims: { sub, scope, roles } }: TokenRecord, state: string): string[] {
  const grants = [scope, roles === undefined ? undefined : `[${names(roles)}]`].filter(part => part !== undefined).join(' ')
  return [id.slice(0, 8), state, date(expiresAt), kind, String(sub), grants].map(printable)
}

function names (value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : String(value)
}

function date (seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
