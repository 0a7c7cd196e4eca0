export { hasFormToken, isBearerToken, readBearer } from './bearer.ts'
export { deepFreeze, immutableSet } from './immutable.ts'
export { anonymous, type Principal } from './principal.ts'
