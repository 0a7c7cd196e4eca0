import fc from 'fast-check'
import t from 'tap'
import { auditPrincipal, eventLine, type AuditEvent } from '../../../lib/audit/index.ts'
import { jsonLine } from '../../../lib/audit/json-line.ts'
import { immutableSet } from '../../../lib/credentials/index.ts'

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('"', '\\', '\x7f', '\u009b', '\u2028', '\ud800', 'é', ''))
const number = fc.double({ noNaN: true, noDefaultInfinity: true })
const shared = immutableSet(['orders.read', '"', '\u0085'])

function principalOf (given: object) {
  return auditPrincipal({ kind: 'user', credential: 'jwt', ...given } as Parameters<typeof auditPrincipal>[0])
}

const least = {
  time: '',
  event: 'api_access',
  action: '',
  outcome: 'allowed',
  status: 200,
  method: 'GET',
  requestId: '',
  address: '',
  durationMs: 0
} as const

/** Whole, so that a member that is added to events and not to their lines does not compile here. */
const whole: { [Name in keyof Required<AuditEvent>]: fc.Arbitrary<Required<AuditEvent>[Name]> } = {
  time: fc.constant('2026-01-01T00:00:00.000Z'),
  event: fc.constantFrom('api_access', 'authn_fail'),
  action: text,
  outcome: fc.constantFrom('allowed', 'denied'),
  status: fc.nat(599),
  method: text,
  requestId: text,
  address: text,
  durationMs: number,
  reason: text,
  denial: fc.record({ required: fc.constant({ scope: 'a"b' }), present: fc.record({ scopes: fc.array(text), roles: fc.array(text) }) }) as
    fc.Arbitrary<NonNullable<AuditEvent['denial']>>,
  route: text,
  rule: fc.oneof(fc.constant('public' as const), fc.constant(Object.freeze({ scope: '"' })), text.map(scope => ({ scope }))),
  limit: fc.record({ policy: text, remaining: number }),
  principal: fc.record({
    subject: text, client: fc.option(text, { nil: undefined }), issuer: text, scopes: fc.constantFrom(shared, new Set(['a']))
  }).map(principalOf),
  traceId: text,
  fields: fc.dictionary(fc.string(), text),
  repeats: fc.nat(),
  violation: fc.dictionary(fc.string(), text) as unknown as fc.Arbitrary<NonNullable<AuditEvent['violation']>>,
  handshake: fc.record({ error: text, suppressed: fc.nat() })
}
const requiredKeys = Object.keys(least) as Array<keyof typeof least>
const events = fc.record(whole, { requiredKeys }) as fc.Arbitrary<AuditEvent>

t.test('the line of an event holds what jsonLine writes of it', async t => {
  fc.assert(fc.property(events, event => {
    const [line, same] = [eventLine(event), jsonLine(event)]
    t.strictSame(JSON.parse(line), JSON.parse(same))
    t.equal(line.length, same.length, 'and escapes the same')
  }), { numRuns: 500 })
})

t.test('callers who share a list of scopes, and nothing else, are told apart', async t => {
  for (const [subject, keyId] of [['alice', 'a'], ['bob', 'a'], ['bob', 'b'], ['bob', undefined], ['alice', 'a']] as const) {
    const principal = principalOf({ subject, keyId, scopes: shared })
    t.strictSame(JSON.parse(eventLine({ ...least, principal })).principal, JSON.parse(JSON.stringify(principal)))
  }
})

t.test('a rule or a list that may still change is read again', async t => {
  const [rule, scopes] = [{ scope: 'a' }, ['a']]
  const event = { ...least, rule, principal: { kind: 'user', subject: 's', scopes } } as const
  eventLine(event)
  rule.scope = 'b'
  scopes.push('c')
  t.match(JSON.parse(eventLine(event)), { rule: { scope: 'b' }, principal: { scopes: ['a', 'c'] } })
})

t.test('actions, routes and rules that share a part are told apart', async t => {
  const rule = Object.freeze({ scope: 'a' })
  const get = { ...least, action: 'read', route: '/a', rule }
  const post = { ...get, method: 'POST', status: 403, route: '/b' }
  for (const event of [get, post, get, { ...get, outcome: 'denied', event: 'authz_fail' }, { ...get, route: undefined }, get]) {
    t.strictSame(JSON.parse(eventLine(event as AuditEvent)), JSON.parse(jsonLine(event)))
  }
})

t.test('a thousand actions are kept, and no more', async t => {
  for (let index = 0; index < 2500; index++) {
    const { action } = JSON.parse(eventLine({ ...least, action: `action ${index}` }))
    if (action !== `action ${index}`) t.fail(action)
  }
  t.equal(JSON.parse(eventLine({ ...least, action: 'action 0' })).action, 'action 0')
})
