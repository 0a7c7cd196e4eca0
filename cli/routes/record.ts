import { subscribe } from 'node:diagnostics_channel'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, RouteOptions } from 'fastify'

/** Where a route is declared. */
export interface Source {
  readonly file: string
  readonly line: number
}

/** A route as its application declared it, seen before any plugin saw it. */
export interface Declared {
  readonly methods: readonly string[]
  readonly url: string
  readonly source: Source | undefined
  /** Names of the hooks that the route itself brings, which may be guards by hand. */
  readonly hooks: readonly string[]
  /** Name of the handler. */
  readonly handler: string
}

const recorded = new WeakMap<object, Declared[]>()

/**
 * Watches every server that is created from now on. Fastify tells of a new instance on a diagnostics channel before
 * the application has it, so that this `onRoute` hook comes first and misses no route.
 */
export function recordRoutes (): void {
  subscribe('fastify.initialization', message => {
    const { fastify } = message as { fastify: FastifyInstance }
    const routes: Declared[] = []
    recorded.set(fastify, routes)
    fastify.addHook('onRoute', function recordRoute (route) { routes.push(declared(route)) })
  })
}

/** What was declared on this server: undefined for one that was created before the watch began. */
export function declaredRoutes (app: FastifyInstance): readonly Declared[] | undefined {
  return recorded.get(app)
}

const hookNames = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

function declared (route: RouteOptions): Declared {
  const hooks = hookNames.flatMap(name => [route[name] ?? []].flat())
  return {
    methods: [route.method].flat(),
    url: route.url,
    source: sourceOf(new Error().stack ?? ''),
    hooks: hooks.map(({ name }) => name || 'anonymous'),
    handler: route.handler.name
  }
}

const framework = new RegExp([
  /[\\/]node_modules[\\/](fastify|avvio|@fastify[\\/]autoload)[\\/]|^node:/,
  // In the bundle the first two are in the third.
  /[\\/]cli[\\/](routes[\\/]record|init[\\/]watch|routes[\\/]probe)\.[jt]s$/
].map(({ source }) => source).join('|'))

/** A place with its column, for programs that edit what stands there. */
export interface Place extends Source {
  readonly column: number
}

/** The first frame that is neither this file nor the framework's: source maps are on, so that it names what people wrote. */
export function placeOf (stack: string): Place | undefined {
  for (const [, location = '', line, column] of stack.matchAll(/\(?((?:file:\/\/|node:|[A-Za-z]:[\\/]|\/)[^()\n]*?):(\d+):(\d+)\)?$/gm)) {
    const file = location.startsWith('file:') ? fileURLToPath(location) : location
    if (!framework.test(file)) return { file, line: Number(line), column: Number(column) }
  }
  return undefined
}

export function sourceOf (stack: string): Source | undefined {
  const place = placeOf(stack)
  return place && { file: place.file, line: place.line }
}
