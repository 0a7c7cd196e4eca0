import type { FastifyInstance, RouteOptions } from 'fastify'
import { Problems } from '../lib/config/index.ts'
import { rootOf } from './fastify-internals.ts'

const ruleKeys = ['scope', 'role', 'policy', 'authenticated'] as const

/**
 * In a child scope the suite guards the routes of that scope alone. A rule at a route outside would be kept by nobody, so
 * that it stops the boot, wherever the route is seen: those that were declared before show their options to no one.
 */
export function guardNarrowScope (app: FastifyInstance): void {
  app.log.warn({ prefix: app.prefix },
    'secure-api: registered in a child scope: only routes of this scope are guarded, and 404s outside it carry no security headers')
  const outside: RouteOptions[] = []
  const root = rootOf(app) as FastifyInstance
  root.addHook('onRoute', function noteOutside (route) {
    if (this !== app && !Object.prototype.isPrototypeOf.call(app, this)) outside.push(route)
  })
  app.addHook('onReady', async function refuseOutside () {
    const problems = new Problems()
    for (const { method, url, config = {} } of outside) {
      const stated = ruleKeys.filter(key => Object.hasOwn(config, key))
      if (stated.length === 0 || method === 'HEAD') continue
      problems.add('SECURE_API_ROUTE_OUTSIDE', `route ${String(method)} ${url}: config.${stated.join(', config.')}`,
        'the suite is registered in a child scope without this route, so nobody enforces its rule',
        'Register the suite at the root, or move the route into that scope.')
    }
    problems.throwIfAny()
  })
}
