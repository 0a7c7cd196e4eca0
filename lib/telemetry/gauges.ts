import type { KeyRingStatus } from '../keys/index.ts'
import type { LimiterStatus } from '../limits/index.ts'
import type { SecretStatus } from '../secrets/index.ts'
import type { Attributes } from './api.ts'
import type { Named } from './instruments.ts'

/** `app.secureApi.status()`, as far as it is read here. A part is absent where its control is. */
interface Status {
  readonly issuers?: readonly KeyRingStatus[]
  readonly rateLimit?: LimiterStatus
  readonly tokens?: { readonly cached: number, readonly bytes: number, readonly hits: number, readonly misses: number }
  readonly audit?: { readonly recorded: number, readonly dropped: number, readonly pending: number }
  readonly certificates?: unknown
  readonly secrets?: readonly SecretStatus[]
}

type Value = readonly [value: number, attributes?: Attributes]

interface Gauge {
  readonly name: Named<'observable-gauge' | 'observable-counter'>
  readonly kind: 'observable-gauge' | 'observable-counter'
  values (status: Status, now: number): readonly Value[]
}

const issuerOf = ({ issuer }: KeyRingStatus) => ({ 'secure_api.issuer': issuer })
const secretOf = (option: string) => ({ 'secure_api.secret': option })
const result = (name: string) => ({ 'secure_api.result': name })

export const gauges: readonly Gauge[] = [
  {
    name: 'secure_api.limit.store.available',
    kind: 'observable-gauge',
    values: ({ rateLimit }) => rateLimit === undefined
      ? []
      : [[rateLimit.state === 'available' ? 1 : 0, { 'secure_api.store': rateLimit.store }]]
  },
  {
    name: 'secure_api.keys.count',
    kind: 'observable-gauge',
    values: ({ issuers = [] }) => issuers.map(ring => [ring.keys.length, issuerOf(ring)])
  },
  {
    name: 'secure_api.keys.age',
    kind: 'observable-gauge',
    // A set that was given inline is never fetched, and may get as old as it likes.
    values: ({ issuers = [] }, now) => issuers.flatMap(ring => ring.fetches === 0 || ring.lastSuccess === undefined
      ? []
      : [[(now - ring.lastSuccess) / 1000, issuerOf(ring)]])
  },
  { name: 'secure_api.tokens.cached', kind: 'observable-gauge', values: ({ tokens }) => tokens === undefined ? [] : [[tokens.cached]] },
  { name: 'secure_api.tokens.cache.size', kind: 'observable-gauge', values: ({ tokens }) => tokens === undefined ? [] : [[tokens.bytes]] },
  {
    name: 'secure_api.tokens.cache.lookups',
    kind: 'observable-counter',
    values: ({ tokens }) => tokens === undefined ? [] : [[tokens.hits, result('hit')], [tokens.misses, result('miss')]]
  },
  {
    name: 'secure_api.audit.events',
    kind: 'observable-counter',
    values: ({ audit }) => audit === undefined ? [] : [[audit.recorded, result('recorded')], [audit.dropped, result('dropped')]]
  },
  { name: 'secure_api.audit.pending', kind: 'observable-gauge', values: ({ audit }) => audit === undefined ? [] : [[audit.pending]] },
  {
    name: 'secure_api.certificate.remaining',
    kind: 'observable-gauge',
    values: ({ certificates }) => daysLeft(certificates).map(([name, days]) => [days, { 'secure_api.certificate': name }])
  },
  {
    name: 'secure_api.secret.remaining',
    kind: 'observable-gauge',
    values: ({ secrets = [] }) => secrets.flatMap(({ option, dueInDays }) => dueInDays === undefined ? [] : [[dueInDays, secretOf(option)]])
  },
  {
    name: 'secure_api.secret.failures',
    kind: 'observable-counter',
    // What is never looked at again cannot fail.
    values: ({ secrets = [] }) => secrets.flatMap(({ option, failures, lastChecked }) => lastChecked === undefined
      ? []
      : [[failures, secretOf(option)]])
  }
]

/** Entries with `daysLeft`: one, a list with names, or an object of named ones. */
function daysLeft (part: unknown): ReadonlyArray<readonly [name: string, days: number]> {
  if (typeof part !== 'object' || part === null) return []
  const entries = 'daysLeft' in part
    ? [['server', part] as const]
    : Object.entries(part).map(([key, entry]) => [String(Object(entry).name ?? key), entry] as const)
  return entries.flatMap(([name, entry]) => {
    const { daysLeft: days }: { readonly daysLeft?: unknown } = Object(entry)
    return typeof days === 'number' ? [[name, days] as const] : []
  })
}
