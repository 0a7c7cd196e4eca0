import type { FastifyInstance } from 'fastify'
import {
  ecs, ocsf, readableLine, type AuditEvent, type AuditOptions, type Destination, type SinkOptions, type TrailsEntry
} from '../lib/audit/index.ts'
import type { SectionContext } from '../lib/config/index.ts'

/** The sinks of an application, ready to take events. */
export function openSinks (app: FastifyInstance, options: AuditOptions, { logs }: SectionContext): TrailsEntry[] {
  const { sinks = [options], service = 'api' } = options
  return sinks.map((stated, index) => {
    const { sink = logs ? 'logger' : 'console', format = 'default', filter, buffer = 1000, onSinkFailure = 'drop' } = stated
    const name = typeof sink === 'string' ? sink : `sink ${index + 1}`
    return { name, destination: destinationOf(app, sink, formats[format], service), filter, buffer, denies: onSinkFailure === 'deny' }
  })
}

/** Of the default the logger and standard output make a member of their line; the others are documents of their own. */
const formats = { default: undefined, ocsf, ecs }

function destinationOf (
  app: FastifyInstance, sink: NonNullable<SinkOptions['sink']>, format: typeof ocsf | undefined, service: string
): Destination {
  if (typeof sink === 'function') return { write: sink }
  const documentOf = (event: AuditEvent) => format === undefined ? { audit: event } : format(event, service)
  if (sink === 'stdout') return { write: event => { process.stdout.write(`${JSON.stringify(documentOf(event))}\n`) } }
  if (sink === 'console') return { write: event => { process.stderr.write(`${readableLine(event)}\n`) } }
  // Whatever its level: a trail that a logger of level `warn` swallows would be none.
  const log = app.log.child({}, { level: 'info' })
  return { write: event => { log.info({ audit: format === undefined ? event : format(event, service) }, 'audit') } }
}
