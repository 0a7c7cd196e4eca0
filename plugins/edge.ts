import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { installEdge, overTls, type EdgeHeaders } from '../lib/server/index.ts'
import { pipelineOf } from './pipeline.ts'
import { closingOf, serverOptionsOf } from './transport.ts'

const noHeaders: EdgeHeaders = Object.freeze({ headers: [], hsts: undefined, cache: { error: undefined } })

/**
 * Answers that no hook sees: malformed HTTP, bad URL, 414, 431, missing Host, 503 while closing. It stands in no chain: what it answers
 * never comes to one. Register it after the header plugin, at the root: the server belongs to no other scope.
 */
const edge: FastifyPluginAsync = async app => {
  if (!Object.hasOwn(app, 'server')) return
  const pipeline = pipelineOf(app)
  pipeline.add({ name: 'edge', phase: 'edge', compile: () => undefined })
  const { maxParamLength = 100 } = { ...app.initialConfig, ...app.initialConfig.routerOptions }
  const installed = installEdge(app.server, {
    table: pipeline.ports.edgeHeaders ?? noHeaders,
    maxParamLength,
    originHeaders: origin => pipeline.ports.originHeaders?.(origin) ?? [],
    overTls: overTls(serverOptionsOf(app)?.trustProxy),
    isClosing: closingOf(app),
    onClientError: answer => pipeline.ports.onEdgeAnswer?.(answer)
  })
  app.addHook('preClose', async () => installed.closing())
  app.addHook('onClose', async () => installed.dispose())
}

export default fp(edge, { fastify: '5.x', name: 'secure-api-edge' })
