/** What every metric is. docs/operations/metrics.md, the dashboard and the alerts are compared with this table by tests. */
export interface Instrument {
  readonly name: string
  readonly kind: 'histogram' | 'observable-gauge' | 'observable-counter'
  /** UCUM. */
  readonly unit: string
  readonly attributes: readonly string[]
  readonly description: string
}

export const instruments = [
  {
    name: 'secure_api.decisions',
    kind: 'observable-counter',
    unit: '{request}',
    attributes: ['secure_api.outcome', 'http.route', 'secure_api.reason', 'secure_api.credential'],
    description: 'Requests, by how they ended.'
  },
  {
    name: 'secure_api.phase.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['secure_api.phase'],
    description: 'Time that one control took for one request. One request in 64 is measured.'
  },
  {
    name: 'secure_api.limit.decisions',
    kind: 'observable-counter',
    unit: '{decision}',
    attributes: ['secure_api.policy', 'secure_api.result', 'secure_api.source'],
    description: 'Decisions of the limiter. The source `fallback` or `open`: Redis did not take part.'
  },
  {
    name: 'secure_api.store.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['secure_api.store', 'secure_api.result'],
    description: 'Time that a caller of Redis waited.'
  },
  {
    name: 'secure_api.store.outages',
    kind: 'observable-counter',
    unit: '{outage}',
    attributes: ['secure_api.store', 'secure_api.reason'],
    description: 'How often the circuit breaker of a Redis opened.'
  },
  {
    name: 'secure_api.limit.store.available',
    kind: 'observable-gauge',
    unit: '',
    attributes: ['secure_api.store'],
    description: '1 while the store of the limiter answers, else 0.'
  },
  {
    name: 'secure_api.keys.count',
    kind: 'observable-gauge',
    unit: '{key}',
    attributes: ['secure_api.issuer'],
    description: 'Usable signing keys of an issuer.'
  },
  {
    name: 'secure_api.keys.age',
    kind: 'observable-gauge',
    unit: 's',
    attributes: ['secure_api.issuer'],
    description: 'Time since the signing keys were last fetched.'
  },
  {
    name: 'secure_api.keys.fetch.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['secure_api.issuer', 'secure_api.result'],
    description: 'Time of one attempt to fetch the signing keys.'
  },
  {
    name: 'secure_api.keys.changes',
    kind: 'observable-counter',
    unit: '{change}',
    attributes: ['secure_api.issuer', 'secure_api.change'],
    description: 'Keys that were added, removed, dropped as unusable, or that all expired.'
  },
  {
    name: 'secure_api.introspection.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['secure_api.issuer', 'secure_api.result'],
    description: 'Time of one look-up of an opaque token.'
  },
  {
    name: 'secure_api.tokens.cached',
    kind: 'observable-gauge',
    unit: '{token}',
    attributes: [],
    description: 'Verified tokens in the cache.'
  },
  {
    name: 'secure_api.tokens.cache.size',
    kind: 'observable-gauge',
    unit: 'By',
    attributes: [],
    description: 'About how much memory they take.'
  },
  {
    name: 'secure_api.tokens.cache.lookups',
    kind: 'observable-counter',
    unit: '{lookup}',
    attributes: ['secure_api.result'],
    description: 'Look-ups in the cache.'
  },
  {
    name: 'secure_api.audit.events',
    kind: 'observable-counter',
    unit: '{event}',
    attributes: ['secure_api.result'],
    description: 'Events of the trail that its sinks recorded, or that were dropped.'
  },
  {
    name: 'secure_api.audit.pending',
    kind: 'observable-gauge',
    unit: '{event}',
    attributes: [],
    description: 'Events that wait for a sink.'
  },
  {
    name: 'secure_api.revocations',
    kind: 'observable-counter',
    unit: '{revocation}',
    attributes: ['secure_api.kind', 'secure_api.result'],
    description: 'Calls of revoke() of a denylist.'
  },
  {
    name: 'secure_api.certificate.remaining',
    kind: 'observable-gauge',
    unit: 'd',
    attributes: ['secure_api.certificate'],
    description: 'Days until a certificate expires.'
  },
  {
    name: 'secure_api.secret.remaining',
    kind: 'observable-gauge',
    unit: 'd',
    attributes: ['secure_api.secret'],
    description: 'Days until a secret is to be replaced, or ends.'
  },
  {
    name: 'secure_api.secret.failures',
    kind: 'observable-counter',
    unit: '{failure}',
    attributes: ['secure_api.secret'],
    description: 'Looks at a secret that failed, or found a value that cannot be used.'
  }
] as const satisfies readonly Instrument[]

export type Named<Kind extends Instrument['kind']> = Extract<typeof instruments[number], { kind: Kind }>['name']
