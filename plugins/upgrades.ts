import type { FastifyInstance } from 'fastify'
import { endPipelined, isUnowned, tendUnowned } from '../lib/server/index.ts'
import { rootOf } from './transport.ts'

const kTended = Symbol('secure-api.upgrades')

interface Root {
  routing: FastifyInstance['routing']
  [kTended]?: true
}

/**
 * Upgrade listeners hand their requests to `app.routing`, ordinary requests do not come by there. What Fastify answers
 * before any hook (a bad URL, 503 while it closes) ends its connection too.
 */
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

/** Ours comes first, and only where there is another: with any listener at all Node answers no handshake by itself. */
function watchHandshakes (server: FastifyInstance['server']): void {
  let watching = false
  const watch = () => {
    if (watching) return
    watching = true
    server.prependListener('upgrade', (_request, socket) => { endPipelined(socket) })
  }
  if (server.listenerCount('upgrade') > 0) watch()
  server.on('newListener', name => { if (name === 'upgrade') watch() })
}
