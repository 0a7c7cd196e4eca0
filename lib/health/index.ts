export { HealthBoard, type CheckReport, type HealthBoardOptions, type HealthCheck, type HealthReport } from './board.ts'
export { Expiries, expiriesIn, expiryOfPeer, type Expiry, type ExpiryEvent, type ExpiryStatus, type PeerCertificate } from './expiries.ts'
export { HealthOptionsSchema, type HealthOptions } from './options.ts'
