import t from 'tap'
import { auditPrincipal, eventName, outcomeOf, Trail, type AuditEvent, type AuditSink } from '../../../lib/audit/index.ts'
import type { Principal } from '../../../lib/credentials/index.ts'
import { answers, type AnswerCode } from '../../../lib/http/index.ts'

const event: AuditEvent = {
  time: '2026-01-01T00:00:00.000Z',
  event: 'api_access',
  action: 'orders.read',
  outcome: 'allowed',
  status: 200,
  method: 'GET',
  requestId: 'r1',
  address: '192.0.2.1',
  durationMs: 1
}

const settle = () => new Promise(resolve => setImmediate(resolve))

t.test('names come from the reason, then from the status', t => {
  const names: [number, AnswerCode | undefined, string][] = [
    [200, undefined, 'api_access'], [304, undefined, 'api_access'], [404, undefined, 'api_access'], [499, undefined, 'api_access'],
    [400, undefined, 'input_validation_fail'], [401, undefined, 'authn_fail'], [403, undefined, 'authz_fail'],
    [429, undefined, 'excess_rate_limit_exceeded'],
    [500, undefined, 'api_error'], [503, 'SECURE_API_KEYS_UNAVAILABLE', 'api_error'], [401, 'SECURE_API_UNAUTHENTICATED', 'authn_fail'],
    [401, 'SECURE_API_TOKEN_REVOKED', 'authn_token_reuse'], [403, 'SECURE_API_CORS_REFUSED', 'malicious_cors'],
    [403, 'SECURE_API_FORBIDDEN', 'authz_fail'],
    [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS', 'authn_fail'], [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS', 'authn_fail']
  ]
  for (const [status, reason, name] of names) t.equal(eventName(status, reason), name, `${status} ${reason}`)
  t.end()
})

t.test('no refusal of ours goes by the name of a normal access, unless the HTTP itself was wrong', t => {
  for (const code of Object.keys(answers) as AnswerCode[]) {
    if (code.startsWith('SECURE_API_REQUEST_') || code === 'SECURE_API_NOT_FOUND') continue
    t.not(eventName(answers[code].status, code), 'api_access', code)
  }
  t.end()
})

t.test('outcomes', t => {
  t.strictSame([200, 302, 400, 401, 429, 500, 503].map(status => outcomeOf(status, false)),
    ['allowed', 'allowed', 'denied', 'denied', 'denied', 'failed', 'failed'])
  t.strictSame([200, 403, 500].map(status => outcomeOf(status, true)), ['aborted', 'aborted', 'aborted'])
  t.end()
})

t.test('of a principal, who it is and what it carries, no claim', t => {
  const principal: Principal = {
    kind: 'user',
    credential: 'jwt',
    subject: 's',
    client: undefined,
    issuer: 'https://a.example',
    tenant: 't',
    scopes: new Set(['orders.read']),
    roles: new Set(['secret']),
    claims: { email: 'secret' },
    expiresAt: 1
  }
  t.strictSame(auditPrincipal(principal), {
    kind: 'user', credential: 'jwt', subject: 's', issuer: 'https://a.example', tenant: 't', scopes: ['orders.read']
  })
  t.strictSame(auditPrincipal({
    kind: 'anonymous',
    credential: undefined,
    subject: '',
    client: 'c',
    issuer: undefined,
    scopes: new Set(),
    roles: new Set(),
    claims: {},
    expiresAt: Infinity
  }), { kind: 'anonymous', subject: '', client: 'c' })
  t.end()
})

interface Turn { readonly failing: boolean, readonly error: unknown }

function trail (sink: AuditSink, buffer = 2): { trail: Trail, turns: Turn[] } {
  const turns: Turn[] = []
  const onChange = (failing: boolean, error?: unknown) => { turns.push({ failing, error }) }
  return { trail: new Trail({ destination: { write: sink }, buffer, onChange }), turns }
}

t.test('a synchronous sink leaves nothing pending, whatever it returns', t => {
  const events: AuditEvent[] = []
  const { trail: it, turns } = trail(event => { events.push(event) })
  for (let n = 0; n < 5; n++) it.record(event)
  t.strictSame(it.status(), { recorded: 5, dropped: 0, pending: 0, failing: false })
  t.equal(events[0], event)
  t.strictSame(turns, [])
  t.end()
})

t.test('a sink that throws never reaches the caller, and is told of once', t => {
  let broken = true
  const { trail: it, turns } = trail(() => { if (broken) throw new Error('disk') })
  t.doesNotThrow(() => it.record(event))
  it.record(event)
  t.strictSame(it.status(), { recorded: 0, dropped: 2, pending: 0, failing: true })
  t.match([it.full, it.unreliable], [false, true], 'there is room, and yet the next event may be lost')
  broken = false
  it.record(event)
  it.record(event)
  t.match([it.recorded, it.dropped, it.unreliable], [2, 2, false])
  t.match(turns, [{ failing: true, error: { message: 'disk' } }, { failing: false, error: undefined }])
  t.end()
})

t.test('a sink that rejects is counted, without an unhandled rejection', async t => {
  const { trail: it, turns } = trail(async () => { throw new Error('network') })
  it.record(event)
  t.match(it.status(), { pending: 1, failing: false })
  await settle()
  t.strictSame(it.status(), { recorded: 0, dropped: 1, pending: 0, failing: true })
  t.equal(turns.length, 1)
})

t.test('a slow sink fills the buffer; what does not fit is dropped, counted and never handed over', async t => {
  const waiting: (() => void)[] = []
  const { trail: it, turns } = trail(() => new Promise<void>(resolve => { waiting.push(resolve) }))
  for (let n = 0; n < 5; n++) it.record(event)
  t.equal(waiting.length, 2)
  t.strictSame(it.status(), { recorded: 0, dropped: 3, pending: 2, failing: true })
  t.ok(it.full && it.unreliable)
  waiting[0]?.()
  await settle()
  t.strictSame(it.status(), { recorded: 1, dropped: 3, pending: 1, failing: false })
  t.notOk(it.full)
  it.record(event)
  t.match([waiting.length, it.full], [3, true])
  t.strictSame(turns.map(({ failing }) => failing), [true, false])
})

t.test('a sink with promises of its own is waited for like any other', async t => {
  const { trail: it } = trail(() => ({
    then: (_yes: unknown, no: (error: Error) => void) =>
      no(new Error('query'))
  }) as unknown as Promise<void>)
  it.record(event)
  t.match(it.status(), { recorded: 0, pending: 1 })
  await settle()
  t.match(it.status(), { dropped: 1, pending: 0, failing: true })
})

t.test('19 attack: what tells of a failing sink may throw too, and costs nobody anything', async t => {
  const said: boolean[] = []
  let fails = true
  const trail = new Trail({
    destination: { write: async () => { if (fails) throw new Error('disk full') } },
    buffer: 10,
    onChange (failing) {
      said.push(failing)
      throw new Error('disk full')
    }
  })
  trail.record(event)
  await settle()
  fails = false
  trail.record(event)
  await settle()
  t.match(trail.status(), { recorded: 1, dropped: 1, pending: 0 })
  t.strictSame(said, [true, false])
})
