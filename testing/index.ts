export type { IssuerFault } from './faults.ts'
export { createTestIssuer, type SignOptions, type TestIssuer, type TestIssuerOptions } from './issuer.ts'
export type { TestAlgorithm } from './keys.ts'
