export {
  openAuditFile, type AuditChainOptions, type AuditFile, type AuditFileOptions, type AuditFileStatus
} from './audit-file.ts'
export { firstLink, type Checkpoint, type Link } from './chain.ts'
export { chainVerifier, readChainKey, type ChainKey, type ChainVerifier } from './chain-key.ts'
export { auditPrincipal, eventName, outcomeOf, timestamp, type AuditEvent } from './event.ts'
export { AuditOptionsSchema, RouteAuditSchema, type AuditOptions, type AuditSink, type RouteAudit } from './options.ts'
export { Repeats, windowMs } from './repeats.ts'
export { Trail } from './trail.ts'
export { LineFile, type LineFileOptions } from './line-file.ts'
export { verifyChain, type Finding, type FindingKind, type GoodCheckpoint, type Verification, type VerifyOptions } from './verify.ts'
