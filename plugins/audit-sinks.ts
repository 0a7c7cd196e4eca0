import type { FastifyInstance } from 'fastify'
import {
  ecs, eventLine, jsonLine, ocsf, openAuditFile, readableLine, type AuditEvent, type AuditOptions, type Destination, type SinkOptions,
  type TrailsEntry
} from '../lib/audit/index.ts'
import { milliseconds, type SectionContext } from '../lib/config/index.ts'
import { warn } from './warn.ts'

/** Of the default the logger and standard output make a member of their line; the others are documents of their own. */
const formats = { default: undefined, ocsf, ecs }

type Format = (event: AuditEvent) => object

/** The sinks of an application, ready to take events. */
export async function openSinks (app: FastifyInstance, options: AuditOptions, { logs }: SectionContext): Promise<TrailsEntry[]> {
  const { sinks = [options], service = 'api' } = options
  return await Promise.all(sinks.map(async (stated, index) => {
    const { file, format = 'default', filter, buffer = 1000, onSinkFailure = 'drop' } = stated
    // Without a logger this is development: see `checkAudit`.
    const sink = stated.sink === undefined || stated.sink === 'logger' ? logs ? 'logger' : 'console' : stated.sink
    const compiled = formats[format]
    const formatted = compiled && ((event: AuditEvent) => compiled(event, service))
    // What other sinks get too, they may change before a line is made.
    const later = sinks.length === 1
    const destination = file === undefined ? destinationOf(app, sink, formatted) : await fileOf(app, file, stated, later, formatted)
    const name = file ?? (typeof sink === 'string' ? sink : `sink ${index + 1}`)
    return { name, destination, filter, buffer, denies: onSinkFailure === 'deny' }
  }))
}

function destinationOf (app: FastifyInstance, sink: NonNullable<SinkOptions['sink']>, format?: Format): Destination {
  if (typeof sink === 'function') return { write: sink }
  if (sink === 'console') return { write: event => { process.stderr.write(`${readableLine(event)}\n`) } }
  if (sink === 'stdout') {
    const lineOf = (event: AuditEvent) => format === undefined ? `{"audit":${eventLine(event)}}` : jsonLine(format(event))
    return { write: event => { process.stdout.write(`${lineOf(event)}\n`) } }
  }
  // Whatever its level: a trail that a logger of level `warn` swallows would be none.
  const log = app.log.child({}, { level: 'info' })
  return { write: event => { log.info({ audit: format === undefined ? event : format(event) }, 'audit') } }
}

async function fileOf (
  app: FastifyInstance, path: string, { chain, fsync }: SinkOptions, later: boolean, format?: Format
): Promise<Destination> {
  const { key, every, interval } = chain ?? {}
  const file = await openAuditFile(path, {
    fsync,
    later,
    lineOf: format === undefined ? eventLine : (event: AuditEvent) => jsonLine(format(event)),
    chain: key === undefined ? undefined : { key, every, interval: interval === undefined ? undefined : milliseconds(interval) },
    // Where the log goes elsewhere it holds the ends of the chain, for `verify --anchor`.
    onForeign: () => {
      warn(app, { code: 'SECURE_API_AUDIT_CHAIN_FILE', audit: path },
        'secure-api: somebody else writes into the audit file, which breaks its chain; give each process and sink its own', 'error')
    },
    onCheckpoint: checkpoint => { app.log.info({ audit: path, checkpoint }, 'secure-api: checkpoint of the audit chain') }
  })
  return {
    write: event => file.write(event),
    close: () => file.close(),
    status: () => file.status()
  }
}
