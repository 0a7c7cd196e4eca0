export { addressKey, unknownAddress } from './address.ts'
export { LimitBook, type Entry, type LimitChange, type LimitState } from './book.ts'
export { kDecided, limitOf, noteDecision, publish, type LimitMessage } from './channel.ts'
export {
  isDecision, isUnavailable, refusing, unplanned,
  type Charge, type Decision, type Limiter, type LimiterEvent, type LimiterStatus, type LimitOutcome
} from './decision.ts'
export { FailureReservations, isRefused, type Entrance, type Reservation } from './failures.ts'
export {
  legacyHeaders, rateLimited, rateLimitField, rateLimitHeaderNames, rateLimitPolicyField, rateLimitUnavailable, retryAfterSeconds
} from './headers.ts'
export { checkLoginGuard, LoginBudgets, type Attempt } from './login.ts'
export { loginDefaults, type LoginGuardOptions } from './login-options.ts'
export { MemoryStore } from './memory-store.ts'
export {
  defaultKeyPrefix, defaultPolicies, LimitSchema, RateLimitOptionsSchema, RouteRateLimitSchema,
  type Limit, type RateLimitOptions, type RouteRateLimit
} from './options.ts'
export { addressPartition, partitionOfAddress, partitionOf } from './partition.ts'
export { compilePolicy, planned, type LimitPolicy } from './policy.ts'
export { ProxyWatch, type AddressFinding } from './proxy-watch.ts'
export { limitScript, probeRedis } from './redis-script.ts'
export { createLimiter } from './resilient.ts'
export { checkEngineOptions, engineStore } from './store-adapter.ts'
export { isRedisUrl, policyNames, validateRateLimit, validateRouteRateLimit } from './validate.ts'
