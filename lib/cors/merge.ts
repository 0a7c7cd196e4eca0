import type { Problems } from '../config/index.ts'
import { compileOrigins } from './matcher.ts'
import type { CorsOptions, RouteCors } from './options.ts'
import { isFault, parseOrigin, type OriginPattern } from './origins.ts'
import { validateCors, type CorsValidationContext } from './validate.ts'

/**
 * A route's options laid over the application's and checked together: options that are valid apart can conflict.
 * `base` is undefined when the application allows no other origin; the route then lists its own.
 */
export function mergeCors (
  base: CorsOptions | undefined, route: Exclude<RouteCors, false>, path: string, problems: Problems, context: CorsValidationContext
): CorsOptions {
  const merged: CorsOptions = Object.assign(Object.create(null), base, route, { origins: route.origins ?? base?.origins ?? [] })
  if (merged.origins.length === 0) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.origins`, 'neither the route nor the application lists an origin',
      'Add the origins, or remove `cors` from the route.')
  }
  validateCors(merged, path, problems, context)
  if (widensSilently(base, route)) {
    problems.add('SECURE_API_CORS_ROUTE_OVERRIDE', `${path}.origins`,
      "the application's `credentials: true` would apply to origins that the application does not allow",
      'State `credentials` on the route as well, true or false.')
  }
  return merged
}

/** Inherited credentials were meant for the application's own origins. */
function widensSilently (base: CorsOptions | undefined, route: Exclude<RouteCors, false>): boolean {
  if (base?.credentials !== true || route.credentials !== undefined || route.origins === undefined) return false
  const parsed = base.origins.map(parseOrigin).filter((origin): origin is OriginPattern => !isFault(origin))
  const allowed = compileOrigins(parsed)
  return route.origins.some(origin => !base.origins.includes(origin) && !allowed(origin))
}
