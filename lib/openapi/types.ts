import { isFields, type Fields } from '../config/index.ts'
import type { Rule } from '../rules/index.ts'

export type { Fields }

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

export function fieldsOf (value: unknown): Fields {
  return isFields(value) ? value : {}
}
