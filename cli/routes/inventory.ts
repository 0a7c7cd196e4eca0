import type { FastifyInstance } from 'fastify'
import type { CorsOptions } from '../../lib/cors/index.ts'
import type { RoutePosture, SecretStatus, SecureApi } from '../../plugins/index.ts'
import { declaredRoutes, type Declared, type Source } from './record.ts'
import { readRouter } from './router.ts'

/** `suite`: the suite knows the route. `early`: it guards it, and learns its rules at the first request. `outside`: nothing guards it. */
export type Coverage = 'suite' | 'early' | 'outside'

export interface FoundRoute {
  readonly methods: readonly string[]
  readonly url: string
  readonly coverage: Coverage
  readonly source?: Source
  /** Names of the route's own hooks. */
  readonly hooks: readonly string[]
  readonly handler: string
  readonly posture?: RoutePosture
}

/** Everything the report is made from, as plain data: it crosses from the process of the application. */
export interface Inventory {
  readonly fastify: string
  /** How many suites there are: none, one, or one in each of several child scopes. */
  readonly suites: number
  /** Names of the limits by address that are on. */
  readonly addressLimits: readonly string[]
  readonly cors?: CorsOptions
  readonly routes: readonly FoundRoute[]
  readonly secrets: readonly SecretStatus[]
}

interface Scope {
  readonly instance: FastifyInstance
  readonly suite: SecureApi
}

/** Takes stock of a server that is ready. */
export function takeInventory (app: FastifyInstance): Inventory {
  const scopes = suitesOf(app)
  const postures = scopes.flatMap(({ suite }) => suite.routes())
  const routes = matched(app, declaredRoutes(app), postures)
  const [cors] = postures.flatMap(({ corsApplication }) => corsApplication ?? [])
  return {
    fastify: app.version,
    suites: scopes.length,
    addressLimits: scopes.flatMap(({ instance }) => instance.hasDecorator('rateLimits') ? instance.rateLimits.list() : [])
      .map(({ name }) => name).filter(name => name === 'address' || name === 'failures'),
    ...(cors === undefined ? undefined : { cors }),
    routes,
    secrets: scopes.flatMap(({ suite }) => suite.status()['secrets'] as readonly SecretStatus[] | undefined ?? [])
  }
}

/** The suite may sit in a child scope: own properties of a parent are inherited, so each is counted where it is its own. */
function suitesOf (app: FastifyInstance): readonly Scope[] {
  return scopesOf(app).filter(instance => Object.hasOwn(instance, 'secureApi')).map(instance => ({ instance, suite: instance.secureApi }))
}

/** Fastify keeps the children of an instance under a symbol, and tells them nowhere in public. */
function scopesOf (instance: FastifyInstance): readonly FastifyInstance[] {
  const symbol = Object.getOwnPropertySymbols(instance).find(({ description }) => description === 'fastify.children')
  const children: unknown = symbol === undefined ? [] : Reflect.get(instance, symbol)
  return [instance, ...(Array.isArray(children) ? children as FastifyInstance[] : []).flatMap(scopesOf)]
}

/** Pairs what was declared with what the suite says, in the order of declaration; routes that only differ by a constraint share a key. */
function matched (app: FastifyInstance, declared: readonly Declared[] | undefined,
  postures: readonly RoutePosture[]): readonly FoundRoute[] {
  const known = grouped(postures)
  const guarded = guardedByHook(app)
  const routes = (declared ?? fromRouter(app)).map((route): FoundRoute => {
    const posture = known.get(keyOf(route))?.shift()
    const { source, ...rest } = route
    const coverage = posture !== undefined ? 'suite' : guarded(route) ? 'early' : 'outside'
    return { ...rest, coverage, ...(source && { source }), ...(posture && { posture }) }
  })
  const left = [...known.values()].flat()
  return [...routes, ...left.map((posture): FoundRoute =>
    ({ methods: posture.methods, url: posture.url, hooks: [], handler: '', coverage: 'suite', posture }))]
}

function grouped (postures: readonly RoutePosture[]): Map<string, RoutePosture[]> {
  const groups = new Map<string, RoutePosture[]>()
  for (const posture of postures) groups.set(keyOf(posture), [...groups.get(keyOf(posture)) ?? [], posture])
  return groups
}

function keyOf ({ methods, url }: Pick<Declared, 'methods' | 'url'>): string {
  return `${methods.join()} ${url}`
}

/** Whether requests of a route that the suite does not know meet its instance hook all the same. What cannot be found is not guarded. */
function guardedByHook (app: FastifyInstance): (route: Declared) => boolean {
  const entries = readRouter(app.printRoutes({ includeHooks: true }))
  return ({ methods, url }) => {
    const path = url.replaceAll('::', ':').replace(/\?$/, '')
    const here = entries.filter(entry => entry.url === path && entry.methods.some(method => methods.includes(method)))
    return here.length > 0 && here.every(({ onRequest }) => onRequest.includes('secureApiOnRequest'))
  }
}

/** A server that was created before the recorder listened: its router is all there is. */
function fromRouter (app: FastifyInstance): readonly Declared[] {
  return readRouter(app.printRoutes({ includeHooks: true })).map(({ methods, url }) =>
    ({ methods, url, source: undefined, hooks: [], handler: '' }))
}
