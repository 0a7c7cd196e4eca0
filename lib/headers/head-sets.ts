import { headPart, type HeaderPair, type HeadSet } from '../http/index.ts'
import type { HeaderTable } from './table.ts'

/** What decides about caching, apart from the status. */
export interface Audience {
  /** The route asks for no credential. */
  readonly isPublic: boolean
  /** Somebody guards the route, and it does not say itself how its answers may be stored. */
  readonly isGuarded?: boolean
  /** The request matches a route; a 404 handler that answers 200 with a page is not stored. */
  readonly isRoute: boolean
}

/** A route's header table, ready for the response's head: one set for plain HTTP, one with HSTS. */
export function headSets ({ headers, hsts, cache, remove }: HeaderTable, { isPublic, isRoute, isGuarded = false }: Audience): { readonly http: HeadSet, readonly https: HeadSet } {
  const stored = isPublic ? cache.anonymous : cache.authenticated
  const common = { success: partOf(isRoute ? stored : cache.error), error: partOf(cache.error), remove: new Set(remove), isPrivate: isGuarded && !isPublic && isRoute }
  const http = Object.freeze({ always: headPart(headers), ...common })
  return Object.freeze({ http, https: hsts === undefined ? http : Object.freeze({ ...common, always: headPart([...headers, hsts]) }) })
}

function partOf (pair: HeaderPair | undefined) {
  return headPart(pair === undefined ? [] : [pair])
}
