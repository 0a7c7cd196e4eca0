import type { FastifyInstance } from 'fastify'
import { ConfigurationError, type Problem } from '../lib/config/index.ts'

/**
 * Stops the boot where a plugin of others does in this scope what one of ours does, whichever came first: their headers
 * would be sent twice, or one would undo the other. In a child scope it is left alone: a page may want its own.
 */
export function refuseBeside (app: FastifyInstance, name: string, problem: Problem): void {
  const refuse = () => { if (app.hasPlugin(name)) throw new ConfigurationError([problem]) }
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

/** URLs of all routes of the server, as they were declared, those before the suite too: the lines of a tree, each deeper by four characters. */
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
