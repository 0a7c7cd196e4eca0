export { isCrossSite, type CookieRules } from './cross-site.ts'
export { OwnScheme, type Authenticator, type CallerAnswer, type CallerFacts } from './own-scheme.ts'
export { AuthenticationOptionsSchema, issuersOf, validateAuthentication, type AuthenticationOptions } from './section.ts'
export { sessionUser, type SessionUserOptions } from './session-user.ts'
