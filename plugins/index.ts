import secureApi from './secure-api.ts'

export default secureApi
/** For `require('fastify-secure-api')`, which then returns the plugin itself. */
export { secureApi, secureApi as 'module.exports' }
export type { RoutePosture, SecureApi, SecureApiOptions } from './secure-api.ts'
export { default as audit } from './audit.ts'
export { default as authentication, type AuthenticationPluginOptions } from './authentication.ts'
export { default as authorization } from './authorization.ts'
export { default as cors, type CorsPluginOptions } from './cors.ts'
export { default as headers, type HeadersPluginOptions } from './headers.ts'
export { default as methodNotAllowed } from './method.ts'
export { default as rateLimit } from './rate-limit.ts'
export type { AuditEvent, AuditOptions, AuditSink } from '../lib/audit/index.ts'
export { ConfigurationError, ProblemError, type ConfigurationCode, type Problem } from '../lib/config/index.ts'
export type { CorsOptions, RouteCors } from '../lib/cors/index.ts'
export type { Principal } from '../lib/credentials/index.ts'
export type { HeadersOptions, RouteHeaders } from '../lib/headers/index.ts'
export type { AnswerCode } from '../lib/http/index.ts'
export type { Limit, RateLimitOptions, RouteRateLimit } from '../lib/limits/index.ts'
export type { AuthorizationOptions, PolicyContext, PolicyFunction, Requirement, Rule } from '../lib/policy/index.ts'
export { RefusalError } from '../lib/pipeline/index.ts'
export { createDenylist, verifyJws, type AuthenticationOptions, type Denylist, type IssuerOptions } from '../lib/tokens/index.ts'
