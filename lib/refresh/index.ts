export type { RefreshFamily } from './family.ts'
export type { RefreshTokenStore } from './stores.ts'
export { createRefreshTokens, type RefreshFacts, type RefreshToken, type RefreshTokens, type RefreshTokensOptions } from './tokens.ts'
