import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  AuditOptionsSchema, auditPrincipal, eventName, outcomeOf, RouteAuditSchema, Trail,
  type AuditEvent, type AuditOptions, type AuditSink, type RouteAudit
} from '../lib/audit/index.ts'
import { check, Problems } from '../lib/config/index.ts'
import { isPreflight } from '../lib/cors/index.ts'
import type { Violation } from '../lib/headers/index.ts'
import { refusal } from '../lib/http/index.ts'
import { limitOf } from '../lib/limits/index.ts'
import { refusalOf, type EdgeAnswer, type RouteInfo } from '../lib/pipeline/index.ts'
import { pipelineOf } from './pipeline.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
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
      checkRoute(route, found)
      if (options.onSinkFailure !== 'deny') return undefined
      return { hook: 'onRequest', handler: () => trail.unreliable ? unavailable : undefined }
    },
    posture: ({ config }) => ({ audit: config.audit ?? true })
  })
  pipeline.onEdgeAnswer = answer => record(trail, edgeEvent(answer))
  pipeline.onViolation = (request, violation) => record(trail, violationEvent(request, violation))
  // An answered request ends in onResponse; one whose caller left, or whose hijacked socket was destroyed, does not.
  const aborted = new WeakSet<FastifyRequest>()
  app.addHook('onResponse', function recordAnswered (request, reply, done) {
    if (!aborted.has(request)) record(trail, eventOf(request, reply, false))
    done()
  })
  app.addHook('onRequestAbort', function recordAborted (request, done) {
    aborted.add(request)
    record(trail, eventOf(request, undefined, true))
    done()
  })
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export function checkAudit (options: AuditOptions, problems: Problems): void {
  check(AuditOptionsSchema, options, 'audit', problems)
}

function record (trail: Trail, event: AuditEvent | undefined): void {
  if (event !== undefined) trail.record(event)
}

/** `undefined` for an allowed call of a route that wants none in the trail; refusals are always in it. */
function eventOf (request: FastifyRequest, reply: FastifyReply | undefined, aborted: boolean): AuditEvent | undefined {
  const { config, url } = request.routeOptions
  const status = reply?.statusCode ?? 499
  const outcome = outcomeOf(status, aborted)
  const action = (config as { audit?: RouteAudit }).audit
  if (action === false && outcome === 'allowed') return undefined
  // A guard by hand may refuse and another one, or the handler, still let the call through.
  const refused = outcome === 'allowed' ? undefined : refusalOf(request)
  const limit = limitOf(request)
  const reason = aborted ? 'client-aborted' : refused?.code
  return {
    time: new Date().toISOString(),
    event: eventName(status, refused?.code),
    action: action || actionOf(request, url),
    outcome,
    status,
    ...(reason === undefined ? undefined : { reason }),
    method: request.method,
    ...(url === undefined ? undefined : { route: url }),
    requestId: request.id,
    address: request.ip,
    ...(request.auth === undefined || request.auth.kind === 'anonymous' ? undefined : { principal: auditPrincipal(request.auth) }),
    ...(limit === undefined ? undefined : { limit }),
    durationMs: Math.round((reply?.elapsedTime ?? 0) * 1000) / 1000
  }
}

/** A preflight is matched to no route of the application; what it asks about is the sender's word. */
function actionOf (request: FastifyRequest, url: string | undefined): string {
  if (isPreflight(request.method, request.headers)) return 'preflight'
  return `${request.method} ${url ?? 'unknown route'}`
}

/** Something that was no request: there is no method, no route and no id to name. */
function edgeEvent ({ status, code, address }: EdgeAnswer): AuditEvent {
  return {
    time: new Date().toISOString(),
    event: eventName(status, code),
    action: 'malformed request',
    outcome: 'denied',
    status,
    reason: code,
    method: '',
    requestId: '',
    address: address ?? '',
    durationMs: 0
  }
}

/** Of a policy that is only tried out nothing was blocked. */
function violationEvent (request: FastifyRequest, violation: Violation): AuditEvent {
  const { url } = request.routeOptions
  return {
    time: new Date().toISOString(),
    event: 'malicious_csp_violation',
    action: 'csp violation',
    outcome: violation.disposition === 'report' ? 'allowed' : 'denied',
    status: 204,
    method: request.method,
    ...(url === undefined ? undefined : { route: url }),
    requestId: request.id,
    address: request.ip,
    durationMs: 0,
    violation
  }
}

function checkRoute ({ config, label }: RouteInfo, problems: Problems): void {
  if ('audit' in config) check(RouteAuditSchema, config.audit, `${label}: config.audit`, problems)
}

/** The application's logger. `Fastify()` without one has a logger that does nothing: there the trail goes to standard output. */
function defaultSink (app: FastifyInstance): AuditSink {
  const log = app.log
  if (log.info === log.warn) return event => { process.stdout.write(`${JSON.stringify({ audit: event })}\n`) }
  return event => log.info({ audit: event }, 'audit')
}

export default fp(audit, { fastify: '5.x', name: 'secure-api-audit' })
