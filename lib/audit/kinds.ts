import type { AuditEvent } from './event.ts'

/** Whether an event is about who somebody is, rather than about what they asked for. */
export function isAuthentication ({ event }: AuditEvent): boolean {
  return event === 'authn_fail' || event === 'authn_token_reuse'
}

/** What a method does to a resource (RFC 9110 §9.3, RFC 5789). */
export const effects: Readonly<Record<string, 'create' | 'read' | 'update' | 'delete'>> = Object.freeze({
  POST: 'create', GET: 'read', HEAD: 'read', QUERY: 'read', PUT: 'update', PATCH: 'update', DELETE: 'delete'
})

/** What neither schema has a place for. */
export function detailsOf ({ rule, denial, limit, fields, violation, handshake, principal }: AuditEvent): Record<string, unknown> {
  const { client, issuer, kind, credential, scopes } = principal ?? {}
  const all = { rule, denial, limit, fields, violation, handshake, client, issuer, kind, credential, scopes }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}
