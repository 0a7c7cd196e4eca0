import type { FastifyInstance } from 'fastify'
import { ConfigurationError, type Problem } from '../lib/config/index.ts'

/** An official plugin, and what it leaves behind: it may run through a proxy or a wrapper, where its name is not seen. */
interface Neighbour {
  readonly name: string
  leaves (app: FastifyInstance): boolean
}

export const neighbours = {
  cors: { name: '@fastify/cors', leaves: app => app.hasRequestDecorator('corsPreflightEnabled') },
  helmet: { name: '@fastify/helmet', leaves: app => app.hasReplyDecorator('helmet') }
} as const satisfies Record<string, Neighbour>

/**
 * Stops the boot where a plugin of others does in this scope what one of ours does, whichever came first: their headers
 * would be sent twice, or one would undo the other. In a child scope it is left alone: a page may want its own.
 */
export function refuseBeside (app: FastifyInstance, { name, leaves }: Neighbour, problem: Problem): void {
  const refuse = () => { if (app.hasPlugin(name) || leaves(app)) throw new ConfigurationError([problem]) }
  refuse()
  app.addHook('onReady', async () => refuse())
}

/**
 * Names of `onRequest` hooks that run before this one on some route, as Fastify prints them. Whether such a hook ever
 * replies cannot be known; what it replies carries none of our headers.
 */
export function hooksBefore (app: FastifyInstance, name: string): string[] {
  const own = `${name}()`
  const lists = [...app.printRoutes({ includeHooks: true, commonPrefix: false }).matchAll(/\(onRequest\) (\[.*\])$/gm)]
    .map(([, list = '[]']): unknown => JSON.parse(list))
    .filter((list): list is string[] => Array.isArray(list) && list.includes(own))
  return [...new Set(lists.flatMap(list => list.slice(0, list.indexOf(own))))].map(hook => hook.replace(/\(\)$/, ''))
}

/** Methods of all routes of the server, those declared before the suite too. */
export function methodsOfRoutes (app: FastifyInstance): ReadonlySet<string> {
  const lists = [...app.printRoutes({ commonPrefix: false }).matchAll(/ \(([A-Z-]+(?:, [A-Z-]+)*)\)$/gm)]
  return new Set(lists.flatMap(([, methods = '']) => methods.split(', ')))
}
