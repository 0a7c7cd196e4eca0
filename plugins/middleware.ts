import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { mistake, type ConfigurationError } from '../lib/config/index.ts'
import { keptAround, scopesOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'

/**
 * Connect middleware answers on the raw response, without asking which route the request would meet: no rule can be held against it.
 * Where this scope or one inside it has any, the boot stops. Nest always registers @fastify/middie, which alone does nothing.
 */
const middleware: FastifyPluginAsync = async app => {
  app.addHook('onReady', async function refuseMiddleware () {
    const scopes = scopesOf(app)
    if (scopes === undefined ? runsMiddleware(app) : scopes.some(hasMiddleware)) throw unguarded()
    // Both take middleware while the server runs, too: by `app.use`, and by a reference to it that was kept.
    const refuse = () => { throw unguarded() }
    for (const scope of scopes ?? []) {
      if (Object.hasOwn(scope, 'use')) Object.assign(scope, { use: refuse })
      for (const list of lists.map(name => keptAround(scope, name))) if (Array.isArray(list)) Object.assign(list, { push: refuse })
    }
  })
}

const plugins = ['@fastify/middie', '@fastify/express']
/** How both name the symbols under which a scope keeps its middleware. */
const lists = ['fastify-middie-middlewares', 'fastify-express-middlewares']

/** Whether `use` was called, here or in a scope around. Where the plugin does not keep its middleware as expected, it counts as used. */
function hasMiddleware (scope: FastifyInstance): boolean {
  const kept = lists.map(name => keptAround(scope, name)).filter(list => list !== undefined)
  if (kept.length === 0) return plugins.some(name => scope.hasPlugin(name))
  return kept.some(list => !Array.isArray(list) || list.length > 0)
}

/** For a Fastify that keeps its scopes elsewhere: the hooks of both plugins show on the routes. */
function runsMiddleware (app: FastifyInstance): boolean {
  return /"(?:runMiddie|runMiddieWithPayload|runConnect)\(\)"/.test(app.printRoutes({ includeHooks: true, commonPrefix: false }))
}

function unguarded (): ConfigurationError {
  return mistake('SECURE_API_MIDDLEWARE_UNGUARDED', 'app.use',
    'middleware of @fastify/middie or @fastify/express is registered, and its answers are not guarded: strangers get them too',
    "Write a route that hands over: app.all('/admin/*', { config: { role: 'admin' } }, (request, reply) => { reply.hijack(); " +
      'middleware(request.raw, reply.raw) }). For middleware that never answers state `dangerouslyAllowMiddleware: true`.')
}

export default suitePlugin('secure-api-middleware', middleware)
