import { channel } from 'node:diagnostics_channel'
import { setImmediate } from 'node:timers/promises'
import type { FastifyPluginAsync } from 'fastify'
import { scheduleTimer } from '../lib/async/index.ts'
import {
  AuditOptionsSchema, checkAudit, checkFieldHeaders, compileFields, Repeats, RouteAuditSchema, Trails, type AuditEvent, type AuditOptions,
  type FieldReader, type RouteAudit
} from '../lib/audit/index.ts'
import { defineSection, milliseconds, Problems, type Environment } from '../lib/config/index.ts'
import { refusal } from '../lib/http/index.ts'
import { routeOption } from '../lib/pipeline/index.ts'
import { Usage } from '../lib/usage/index.ts'
import { openSinks } from './audit-sinks.ts'
import { auditedRoute, closedEvent, handshakeEvent, requestEvent, violationEvents } from './audit-events.ts'
import type { Misspelt } from './misspelt.ts'
import { pipelineOf } from './pipeline.ts'
import { secretContextOf } from './secrets.ts'
import { watchRequests } from './request-watch.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<'audit'> {
    /** The action's name in the audit trail (default: method and route), or `false` to leave allowed calls out of it. */
    audit?: RouteAudit
  }
}

/** A message on the diagnostics channel `secure-api:audit`: a sink begins to lose events, or records them again. */
export interface AuditMessage {
  readonly sink: string
  readonly failing: boolean
}

const changes = channel('secure-api:audit')
const unavailable = refusal('SECURE_API_AUDIT_UNAVAILABLE', { headers: { 'retry-after': '1' } })

interface AuditSettings {
  /** Milliseconds. */
  readonly closeTimeout: number
  readonly fields: FieldReader | undefined
}

export const auditSection = defineSection<AuditOptions, AuditSettings>({
  key: 'audit',
  schema: AuditOptionsSchema,
  rules: checkAudit,
  compile: ({ closeTimeout = '5 seconds', fields = {} }) => ({ closeTimeout: milliseconds(closeTimeout), fields: compileFields(fields) })
})

/** Options of the plugin, and what the suite hands on to it. */
export type AuditPluginOptions = AuditOptions & {
  /** In production a trail without a logger needs a sink. @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

const audit: FastifyPluginAsync<AuditPluginOptions> = async (app, { environment, ...given }) => {
  const context = secretContextOf(app, environment)
  const { options, compiled: { closeTimeout, fields } } = await auditSection.open(given, context)
  const pipeline = pipelineOf(app)
  const entries = await openSinks(app, options, context)
  const trails = new Trails(entries, (sink, failing, error) => {
    if (changes.hasSubscribers) changes.publish({ sink, failing } satisfies AuditMessage)
    if (failing) warn(app, { err: error, sink, code: unavailable.code }, 'secure-api: audit events are being lost', 'error')
    else app.log.info({ sink }, 'secure-api: audit events are being recorded again')
  })
  const buffer = Math.min(...entries.map(entry => entry.buffer))
  // First refusals alone never fill the buffer, from however many addresses they come in one window.
  const [capacity, spare] = [Math.min(1000, Math.ceil(buffer / 2)), Math.floor(buffer / 4)]
  const usage = new Usage()
  // Of what is recorded, so that it says the same as a report on the trail.
  const write = (event: AuditEvent) => { usage.see(event); trails.record(event) }
  const repeats = new Repeats({ record: write, capacity, spare, schedule: scheduleTimer })
  const record: Recorder = event => { if (event !== undefined) repeats.see(event) }
  app.addHook('onClose', async () => {
    await lastConnections()
    repeats.close()
    const left = await trails.close(closeTimeout)
    if (Object.keys(left).length === 0) return
    warn(app, { pending: left, code: unavailable.code }, 'secure-api: sinks did not accept these audit events before the server closed',
      'error')
  })
  pipeline.report('audit', () => ({ ...trails.status(), collapsed: repeats.collapsed }))
  if (trails.mayDeny) pipeline.watch('audit', () => trails.unreliable ? 'a sink does not take events, so requests are refused' : undefined)
  app.addHook('onReady', async () => {
    const { tokenHeader, apiKeyHeader } = pipeline.ports
    const problems = new Problems()
    checkFieldHeaders(options.fields ?? {}, 'audit.fields', new Set([tokenHeader, apiKeyHeader]), problems)
    problems.throwIfAny()
  })
  const option = auditOption(options.requireActions === true)
  pipeline.add({
    name: 'audit:gate',
    phase: 'audit-gate',
    option,
    compile: () => trails.mayDeny ? { hook: 'onRequest', handler: () => trails.unreliable ? unavailable : undefined } : undefined,
    posture: stated => ({ audit: stated ?? true })
  })
  pipeline.offer({
    onHandshakeFailure: failure => record(handshakeEvent(failure)),
    onViolations: (request, violations) => { for (const event of violationEvents(request, violations)) record(event) },
    usage: () => usage.summary()
  })
  watchRequests(app, pipeline, {
    name: 'audit:watch',
    option,
    routeOf (info, own) {
      const rule = pipeline.ports.accessOf?.(info)
      if (info.kind === 'route') usage.know({ ...info, rule, policies: pipeline.ports.policyRules, complete: own !== false })
      return auditedRoute(info, own, rule, fields)
    },
    ended: (...end) => record(requestEvent(...end)),
    closed: (...end) => record(closedEvent(...end)),
    outside: record
  })
}

/**
 * A server has closed before the last of its connections tells its response, which it does in the closing phase of the event loop: that
 * comes after the next `setImmediate()`, so it takes two.
 */
async function lastConnections (): Promise<void> {
  await setImmediate()
  await setImmediate()
}

/** Undefined where the route wants no event. */
type Recorder = (event: AuditEvent | undefined) => void

/** @param required whether each route that changes something has to name what it does */
function auditOption (required: boolean) {
  return routeOption<RouteAudit, RouteAudit | undefined>({
    key: 'audit',
    schema: RouteAuditSchema,
    refine (stated, { route: { kind, methods }, path, problems }) {
      if (stated === undefined && required && kind === 'route' && methods.some(method => !safeMethods.has(method))) {
        problems.add('SECURE_API_AUDIT_UNNAMED_ROUTE', path, 'the trail would not say what was done in your words',
          "Name the action: audit: 'orders.create'; or state `audit: false`.")
      }
      return stated
    }
  })
}

/** RFC 9110 §9.2.1. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export default suitePlugin('secure-api-audit', audit)
