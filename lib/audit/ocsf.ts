import { isIP } from 'node:net'
import { detailsOf, effects, isAuthentication } from './kinds.ts'
import type { AuditEvent } from './event.ts'

/** The version of the Open Cybersecurity Schema Framework that the events follow. */
const version = '1.8.0'
const product = Object.freeze({ name: 'fastify-secure-api', vendor_name: 'fastify-secure-api' })

const activities = { create: 1, read: 2, update: 3, delete: 4 } as const
const severities = { allowed: 1, denied: 2, aborted: 1, failed: 3 } as const
/** Of the profile `security_control`. */
const verdicts = { allowed: 1, denied: 2, aborted: 99, failed: 99 } as const
const apiActivity = { category_uid: 6, class_uid: 6003 } as const
const authentication = { category_uid: 3, class_uid: 3002 } as const
const other = 99

/**
 * The event in the form of OCSF 1.8: class Authentication (3002) for refused credentials, and API Activity (6003) for all others.
 *
 * @param service the name of this API
 * @see https://schema.ocsf.io/1.8.0/classes/api_activity
 */
export function ocsf (event: AuditEvent, service: string): Record<string, unknown> {
  const own = isAuthentication(event) ? authenticationOf(event, service) : apiActivityOf(event, service)
  return { ...common(event, own), ...own }
}

interface Classified { readonly class_uid: number, readonly activity_id: number }

function apiActivityOf (event: AuditEvent, service: string) {
  const { method, action, requestId, status, reason } = event
  const effect = effects[method]
  return {
    ...apiActivity,
    activity_id: effect === undefined ? other : activities[effect],
    ...(effect === undefined && { activity_name: method === '' ? action : method }),
    actor: { user: userOf(event) },
    api: {
      operation: action,
      service: { name: service },
      request: { uid: requestId },
      response: { code: status, ...(reason !== undefined && { error: reason }) }
    }
  }
}

function authenticationOf (event: AuditEvent, service: string) {
  return { ...authentication, activity_id: 1, user: userOf(event), service: { name: service }, is_remote: true }
}

function common (event: AuditEvent, { class_uid: classUid, activity_id: activity }: Classified) {
  const { outcome, status, reason, method, requestId, traceId, durationMs, repeats, principal } = event
  const time = Date.parse(event.time)
  const traced = traceId !== undefined && classUid === apiActivity.class_uid
  return {
    type_uid: classUid * 100 + activity,
    time,
    severity_id: severities[outcome],
    status_id: outcome === 'allowed' ? 1 : 2,
    status_code: String(status),
    ...(reason !== undefined && { status_detail: reason }),
    action_id: verdicts[outcome],
    ...(verdicts[outcome] === other && { action: outcome }),
    metadata: {
      version,
      product,
      event_code: event.event,
      profiles: traced ? ['security_control', 'trace'] : ['security_control'],
      ...(requestId !== '' && { correlation_uid: requestId }),
      ...(principal?.tenant !== undefined && { tenant_uid: principal.tenant })
    },
    ...(repeats !== undefined && { count: repeats }),
    ...(traced && { trace: { uid: traceId } }),
    src_endpoint: sourceOf(event),
    ...(method !== '' && { http_request: { http_method: method, uid: requestId } }),
    ...(status !== 0 && { http_response: { code: status, latency: Math.round(durationMs) } }),
    unmapped: { ...detailsOf(event), ...(!traced && traceId !== undefined && { trace_id: traceId }) }
  }
}

/** A proxy that is trusted may forward any text. */
function sourceOf ({ address }: AuditEvent) {
  if (address === '') return { name: 'several' }
  return isIP(address) === 0 ? { name: address } : { ip: address }
}

/** Types of OCSF: 0 unknown, 1 user, 3 system. */
function userOf ({ principal }: AuditEvent) {
  if (principal === undefined) return { name: 'anonymous', type_id: 0 }
  const { subject, issuer, kind, keyId } = principal
  return {
    uid: subject,
    type_id: kind === 'user' ? 1 : 3,
    ...(issuer !== undefined && { domain: issuer }),
    ...(keyId !== undefined && { credential_uid: keyId })
  }
}
