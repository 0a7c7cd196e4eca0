import type { ClientUsage, RouteUsage, ScopeUsage, UsageSummary } from '../../lib/usage/index.ts'
import { printable } from '../display.ts'
import { counted } from '../routes/words.ts'
import { isWide, saysEnough, unusedOf, type Measure, type UsageFinding } from './report-check.ts'
import type { ReportSettings } from './report-arguments.ts'
import type { Read } from './report-read.ts'

/** Everything a format needs. */
export interface UsageReport extends Measure {
  readonly settings: ReportSettings
  readonly read: Read
  readonly usage: UsageSummary
  readonly findings: readonly UsageFinding[]
}

export interface TableColumn {
  readonly title: string
  /** The narrowest it can be made on a terminal. */
  readonly least: number
  readonly isNumber?: true
}

/** A table of the report, in every format. */
export interface UsageTable {
  readonly id: string
  readonly title: string
  readonly columns: readonly TableColumn[]
  readonly rows: ReadonlyArray<readonly string[]>
}

const number = (title: string): TableColumn => ({ title, least: 5, isNumber: true })
const name = (title: string, least = 12): TableColumn => ({ title, least })

export function tablesOf (report: UsageReport): readonly UsageTable[] {
  const { usage: { clients, scopes, routes } } = report
  return [
    {
      id: 'clients',
      title: 'Clients',
      columns: [name('Client'), number('Calls'), number('Carried'), number('Needed'), name('Never needed', 16), name('Verdict', 9)],
      rows: clients.map(client => clientRow(client, report))
    },
    {
      id: 'scopes',
      title: 'Scopes',
      columns: [name('Scope'), number('Clients'), number('Carried'), number('Needed'), name('Asked for by', 16)],
      rows: scopes.map(scopeRow)
    },
    {
      id: 'called',
      title: 'Routes',
      columns: [name('Route', 16), number('Calls'), number('Allowed'), number('Refused'), number('Failed'), name('Asks', 10)],
      rows: [...routes].sort((a, b) => b.calls - a.calls).map(routeRow)
    }
  ].filter(({ rows }) => rows.length > 0).map(table => ({ ...table, rows: table.rows.map(row => row.map(printable)) }))
}

/** For people: whoever chose a name moves no cursor and turns no text around. */
export function shownFindings ({ findings }: UsageReport): readonly UsageFinding[] {
  return findings.map(finding => ({ ...finding, subject: printable(finding.subject), detail: printable(finding.detail) }))
}

function clientRow (client: ClientUsage, report: UsageReport): readonly string[] {
  const never = client.scopes.filter(({ needed }) => needed === 0).map(({ scope }) => scope)
  const kind = { client: '', 'api-key': ' (API key)', unnamed: ' (no client)' }[client.kind]
  return [`${client.client}${kind}`, whole(client.calls), whole(client.scopes.length), whole(client.scopes.length - never.length),
    never.join(', '), verdictOf(client, report)]
}

export type Verdict = 'too few calls to say' | 'too wide' | 'unused scopes' | 'fits'

export function verdictOf (client: ClientUsage, measure: Measure): Verdict {
  if (!saysEnough(client, measure)) return 'too few calls to say'
  if (unusedOf(client, measure).length === 0) return 'fits'
  return isWide(client, measure) ? 'too wide' : 'unused scopes'
}

function scopeRow ({ scope, clients, carried, needed, routes }: ScopeUsage): readonly string[] {
  return [scope, whole(clients), whole(carried), whole(needed), routes.join(', ')]
}

function routeRow ({ route, calls, allowed, denied, failed, rule, complete }: RouteUsage): readonly string[] {
  const asks = typeof rule === 'object' ? Object.keys(rule).join(', ') : rule ?? ''
  return [route, whole(calls), complete ? whole(allowed) : 'not in the trail', whole(denied), whole(failed), asks]
}

export function whole (number: number): string {
  return number.toLocaleString('en')
}

const day = 86_400_000

export function daysOf ({ since, until }: UsageSummary): number {
  return since === undefined || until === undefined ? 0 : (Date.parse(until) - Date.parse(since)) / day
}

/** What was seen, and how much of it: numbers without them would mislead. */
export function notesOf (report: UsageReport): readonly string[] {
  const { usage, read, minCalls, routesKnown } = report
  const { calls, unplaced, callers, clients, beyond, since, until } = usage
  if (since === undefined || until === undefined) return [`The trail holds no event. ${readNote(read)}`.trim()]
  const few = clients.filter(client => !saysEnough(client, report)).length
  return [
    `${period(since, until, daysOf(usage))}: ${whole(calls)} calls, of about ${counted(callers, 'caller')} and ` +
      `${counted(clients.length, 'client')}.`,
    ...(daysOf(usage) < 30 ? ['The trail covers less than 30 days: what happens once a month may not be in it.'] : []),
    ...(few > 0 ? [`${counted(few, 'client')} made fewer than ${minCalls} calls that were not refused: nothing is said of them.`] : []),
    ...(routesKnown ? [] : ['Which routes nobody calls cannot be known from a trail: name the application with --app or --routes.']),
    ...(!routesKnown && clients.some(({ unread }) => unread > 0)
      ? ['Some routes ask policies. What these need is not known without --app or --routes: scopes that met one are not called unused.']
      : []),
    ...(unplaced > 0 ? [`${whole(unplaced)} calls belong to no route: unknown paths, malformed requests, collapsed refusals.`] : []),
    ...(beyond.clients > 0 ? [`About ${whole(beyond.clients)} more clients (${whole(beyond.calls)} calls) are not listed.`] : []),
    ...(beyond.scopes ? ['There are more scopes than the report can follow: nothing is said of scopes that nobody uses or carries.'] : []),
    readNote(read)
  ].filter(note => note !== '')
}

function period (since: string, until: string, days: number): string {
  const [from, to] = [since, until].map(time => `${time.slice(0, 16).replace('T', ' ')} UTC`)
  const hours = days * 24
  const length = days >= 2 ? `${Math.round(days)} days` : hours >= 2 ? `${Math.round(hours)} hours` : `${Math.ceil(hours * 60)} min`
  return `${from} to ${to} (${length})`
}

function readNote ({ other, unreadable, before }: Read): string {
  const parts = [
    ...(other > 0 ? [counted(other, 'other line')] : []), ...(unreadable > 0 ? [counted(unreadable, 'unreadable line')] : []),
    ...(before > 0 ? [counted(before, 'earlier event')] : [])
  ]
  return parts.length === 0 ? '' : `Skipped: ${parts.join(', ')}.`
}

/** `3 warnings, 1 note`. */
export function outcomeOf ({ findings }: UsageReport): string {
  const counts = (['warning', 'note'] as const).flatMap(severity => {
    const count = findings.filter(finding => finding.severity === severity).length
    return count === 0 ? [] : [counted(count, severity)]
  })
  return counts.join(', ') || 'no findings'
}

/** Scopes that clients carry without need, each counted for each client. */
export function unusedCount (report: UsageReport): number {
  return report.usage.clients.filter(client => saysEnough(client, report))
    .reduce((sum, client) => sum + unusedOf(client, report).length, 0)
}
