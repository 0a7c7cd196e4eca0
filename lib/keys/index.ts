export { algorithms, KeysUnavailable, type Algorithm, type KeySource, type VerificationKey } from './types.ts'
