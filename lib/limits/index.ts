export { addressKey, unknownAddress } from './address.ts'
export { LimitBook, type Entry, type LimitChange, type LimitState } from './book.ts'
export { kDecided, limitOf, noteDecision, publish, type DecidedLimit, type LimitMessage } from './channel.ts'
export { createLimiter, type LimiterOptions } from './create.ts'
export {
  costOf, countable, isDecision, isUnavailable, refusing, unplanned,
  type Charge, type Decision, type Limiter, type LimiterEvent, type LimiterStatus, type MaybePromise, type MemoryStatus, type LimitOutcome,
  type Source, type Unavailable
} from './decision.ts'
export { FailureReservations, isRefused, type Entrance, type Reservation } from './failures.ts'
export { legacyHeaders, rateLimited, rateLimitField, rateLimitHeaderNames, rateLimitPolicyField, rateLimitUnavailable, retryAfterSeconds } from './headers.ts'
export { checkLoginGuard, LoginBudgets, type Admission, type Attempt } from './login.ts'
export { loginDefaults, LoginGuardOptionsSchema, type LoginGuardOptions } from './login-options.ts'
export { MemoryStore, type MemoryStoreOptions } from './memory-store.ts'
export {
  defaultKeyPrefix, defaultPolicies, LimitSchema, RateLimitOptionsSchema, RouteRateLimitSchema,
  type Algorithm, type Limit, type Partition, type RateLimitOptions, type RouteRateLimit, type StoreFailure
} from './options.ts'
export { addressPartition, partitionOf } from './partition.ts'
export { compilePolicies, compilePolicy, planned, type CompiledPolicies, type LimitPolicy } from './policy.ts'
export { probeRedis } from './probe.ts'
export { ProxyWatch, type AddressFinding, type Sighting } from './proxy-watch.ts'
export { limitScript } from './redis-script.ts'
export { checkEngineOptions, engineStore, LimitNotCounted, type EngineStore, type StoreResult } from './store-adapter.ts'
export { policyNames, validateLimit, validatePolicyName, validateRateLimit, validateRouteRateLimit } from './validate.ts'
