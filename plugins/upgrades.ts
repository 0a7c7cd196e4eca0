import type { FastifyInstance } from 'fastify'
import { isUnowned, tendUnowned } from '../lib/server/index.ts'
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
  const { routing } = root
  root.routing = function routeUpgrade (request, response) {
    if (isUnowned(request)) tendUnowned(request, response)
    routing.call(this, request, response)
  }
}
