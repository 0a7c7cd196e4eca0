import t from 'tap'
import { Repeats, windowMs, type AuditEvent } from '../../../lib/audit/index.ts'

const refused: AuditEvent = {
  time: '2026-01-01T00:00:00.000Z',
  event: 'excess_rate_limit_exceeded',
  action: 'GET /a',
  outcome: 'denied',
  status: 429,
  reason: 'SECURE_API_RATE_LIMITED',
  method: 'GET',
  route: '/a',
  requestId: 'r',
  address: '192.0.2.1',
  durationMs: 1
}
const anonymous: AuditEvent = { ...refused, status: 401, reason: 'SECURE_API_UNAUTHENTICATED', event: 'authn_fail' }
const alice = { kind: 'user', subject: 'alice', issuer: 'https://a.example' } as const

/** Time that passes when the test says so. */
function start (capacity = 100, spare = 0): { repeats: Repeats, events: AuditEvent[], pass: () => void, waits: number[] } {
  const events: AuditEvent[] = []
  const waits: number[] = []
  let due: (() => void) | undefined
  const schedule = (callback: () => void, ms: number) => {
    waits.push(ms)
    due = callback
    return () => { due = undefined }
  }
  const repeats = new Repeats({ capacity, spare, schedule, record: event => { events.push(event) } })
  return { repeats, events, waits, pass: () => { due?.() } }
}

function see (repeats: Repeats, count: number, event: AuditEvent): void {
  for (let index = 0; index < count; index++) repeats.see(event)
}

t.test('14 C5: the first refusal is recorded at once, the repeats as one event at the end of the window', t => {
  const { repeats, events, pass, waits } = start()
  see(repeats, 1000, refused)
  t.strictSame(events, [refused])
  t.equal(repeats.collapsed, 999)
  pass()
  t.match(events[1], { ...refused, time: /^20/, repeats: 999 })
  t.equal(events.length, 2)
  repeats.see(refused)
  t.equal(events.length, 3, 'the next window begins with an event')
  pass()
  pass()
  t.equal(events.length, 3, 'nothing was repeated')
  t.strictSame(waits, [windowMs, windowMs])
  t.end()
})

t.test('each address, each reason and each known caller is told apart; a whole IPv6 network is one caller', t => {
  const { repeats, events, pass } = start()
  const several = [refused, { ...refused, address: '192.0.2.2' }, anonymous, { ...refused, principal: alice },
    { ...refused, principal: { ...alice, subject: 'bob' } }]
  for (const event of several) see(repeats, 2, event)
  t.strictSame(events, several)
  pass()
  t.strictSame(events.slice(several.length).map(({ principal, status, address, repeats }) => [principal?.subject, status, address,
    repeats]), [
    [undefined, 429, '192.0.2.1', 1], [undefined, 429, '192.0.2.2', 1], [undefined, 401, '192.0.2.1', 1], ['alice', 429, '192.0.2.1', 1],
    ['bob', 429, '192.0.2.1', 1]
  ])
  for (const address of ['2001:db8::1', '2001:db8::2', '2001:db8::3']) repeats.see({ ...refused, address })
  t.equal(events.length, 11)
  pass()
  t.match(events[11], { address: '', repeats: 2 }, 'what they do not share is left out')
  t.end()
})

t.test('a caller whose names hold spaces is not taken for another', t => {
  const { repeats, events } = start()
  const one = { ...alice, client: 'a', subject: 'b c' }
  const other = { ...alice, client: 'a b', subject: 'c' }
  for (const principal of [one, other]) see(repeats, 2, { ...refused, principal })
  t.strictSame(events.map(({ principal }) => principal), [one, other])
  t.end()
})

t.test('repeats of several actions name none of them', t => {
  const { repeats, events, pass } = start()
  see(repeats, 2, anonymous)
  repeats.see({ ...anonymous, action: 'POST /b', method: 'POST', route: '/b' })
  pass()
  t.match(events[1], { action: 'several', method: '', repeats: 2 })
  t.notOk(events[1] && 'route' in events[1])
  t.end()
})

t.test('what is never collapsed: allowed calls, refusals of known callers, errors of handlers', t => {
  const { repeats, events } = start()
  const { reason, ...bare } = refused
  const each: AuditEvent[] = [
    { ...bare, status: 200, outcome: 'allowed', event: 'api_access' },
    { ...refused, status: 403, reason: 'SECURE_API_FORBIDDEN', principal: alice },
    { ...bare, status: 500, outcome: 'failed', event: 'api_error' },
    { ...bare, status: 101, outcome: 'allowed', event: 'api_connection_closed' }
  ]
  for (const event of each) see(repeats, 3, event)
  t.equal(events.length, 12)
  t.equal(repeats.collapsed, 0)
  t.end()
})

t.test('violations that anyone can report: twenty of one address, whether blocked or only reported', t => {
  for (const outcome of ['allowed', 'denied'] as const) {
    const { repeats, events, pass } = start(100, 50)
    const { reason, ...bare } = refused
    see(repeats, 1000, {
      ...bare,
      status: 204,
      outcome,
      event: 'malicious_csp_violation',
      violation: { directive: 'script-src', blocked: 'inline', disposition: 'report' } as never
    })
    t.equal(events.length, 20)
    pass()
    t.match(events[20], { repeats: 980 })
  }
  t.end()
})

t.test('14 C5: memory is bounded: further callers are counted together, for each reason', t => {
  const { repeats, events, pass } = start(3)
  for (let index = 0; index < 1000; index++) {
    repeats.see({
      ...refused,
      address: `10.0.${index >> 8}.${index & 255}`,
      principal: { ...alice, subject: `s${index}` }
    })
  }
  see(repeats, 2, anonymous)
  t.equal(events.length, 3)
  pass()
  t.match(events.slice(3), [{ status: 429, address: '', principal: undefined, repeats: 997 },
    { status: 401, address: '192.0.2.1', repeats: 2 }])
  t.equal(events.length, 5)
  repeats.see(refused)
  t.equal(events.length, 6, 'room again in the next window')
  t.end()
})

t.test('refusals other than 429 have twenty events of their own, as long as there is room for all of them', t => {
  const { repeats, events, pass } = start(100, 30)
  see(repeats, 25, anonymous)
  t.equal(events.length, 20)
  see(repeats, 25, { ...anonymous, address: '192.0.2.2' })
  t.equal(events.length, 20 + 12, 'the first, and the eleven that are left')
  see(repeats, 3, refused)
  t.equal(events.length, 33)
  pass()
  t.strictSame(events.slice(33).map(({ repeats }) => repeats), [5, 13, 2])
  see(repeats, 20, anonymous)
  t.equal(events.length, 36 + 20, 'room again in the next window')
  t.end()
})

t.test('closing records what was counted, and nothing waits after that', t => {
  const { repeats, events, pass } = start()
  see(repeats, 3, refused)
  repeats.close()
  t.match(events, [{ repeats: undefined }, { repeats: 2 }])
  see(repeats, 2, refused)
  t.equal(events.length, 4)
  pass()
  t.equal(events.length, 4)
  t.end()
})
