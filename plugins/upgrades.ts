import type { FastifyInstance } from 'fastify'
import { endPipelined, isUnowned, tendUnowned } from '../lib/server/index.ts'
import { rootOf } from './fastify-internals.ts'

const kTended = Symbol('secure-api.upgrades')

interface Root {
  routing: FastifyInstance['routing']
  [kTended]?: true
}

/** Upgrade listeners hand requests to `app.routing`, ordinary requests do not. What Fastify answers before any hook ends its connection. */
export function tendUpgrades (app: FastifyInstance): void {
  const root = rootOf(app) as Root
  if (root[kTended]) return
  root[kTended] = true
  watchHandshakes(app.server)
  const { routing } = root
  root.routing = function routeUpgrade (request, response) {
    if (isUnowned(request)) tendUnowned(request, response)
    routing.call(this, request, response)
  }
}

/**
 * Looks at a handshake before its listeners do, where there are any. Not as a listener: with one at all Node answers no
 * handshake by itself, and @fastify/http-proxy counts them to know whether all handshakes are its own.
 */
function watchHandshakes (server: FastifyInstance['server']): void {
  const { emit } = server
  const watch = (name: string | symbol) => {
    if (name !== 'upgrade') return
    server.removeListener('newListener', watch)
    server.emit = function emitUpgrade (this: typeof server, event: string, ...given: unknown[]) {
      if (event === 'upgrade') endPipelined(given[1] as Parameters<typeof endPipelined>[0])
      return Reflect.apply(emit, this, [event, ...given])
    } as typeof server.emit
  }
  server.on('newListener', watch)
  if (server.listenerCount('upgrade') > 0) watch('upgrade')
}
