import type { ClientScope, ClientUsage, RouteUsage, ScopeUsage, UsageSummary } from '../../lib/usage/index.ts'
import { severities, type Severity } from '../routes/codes.ts'
import { counted } from '../routes/words.ts'
import { usageFindingCodes, type UsageCode } from './report-codes.ts'

/** Something that somebody should look at. */
export interface UsageFinding {
  readonly code: UsageCode
  readonly kind: string
  readonly severity: Severity
  /** A client, a scope, a route or a caller. */
  readonly subject: string
  readonly detail: string
  readonly numbers: Readonly<Record<string, number>>
  readonly meaning: string
  readonly fix: string
}

type Found = Pick<UsageFinding, 'subject' | 'detail' | 'numbers'>

/** From so many scopes on a client can be too wide. */
const many = 5
/** Of a caller with fewer refusals nothing is said. */
export const leastRefusals = 20
/** Of a public route with fewer calls nothing is said. */
export const leastPublic = 50

export interface Measure {
  /** Nothing is said of what was seen in fewer calls. */
  readonly minCalls: number
  /** Without them a policy may be a rule that asks for scopes; with them it is a function, which seldom does. */
  readonly routesKnown: boolean
}

/** What is worth a look, the gravest first. */
export function usageFindings (usage: UsageSummary, measure: Measure): readonly UsageFinding[] {
  const { minCalls } = measure
  const idle = usage.beyond.scopes ? [] : usage.scopes.filter(scope => isUnused(scope, measure))
  const enough = usage.calls >= minCalls
  const found = [
    ...usage.clients.filter(client => saysEnough(client, measure)).flatMap(client => ofClient(client, idle, measure)),
    ...idle.map(scope => finding('SECURE_API_USAGE_SCOPE_IDLE', ofIdle(scope, usage))),
    ...usage.refused.filter(({ atLeast }) => atLeast >= leastRefusals).map(({ subject, client, atLeast }) =>
      finding('SECURE_API_USAGE_CALLER_REFUSED', {
        subject: subject === client ? client : `${subject} (${client})`,
        detail: `${atLeast} calls, all refused`,
        numbers: { calls: atLeast }
      })),
    ...ofPublic(usage.routes).map(found => finding('SECURE_API_USAGE_PUBLIC_FAILURES', found)),
    ...(enough && !usage.beyond.scopes ? usage.scopes.filter(({ clients, routes }) => clients === 0 && routes.length > 0) : [])
      .map(scope => finding('SECURE_API_USAGE_SCOPE_NEVER_CARRIED', ofAbsent(scope))),
    ...(enough ? usage.routes.filter(({ known, complete, calls }) => known && complete && calls === 0) : [])
      .map(({ route: subject }) =>
        finding('SECURE_API_USAGE_ROUTE_UNCALLED', { subject, detail: `0 of ${usage.calls} calls`, numbers: { calls: 0 } }))
  ]
  return found.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}

function finding (code: UsageCode, { subject, detail, numbers }: Found): UsageFinding {
  const { kind, severity, meaning, fix } = usageFindingCodes[code]
  return { code, kind, severity, subject, detail, numbers, meaning, fix }
}

/** Refusals show nothing of what a client would need. */
export function saysEnough ({ calls, forbidden }: ClientUsage, { minCalls }: Measure): boolean {
  return calls - forbidden >= minCalls
}

function mayBeNeeded ({ needed, unread }: ClientScope, { routesKnown }: Measure): boolean {
  return needed > 0 || (unread > 0 && !routesKnown)
}

function isUnused (scope: ClientScope, measure: Measure): boolean {
  return scope.carried >= measure.minCalls && !mayBeNeeded(scope, measure)
}

export function unusedOf ({ scopes }: ClientUsage, measure: Measure): readonly string[] {
  return scopes.filter(scope => isUnused(scope, measure)).map(({ scope }) => scope)
}

export function isWide ({ scopes }: ClientUsage, measure: Measure): boolean {
  return scopes.length >= many && scopes.filter(scope => mayBeNeeded(scope, measure)).length * 3 <= scopes.length
}

/** A scope that nobody uses is a finding of its own, and not one of each client that carries it. */
function ofClient (client: ClientUsage, idle: readonly ScopeUsage[], measure: Measure): UsageFinding[] {
  const unused = unusedOf(client, measure)
  const needed = client.scopes.filter(({ needed }) => needed > 0).length
  const numbers = { calls: client.calls, carried: client.scopes.length, needed, unused: unused.length }
  const list = (names: readonly string[]) =>
    `carries ${counted(client.scopes.length, 'scope')}, needed ${needed} in ${client.calls} calls; ` +
    `never ${names.join(', ')}${caution(client)}`
  if (unused.length > 0 && isWide(client, measure)) {
    return [finding('SECURE_API_USAGE_CLIENT_WIDE', { subject: client.client, detail: list(unused), numbers })]
  }
  const own = unused.filter(name => !idle.some(({ scope }) => scope === name))
  return own.length === 0 ? [] : [finding('SECURE_API_USAGE_SCOPES_UNUSED', { subject: client.client, detail: list(own), numbers })]
}

function caution ({ unread }: { readonly unread: number }): string {
  return unread === 0 ? '' : `; ${counted(unread, 'call')} asked policies that are functions, which may look at more`
}

function ofIdle (idle: ScopeUsage, { clients: all }: UsageSummary): Found {
  const { scope, carried, clients, routes } = idle
  const carriers = all.filter(({ scopes }) => scopes.some(one => one.scope === scope)).map(({ client }) => client)
  const who = `${carriers.slice(0, 5).join(', ')}${carriers.length > 5 ? ` and ${carriers.length - 5} more` : ''}`
  const asked = routes.length === 0 ? 'no route that is known here asks for it' : `asked for by ${routes.join(', ')}`
  const detail = `in ${carried} calls, of ${who || 'clients beyond the list'}; ${asked}${caution(idle)}`
  return { subject: scope, detail, numbers: { carried, clients } }
}

function ofAbsent ({ scope, routes }: ScopeUsage): Found {
  return { subject: scope, detail: `asked for by ${routes.join(', ')}`, numbers: { routes: routes.length } }
}

/** Of a route whose allowed calls may not be in the trail, the share of failures means nothing. */
function ofPublic (routes: readonly RouteUsage[]): Found[] {
  const open = routes.filter(({ rule, complete, known, calls, allowed }) =>
    rule === 'public' && complete && calls >= leastPublic && (known || allowed > 0))
  const share = ({ denied, failed, calls }: RouteUsage) => (denied + failed) / calls
  return open.flatMap((route, index) => {
    const usual = median(open.filter((_, other) => other !== index).map(share))
    if (share(route) <= 0.2 || share(route) <= 3 * usual) return []
    const { calls, denied, failed } = route
    const percent = (part: number) => `${(part * 100).toFixed(1)} %`
    const detail = `${percent(share(route))} of ${calls} calls: ${denied} refused, ${failed} failed; median of the others ${percent(usual)}`
    return [{ subject: route.route, detail, numbers: { calls, denied, failed } }]
  })
}

/** 0 where there are none to compare with. */
function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return ((sorted[middle] ?? 0) + (sorted[sorted.length % 2 === 1 ? middle : middle - 1] ?? 0)) / 2
}
