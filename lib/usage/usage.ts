import type { AuditEvent } from '../audit/index.ts'
import { ClientCount, type ClientKind, type Room } from './client.ts'
import { Distinct } from './distinct.ts'
import { Frequent } from './frequent.ts'
import { hashesOf, type Hashes } from './hash.ts'
import type { PolicyRules } from './needs.ts'
import { RouteCount, type KnownRoute } from './route.ts'
import { Seen } from './seen.ts'
import { countsOf, type RefusedCaller, type UsageSummary } from './summary.ts'

/** What of an event is counted. No scope stands twice in a principal. */
export type Call = Pick<AuditEvent, 'time' | 'event' | 'outcome' | 'status' | 'method' | 'route' | 'rule' | 'principal' | 'repeats'>

interface Bounds {
  /** How many clients are counted one by one; the others together. @default 1000 */
  readonly clients?: number
  /** The same of routes. @default 2000 */
  readonly routes?: number
  /** The same of the scopes of all clients. @default 20000 */
  readonly scopes?: number
  /** How many callers are followed of those that are refused most. @default 256 */
  readonly refused?: number
}

type Principal = NonNullable<Call['principal']>
type NamedKind = Exclude<ClientKind, 'others'>

interface Refused extends Omit<RefusedCaller, 'atLeast' | 'atMost'> {
  readonly hashes: Hashes
}

/** At this share of set bits one in eight callers is taken for one that was let in. */
const tooFull = 0.5
/** Names that are longer are counted with those that found no room. */
const longestName = 256
const longestUrl = 1024

/**
 * Counts who calls what, with which scopes: exactly for the named clients and the routes, and by sketches for the callers, of which there
 * may be millions. Its memory does not grow with the number of calls.
 */
export class Usage {
  readonly #bounds: Required<Bounds>
  readonly #room: Room
  readonly #clients: Readonly<Record<NamedKind, Map<string | undefined, Map<string, ClientCount>>>> =
    { client: new Map(), 'api-key': new Map(), unnamed: new Map() }

  readonly #others: ClientCount
  readonly #beyond = new Distinct()
  readonly #routes = new Map<string, Map<string, RouteCount>>()
  readonly #routeList: RouteCount[] = []
  readonly #callers = new Distinct()
  /** Callers that got another answer than 403. */
  readonly #welcome = new Seen()
  readonly #refused: Frequent<Refused>
  #policies: PolicyRules = {}
  #clientCount = 0
  #calls = 0
  #unplaced = 0
  #since: string | undefined
  #until: string | undefined

  constructor ({ clients = 1000, routes = 2000, scopes = 20_000, refused = 256 }: Bounds = {}) {
    this.#bounds = { clients, routes, scopes, refused }
    this.#room = { left: scopes }
    this.#others = new ClientCount('others', '', undefined, this.#room)
    this.#refused = new Frequent(refused)
  }

  /** Tells of a route before it is called, so that one that nobody calls is seen. A HEAD is counted with its GET. */
  know (route: KnownRoute): void {
    if (route.policies !== undefined) this.#policies = route.policies
    const declared = this.#routes.get(route.url)
    // Routes that differ by a constraint alone are one.
    if (route.methods.join() === 'HEAD' || route.methods.every(method => declared?.has(method))) return
    const count = this.#openRoute(route, true)
    for (const method of route.methods) this.#place(method, count)
  }

  see (call: Call): void {
    const { time, event, outcome, status, principal, repeats: weight = 1 } = call
    // The second event of a socket, and what browsers report, are no calls.
    if (event === 'api_connection_closed' || event === 'malicious_csp_violation') return
    this.#calls += weight
    if (this.#since === undefined || time < this.#since) this.#since = time
    if (this.#until === undefined || time > this.#until) this.#until = time
    const route = this.#routeOf(call)
    if (route === undefined) this.#unplaced += weight
    else route.see(weight, outcome, status)
    if (principal !== undefined) this.#seeCaller(principal, call, weight, route)
  }

  #seeCaller (principal: Principal, { status, rule }: Call, weight: number, route: RouteCount | undefined): void {
    const client = this.#clientOf(principal)
    const isRefused = status === 401 || status === 403
    client.see(weight, principal.scopes ?? none, isRefused ? undefined : route?.needsBy(rule))
    if (route !== undefined) client.seeRoute(route.index, weight)
    const hashes = hashesOf(principal.subject, client.seed)
    this.#callers.add(hashes)
    if (status === 403) this.#seeForbidden(principal, client, hashes, weight)
    else if (status !== 429) this.#welcome.add(hashes)
  }

  #seeForbidden ({ subject, issuer }: Principal, count: ClientCount, hashes: Hashes, weight: number): void {
    const { kind, name: client } = count
    count.forbidden += weight
    if (isLong(subject, issuer)) return
    this.#refused.add(JSON.stringify([kind, client, issuer, subject]), weight, () => ({ kind, client, issuer, subject, hashes }))
  }

  #clientOf (principal: Principal): ClientCount {
    const { kind: caller, client, credential, issuer } = principal
    const kind = caller === 'api-key' ? 'api-key' : client === undefined ? 'unnamed' : 'client'
    const name = client ?? credential ?? caller
    const known = this.#clients[kind].get(issuer)?.get(name)
    return known ?? this.#openClient(kind, name, issuer)
  }

  #openClient (kind: NamedKind, name: string, issuer: string | undefined): ClientCount {
    const count = new ClientCount(kind, name, issuer, this.#room)
    if (this.#clientCount >= this.#bounds.clients || isLong(name, issuer)) {
      this.#beyond.add(count.seed)
      return this.#others
    }
    this.#clientCount++
    const all = this.#clients[kind]
    const named = all.get(issuer) ?? new Map<string, ClientCount>()
    all.set(issuer, named.set(name, count))
    return count
  }

  #routeOf ({ method, route: url, rule }: Call): RouteCount | undefined {
    if (url === undefined || method === '') return undefined
    const methods = this.#routes.get(url)
    const known = methods?.get(method) ?? (method === 'HEAD' ? methods?.get('GET') : undefined)
    if (known !== undefined) return known
    if (this.#routeList.length >= this.#bounds.routes || url.length > longestUrl) return undefined
    const count = this.#openRoute({ methods: [method], url, rule, policies: this.#policies, complete: true }, false)
    this.#place(method, count)
    return count
  }

  #openRoute (route: KnownRoute, known: boolean): RouteCount {
    const count = new RouteCount(this.#routeList.length, route, known)
    this.#routeList.push(count)
    return count
  }

  #place (method: string, count: RouteCount): void {
    const methods = this.#routes.get(count.url)
    if (methods === undefined) this.#routes.set(count.url, new Map([[method, count]]))
    else methods.set(method, count)
  }

  /** Everything that was counted so far, as plain data. */
  summary (): UsageSummary {
    const clients = Object.values(this.#clients).flatMap(byIssuer => [...byIssuer.values()].flatMap(named => [...named.values()]))
    return {
      ...(this.#since !== undefined && { since: this.#since }),
      ...(this.#until !== undefined && { until: this.#until }),
      calls: this.#calls,
      unplaced: this.#unplaced,
      callers: this.#callers.estimate,
      ...countsOf(clients, this.#others, this.#routeList),
      refused: this.#refusedOnly(),
      beyond: {
        clients: this.#beyond.estimate,
        calls: this.#others.calls,
        scopes: [...clients, this.#others].some(({ untracked }) => untracked)
      }
    }
  }

  /** Of those that were refused most, whom no other answer was sent to; none where the filter would be wrong too often. */
  #refusedOnly (): RefusedCaller[] {
    if (this.#welcome.fill > tooFull) return []
    return this.#refused.list().filter(({ item }) => !this.#welcome.has(item.hashes))
      .map(({ item: { hashes: _, ...who }, atLeast, atMost }) => ({ ...who, atLeast, atMost }))
  }
}

const none: readonly string[] = []

/** A trail that anybody may have changed has names of any length. */
function isLong (name: string, issuer: string | undefined): boolean {
  return name.length > longestName || (issuer !== undefined && issuer.length > longestName)
}
