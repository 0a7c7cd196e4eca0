import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { AuditOptionsSchema, RouteAuditSchema, Trail, type AuditEvent, type AuditOptions, type AuditSink, type RouteAudit } from '../lib/audit/index.ts'
import { check, Problems } from '../lib/config/index.ts'
import { hasEnded, refusal } from '../lib/http/index.ts'
import type { Pipeline, RouteInfo } from '../lib/pipeline/index.ts'
import { auditedRoute, edgeEvent, handshakeEvent, requestEvent, violationEvent, type AuditedRoute } from './audit-events.ts'
import type { Misspelt } from './misspelt.ts'
import { pipelineOf } from './pipeline.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<'audit'> {
    /** The action's name in the audit trail (default: method and route), or `false` to leave allowed calls out of it. */
    audit?: RouteAudit
  }
}

const unavailable = refusal('SECURE_API_AUDIT_UNAVAILABLE', { headers: { 'retry-after': '1' } })

const audit: FastifyPluginAsync<AuditOptions> = async (app, options) => {
  const problems = new Problems()
  checkAudit(options, problems)
  problems.throwIfAny()

  const pipeline = pipelineOf(app)
  const trail = new Trail({
    sink: options.sink ?? defaultSink(app),
    buffer: options.buffer ?? 1000,
    onChange: (failing, error) => failing
      ? app.log.error({ err: error }, 'secure-api: audit events are being lost')
      : app.log.info('secure-api: audit events are recorded again')
  })
  pipeline.report('audit', () => trail.status())
  pipeline.add({
    name: 'audit:gate',
    phase: 'address-limit',
    compile: (route, found) => {
      checkRoute(route, options, found)
      if (options.onSinkFailure !== 'deny') return undefined
      return { hook: 'onRequest', handler: () => trail.unreliable ? unavailable : undefined }
    },
    posture: ({ config }) => ({ audit: config.audit ?? true })
  })
  pipeline.onEdgeAnswer = answer => record(trail, edgeEvent(answer))
  pipeline.onHandshakeFailure = failure => record(trail, handshakeEvent(failure))
  pipeline.onViolation = (request, violation) => record(trail, violationEvent(request, violation))
  watchRequests(app, pipeline, trail)
}

/** On the raw response, whose `close` has to find the reply again. */
const kReply = Symbol('secure-api.reply')
const kRoute = Symbol('secure-api.audited')
const kStarted = Symbol('secure-api.started')
type Watched = FastifyReply & { [kRoute]?: AuditedRoute | null, [kStarted]?: number }
type WatchedResponse = FastifyReply['raw'] & { [kReply]?: FastifyReply }

/**
 * Every way a request can end closes its response: answered, hijacked, destroyed, left by its caller. One listener for
 * all of them; the hooks `onResponse` and `onRequestAbort` add three, and times of their own.
 */
function watchRequests (app: FastifyInstance, pipeline: Pipeline, trail: Trail): void {
  app.decorateReply(kRoute, null)
  app.decorateReply(kStarted, 0)
  const end = (reply: Watched | undefined, aborted: boolean) => {
    const route = reply?.[kRoute]
    if (reply === undefined || route === undefined || route === null) return
    reply[kRoute] = null
    record(trail, requestEvent(route, reply, aborted, performance.now() - (reply[kStarted] ?? 0)))
  }
  function onClose (this: WatchedResponse): void {
    end(this[kReply], !isFinished(this))
  }
  // Responses of `app.inject()` have no connection that could close; some finish twice.
  function onFinish (this: WatchedResponse): void {
    end(this[kReply], false)
  }
  pipeline.add({
    name: 'audit:watch',
    phase: 'watch',
    compile (info) {
      const route = auditedRoute(info)
      return {
        hook: 'onRequest',
        handler (_request, reply: Watched) {
          const raw: WatchedResponse = reply.raw
          reply[kRoute] = route
          reply[kStarted] = performance.now()
          raw[kReply] = reply
          if (hasEnded(raw)) end(reply, true) // while a hook before this one waited
          else if ('isLightMyRequest' in raw) raw.on('finish', onFinish)
          else raw.on('close', onClose)
          return undefined
        }
      }
    }
  })
}

/** HTTP/2 responses do not say more than that they were ended. */
function isFinished ({ writableFinished = true, writableEnded }: WatchedResponse): boolean {
  return writableEnded && writableFinished
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export function checkAudit (options: AuditOptions, problems: Problems): void {
  check(AuditOptionsSchema, options, 'audit', problems)
}

function record (trail: Trail, event: AuditEvent | undefined): void {
  if (event !== undefined) trail.record(event)
}

function checkRoute ({ kind, config, label, methods }: RouteInfo, { requireActions = false }: AuditOptions, problems: Problems): void {
  if ('audit' in config) check(RouteAuditSchema, config.audit, `${label}: config.audit`, problems)
  else if (requireActions && kind === 'route' && methods.some(method => !safeMethods.has(method))) {
    problems.add('SECURE_API_AUDIT_UNNAMED_ROUTE', `${label}: config.audit`, 'the trail would not say in your words what was done', "Name the action: audit: 'orders.create'; or state `audit: false`.")
  }
}

/** RFC 9110 §9.2.1. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * The application's logger, whatever its level: a trail that a logger of level `warn` swallows would be none. `Fastify()`
 * without one has a logger that does nothing: there the trail goes to standard output.
 */
function defaultSink (app: FastifyInstance): AuditSink {
  const log = app.log.child({}, { level: 'info' })
  if (log.info === log.warn) return event => { process.stdout.write(`${JSON.stringify({ audit: event })}\n`) }
  return event => log.info({ audit: event }, 'audit')
}

export default fp(audit, { fastify: '5.x', name: 'secure-api-audit' })
