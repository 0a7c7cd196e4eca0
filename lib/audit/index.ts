export { auditPrincipal, eventName, outcomeOf, timestamp, type AuditEvent } from './event.ts'
export { AuditOptionsSchema, RouteAuditSchema, type AuditOptions, type AuditSink, type RouteAudit } from './options.ts'
export { Repeats, windowMs } from './repeats.ts'
export { Trail } from './trail.ts'
