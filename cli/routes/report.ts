import type { CorsOptions, RouteCors } from '../../lib/cors/index.ts'
import type { RouteHeaders } from '../../lib/headers/index.ts'
import type { Rule } from '../../lib/rules/index.ts'
import type { PolicyRules } from '../../lib/usage/index.ts'
import type { RoutePosture } from '../../plugins/index.ts'
import type { Coverage, FoundRoute, Inventory } from './inventory.ts'
import type { Source } from './record.ts'

/** Who may call a route. `open`: nobody is authenticated at all. `unknown`: told at the first request. */
export type Access =
  | { readonly kind: 'rule', readonly rule: Rule }
  | { readonly kind: 'public' | 'authenticated' | 'authenticated-by-default' | 'closed' | 'open' | 'outside' | 'unknown' }

export interface RowLimit {
  readonly policy: string
  readonly limit: number
  readonly windowMs: number
  readonly algorithm: string
  readonly by: string
  readonly dryRun: boolean
}

/** One line of the table. */
export interface Row {
  readonly methods: readonly string[]
  readonly url: string
  readonly coverage: Coverage
  readonly access: Access
  /** `false`: switched off for the route. Absent: the control is off, or not known for this route. */
  readonly rateLimit?: readonly RowLimit[] | false
  readonly cors?: 'default' | RouteCors
  readonly headers?: 'default' | RouteHeaders
  /** `true`: under the name of the route; a text: under that one. */
  readonly audit?: boolean | string
  /** Where the rule names policies: those of the application that are rules. */
  readonly policies?: PolicyRules
  /** What a request meets, in order. */
  readonly steps: readonly string[]
  /** The route's own hooks. */
  readonly hooks: readonly string[]
  readonly handler: string
  readonly source?: Source
}

export interface Application {
  readonly suites: number
  readonly fastify: string
  /** Which controls are on; undefined where there is no route by which that could be known. */
  readonly controls?: Readonly<Record<'authentication' | 'rate limit' | 'headers' | 'audit', boolean>>
  readonly addressLimits: readonly string[]
  readonly cors?: CorsOptions
}

export interface Posture {
  readonly application: Application
  /** By path, then by method. */
  readonly rows: readonly Row[]
}

/** Makes the table of an inventory. */
export function postureOf ({ suites, fastify, addressLimits, cors, routes }: Inventory): Posture {
  const known = routes.flatMap(({ posture }) => posture ?? [])
  const has = (part: keyof RoutePosture): boolean => known.some(posture => part in posture)
  const controls = { authentication: has('access'), 'rate limit': has('rateLimit'), headers: has('headers'), audit: has('audit') }
  return {
    application: { suites, fastify, addressLimits, ...(known.length > 0 && { controls }), ...(cors && { cors }) },
    rows: withoutHead(routes.map(row)).sort(byPath)
  }
}

/** `GET /orders`: how a row is called in findings and baselines. */
export function nameOf ({ methods, url }: Pick<Row, 'methods' | 'url'>): string {
  return `${methods.join(',')} ${url}`
}

function row ({ methods, url, coverage, posture, hooks, handler, source }: FoundRoute): Row {
  const { onRequest = [], preHandler = [] } = posture?.steps ?? {}
  return {
    methods,
    url,
    coverage,
    access: accessOf(coverage, posture),
    steps: [...onRequest, ...preHandler],
    hooks,
    handler,
    ...(source && { source }),
    ...told(posture)
  }
}

/** The suite's own description of a route, in the shapes that its plugins document. */
function told (posture: RoutePosture | undefined): Partial<Row> {
  const { rateLimit, cors, headers, audit, policies } = posture ?? {}
  return {
    ...(policies !== undefined && { policies }),
    ...(rateLimit !== undefined && { rateLimit: rateLimit as NonNullable<Row['rateLimit']> }),
    ...(cors !== undefined && { cors: cors as NonNullable<Row['cors']> }),
    ...(headers !== undefined && { headers: headers as NonNullable<Row['headers']> }),
    ...(audit !== undefined && { audit: audit as NonNullable<Row['audit']> })
  }
}

function accessOf (coverage: Coverage, posture: RoutePosture | undefined): Access {
  if (posture === undefined) return { kind: coverage === 'early' ? 'unknown' : 'outside' }
  const { access, accessByDefault } = posture
  if (access === undefined) return { kind: 'open' }
  if (access === 'public' || access === 'authenticated') return { kind: access }
  if (typeof access === 'object' && access !== null) return { kind: 'rule', rule: access as Rule }
  return { kind: accessByDefault === 'authenticated' ? 'authenticated-by-default' : 'closed' }
}

/** HEAD follows GET; its row says something only where it differs. For the root of a prefix Fastify declares HEAD as `/prefix/` alone. */
function withoutHead (rows: readonly Row[]): Row[] {
  const reads = rows.filter(({ methods }) => methods.includes('GET'))
  return rows.filter(row => !(row.methods.join() === 'HEAD' && reads.some(read => sameUrl(read, row) && same(read, row))))
}

function sameUrl (one: Row, other: Row): boolean {
  return one.url.replace(/\/$/, '') === other.url.replace(/\/$/, '')
}

function same (one: Row, other: Row): boolean {
  const essence = ({ coverage, access, rateLimit, cors, headers, audit }: Row) =>
    JSON.stringify([coverage, access, rateLimit, cors, headers, audit])
  return essence(one) === essence(other)
}

const methodOrder = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

function byPath (a: Row, b: Row): number {
  return compare(a.url, b.url) || rank(a) - rank(b) || compare(nameOf(a), nameOf(b))
}

/** By code unit, so that the order is the same in every locale. */
function compare (a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function rank ({ methods: [first = ''] }: Row): number {
  const index = methodOrder.indexOf(first)
  return index === -1 ? methodOrder.length : index
}
