import type { FastifyInstance } from 'fastify'
import { contextOf } from '../../plugins/fastify-internals.ts'
import { fileOf, foldersOf } from './autoloaded.ts'
import { describe } from './describe.ts'
import type { Guard, Registration, Stock } from './types.ts'
import { watchedOf, type SeenRegistration, type Watched } from './watch.ts'

/** All that `init` has to know of a server that is ready. */
export async function takeStock (app: FastifyInstance): Promise<Stock> {
  const seen = watchedOf(app)
  if (seen === undefined) {
    throw new Error('the server was made before it could be watched: export a plugin, or a function that makes the server')
  }
  const autoload = foldersOf(seen.registrations)
  const registrations: Registration[] = []
  const { secure, logs } = contextOf(app, undefined)
  for (const registration of seen.registrations) registrations.push(await registrationOf(registration, seen, app, autoload))
  return {
    registrations,
    routes: seen.routes.map(({ scope, ...route }) => ({ ...route, instance: hooksFor(scope, seen) })),
    decorators: seen.decorators,
    errorHandlers: seen.errorHandlers,
    routeHooks: seen.routeHooks,
    secure,
    logs,
    autoload
  }
}

async function registrationOf ({ plugin, options, place, scope }: SeenRegistration, { routes }: Watched, app: FastifyInstance,
  autoload: readonly string[]): Promise<Registration> {
  const resolved = defaultOf(await plugin)
  const autoloaded = place === undefined ? await fileOf(resolved, autoload) : undefined
  return {
    name: nameOf(resolved),
    place,
    ...(autoloaded !== undefined && { autoloaded }),
    root: routes.every(route => route.scope === scope || childToward(route.scope, scope) !== undefined),
    options: describe(typeof options === 'function' ? (options as (app: unknown) => unknown)(app) : options)
  }
}

function defaultOf (plugin: unknown): unknown {
  return typeof plugin === 'object' && plugin !== null && 'default' in plugin ? plugin.default : plugin
}

/** fastify-plugin keeps the name under public symbols. */
function nameOf (plugin: unknown): string {
  if (typeof plugin !== 'function') return ''
  const meta = Reflect.get(plugin, Symbol.for('plugin-meta')) as { name?: unknown } | undefined
  return String(meta?.name ?? plugin.name)
}

/** Hooks of the scope and of those around it: a child has those that its parent had when the child was made. */
function hooksFor (scope: object, { hooks, scopes }: Watched): readonly Guard[] {
  return hooks.filter(hook => {
    if (hook.scope === scope) return true
    const child = childToward(scope, hook.scope)
    return child !== undefined && hook.order < (scopes.get(child) ?? 0)
  }).map(({ guard }) => guard)
}

/** The direct child of `ancestor` on the way to a scope; undefined where it is no ancestor. */
function childToward (scope: object, ancestor: object): object | undefined {
  const parent = Reflect.getPrototypeOf(scope)
  if (parent === null || parent === Object.prototype) return undefined
  return parent === ancestor ? scope : childToward(parent, ancestor)
}
