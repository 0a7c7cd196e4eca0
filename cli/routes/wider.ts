import { compileOrigins, isFault, parseOrigin, type CorsOptions, type OriginPattern, type RouteCors } from '../../lib/cors/index.ts'

type Stated = Exclude<RouteCors, false>

/** Switches that open something when they are on. */
const opening = ['credentials', 'dangerouslyAllowAnyOrigin', 'dangerouslyAllowInsecureOrigins', 'dangerouslyAllowPublicSuffixes'] as const
const lists = ['methods', 'requestHeaders', 'responseHeaders'] as const

/** What a route's CORS options let other origins do that the application's do not. */
export function wider (route: Stated, application: CorsOptions | undefined): readonly string[] {
  if (application === undefined) return (route.origins ?? []).map(origin => `origin ${origin}`)
  return [
    ...newOrigins(route.origins ?? [], application.origins).map(origin => `origin ${origin}`),
    ...opening.filter(option => route[option] === true && application[option] !== true),
    ...(route.enforceOrigin === false && application.enforceOrigin === true ? ['enforceOrigin off'] : []),
    ...lists.flatMap(option => additions(option, route, application))
  ]
}

function newOrigins (origins: readonly string[], allowed: readonly string[]): readonly string[] {
  const matches = compileOrigins(allowed.map(parseOrigin).filter((origin): origin is OriginPattern => !isFault(origin)))
  return origins.filter(origin => !allowed.includes(origin) && (origin.includes('*') || !matches(origin)))
}

/** A list that the application leaves to its default is not known here; what a route adds to it is the route's statement. */
function additions (option: typeof lists[number], route: Stated, application: CorsOptions): readonly string[] {
  const base = application[option]?.map(name => name.toLowerCase())
  const added = (route[option] ?? []).filter(name => name === '*' || (base !== undefined && !base.includes(name.toLowerCase())))
  return base?.includes('*') ? [] : added.map(name => `${option} ${name}`)
}
