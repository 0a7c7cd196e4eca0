import type { FastifyInstance, RouteOptions } from 'fastify'
import { mistake, Problems, type ConfigurationCode } from '../lib/config/index.ts'
import { ruleKeys } from '../lib/rules/index.ts'
import { pluginsOf, rootOf } from './fastify-internals.ts'
import { warn } from './warn.ts'

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

/** Stops the boot where a plugin of others does in this scope what one of ours does. In a child scope a page may want its own. */
export function refuseBeside (app: FastifyInstance, key: keyof typeof neighbours): void {
  const { name, code, does, leaves } = neighbours[key]
  const refuse = () => {
    if (!app.hasPlugin(name) && !leaves(app)) return
    throw mistake(code, key, `${name} is registered in the same scope and would ${does}`, `Remove it, or set \`${key}: false\`.`)
  }
  refuse()
  app.addHook('onReady', async () => refuse())
}

/**
 * Warns of `onRequest` hooks that run before this one on some route and are not accepted, and of accepted names that match nothing.
 * A hook without a name may belong to any plugin that was registered before: those are named instead. Whether such a hook ever replies
 * cannot be known; what it replies carries none of our headers.
 */
export function checkHooksBefore (app: FastifyInstance, ours: string, listed: readonly string[], needed: readonly string[]): void {
  const [names, plugins] = [namesBefore(app, ours), pluginsBefore(app)]
  const accepted = [...listed, ...needed]
  const others = plugins.filter(plugin => !accepted.includes(plugin))
  const isOwned = plugins.length > 0 && others.length === 0
  const hooks = names.filter(hook => !accepted.includes(hook) && !(hook === nameless && isOwned))
    .map(hook => hook === nameless && others.length > 0 ? `${nameless}, one of: ${[...others, 'the application'].join(', ')}` : hook)
  const found = [...new Set([...names, ...plugins])]
  const entries = listed.filter(name => !found.includes(name))
  const codes = ['SECURE_API_HOOK_ORDER', 'SECURE_API_HOOKS_BEFORE_UNKNOWN'] as const satisfies ConfigurationCode[]
  if (hooks.length > 0) {
    warn(app, { code: codes[0], hooks },
      'secure-api: these onRequest hooks run first; their answers get no headers and no limit. Register the suite before them')
  }
  if (entries.length > 0) {
    warn(app, { code: codes[1], entries, found },
      'secure-api: these entries of hooksBefore match no hook or plugin that runs before the suite')
  }
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

/** URLs of all routes of the server, as declared, those before the suite too: lines of a tree, each deeper by four characters. */
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

/** A rule outside the child scope stops the boot, since nobody would keep it. Routes declared before show their options to no one. */
export function guardNarrowScope (app: FastifyInstance): void {
  warn(app, { prefix: app.prefix },
    'secure-api: registered in a child scope: only routes of this scope are guarded, and 404s outside it carry no security headers')
  const outside: RouteOptions[] = []
  const root = rootOf(app) as FastifyInstance
  root.addHook('onRoute', function noteOutside (route) {
    if (this !== app && !Object.prototype.isPrototypeOf.call(app, this)) outside.push(route)
  })
  app.addHook('onReady', async function refuseOutside () {
    const problems = new Problems()
    for (const { method, url, config = {} } of outside) {
      const stated = [...ruleKeys, 'authenticated'].filter(key => Object.hasOwn(config, key))
      if (stated.length === 0 || method === 'HEAD') continue
      problems.add('SECURE_API_ROUTE_OUTSIDE', `route ${String(method)} ${url}: config.${stated.join(', config.')}`,
        'the suite is registered in a child scope without this route, so nobody enforces its rule',
        'Register the suite at the root, or move the route into that scope.')
    }
    problems.throwIfAny()
  })
}
