export { default as secureApi } from './secure-api.ts'
export type { RoutePosture, SecureApi, SecureApiOptions } from './secure-api.ts'
export type { ApiKeys } from './api-keys.ts'
export { default as audit, type AuditMessage } from './audit.ts'
export { default as authentication, type AuthenticationPluginOptions } from './authentication.ts'
export { default as authorization } from './authorization.ts'
export { default as cors, type CorsPluginOptions } from './cors.ts'
export { default as health } from './health.ts'
export { default as headers, type HeadersPluginOptions } from './headers.ts'
export { default as methodNotAllowed } from './method.ts'
export { default as openapi } from './openapi.ts'
export type { CredentialName, Named, PolicyName, RateLimitName, Register, RoleName, ScopeName } from './names.ts'
export { default as rateLimit, type RateLimits, type RateLimitStatus } from './rate-limit.ts'
export type { EngineApi } from './rate-limit-api.ts'
export type { LoginGuard } from './rate-limit-login.ts'
export { default as telemetry } from './telemetry.ts'
export { default as tls, type TlsPluginOptions } from './tls.ts'
export {
  createApiKey, type ApiKeyLookup, type ApiKeyRecord, type ApiKeyRow, type ApiKeysOptions, type ApiKeyUse, type NewApiKey
} from '../lib/api-keys/index.ts'
export {
  ecs, ocsf, openTelemetryLogs, type AuditEvent, type AuditField, type AuditFilter, type AuditOptions, type AuditSink, type LogEmitter
} from '../lib/audit/index.ts'
export { ConfigurationError, ProblemError, type ConfigurationCode, type Problem } from '../lib/config/index.ts'
export type { CorsOptions, RouteCors } from '../lib/cors/index.ts'
export type { Principal } from '../lib/credentials/index.ts'
export type { HeadersOptions, ReportsOptions, RouteHeaders, Violation } from '../lib/headers/index.ts'
export { ownRefusal, type AnswerCode, type OwnRefusal, type Refusal } from '../lib/http/index.ts'
export type {
  Limit, LimitChange, LimitMessage, LimitState, LoginGuardOptions, RateLimitOptions, RouteRateLimit
} from '../lib/limits/index.ts'
export type { CheckReport, HealthOptions, HealthReport } from '../lib/health/index.ts'
export type { OpenApiOptions } from '../lib/openapi/index.ts'
export type { AuthorizationOptions, PolicyContext, PolicyFunction, PolicyRoute, Requirement, Rule } from '../lib/rules/index.ts'
export {
  RefusalError, routeOption, type CompiledStep, type Control, type Handler, type OptionParts, type Phase, type RouteInfo,
  type RouteOption, type Verdict
} from '../lib/pipeline/index.ts'
export {
  secureServer, type CertificateEvent, type CertificateMaterial, type CertificateProvider, type CertificateStatus,
  type SecureServerOptions, type TlsOptions
} from '../lib/server/index.ts'
export {
  createRefreshTokens, type RefreshFacts, type RefreshFamily, type RefreshToken, type RefreshTokens, type RefreshTokensOptions,
  type RefreshTokenStore
} from '../lib/refresh/index.ts'
export type { IntrospectionMessage } from '../lib/introspection/index.ts'
export type { KeyMessage } from '../lib/keys/index.ts'
export type { StoreMessage } from '../lib/redis/index.ts'
export {
  instruments, type Instrument, type MeterProvider, type PhaseMessage, type RequestMessage, type TelemetryOptions
} from '../lib/telemetry/index.ts'
export { createDenylist, verifyJws, type Denylist, type IssuerOptions, type RevocationMessage } from '../lib/tokens/index.ts'
export {
  sessionUser, type AuthenticationOptions, type Authenticator, type CallerAnswer, type CallerFacts, type CookieRules,
  type SessionUserOptions
} from '../lib/authentication/index.ts'
/** Declares `app.jwt` and `request.user`, which are that plugin's; narrow them by its `FastifyJWT`. */
export type { FastifyJWT } from '@fastify/jwt'
export {
  Secret, type SecretAbout, type SecretProvider, type SecretSource, type SecretStatus, type SecretValue
} from '../lib/secrets/index.ts'
export type { UsageSummary } from '../lib/usage/index.ts'
