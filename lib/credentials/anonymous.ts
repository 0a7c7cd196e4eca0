import { immutableSet } from './immutable-set.ts'
import type { Principal } from './principal.ts'

/** Who calls a public route without a credential. */
export const anonymous: Principal = Object.freeze({
  kind: 'anonymous',
  subject: undefined,
  client: undefined,
  issuer: undefined,
  scopes: immutableSet<string>([]),
  roles: immutableSet<string>([]),
  claims: Object.freeze({}),
  expiresAt: Infinity
})
