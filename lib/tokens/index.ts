export {
  TokenAuthenticator,
  type Connection, type TokenAuthenticatorOptions, type TrustedIssuer, type UnknownToken, type Verification, type Verified
} from './authenticator.ts'
export type { UnmatchedClaim } from './claim-watch.ts'
export type { AccessTokenClaims } from './claims.ts'
export { createDenylist, DenylistFull, type Denylist, type DenylistRedis, type Revocation } from './denylist.ts'
export { createGate, readHeader, readPayload, splitCompact } from './gate.ts'
export { IssuerOptionsSchema, type IssuerOptions, type TokenForm } from './options.ts'
export { ownLifetime, readOwnKey, type OwnKey, type OwnTokensOptions } from './own.ts'
export { presets, type Preset, type PresetName } from './presets.ts'
export { checkSigned, subjectOf } from './principal.ts'
export type { IsRevoked } from './revocation.ts'
export { compileIssuer, compileOwn, DEVELOPMENT_ISSUER, isDevelopmentIssuer, type IssuerRules } from './rules.ts'
export { AuthenticationOptionsSchema, issuersOf, validateAuthentication, type AuthenticationOptions } from './section.ts'
export { verifyJws } from './signature.ts'
export { validateIssuer, validateIssuers } from './validate.ts'
