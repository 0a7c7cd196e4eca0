import type { Rule } from '../rules/index.ts'

/** Any object of a document. */
export type Fields = Readonly<Record<string, unknown>>

/** Who may call a route. `optional`: anyone; a token, if sent, is verified. `unknown`: declared before the suite, `config` not seen yet. */
export type Access = 'public' | 'optional' | 'authenticated' | 'none' | 'unknown' | Rule

/** What the suite does on a route, as visible to callers. */
export interface RouteFacts {
  readonly access: Access
  /** Names of the steps that apply. */
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
