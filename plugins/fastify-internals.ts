import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { environmentOf, type Environment, type SectionContext } from '../lib/config/index.ts'
import { overTls, type OverTls } from '../lib/edge/index.ts'

/** What Fastify does not tell in public is read here alone, by its symbols. Where one is gone, each caller has another way. */
function keptBy (holder: object, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(holder).find(known => known.description === description)
  return symbol && Reflect.get(holder, symbol)
}

/** As kept by the nearest scope around: a child scope has its parent as its prototype. */
export function keptAround (scope: object | null, description: string): unknown {
  if (scope === null) return undefined
  const own = Object.getOwnPropertySymbols(scope).some(known => known.description === description)
  return own ? keptBy(scope, description) : keptAround(Reflect.getPrototypeOf(scope), description)
}

/** Only the root has the server as its own. */
export function rootOf (app: object): object {
  return Object.hasOwn(app, 'server') ? app : rootOf(Object.getPrototypeOf(app))
}

/** What the application gave to `Fastify()`, as far as it matters here. */
export function serverOptionsOf (app: FastifyInstance): { readonly trustProxy?: unknown, readonly https?: unknown } | undefined {
  const options = keptBy(rootOf(app), 'fastify.options')
  return typeof options === 'object' && options !== null ? options : undefined
}

/** Whether a request can have come over TLS: to this server, or to a proxy that it believes. */
export function canBeSecure (app: FastifyInstance): boolean {
  const options = serverOptionsOf(app)
  return app.server instanceof TlsServer || options === undefined || Boolean(options.trustProxy)
}

/** Whether a request did. */
export function overTlsOf (app: FastifyInstance): OverTls {
  return overTls(serverOptionsOf(app)?.trustProxy)
}

/** What the sections of the options may know of this scope. */
export function contextOf (app: FastifyInstance, environment: Environment | undefined): SectionContext {
  return { environment: environmentOf(environment), secure: canBeSecure(app), prefix: app.prefix, logs: hasLogger(app) }
}

/** On the server of a command that only looks at the application. */
const kHosted = Symbol.for('fastify-secure-api.hosted')

/** `Fastify()` without one has a logger that does nothing, whatever its level. */
function hasLogger (app: FastifyInstance): boolean {
  const log = app.log.child({}, { level: 'info' })
  return log.info !== log.warn || kHosted in app.server
}

/** Whether the application wants no log of requests, by its `disableRequestLogging` or `logController`; said of each request. */
export function quietOf (app: FastifyInstance): (request: FastifyRequest) => boolean {
  const controller = keptBy(rootOf(app), 'fastify.logController')
  if (typeof controller !== 'object' || controller === null || !('isLogDisabled' in controller)) {
    return () => app.initialConfig.disableRequestLogging === true
  }
  const { isLogDisabled } = controller
  return request => typeof isLogDisabled === 'function' && Reflect.apply(isLogDisabled, controller, [request]) === true
}

/** Whether the application has begun to close: its router then answers 503 by itself, maybe before any `preClose` hook of ours. */
export function closingOf (app: FastifyInstance): () => boolean {
  const state = keptBy(rootOf(app), 'fastify.state')
  if (typeof state !== 'object' || state === null) return () => false
  return () => 'closing' in state && state.closing === true
}

/** The servers that `listen()` made beside the first, one for each further address of localhost. */
export function bindingsOf (app: FastifyInstance): readonly unknown[] {
  const found = keptBy(rootOf(app), 'fastify.serverBindings')
  return Array.isArray(found) ? found : []
}

/** This scope and all inside it, those declared before the suite too. */
export function scopesOf (app: FastifyInstance): FastifyInstance[] | undefined {
  const children = keptBy(app, 'fastify.children')
  if (!Array.isArray(children)) return undefined
  const below = (children as FastifyInstance[]).map(scopesOf)
  return below.every(scopes => scopes !== undefined) ? [app, ...below.flat()] : undefined
}

/** Where `hasPlugin` looks for the names of a scope's plugins, in their order. */
const kPlugins = Symbol.for('registered-plugin')

export function pluginsOf (app: FastifyInstance): string[] {
  const { [kPlugins]: list } = app as { [kPlugins]?: ArrayLike<unknown> }
  return Array.from(list ?? [], String)
}

/** What Fastify keeps of a handler of errors: the next one, for what it throws, is its prototype. */
export interface ErrorHandlerLink { readonly func: (...parts: never[]) => unknown }

export const errorHandlerOf = (app: FastifyInstance) => keptBy(app, 'fastify.errorHandler') as ErrorHandlerLink | undefined

/** What a route keeps of its handlers. */
interface RouteContext { errorHandler?: ErrorHandlerLink }

export const routeContextOf = (request: FastifyRequest) => keptBy(request, 'fastify.context') as RouteContext | undefined

/** Fastify warns of a second handler in one scope, or refuses it (`allowErrorHandlerOverride`): ours is not the application's first. */
export function allowAnotherErrorHandler (scope: FastifyInstance): void {
  const symbol = Object.getOwnPropertySymbols(scope).find(({ description }) => description === 'fastify.errorHandlerAlreadySet')
  if (symbol !== undefined) Reflect.set(scope, symbol, false)
}
