import type { FetchedKeys } from './get-jwks.ts'
import { textsOf } from './options.ts'
import { lostIssuers } from './refusals.ts'
import { refreshOf } from './token-options.ts'
import type { Described } from './types.ts'
import type { Value } from './value.ts'

interface Fetched {
  readonly value: Record<string, Value>
  readonly issuer?: string
  readonly told: readonly string[]
  readonly lost: readonly string[]
}

export const noKeys: Fetched = { value: {}, told: [], lost: [] }

const anyIssuer = '`get-jwks` fetched keys from whatever issuer a token names: now SECURE_API_ISSUER says the one'
const exactly = 'the issuer is compared as it is: a slash at its end counts'

/** Keys that `get-jwks` fetches; `named` is the issuer that other options name. */
export function mapKeys ({ issuers, path, ttl, unread }: FetchedKeys, named: Described | undefined): Fetched {
  const allowed = textsOf(named) ?? issuers
  const [issuer] = allowed.length === 1 ? allowed : []
  const uri = issuer?.startsWith('https://') && path !== undefined ? `${issuer.replace(/\/$/, '')}/${path}` : undefined
  return {
    value: { ...(uri !== undefined && { jwksUri: uri }), ...refreshOf(ttl) },
    ...(issuer !== undefined && { issuer }),
    told: [
      ...(issuer !== undefined ? [exactly] : allowed.length === 0 && named === undefined ? [anyIssuer] : []),
      ...(uri === undefined && path !== undefined ? [`keys were fetched from \`${path}\` below the issuer: give \`jwksUri\``] : []),
      ...unread.map(name => `\`${name}\` of get-jwks cannot be read: see that the issuer is the one it allows`)
    ],
    lost: named === undefined && allowed.length > 1 ? lostIssuers(allowed) : []
  }
}
