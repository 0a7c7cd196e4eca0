import type { Place } from '../routes/record.ts'
import type { Sources } from './sources.ts'
import { callAt, type Call } from './tokens.ts'
import type { StockRoute } from './types.ts'

/** Methods that declare a route. */
export const declaring: ReadonlySet<string> = new Set(['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'all', 'route', 'trace'])

export function nameOf ({ methods, url }: Pick<StockRoute, 'methods' | 'url'>): string {
  return `${methods.join(',')} ${url}`
}

/** The call that declares a route. */
export function callOf ({ place }: StockRoute, sources: Sources): Call | undefined {
  const source = sources.get(place?.file)
  return source && place && callAt(source.text, source.tokens, place, declaring)
}

/** HEAD that follows a GET, and the preflight of @fastify/cors. */
export function isImplied (route: StockRoute, routes: readonly StockRoute[]): boolean {
  if (isTwin(route, routes)) return true
  if (route.methods.join() === 'HEAD') return routes.some(({ methods, url }) => url === route.url && methods.includes('GET'))
  return /[\\/]@fastify[\\/]cors[\\/]/.test(route.place?.file ?? '')
}

/** Fastify declares `/` below a prefix with and without the slash. */
export function isTwin ({ url, place, methods }: StockRoute, routes: readonly StockRoute[]): boolean {
  return url.endsWith('/') && routes.some(other =>
    `${other.url}/` === url && samePlace(other.place, place) && other.methods.join() === methods.join())
}

export function samePlace (a: Place | undefined, b: Place | undefined): boolean {
  return a !== undefined && a.file === b?.file && a.line === b.line && a.column === b.column
}
