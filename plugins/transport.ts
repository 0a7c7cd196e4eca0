import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { environmentOf, type Environment, type SectionContext } from '../lib/config/index.ts'

/** What the application gave to `Fastify()`, as far as it matters here. */
export interface ServerOptions {
  readonly trustProxy?: unknown
  readonly https?: unknown
}

/**
 * Fastify tells the options of its constructor nowhere in public. Where they cannot be found any more, this is undefined,
 * and what requests show is all there is.
 */
export function serverOptionsOf (app: FastifyInstance): ServerOptions | undefined {
  const root = rootOf(app)
  const symbol = Object.getOwnPropertySymbols(root).find(({ description }) => description === 'fastify.options')
  const options: unknown = symbol === undefined ? undefined : Reflect.get(root, symbol)
  return typeof options === 'object' && options !== null ? options : undefined
}

/** Children have their parent as prototype; only the root has the server as its own. */
export function rootOf (app: object): object {
  return Object.hasOwn(app, 'server') ? app : rootOf(Object.getPrototypeOf(app))
}

export function isTls (app: FastifyInstance): boolean {
  return app.server instanceof TlsServer
}

/** Whether a request can have come over TLS: to this server, or to a proxy that it believes. */
export function canBeSecure (app: FastifyInstance): boolean {
  const options = serverOptionsOf(app)
  return isTls(app) || options === undefined || Boolean(options.trustProxy)
}

/** What the sections of the options may know of this scope. */
export function contextOf (app: FastifyInstance, environment: Environment | undefined): SectionContext {
  return { environment: environmentOf(environment), secure: canBeSecure(app), prefix: app.prefix }
}

/** Whether the application wants no log of requests, by its `disableRequestLogging` or `logController`; said of each request. */
export function quietOf (app: FastifyInstance): (request: FastifyRequest) => boolean {
  const root = rootOf(app)
  const symbol = Object.getOwnPropertySymbols(root).find(({ description }) => description === 'fastify.logController')
  const controller: unknown = symbol === undefined ? undefined : Reflect.get(root, symbol)
  if (typeof controller !== 'object' || controller === null || !('isLogDisabled' in controller)) return () => app.initialConfig.disableRequestLogging === true
  const { isLogDisabled } = controller
  return request => typeof isLogDisabled === 'function' && Reflect.apply(isLogDisabled, controller, [request]) === true
}

/**
 * Whether the application has begun to close. From that moment its router answers 503 by itself, which may be before any
 * `preClose` hook of ours.
 */
export function closingOf (app: FastifyInstance): () => boolean {
  const root = rootOf(app)
  const symbol = Object.getOwnPropertySymbols(root).find(({ description }) => description === 'fastify.state')
  const state: unknown = symbol === undefined ? undefined : Reflect.get(root, symbol)
  if (typeof state !== 'object' || state === null) return () => false
  return () => 'closing' in state && state.closing === true
}
