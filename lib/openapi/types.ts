import type { Rule } from '../rules/index.ts'

/** Any object of a document. */
export type Fields = Readonly<Record<string, unknown>>

/** Who may call a route. `optional`: anybody, and a token that is sent is checked. `unknown`: it was declared before the suite, and no request has shown its `config` yet. */
export type Access = 'public' | 'optional' | 'authenticated' | 'none' | 'unknown' | Rule

/** What the suite does on a route, as far as a caller can see it. */
export interface RouteFacts {
  readonly access: Access
  /** Names of the steps that a request meets. */
  readonly steps: readonly string[]
  /** As in `app.secureApi.routes()`. */
  readonly rateLimit?: unknown
}

export function isFields (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function fieldsOf (value: unknown): Fields {
  return isFields(value) ? value : {}
}
