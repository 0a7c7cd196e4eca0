import { METHODS } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  auditPrincipal, bounded, eventName, outcomeOf, timestamp, traceIdOf, type AuditEvent, type FieldReader, type RouteAudit
} from '../lib/audit/index.ts'
import { isPreflight } from '../lib/cors/index.ts'
import { edgeAnswers } from '../lib/edge/index.ts'
import type { Violation } from '../lib/headers/index.ts'
import { addressOf, type AnswerCode } from '../lib/http/index.ts'
import { limitOf } from '../lib/limits/index.ts'
import { notedDenial } from '../lib/rules/index.ts'
import { refusalOf, type RouteInfo } from '../lib/pipeline/index.ts'
import type { HandshakeFailure } from '../lib/server/index.ts'
import type { EdgeAnswer } from './ports.ts'

export type AuditedRoute = ReturnType<typeof auditedRoute>

/** What the trail says of every request of one route. */
export function auditedRoute (
  { kind, url, methods }: RouteInfo, stated: RouteAudit | undefined, rule?: AuditEvent['rule'], fields?: FieldReader
) {
  return Object.freeze({
    rule,
    fields,
    route: kind === 'unknown' ? undefined : url,
    /** The action's name from `config.audit`; undefined: made of the method and the route. */
    action: typeof stated === 'string' ? stated : undefined,
    /** Allowed calls are left out. */
    refusalsOnly: stated === false,
    actions: new Map(methods.map(method => [method, `${method} ${url}`]))
  })
}

/** How a request ended. */
export interface End {
  readonly status: number
  readonly durationMs: number
  /** Why it ended, where no control refused it. */
  readonly reason?: 'client-aborted' | AnswerCode | undefined
}

/** Undefined for an allowed call of a route that wants none in the trail; refusals are always in it. */
export function requestEvent (
  route: AuditedRoute, { request }: FastifyReply, { status, durationMs, reason: cut }: End
): AuditEvent | undefined {
  const outcome = outcomeOf(status, cut === 'client-aborted')
  if (route.refusalsOnly && outcome === 'allowed') return undefined
  // A guard by hand may refuse and another one, or the handler, still let the call through.
  const refused = outcome === 'allowed' ? undefined : refusalOf(request)
  const event: Writable = {
    time: timestamp(),
    event: eventName(status, cut ?? refused?.code),
    action: actionOf(request, route),
    outcome,
    status,
    method: route.route === undefined ? knownMethod(request.method) : request.method,
    requestId: bounded(String(request.id)),
    address: addressOf(request) ?? '',
    durationMs: rounded(durationMs)
  }
  const reason = cut ?? refused?.code
  const denial = refused?.code === 'SECURE_API_FORBIDDEN' ? notedDenial(request) : undefined
  const limit = limitOf(request)
  const { auth } = request
  if (reason !== undefined) event.reason = reason
  if (denial !== undefined) event.denial = denial
  if (route.route !== undefined) event.route = route.route
  if (route.rule !== undefined) event.rule = route.rule
  if (limit !== undefined) event.limit = limit
  if (auth !== undefined && auth.kind !== 'anonymous') event.principal = auditPrincipal(auth)
  const traceId = traceIdOf(request.headers.traceparent)
  if (traceId !== undefined) event.traceId = traceId
  const fields = route.fields?.(request)
  if (fields !== undefined) event.fields = fields
  return event
}

/** The end of a socket that was accepted; `requestEvent` told of its begin. */
export function closedEvent (route: AuditedRoute, reply: FastifyReply, end: End): AuditEvent | undefined {
  const event = requestEvent(route, reply, end)
  return event && { ...event, event: 'api_connection_closed' }
}

/** Over HTTP/2 a method may be any text of the caller; a route has only those that are known. */
function knownMethod (method: string): string {
  return known.has(method) ? method : ''
}

const known: ReadonlySet<string> = new Set(METHODS)

function rounded (ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** An event in the making: spreading what may be absent took a third of the time of the whole request. */
type Writable = { -readonly [Key in keyof AuditEvent]: AuditEvent[Key] }

/** A preflight is matched to no route of the application; what it asks about is the sender's word. */
function actionOf ({ method, headers }: FastifyRequest, { action, actions, route }: AuditedRoute): string {
  if (method === 'OPTIONS' && isPreflight(method, headers)) return 'preflight'
  return action ?? actions.get(method) ?? `${knownMethod(method)} ${route ?? 'unknown route'}`.trimStart()
}

/** What was no request has no method, no route and no id to name. */
function withoutRequest (address: string | undefined) {
  return { time: timestamp(), outcome: 'denied', method: '', requestId: '', address: address ?? '', durationMs: 0 } as const
}

export function edgeEvent ({ status, address }: EdgeAnswer): AuditEvent {
  const reason = edgeAnswers[status]
  const method = status === 405 ? 'CONNECT' : ''
  return { ...withoutRequest(address), event: eventName(status, reason), action: outsideAction(reason), status, reason, method }
}

/** A request that no hook of the suite has seen: no route was found for it, and it has no id. */
interface Outside extends Omit<End, 'reason'> {
  readonly method: string | undefined
  readonly address: string | undefined
  readonly reason: string | undefined
}

/** What Node, Fastify or an earlier hook answers, or a listener of the application on a connection. */
export function outsideEvent ({ status, durationMs, reason, method = '', address }: Outside): AuditEvent {
  return {
    ...withoutRequest(address === undefined ? undefined : addressOf({ ip: address })),
    event: eventName(status, reason),
    action: outsideAction(reason),
    outcome: outcomeOf(status, reason === 'client-aborted'),
    status,
    method: knownMethod(method),
    durationMs: rounded(durationMs),
    ...(reason !== undefined && { reason })
  }
}

function outsideAction (reason: string | undefined): string {
  if (reason === 'SECURE_API_METHOD_NOT_ALLOWED') return 'connect'
  return reason !== undefined && malformed.has(reason) ? 'malformed request' : 'answered before the suite'
}

const malformed: ReadonlySet<string> = new Set<AnswerCode>([
  'SECURE_API_REQUEST_URL', 'SECURE_API_REQUEST_PARAMETER_TOO_LONG', 'SECURE_API_REQUEST_HOST', 'SECURE_API_REQUEST_EXPECTATION',
  ...Object.values(edgeAnswers)
])

export function handshakeEvent ({ error, address, suppressed }: HandshakeFailure): AuditEvent {
  const handshake = { error, suppressed }
  return { ...withoutRequest(address), event: 'authn_fail', action: 'tls handshake', status: 0, reason: 'client-certificate', handshake }
}

/** What they share is asked once: Fastify makes an object of twelve members of `routeOptions` each time. */
export function violationEvents (request: FastifyRequest, violations: readonly Violation[]): AuditEvent[] {
  const { url } = request.routeOptions
  const requestId = bounded(String(request.id))
  const [time, address] = [timestamp(), addressOf(request) ?? '']
  return violations.map(violation => {
    // Spreading what they share would take longer than reading the report.
    const event: Writable = {
      time,
      event: 'malicious_csp_violation',
      action: 'csp violation',
      // A policy that is only tried out blocks nothing.
      outcome: violation.disposition === 'report' ? 'allowed' : 'denied',
      status: 204,
      method: request.method,
      requestId,
      address,
      durationMs: 0,
      violation
    }
    if (url !== undefined) event.route = url
    return event
  })
}
