import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { endPipelined, isUnowned, tendUnowned } from '../lib/server/index.ts'
import { rootOf } from './fastify-internals.ts'

const kTended = Symbol('secure-api.upgrades')
const kWatch = Symbol('secure-api.handshakes')

type OnHandshake = (request: IncomingMessage, socket: Socket) => void

interface Root {
  routing: FastifyInstance['routing']
  [kTended]?: true
  [kWatch]?: OnHandshake
}

/** Calls this for each handshake that the listeners of the application are about to get. */
export function onHandshake (app: FastifyInstance, call: OnHandshake): void {
  (rootOf(app) as Root)[kWatch] = call
}

/** Upgrade listeners hand requests to `app.routing`, ordinary requests do not. What Fastify answers before any hook ends its connection. */
export function tendUpgrades (app: FastifyInstance): void {
  const root = rootOf(app) as Root
  if (root[kTended]) return
  root[kTended] = true
  watchHandshakes(app.server, (request, socket) => root[kWatch]?.(request, socket))
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
function watchHandshakes (server: FastifyInstance['server'], call: OnHandshake): void {
  const { emit } = server
  const watch = (name: string | symbol) => {
    if (name !== 'upgrade') return
    server.removeListener('newListener', watch)
    server.emit = function emitUpgrade (this: typeof server, event: string, ...given: unknown[]) {
      if (event === 'upgrade') {
        const [request, socket] = given as Parameters<OnHandshake>
        endPipelined(socket)
        call(request, socket)
      }
      return Reflect.apply(emit, this, [event, ...given])
    } as typeof server.emit
  }
  server.on('newListener', watch)
  if (server.listenerCount('upgrade') > 0) watch('upgrade')
}
