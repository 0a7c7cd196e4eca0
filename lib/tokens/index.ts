export {
  TokenAuthenticator,
  type TokenAuthenticatorOptions, type TrustedIssuer, type UnknownToken, type Verification, type Verified
} from './authenticator.ts'
export { BearerScheme } from './bearer-scheme.ts'
export type { UnmatchedClaim } from './claim-watch.ts'
export type { AccessTokenClaims } from './claims.ts'
export { createDenylist, DenylistFull, type Denylist, type DenylistRedis, type Revocation, type RevocationMessage } from './denylist.ts'
export { createGate, readHeader, readPayload, splitCompact } from './gate.ts'
export {
  IssuerOptionsSchema, RevocationOptionsSchema, TokenCacheOptionsSchema,
  type IssuerOptions, type RevocationOptions, type TokenCacheOptions, type TokenForm
} from './options.ts'
export { legacyForm, type LegacyForm, type LegacyTokensOptions } from './legacy.ts'
export { OwnSecret } from './own-secret.ts'
export { OwnSigners, type OwnSigner } from './own-signers.ts'
export { ownLifetime, OwnTokensSchema, readOwnKey, validateOwnTokens, type OwnKey, type OwnTokensOptions } from './own.ts'
export { presets, type Preset, type PresetName } from './presets.ts'
export type { Introspection } from './introspected.ts'
export { checkSigned, subjectOf } from './principal.ts'
export type { IsRevoked } from './revocation.ts'
export { compileIssuer, compileOwn, DEVELOPMENT_ISSUER, isDevelopmentIssuer, type IssuerRules, type TokenAlgorithm } from './rules.ts'
export { verifyJws } from './signature.ts'
export { hasKeys, refuseSharedIssuer, validateIssuer, validateIssuers, type ValidationContext } from './validate.ts'
