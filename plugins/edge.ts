import type { FastifyPluginAsync } from 'fastify'
import { scheduleTimer } from '../lib/async/index.ts'
import { movedClock } from '../lib/config/index.ts'
import { installEdge, type EdgeHeaders } from '../lib/edge/index.ts'
import { closingOf, overTlsOf } from './fastify-internals.ts'
import { pipelineOf } from './pipeline.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

const noHeaders: EdgeHeaders = Object.freeze({ headers: [], hsts: undefined, cache: { error: undefined } })

/**
 * Answers that no hook sees: malformed HTTP, 414, 431, missing Host, 503 while closing; and the connections that would keep the server
 * from closing. Register it at the root, after `headers`.
 */
const edge: FastifyPluginAsync = async app => {
  if (!Object.hasOwn(app, 'server')) return
  const pipeline = pipelineOf(app)
  pipeline.add({ name: 'edge', phase: 'edge', compile: () => undefined })
  const { maxParamLength = 100 } = { ...app.initialConfig, ...app.initialConfig.routerOptions }
  const { schedule = scheduleTimer, elapsed = () => performance.now() } = movedClock() ?? {}
  // Those for further addresses of localhost close after the first, in what is left of its time. `unref()` of the first closes them alone.
  let due: number | undefined
  const within = (): number => {
    const now = elapsed()
    if (due === undefined || app.server.listening) due = now + (pipeline.ports.closeTimeout ?? 30_000)
    return Math.max(0, due - now)
  }
  const installed = installEdge(app.server, {
    table: pipeline.ports.edgeHeaders ?? noHeaders,
    maxParamLength,
    originHeaders: origin => pipeline.ports.originHeaders?.(origin) ?? [],
    overTls: overTlsOf(app),
    isClosing: closingOf(app),
    onClientError: answer => pipeline.ports.onEdgeAnswer?.(answer),
    onRequest: (request, response) => pipeline.ports.onRequestStart?.(request, response),
    onConnect: (request, socket) => pipeline.ports.onConnect?.(request, socket),
    end: {
      within,
      schedule,
      onLate (connections) {
        warn(app, { code: 'SECURE_API_SERVER_CLOSING', connections }, 'secure-api: connections that did not end in time were closed')
      }
    }
  })
  pipeline.offer({ drain: () => { installed.drain() } })
  app.addHook('preClose', async () => installed.closing())
  app.addHook('onClose', async () => installed.dispose())
}

export default suitePlugin('secure-api-edge', edge)
