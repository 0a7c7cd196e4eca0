import type { AuditEvent } from '../audit/index.ts'
import type { ClientCount, ClientKind } from './client.ts'
import type { RouteCount } from './route.ts'

/** A scope of one client: how many of its calls carried it, and how many needed it. */
export interface ClientScope {
  readonly scope: string
  readonly carried: number
  readonly needed: number
  /** Calls that carried it past a policy that cannot be read: they may have needed it. */
  readonly unread: number
}

/** What one client did. */
export interface ClientUsage {
  /** `client_id`, the id of an API key, or for callers without either the name of their credential. */
  readonly client: string
  readonly kind: Exclude<ClientKind, 'others'>
  readonly issuer?: string
  readonly calls: number
  /** Calls that were answered with 403. */
  readonly forbidden: number
  /** Calls whose route asks a policy that is a function: it may look at scopes that no rule names. */
  readonly unread: number
  readonly scopes: readonly ClientScope[]
  readonly routes: ReadonlyArray<{ readonly route: string, readonly calls: number }>
}

/** How often a route was called, and how it went. */
export interface RouteUsage {
  /** `GET /orders/:id`. */
  readonly route: string
  readonly rule?: AuditEvent['rule']
  /** Whether the application has it: false for one that is only in the trail. */
  readonly known: boolean
  /** False with `audit: false`: its allowed calls were not counted. */
  readonly complete: boolean
  readonly calls: number
  readonly forbidden: number
  readonly allowed: number
  readonly denied: number
  readonly failed: number
  readonly aborted: number
}

/** A scope, whoever carries it. */
export interface ScopeUsage extends ClientScope {
  /** How many clients carry it. */
  readonly clients: number
  /** Routes that ask for it. */
  readonly routes: readonly string[]
}

/** A caller who got nothing but 403. */
export interface RefusedCaller {
  readonly subject: string
  readonly client: string
  readonly kind: ClientKind
  readonly issuer: string | undefined
  readonly atLeast: number
  readonly atMost: number
}

/** Who called what with which scopes, as plain data. */
export interface UsageSummary {
  /** Time of the first event and of the last. */
  readonly since?: string
  readonly until?: string
  readonly calls: number
  /** Calls of no route: unknown paths, malformed requests, and refusals that were collapsed over several routes. */
  readonly unplaced: number
  /** About how many different callers there were: a standard error of 1.6 %. */
  readonly callers: number
  /** The busiest first. */
  readonly clients: readonly ClientUsage[]
  readonly routes: readonly RouteUsage[]
  readonly scopes: readonly ScopeUsage[]
  readonly refused: readonly RefusedCaller[]
  /** What the bounds left out of the lists: about how many clients, their calls, and whether scopes are missing. */
  readonly beyond: { readonly clients: number, readonly calls: number, readonly scopes: boolean }
}

export function countsOf (clients: readonly ClientCount[], others: ClientCount, routes: readonly RouteCount[]):
Pick<UsageSummary, 'clients' | 'routes' | 'scopes'> {
  const names = routes.map(nameOf)
  return {
    clients: clients.map(client => clientUsage(client, names)).sort((a, b) => b.calls - a.calls),
    routes: routes.map(routeUsage),
    scopes: scopesOf([...clients, others], routes)
  }
}

function nameOf ({ methods, url }: RouteCount): string {
  return `${methods.join(',')} ${url}`
}

function clientUsage (client: ClientCount, names: readonly string[]): ClientUsage {
  const { name, kind, issuer, calls, forbidden, unread, scopes, routes } = client
  return {
    client: name,
    kind: kind === 'others' ? 'unnamed' : kind,
    ...(issuer !== undefined && { issuer }),
    calls,
    forbidden,
    unread,
    scopes: [...scopes].map(([scope, counts]) => ({ scope, ...counts })),
    // Those that it never called are no members of the list.
    routes: routes.flatMap((calls, index) => ({ route: names[index] ?? '', calls })).sort((a, b) => b.calls - a.calls)
  }
}

function routeUsage (route: RouteCount): RouteUsage {
  const { rule, known, complete, calls, forbidden, outcomes } = route
  return { route: nameOf(route), ...(rule !== undefined && { rule }), known, complete, calls, forbidden, ...outcomes }
}

function scopesOf (clients: readonly ClientCount[], routes: readonly RouteCount[]): ScopeUsage[] {
  const found = new Map<string, { carried: number, needed: number, unread: number, clients: number, routes: string[] }>()
  const of = (scope: string) => {
    const known = found.get(scope) ?? { carried: 0, needed: 0, unread: 0, clients: 0, routes: [] }
    found.set(scope, known)
    return known
  }
  for (const { scopes } of clients) {
    for (const [scope, { carried, needed, unread }] of scopes) {
      const sum = of(scope)
      sum.carried += carried
      sum.needed += needed
      sum.unread += unread
      sum.clients++
    }
  }
  for (const route of routes) for (const scope of route.needs.scopes) of(scope).routes.push(nameOf(route))
  return [...found].map(([scope, sum]) => ({ scope, ...sum })).sort((a, b) => b.carried - a.carried)
}
