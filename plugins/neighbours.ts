import type { FastifyInstance } from 'fastify'
import { mistake, type ConfigurationCode } from '../lib/config/index.ts'
import { pluginsOf } from './fastify-internals.ts'

/** Official plugins, and what each leaves behind: it may run through a proxy or a wrapper, where its name is not seen. */
const neighbours = {
  cors: {
    name: '@fastify/cors',
    code: 'SECURE_API_CORS_DUPLICATE',
    does: 'answer preflights that this policy refuses',
    leaves: (app: FastifyInstance) => app.hasRequestDecorator('corsPreflightEnabled')
  },
  headers: {
    name: '@fastify/helmet',
    code: 'SECURE_API_HEADERS_DUPLICATE',
    does: 'write the same headers again',
    leaves: (app: FastifyInstance) => app.hasReplyDecorator('helmet')
  }
} as const

/**
 * Stops the boot where a plugin of others does in this scope what one of ours does, whichever came first: their headers
 * would be sent twice, or one would undo the other. In a child scope it is left alone: a page may want its own.
 */
export function refuseBeside (app: FastifyInstance, key: keyof typeof neighbours): void {
  const { name, code, does, leaves } = neighbours[key]
  const refuse = () => {
    if (!app.hasPlugin(name) && !leaves(app)) return
    throw mistake(code, key, `${name} is registered in the same scope and would ${does}`, `Remove it, or set \`${key}: false\`.`)
  }
  refuse()
  app.addHook('onReady', async () => refuse())
}

/** Warns of entries of `hooksBefore` that name no hook and no plugin that runs before the suite. */
export function checkHooksBefore (app: FastifyInstance, accepted: readonly string[]): void {
  const found = new Set([...namesBefore(app, 'secureApiOnRequest'), ...pluginsBefore(app)])
  const entries = accepted.filter(name => !found.has(name))
  const code = 'SECURE_API_HOOKS_BEFORE_UNKNOWN' satisfies ConfigurationCode
  if (entries.length === 0) return
  app.log.warn({ code, entries, found: [...found] },
    'secure-api: these entries of hooksBefore match no hook or plugin that runs before the suite')
}

/**
 * Names of `onRequest` hooks that run before this one on some route, as Fastify prints them, without those that are
 * accepted. A hook without a name may belong to any plugin that was registered before: those are named instead. Whether
 * such a hook ever replies cannot be known; what it replies carries none of our headers.
 */
export function hooksBefore (app: FastifyInstance, name: string, acceptedNames: readonly string[]): string[] {
  const accepted = new Set(acceptedNames)
  const plugins = pluginsBefore(app)
  const others = plugins.filter(plugin => !accepted.has(plugin))
  const owned = plugins.length > 0 && others.length === 0
  return namesBefore(app, name)
    .filter(hook => !accepted.has(hook) && !(hook === nameless && owned))
    .map(hook => hook === nameless && others.length > 0 ? `${nameless}, one of: ${[...others, 'the application'].join(', ')}` : hook)
}

/** What Fastify prints for a function without a name. */
const nameless = 'anonymous'

function namesBefore (app: FastifyInstance, name: string): string[] {
  const own = `${name}()`
  const lists = [...app.printRoutes({ includeHooks: true, commonPrefix: false }).matchAll(/\(onRequest\) (\[.*\])$/gm)]
    .map(([, list = '[]']): unknown => JSON.parse(list))
    .filter((list): list is string[] => Array.isArray(list) && list.includes(own))
  return [...new Set(lists.flatMap(list => list.slice(0, list.indexOf(own))))].map(hook => hook.replace(/\(\)$/, ''))
}

/** Plugins that were registered, with a name, before the first of ours. */
function pluginsBefore (app: FastifyInstance): string[] {
  const names = pluginsOf(app)
  const first = names.findIndex(name => name.startsWith('secure-api'))
  return first === -1 ? names : names.slice(0, first)
}

/** Methods of all routes of the server, those declared before the suite too. */
export function methodsOfRoutes (app: FastifyInstance): ReadonlySet<string> {
  const lists = [...app.printRoutes({ commonPrefix: false }).matchAll(/ \(([A-Z-]+(?:, [A-Z-]+)*)\)$/gm)]
  return new Set(lists.flatMap(([, methods = '']) => methods.split(', ')))
}

/**
 * URLs of all routes of the server, as they were declared, those before the suite too: the lines of a tree, each deeper by four
 * characters.
 */
export function urlsOf (app: FastifyInstance): string[] {
  const above: string[] = []
  const urls: string[] = []
  for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
    const [, indent, label, routed] = /^((?:[│ ] {3})*[├└]── )(.*?)( \([A-Z-]+(?:, [A-Z-]+)*\)(?: \{.*\})?)?$/.exec(line) ?? []
    if (indent === undefined || label === undefined) continue
    const depth = indent.length / 4
    const url = (above[depth - 2] ?? '') + label
    above[depth - 1] = url
    above.length = depth
    if (routed !== undefined) urls.push(url)
  }
  return urls
}
