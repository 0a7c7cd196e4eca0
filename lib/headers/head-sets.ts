import { headPart, type HeaderPair, type HeadSet } from '../http/index.ts'
import type { HeaderTable } from './table.ts'

/** What decides caching, apart from the status. */
interface Audience {
  /** The route needs no credential. */
  readonly isPublic: boolean
  /** The route is guarded and does not state its own caching. */
  readonly isGuarded?: boolean
  /** The request matches a route; a page of a 404 handler is not cached, even with status 200. */
  readonly isRoute: boolean
}

/** A route's header table, ready for the response's head: one set for plain HTTP, one with HSTS. */
export function headSets (
  { headers, hsts, cache, remove }: HeaderTable, { isPublic, isRoute, isGuarded = false }: Audience
): Readonly<Record<'http' | 'https', HeadSet>> {
  const stored = isPublic ? cache.anonymous : cache.authenticated
  const common = {
    success: partOf(isRoute ? stored : cache.error),
    error: partOf(cache.error),
    remove: new Set(remove),
    isPrivate: isGuarded && !isPublic && isRoute
  }
  const http = Object.freeze({ always: headPart(headers), ...common })
  return Object.freeze({ http, https: hsts === undefined ? http : Object.freeze({ ...common, always: headPart([...headers, hsts]) }) })
}

function partOf (pair: HeaderPair | undefined) {
  return headPart(pair === undefined ? [] : [pair])
}
