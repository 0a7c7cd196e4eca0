export { CorsOptionsSchema, RouteCorsSchema, type CorsOptions, type RouteCors } from './options.ts'
export { isFault, isLoopback, parseOrigin, type OriginPattern } from './origins.ts'
export { compileOrigins } from './matcher.ts'
export { actual, compileCors, refuses, type ActualRequest, type CorsPolicy } from './policy.ts'
export {
  createPreflightEngine, engineOptions, explain, isPreflight, preflight, preflightVary, type Preflight, type PreflightRefusal
} from './preflight.ts'
export { loadPublicSuffixes, needsPublicSuffixes, publicSuffixes } from './public-suffixes.ts'
export { mergeCors, validateCors, type CorsValidationContext } from './validate.ts'
