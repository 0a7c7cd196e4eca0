import type { FastifyInstance } from 'fastify'
import { readableLine, type AuditOptions, type Destination, type SinkOptions, type TrailsEntry } from '../lib/audit/index.ts'
import type { SectionContext } from '../lib/config/index.ts'

/** The sinks of an application, ready to take events. */
export function openSinks (app: FastifyInstance, options: AuditOptions, { logs }: SectionContext): TrailsEntry[] {
  const { sinks = [options] } = options
  return sinks.map((stated, index) => {
    const { sink = logs ? 'logger' : 'console', filter, buffer = 1000, onSinkFailure = 'drop' } = stated
    const name = typeof sink === 'string' ? sink : `sink ${index + 1}`
    return { name, destination: destinationOf(app, sink), filter, buffer, denies: onSinkFailure === 'deny' }
  })
}

function destinationOf (app: FastifyInstance, sink: NonNullable<SinkOptions['sink']>): Destination {
  if (typeof sink === 'function') return { write: sink }
  if (sink === 'stdout') return { write: event => { process.stdout.write(`${JSON.stringify({ audit: event })}\n`) } }
  if (sink === 'console') return { write: event => { process.stderr.write(`${readableLine(event)}\n`) } }
  // Whatever its level: a trail that a logger of level `warn` swallows would be none.
  const log = app.log.child({}, { level: 'info' })
  return { write: event => { log.info({ audit: event }, 'audit') } }
}
