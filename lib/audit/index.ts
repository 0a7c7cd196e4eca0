export {
  openAuditFile, type AuditChainOptions, type AuditFile, type AuditFileOptions, type AuditFileStatus
} from './audit-file.ts'
export { firstLink, type Checkpoint, type Link } from './chain.ts'
export { chainVerifier, readChainKey, type ChainKey, type ChainVerifier } from './chain-key.ts'
export { readableLine } from './console.ts'
export { ecs } from './ecs.ts'
export { auditPrincipal, eventName, outcomeOf, timestamp, type AuditEvent } from './event.ts'
export { eventLine } from './event-line.ts'
export { bounded, checkFieldHeaders, compileFields, type AuditField, type FieldReader } from './fields.ts'
export { jsonLine } from './json-line.ts'
export { LineFile, type LineFileOptions } from './line-file.ts'
export { ocsf } from './ocsf.ts'
export { openTelemetryLogs, type LogEmitter } from './open-telemetry.ts'
export {
  AuditOptionsSchema, checkAudit, RouteAuditSchema, type AuditFilter, type AuditOptions, type AuditSink, type RouteAudit, type SinkOptions
} from './options.ts'
export { Repeats, windowMs } from './repeats.ts'
export { traceIdOf } from './trace.ts'
export { Trail, type Destination } from './trail.ts'
export { Trails, type TrailsEntry } from './trails.ts'
export type { Verification, VerifyOptions } from './verifier.ts'
export { verifyChain } from './verify.ts'
export type { Finding, FindingKind, GoodCheckpoint } from './verify-findings.ts'
