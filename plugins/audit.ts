import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { scheduleTimer } from '../lib/async/index.ts'
import {
  AuditOptionsSchema, checkAudit, checkFieldHeaders, compileFields, Repeats, RouteAuditSchema, Trails, type AuditEvent, type AuditOptions,
  type FieldReader, type RouteAudit
} from '../lib/audit/index.ts'
import { defineSection, milliseconds, Problems, type Environment } from '../lib/config/index.ts'
import { hasEnded, refusal } from '../lib/http/index.ts'
import { routeOption } from '../lib/pipeline/index.ts'
import { handoverOf, type Handover } from '../lib/server/index.ts'
import { Usage } from '../lib/usage/index.ts'
import { openSinks } from './audit-sinks.ts'
import { auditedRoute, closedEvent, handshakeEvent, requestEvent, violationEvent, type AuditedRoute, type End } from './audit-events.ts'
import { begun, claimHandshake, watchOutside } from './audit-outside.ts'
import type { Misspelt } from './misspelt.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { contextOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<'audit'> {
    /** The action's name in the audit trail (default: method and route), or `false` to leave allowed calls out of it. */
    audit?: RouteAudit
  }
}

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
  const context = contextOf(app, environment)
  const { options, compiled: { closeTimeout, fields } } = await auditSection.open(given, context)
  const pipeline = pipelineOf(app)
  const entries = await openSinks(app, options, context)
  const trails = new Trails(entries, (sink, failing, error) => failing
    ? warn(app, { err: error, sink, code: unavailable.code }, 'secure-api: audit events are being lost', 'error')
    : app.log.info({ sink }, 'secure-api: audit events are being recorded again'))
  const buffer = Math.min(...entries.map(entry => entry.buffer))
  // First refusals alone never fill the buffer, from however many addresses they come in one window.
  const [capacity, spare] = [Math.min(1000, Math.ceil(buffer / 2)), Math.floor(buffer / 4)]
  const usage = new Usage()
  // Of what is recorded, so that it says the same as a report on the trail.
  const write = (event: AuditEvent) => { usage.see(event); trails.record(event) }
  const repeats = new Repeats({ record: write, capacity, spare, schedule: scheduleTimer })
  const record: Recorder = event => { if (event !== undefined) repeats.see(event) }
  app.addHook('onClose', async () => {
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
    onViolation: (request, violation) => record(violationEvent(request, violation)),
    usage: () => usage.summary()
  })
  watchRequests(app, pipeline, { option, fields, record, usage })
}

/** Takes the event of a request, or of whatever had one; undefined where the route wants none. */
type Recorder = (event: AuditEvent | undefined) => void

interface Watching extends Pick<AuditSettings, 'fields'> {
  readonly option: AuditOption
  readonly record: Recorder
  readonly usage: Usage
}

/** On the raw response, whose `close` has to find the reply again. */
const kReply = Symbol('secure-api.reply')
const kRoute = Symbol('secure-api.audited')
const kStarted = Symbol('secure-api.started')
type Watched = FastifyReply & { [kRoute]?: AuditedRoute | null, [kStarted]?: number }
type WatchedResponse = FastifyReply['raw'] & { [kReply]?: Watched }

/**
 * Every way a request can end closes its response: answered, hijacked, destroyed, left by its caller. One listener for
 * all of them; the hooks `onResponse` and `onRequestAbort` add three, and times of their own.
 */
function watchRequests (app: FastifyInstance, pipeline: Frame, { option, fields, record, usage }: Watching): void {
  app.decorateReply(kRoute, null)
  app.decorateReply(kStarted, 0)
  const tell = (reply: Watched, end: End) => {
    const route = take(reply)
    if (route !== undefined) record(requestEvent(route, reply, end))
  }
  const inside = ({ [kReply]: reply }: WatchedResponse, end: End) => {
    if (reply !== undefined) tell(reply, end)
    return reply !== undefined
  }
  watchOutside(app, pipeline, { record, inside: inside as Parameters<typeof watchOutside>[2]['inside'] })
  const end = (reply: Watched | undefined, aborted: boolean) => {
    if (reply !== undefined) tell(reply, aborted ? left(reply) : { status: reply.statusCode, durationMs: since(reply) })
  }
  // HTTP/2 responses do not say more than that they were ended.
  function onClose (this: WatchedResponse): void {
    const { writableFinished = true, writableEnded } = this
    end(this[kReply], !(writableEnded && writableFinished))
  }
  // Responses of `app.inject()` have no connection that could close; some finish twice.
  function onFinish (this: WatchedResponse): void {
    end(this[kReply], false)
  }
  /** Where the edge has not watched the response since before the hooks: in a scope, in a handshake, of `app.inject()`. */
  function watch (raw: WatchedResponse, request: FastifyRequest, reply: Watched): void {
    const handover = handoverOf(raw)
    reply[kStarted] = performance.now()
    if (handover !== undefined) {
      claimHandshake(request.raw)
      watchHandover(handover, reply, record, end)
    } else if (hasEnded(raw)) end(reply, true) // while a hook before this one waited
    else if ('isLightMyRequest' in raw) raw.on('finish', onFinish)
    else raw.on('close', onClose)
  }
  pipeline.add({
    name: 'audit:watch',
    phase: 'audit',
    option,
    compile ({ route: info, own }) {
      const rule = pipeline.ports.accessOf?.(info)
      const route = auditedRoute(info, own, rule, fields)
      if (info.kind === 'route') usage.know({ ...info, rule, policies: pipeline.ports.policyRules, complete: own !== false })
      return {
        hook: 'begin',
        handler (request, reply: Watched) {
          const raw: WatchedResponse = reply.raw
          const watched = begun(raw)
          // What has ended while an earlier hook waited has its event.
          if (watched?.told === true) return undefined
          reply[kRoute] = route
          raw[kReply] = reply
          if (watched === undefined) watch(raw, request, reply)
          return undefined
        }
      }
    }
  })
}

/** The route of a request that has no event yet; from now on it has one. */
function take (reply: Watched): AuditedRoute | undefined {
  const route = reply[kRoute] ?? undefined
  reply[kRoute] = null
  return route
}

function since (reply: Watched): number {
  return performance.now() - (reply[kStarted] ?? 0)
}

function left (reply: Watched): End {
  return { status: 499, durationMs: since(reply), reason: 'client-aborted' }
}

/** A socket that is accepted has two events, when it opens and when it ends; whatever else becomes of it has one. */
function watchHandover (handover: Handover, reply: Watched, record: Recorder, end: (reply: Watched, aborted: boolean) => void): void {
  handover.onAnswered = () => { end(reply, false) }
  handover.onClose = () => { end(reply, true) }
  handover.onTakenOver = status => {
    const route = take(reply)
    if (route === undefined) return
    record(requestEvent(route, reply, { status, durationMs: since(reply) }))
    if (status >= 400) return
    reply[kStarted] = performance.now()
    handover.onClose = () => { record(closedEvent(route, reply, { status, durationMs: since(reply) })) }
  }
}

type AuditOption = ReturnType<typeof auditOption>

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
