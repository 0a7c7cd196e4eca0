import { deepStrictEqual as deepEqual } from 'node:assert'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'
import fc from 'fast-check'
import t from 'tap'
import { ecs, eventName, ocsf, openTelemetryLogs, outcomeOf, type AuditEvent } from '../../../lib/audit/index.ts'

/** Names, types and values of the published schemas, compiled from the tagged sources of their projects. */
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../fixtures/schemas/${name}.json`, import.meta.url), 'utf8'))

interface OcsfAttribute {
  readonly type: string
  readonly base?: string
  readonly array?: true
  readonly required?: true
  readonly profile?: string
  readonly enum?: readonly number[]
}
interface OcsfObject {
  readonly attributes: Readonly<Record<string, OcsfAttribute>>
  readonly constraints?: { readonly at_least_one?: readonly string[], readonly just_one?: readonly string[] }
}
const ocsfSchema = read('ocsf-1.8.0') as {
  readonly classes: Readonly<Record<'api_activity' | 'authentication', OcsfObject>>
  readonly objects: Readonly<Record<string, OcsfObject>>
}
interface EcsField {
  readonly type: string
  readonly array?: true
  readonly values?: readonly string[]
  readonly expected?: Readonly<Record<string, readonly string[]>>
}
const ecsFields = (read('ecs-9.4.0') as { readonly fields: Readonly<Record<string, EcsField>> }).fields

type Fields = Readonly<Record<string, unknown>>
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What an OCSF object does not keep of its schema. */
function ocsfFaults (value: Fields, { attributes, constraints }: OcsfObject, path: string, profiles: readonly unknown[]): string[] {
  const missing = Object.keys(attributes).filter(name => attributes[name]?.required === true && value[name] === undefined)
  const { at_least_one: some } = constraints ?? {}
  const none = some !== undefined && !some.some(name => value[name] !== undefined)
  return [
    ...missing.map(name => `${path}.${name} is missing`),
    ...(none ? [`${path}: none of ${String(some)}`] : []),
    ...Object.entries(value).flatMap(([name, member]) => {
      const attribute = attributes[name]
      if (attribute === undefined) return [`${path}.${name} does not exist`]
      const { profile } = attribute
      if (profile !== undefined && !profiles.includes(profile)) return [`${path}.${name} needs the profile ${profile}`]
      return attributeFaults(member, attribute, `${path}.${name}`, profiles)
    })
  ]
}

function attributeFaults (value: unknown, attribute: OcsfAttribute, path: string, profiles: readonly unknown[]): string[] {
  const { type, base = type, array, enum: values } = attribute
  if (array === true) {
    if (!Array.isArray(value)) return [`${path} is no list`]
    const { array: _list, ...each } = attribute
    return value.flatMap((item, index) => attributeFaults(item, each, `${path}[${index}]`, profiles))
  }
  if (values !== undefined && !values.includes(value as number)) return [`${path}: ${String(value)} is no value of it`]
  if (type === 'ip_t') return isIP(String(value)) === 0 ? [`${path}: ${String(value)} is no address`] : []
  switch (base) {
    case 'string_t': return typeof value === 'string' ? [] : [`${path} is no text`]
    case 'integer_t': case 'long_t': return Number.isSafeInteger(value) ? [] : [`${path}: ${String(value)} is no integer`]
    case 'boolean_t': return typeof value === 'boolean' ? [] : [`${path} is no boolean`]
    case 'object': return isFields(value) ? [] : [`${path} is no object`]
  }
  const object = ocsfSchema.objects[type]
  if (object === undefined) return [`${path}: ${type} is not among the samples`]
  return isFields(value) ? ocsfFaults(value, object, path, profiles) : [`${path} is no object`]
}

function faultsOfOcsf (document: Fields): string[] {
  const { class_uid: uid, category_uid: category, activity_id: activity, type_uid: type, metadata } = document
  const name = uid === 6003 ? 'api_activity' : 'authentication'
  const ids = uid === 6003 ? [6003, 6] : [3002, 3]
  const wrong = uid === ids[0] && category === ids[1] && type === Number(uid) * 100 + Number(activity) ? [] : ['the ids of the class']
  const profiles = isFields(metadata) && Array.isArray(metadata.profiles) ? metadata.profiles : []
  return [...wrong, ...ocsfFaults(document, ocsfSchema.classes[name], name, profiles)]
}

function faultsOfEcs (document: Fields): string[] {
  const { event } = document as { event: { category: string[], type: string[] } }
  const expected = event.category.flatMap(category => ecsFields['event.category']?.expected?.[category] ?? [])
  const unexpected = event.type.filter(type => !expected.includes(type)).map(type => `event.type ${type} of ${String(event.category)}`)
  return [...unexpected, ...ecsMemberFaults(document, '')]
}

function ecsMemberFaults (value: Fields, path: string): string[] {
  return Object.entries(value).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    // A namespace of one's own, as ECS asks for.
    if (at === 'secure_api') return []
    const field = ecsFields[at]
    if (field === undefined) return isFields(member) ? ecsMemberFaults(member, at) : [`${at} does not exist`]
    return ecsFieldFaults(member, field, at)
  })
}

function ecsFieldFaults (value: unknown, { type, array, values }: EcsField, at: string): string[] {
  const all: unknown[] = array === true ? value as unknown[] : [value]
  if (!Array.isArray(all)) return [`${at} is no list`]
  return all.flatMap(item => {
    if (values !== undefined && !values.includes(String(item))) return [`${at}: ${String(item)} is no value of it`]
    switch (type) {
      case 'object': return isFields(item) && Object.values(item).every(member => typeof member === 'string') ? [] : [`${at} is not flat`]
      case 'long': return Number.isSafeInteger(item) ? [] : [`${at} is no integer`]
      case 'ip': return isIP(String(item)) === 0 ? [`${at} is no address`] : []
      case 'date': return typeof item === 'string' && Number.isFinite(Date.parse(item)) ? [] : [`${at} is no time`]
      default: return typeof item === 'string' && item !== '' ? [] : [`${at} is no text`]
    }
  })
}

const text = fc.string({ minLength: 1, maxLength: 20 })
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
const status = fc.constantFrom(0, 101, 200, 201, 204, 304, 400, 401, 403, 404, 405, 413, 414, 417, 429, 431, 499, 500, 503)
const reasons = [
  'SECURE_API_FORBIDDEN', 'SECURE_API_TOKEN_REVOKED', 'SECURE_API_CORS_REFUSED', 'SECURE_API_CREDENTIAL_AMBIGUOUS', 'client-aborted'
]

const principal = fc.record({
  kind: fc.constantFrom('user', 'service', 'api-key'),
  subject: text,
  credential: fc.constant('jwt'),
  client: text,
  issuer: text,
  tenant: text,
  keyId: text,
  scopes: fc.array(text)
}, { requiredKeys: ['kind', 'subject'] })

const events = fc.record({
  status,
  aborted: fc.boolean(),
  reason: optional(fc.constantFrom(...reasons)),
  method: fc.constantFrom('', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'),
  action: text,
  route: optional(text),
  requestId: fc.constantFrom('req-1', '0d8f9a52-6c3e-4b55-9d5b-2c7d35e1f7aa'),
  traceId: optional(fc.constant('4bf92f3577b34da6a3ce929d0e0e4736')),
  address: fc.constantFrom('192.0.2.7', '2001:db8::1', ''),
  principal: optional(principal),
  durationMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
  repeats: optional(fc.integer({ min: 1, max: 1e6 })),
  rule: optional(fc.constantFrom('public', { scope: 'a' })),
  fields: optional(fc.dictionary(fc.stringMatching(/^[a-z]\w*$/), fc.string()))
}).map(({ aborted, method, ...event }) => Object.fromEntries(Object.entries({
  time: '2026-11-26T15:04:05.678Z',
  event: eventName(event.status, event.reason),
  outcome: outcomeOf(event.status, aborted),
  method,
  ...event,
  ...(method === '' && { requestId: '', route: undefined })
}).filter(([, value]) => value !== undefined)) as unknown as AuditEvent)

const sample: AuditEvent = {
  time: '2026-11-26T15:04:05.678Z',
  event: 'authz_fail',
  action: 'orders.create',
  outcome: 'denied',
  status: 403,
  reason: 'SECURE_API_FORBIDDEN',
  method: 'POST',
  route: '/orders',
  rule: { scope: 'orders.write' },
  requestId: 'req-1',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  address: '192.0.2.7',
  principal: {
    kind: 'user', credential: 'jwt', subject: 'alice', client: 'web', issuer: 'https://a.example', keyId: 'k1', scopes: ['orders.read']
  },
  fields: { orderId: '7' },
  durationMs: 2.144
}

t.test('19: every event in the form of OCSF 1.8 keeps its schema', t => {
  t.doesNotThrow(() => fc.assert(fc.property(events, event => { deepEqual(faultsOfOcsf(ocsf(event, 'orders')), []) }), { numRuns: 500 }))
  t.strictSame(faultsOfOcsf({ ...ocsf(sample, 'orders'), severity_id: 42, colour: 'red' }),
    ['api_activity.severity_id: 42 is no value of it', 'api_activity.colour does not exist'], 'the check itself can fail')
  t.end()
})

t.test('19: every event in the form of ECS 9.4 keeps its schema', t => {
  t.doesNotThrow(() => fc.assert(fc.property(events, event => { deepEqual(faultsOfEcs(ecs(event, 'orders')), []) }), { numRuns: 500 }))
  t.strictSame(faultsOfEcs({ ...ecs(sample, 'orders'), event: { category: ['api'], type: ['fire'], duration: 0.5 } }),
    ['event.type fire of api', 'event.type: fire is no value of it', 'event.duration is no integer'], 'the check itself can fail')
  t.end()
})

const details = { rule: sample.rule, client: 'web', issuer: 'https://a.example', kind: 'user', credential: 'jwt', scopes: ['orders.read'] }

t.test('19: what a security team reads of a refusal', t => {
  t.match(ocsf(sample, 'orders'), {
    class_uid: 6003,
    activity_id: 1,
    type_uid: 600301,
    status_id: 2,
    action_id: 2,
    status_code: '403',
    status_detail: 'SECURE_API_FORBIDDEN',
    actor: { user: { uid: 'alice', domain: 'https://a.example', type_id: 1, credential_uid: 'k1' } },
    api: { operation: 'orders.create', service: { name: 'orders' } },
    src_endpoint: { ip: '192.0.2.7' },
    trace: { uid: sample.traceId },
    unmapped: { ...details, fields: { orderId: '7' } }
  })
  t.match(ocsf({ ...sample, event: 'authn_fail', status: 401, principal: undefined } as unknown as AuditEvent, 'orders'),
    { class_uid: 3002, activity_id: 1, user: { name: 'anonymous', type_id: 0 }, service: { name: 'orders' } })
  t.match(ecs(sample, 'orders'), {
    '@timestamp': sample.time,
    event: { category: ['api'], type: ['denied'], outcome: 'failure', action: 'orders.create', code: 'authz_fail', duration: 2_144_000 },
    user: { id: 'alice', domain: 'https://a.example' },
    labels: { orderId: '7' },
    secure_api: { ...details, key_id: 'k1' }
  })
  t.end()
})

t.test('19: a log record of OpenTelemetry, by its own SDK', async t => {
  const exporter = new InMemoryLogRecordExporter()
  const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] })
  const sink = openTelemetryLogs(provider.getLogger('orders'))
  await sink(sample)
  await sink({ ...sample, status: 500, outcome: 'failed', repeats: 3 })
  await provider.forceFlush()
  const [refused, failed] = exporter.getFinishedLogRecords()
  t.match(refused, { eventName: 'authz_fail', severityNumber: 13, body: 'orders.create: denied' })
  t.match(refused?.attributes, {
    'http.request.method': 'POST',
    'http.route': '/orders',
    'http.response.status_code': 403,
    'client.address': '192.0.2.7',
    'user.id': 'alice',
    'secure_api.action': 'orders.create',
    'secure_api.scopes': ['orders.read'],
    'secure_api.field.orderId': '7',
    'secure_api.rule': '{"scope":"orders.write"}'
  })
  t.match(failed, { severityNumber: 17, attributes: { 'error.type': 'SECURE_API_FORBIDDEN', 'secure_api.repeats': 3 } })
  await provider.shutdown()
})

t.test('19 attack: an address that a proxy made up is no address in OCSF', t => {
  const event: AuditEvent = {
    time: '2026-01-01T00:00:00.000Z',
    event: 'api_access',
    action: 'GET /a',
    outcome: 'allowed',
    status: 200,
    method: 'GET',
    requestId: 'r',
    address: '<script>',
    durationMs: 1
  }
  t.strictSame(faultsOfOcsf(ocsf(event, 'api')), [])
  t.match(ocsf(event, 'api'), { src_endpoint: { name: '<script>' } })
  t.end()
})
