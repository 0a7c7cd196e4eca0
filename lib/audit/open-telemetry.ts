import { detailsOf } from './kinds.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './options.ts'

/** The part of a `Logger` of `@opentelemetry/api-logs` that is used here. */
export interface LogEmitter {
  emit (record: {
    eventName?: string
    timestamp?: number
    severityNumber?: number
    severityText?: string
    body?: string
    attributes?: Record<string, string | number | boolean | string[]>
  }): void
}

/** OpenTelemetry's SeverityNumber: INFO, WARN, ERROR. */
const severities = { allowed: [9, 'INFO'], aborted: [9, 'INFO'], denied: [13, 'WARN'], failed: [17, 'ERROR'] } as const

/**
 * A sink that sends each event as a log record of OpenTelemetry, with the attributes of its semantic conventions.
 *
 * @example
 * import { logs } from '@opentelemetry/api-logs'
 * const audit = { sinks: [{ sink: openTelemetryLogs(logs.getLogger('orders')) }] }
 * @see https://opentelemetry.io/docs/specs/otel/logs/data-model/
 */
export function openTelemetryLogs (logger: LogEmitter): AuditSink {
  return event => {
    const [severityNumber, severityText] = severities[event.outcome]
    logger.emit({
      eventName: event.event,
      timestamp: Date.parse(event.time),
      severityNumber,
      severityText,
      body: `${event.action}: ${event.outcome}`,
      attributes: attributesOf(event)
    })
  }
}

function attributesOf (event: AuditEvent) {
  const { action, outcome, status, reason, method, route, requestId, address, principal, durationMs, repeats, fields } = event
  const attributes: Record<string, string | number | boolean | string[]> = { 'secure_api.action': action, 'secure_api.outcome': outcome }
  const set = (name: string, value: string | number | undefined) => { if (value !== undefined && value !== '') attributes[name] = value }
  set('http.request.method', method)
  set('http.route', route)
  set('http.response.status_code', status === 0 ? undefined : status)
  set('client.address', address)
  set('error.type', outcome === 'failed' ? reason ?? String(status) : undefined)
  set('user.id', principal?.subject)
  set('secure_api.reason', reason)
  set('secure_api.request.id', requestId)
  set('secure_api.duration_ms', durationMs)
  set('secure_api.repeats', repeats)
  set('secure_api.tenant', principal?.tenant)
  set('secure_api.key_id', principal?.keyId)
  // The record itself takes the trace id from the active span; this one is the caller's word.
  set('secure_api.trace.id', event.traceId)
  for (const [name, value] of Object.entries(fields ?? {})) attributes[`secure_api.field.${name}`] = value
  for (const [name, value] of Object.entries(detailsOf(event))) if (name !== 'fields') attributes[`secure_api.${name}`] = plain(value)
  return attributes
}

function plain (value: unknown): string | string[] {
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.map(String) : JSON.stringify(value)
}
