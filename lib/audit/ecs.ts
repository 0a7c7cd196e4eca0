import { isIP } from 'node:net'
import { detailsOf, effects, isAuthentication } from './kinds.ts'
import type { AuditEvent } from './event.ts'

/** The version of the Elastic Common Schema that the events follow. */
const version = '9.4.0'

const outcomes = { allowed: 'success', denied: 'failure', failed: 'failure', aborted: 'unknown' } as const
const verdicts = { allowed: ['allowed'], denied: ['denied'], failed: ['info'], aborted: ['info'] } as const
const changes = { create: 'creation', read: 'access', update: 'change', delete: 'deletion' } as const

/**
 * The event in the form of the Elastic Common Schema 9.4. What has no field there stands in `secure_api`, and `audit.fields` in `labels`.
 *
 * @param service the name of this API
 * @see https://www.elastic.co/docs/reference/ecs/ecs-field-reference
 */
export function ecs (event: AuditEvent, service: string): Record<string, unknown> {
  const { fields, ...details } = detailsOf(event)
  const { time, status, method, requestId, traceId, repeats, principal } = event
  return {
    '@timestamp': time,
    ecs: { version },
    message: messageOf(event),
    event: eventOf(event),
    service: { name: service },
    ...(method !== '' && {
      http: { request: { method, id: requestId }, ...(status !== 0 && { response: { status_code: status } }) }
    }),
    ...sourceOf(event),
    ...(traceId !== undefined && { trace: { id: traceId } }),
    ...userOf(event),
    ...(principal?.tenant !== undefined && { organization: { id: principal.tenant } }),
    ...(fields !== undefined && { labels: fields }),
    secure_api: {
      ...details,
      ...(principal?.keyId !== undefined && { key_id: principal.keyId }),
      ...(repeats !== undefined && { repeats })
    }
  }
}

function eventOf (event: AuditEvent) {
  const { outcome, action, reason, durationMs, method } = event
  const effect = effects[method]
  const kinds = isAuthentication(event)
    ? { category: ['authentication'], type: ['info'] }
    : { category: ['api'], type: [...verdicts[outcome], ...(outcome === 'allowed' && effect !== undefined ? [changes[effect]] : [])] }
  return {
    kind: 'event',
    ...kinds,
    action,
    code: event.event,
    outcome: outcomes[outcome],
    dataset: 'secure_api.audit',
    // Nanoseconds.
    duration: Math.round(durationMs * 1_000_000),
    ...(reason !== undefined && { reason })
  }
}

function userOf ({ principal }: AuditEvent) {
  if (principal === undefined) return {}
  const { subject, issuer } = principal
  return { user: { id: subject, ...(issuer !== undefined && { domain: issuer }) } }
}

/** `ip` takes addresses alone; a socket of the file system, or several callers counted together, have none. */
function sourceOf ({ address }: AuditEvent) {
  if (address === '') return {}
  return { source: { address, ...(isIP(address) !== 0 && { ip: address }) } }
}

function messageOf ({ action, status, outcome, reason }: AuditEvent): string {
  return `${action}: ${outcome}${status === 0 ? '' : `, ${status}`}${reason === undefined ? '' : `, ${reason}`}`
}
