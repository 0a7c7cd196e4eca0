import { generateKeyPairSync, hash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join, relative } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { chainVerifier, verifyChain, windowMs } from '../../lib/audit/index.ts'
import secureApi, { audit, Secret, type AuditEvent, type AuditOptions } from '../../plugins/index.ts'
import {
  answersOf, bearer, codeOf, listen, missingHeaders, mistakesOf, secured, startFastify, startIssuer,
  until
} from '../helpers/server.ts'
import { muteTimers } from '../helpers/still-clock.ts'

const issuer = await startIssuer(t)
const open = { public: true } as const

function orders (app: FastifyInstance): void {
  app.get('/orders/:id', { config: { scope: 'a' } }, async () => '')
  app.post('/orders', { config: { scope: 'a', audit: 'orders.create' } }, async () => '')
  app.get('/health', { config: { ...open, audit: false } }, async () => '')
  app.get('/quiet', { config: { scope: 'a', audit: false } }, async () => '')
  app.get('/fails', { config: open }, async () => { throw new Error('secret of the database') })
}

t.test('one event for each request: what was done, how it ended, and who did it', async t => {
  const { app, events } = await secured(t, issuer, { routes: orders })
  const headers = bearer(issuer, { sub: 'alice', client_id: 'app', scope: 'a', tid: 'tenant' })
  await answersOf(app,
    { url: '/orders/17?secret=x', headers }, { method: 'POST', url: '/orders', headers }, { url: '/orders/17', headers: bearer(issuer) },
    { url: '/orders/17' }, { url: '/nowhere', headers }, { url: '/fails' },
    { method: 'POST', url: '/orders', headers: { ...headers, 'content-type': 'text/csv' }, payload: 'a' })
  const principal = { kind: 'user', subject: 'alice', client: 'app', issuer: issuer.issuer }
  const common = { method: 'GET', route: '/orders/:id', action: 'GET /orders/:id' }
  t.match(events, [
    { ...common, event: 'api_access', outcome: 'allowed', status: 200, principal, address: '127.0.0.1', requestId: /^req-/ },
    { method: 'POST', route: '/orders', action: 'orders.create', event: 'api_access', outcome: 'allowed', status: 200, principal },
    { ...common, event: 'authz_fail', outcome: 'denied', status: 403, reason: 'SECURE_API_FORBIDDEN', principal: { subject: 'test-user' } },
    { ...common, event: 'authn_fail', outcome: 'denied', status: 401, reason: 'SECURE_API_UNAUTHENTICATED', principal: undefined },
    {
      method: 'GET',
      route: undefined,
      action: 'GET unknown route',
      outcome: 'denied',
      status: 404,
      reason: undefined,
      principal: undefined
    },
    { action: 'GET /fails', event: 'api_error', outcome: 'failed', status: 500, principal: undefined },
    { action: 'orders.create', outcome: 'denied', status: 415, principal }
  ])
  t.equal(events.length, 7)
  for (const { time, durationMs } of events) {
    t.equal(new Date(time).toISOString(), time)
    t.ok(Number.isFinite(durationMs) && durationMs >= 0, `${durationMs} ms`)
  }
  t.notMatch(JSON.stringify(events), /eyJ|secret|Bearer|\/orders\/17|nowhere/,
    'no token, no query, no URL of the caller, no text of an error')
})

t.test('audit: false at a route leaves out what was allowed, never what was refused', async t => {
  const { app, events } = await secured(t, issuer, { routes: orders })
  await answersOf(app, { url: '/health' }, { url: '/quiet', headers: bearer(issuer, { scope: 'a' }) }, { url: '/quiet' },
    { url: '/quiet', headers: bearer(issuer) })
  t.match(events, [{ route: '/quiet', status: 401 }, { route: '/quiet', status: 403 }])
  t.equal(events.length, 2)
})

t.test('issue 19: usage() says who needed what, live; without a trail there is none', async t => {
  const { app } = await secured(t, issuer, { routes: orders })
  const headers = bearer(issuer, { sub: 'alice', client_id: 'app', scope: 'a b' })
  const url = '/orders/1'
  await answersOf(app, { url, headers }, { method: 'HEAD', url, headers }, { url }, { url: '/nowhere' })
  const usage = app.secureApi.usage()
  t.match(usage, {
    calls: 4,
    callers: 1,
    unplaced: 1,
    clients: [{
      client: 'app',
      calls: 2,
      scopes: [{ scope: 'a', carried: 2, needed: 2 }, { scope: 'b', carried: 2, needed: 0 }],
      routes: [{ route: 'GET /orders/:id', calls: 2 }]
    }]
  })
  t.strictSame(usage?.routes.map(({ route, calls, complete }) => [route, calls, complete]), [
    ['GET /orders/:id', 3, true], ['POST /orders', 0, true], ['GET /health', 0, false], ['GET /quiet', 0, false], ['GET /fails', 0, true]
  ])
  const { app: without } = await secured(t, issuer, { suite: { audit: false } })
  t.equal(without.secureApi.usage(), undefined)
})

t.test('callers who leave, hijacked answers and streams that break have one event each', async t => {
  let entered = 0
  const { app, events } = await secured(t, issuer, {
    routes: app => {
      app.get('/slow', { config: open }, async ({ raw }) => { entered++; await once(raw.socket, 'close'); return 'too late' })
      app.get('/hijacked', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
      app.get('/endless', { config: open }, async (_request, reply) => {
        const stream = new PassThrough()
        stream.write('first')
        return reply.send(stream)
      })
    }
  })
  const url = await listen(app)
  const slow = request(`${url}/slow`).on('error', () => {})
  slow.end()
  await until(() => entered === 1, 'the request')
  slow.destroy()
  await until(() => events.length === 1, 'the event of the aborted request')
  t.match(events[0], { route: '/slow', outcome: 'aborted', status: 499, reason: 'client-aborted' })
  t.equal(await (await fetch(`${url}/hijacked`)).text(), 'raw')
  await until(() => events.length === 2, 'the event of the hijacked answer')
  t.match(events[1], { route: '/hijacked', outcome: 'allowed', status: 200 })
  const endless = request(`${url}/endless`).on('error', () => {})
  endless.end()
  const [response] = await once(endless, 'response')
  response.on('error', () => {})
  await once(response, 'data')
  endless.destroy()
  await until(() => events.length === 3, 'the event of the broken stream')
  t.match(events[2], { route: '/endless' })
  await fetch(`${url}/nowhere`)
  await until(() => events.length >= 4, 'the last event')
  await app.close()
  t.equal(events.length, 4, 'and no event twice')
})

/** The plugin alone, with a sink of its own. */
async function alone (options: Parameters<typeof audit>[1]): Promise<FastifyInstance> {
  const app = startFastify(t)
  await app.register(audit, options)
  app.get('/', { config: open }, async () => '')
  return app
}

t.test('a sink that throws or rejects costs the caller nothing', async t => {
  const app = await alone({ sink: () => { throw new Error('disk full') } })
  t.strictSame(await answersOf(app, { url: '/' }, { url: '/' }), [200, 200])
  const other = await alone({ sink: () => Promise.reject(new Error('disk full')) })
  t.strictSame(await answersOf(other, { url: '/' }, { url: '/' }), [200, 200])
})

t.test('events are counted: recorded, dropped, waiting', async t => {
  const waiting: (() => void)[] = []
  const sink = () => new Promise<void>(resolve => { waiting.push(resolve) })
  const { app } = await secured(t, issuer, { suite: { audit: { sink, buffer: 2 } }, routes: orders })
  await answersOf(app, { url: '/fails' }, { url: '/fails' }, { url: '/fails' })
  t.match(app.secureApi.status(), { audit: { recorded: 0, dropped: 1, pending: 2, failing: true } })
  for (const resolve of waiting) resolve()
  const end = '{"recorded":2,"dropped":1,"pending":0,"failing":false,"collapsed":0}'
  await until(() => JSON.stringify(app.secureApi.status()['audit']) === end, 'the end of the queue')
})

t.test('requireActions: a route that changes something has to name its action, or to say that it has none', async t => {
  const mistakes = async (method: string | string[], config?: object) => {
    const app = startFastify(t)
    await app.register(audit, { sink: () => {}, requireActions: true })
    app.route({ method, url: '/orders', handler: async () => '', ...(config && { config }) } as RouteOptions)
    return await mistakesOf(() => app.ready())
  }
  t.strictSame(await mistakes('POST'), ['SECURE_API_AUDIT_UNNAMED_ROUTE'])
  t.strictSame(await mistakes(['GET', 'DELETE'], { ...open }), ['SECURE_API_AUDIT_UNNAMED_ROUTE'])
  t.strictSame(await mistakes('POST', { audit: 'orders.create' }), [])
  t.strictSame(await mistakes('POST', { audit: false }), [])
  t.strictSame(await mistakes('GET'), [])
  t.strictSame(await mistakes('OPTIONS'), [])
  const { app: other } = await secured(t, issuer,
    { suite: { audit: { sink: () => {}, requireActions: true }, headers: { reports: { path: '/reports' } } } })
  t.equal((await other.inject('/nowhere')).statusCode, 404, 'a 404 has no action')
})

t.test('the trail does not end with the level of the logger, and takes no option that would cut events', async t => {
  for (const level of ['warn', 'error', 'silent']) {
    const lines: string[] = []
    const app = startFastify(t, { logger: { level, stream: { write: (line: string) => { lines.push(line) } } } })
    await app.register(audit, {})
    await app.inject('/nowhere')
    t.match(lines.map(line => JSON.parse(line)), [{ level: 30, audit: { status: 404 } }], level)
  }
  t.strictSame(await mistakesOf(() => startFastify(t).register(audit, { redact: ['password'] } as AuditOptions)),
    ['SECURE_API_OPTION_UNKNOWN'])
})

t.test("onSinkFailure: 'deny' refuses new requests while the buffer is full", async t => {
  let release = () => {}
  const stuck = new Promise<void>(resolve => { release = resolve })
  const sink = () => stuck
  const { app } = await secured(t, issuer, {
    suite: { audit: { sink, buffer: 1, onSinkFailure: 'deny' } },
    routes: app => { app.get('/', { config: open }, async () => '') }
  })
  t.strictSame(await answersOf(app, { url: '/' }), [200])
  const refused = await app.inject('/')
  t.strictSame([refused.statusCode, codeOf(refused)], [503, 'SECURE_API_AUDIT_UNAVAILABLE'])
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.strictSame(missingHeaders(refused.headers), [])
  release()
  await until(async () => (await app.inject('/')).statusCode === 200, 'room in the buffer')
})

t.test('without a sink events go to the logger', async t => {
  const lines: string[] = []
  const stream = new PassThrough().on('data', chunk => lines.push(...String(chunk).split('\n')))
  const app = startFastify(t, { logger: { stream } })
  await app.register(audit, { environment: 'production' })
  await app.inject('/nowhere')
  const logged = lines.filter(line => line.includes('"audit"')).map(line => JSON.parse(line))
  t.match(logged, [{ msg: 'audit', audit: { status: 404 } }])
  t.equal(logged.length, 1)
})

/** What is written to a stream of the process while the work is done. */
async function written (t: Test, to: 'stdout' | 'stderr', work: () => Promise<unknown>): Promise<string> {
  const texts = t.captureFn((_text: unknown) => true)
  const { write } = process[to]
  process[to].write = texts
  await work().finally(() => { process[to].write = write })
  return texts.args().map(([text]) => String(text)).join('')
}

t.test('19: without a logger production asks for a sink, and development writes a line for people', async t => {
  t.strictSame(await mistakesOf(() => startFastify(t).register(audit, { environment: 'production' })), ['SECURE_API_AUDIT_NO_SINK'])
  const stdout = await written(t, 'stdout', async () => (await alone({ sink: 'stdout', environment: 'production' })).inject('/nowhere'))
  t.match(JSON.parse(stdout), { audit: { status: 404 } })
  const { app } = await secured(t, issuer, { routes: orders, suite: { audit: {}, environment: 'development' } })
  const text = await written(t, 'stderr', () => answersOf(app,
    { method: 'POST', url: '/orders', headers: bearer(issuer, { scope: 'a', sub: 'eve\u001b[2J' }) }, { url: '/orders/1' }))
  const [created = '', refused = ''] = text.split('\n')
  t.match(created, /^\d\d:\d\d:\d\d POST \/orders \(orders\.create\) 200 \d+\.\d ms eve\?\[2J$/, 'a terminal gets no escape sequence')
  t.match(refused, /^\d\d:\d\d:\d\d GET \/orders\/:id 401 \d+\.\d ms 127\.0\.0\.1: SECURE_API_UNAUTHENTICATED$/)
})

t.test('19: several sinks, each with its own filter, buffer and policy; the failure of one is not that of the others', async t => {
  const seen: Record<string, number[]> = { all: [], refusals: [] }
  let broken = true
  const sinks: AuditOptions['sinks'] = [
    { sink: ({ status }) => { seen.all?.push(status) } },
    { sink: ({ status }) => { seen.refusals?.push(status) }, filter: ({ outcome }) => outcome !== 'allowed' },
    { sink: () => { if (broken) throw new Error('disk full') }, onSinkFailure: 'deny' },
    { sink: () => {}, filter: () => { throw new Error('a mistake') } }
  ]
  const { app } = await secured(t, issuer, { routes: orders, suite: { audit: { sinks } } })
  const headers = bearer(issuer, { scope: 'a' })
  const answers = await answersOf(app, { url: '/orders/1', headers }, { url: '/orders/1', headers })
  t.strictSame(answers, [200, [503, 'SECURE_API_AUDIT_UNAVAILABLE']], 'the sink that must not lose any is broken')
  t.strictSame(seen, { all: [200, 503], refusals: [503] })
  broken = false
  t.match(app.secureApi.status().audit, {
    recorded: 5,
    dropped: 2,
    failing: true,
    sinks: [{ name: 'sink 1', recorded: 2 }, { recorded: 1 }, { dropped: 2, failing: true }, { recorded: 2 }]
  })
})

t.test('19: sinks that contradict each other, or go nowhere, stop the boot', async t => {
  const sink = () => {}
  const cases: readonly (readonly [AuditOptions, string])[] = [
    [{ sinks: [] }, 'SECURE_API_OPTION_EMPTY'],
    [{ sinks: [{}] }, 'SECURE_API_AUDIT_SINK'],
    [{ sinks: [{ sink }], sink }, 'SECURE_API_AUDIT_SINK'],
    [{ sinks: [{ sink }], buffer: 5 }, 'SECURE_API_AUDIT_SINK'],
    [{ sink: 'syslog' as never }, 'SECURE_API_OPTION_VALUE'],
    [{ sink, file: '/nowhere/audit.jsonl' }, 'SECURE_API_AUDIT_SINK'],
    [{ sink, fsync: true }, 'SECURE_API_AUDIT_SINK'],
    [{ sink, format: 'ecs' }, 'SECURE_API_AUDIT_SINK'],
    [{ file: '/nowhere/audit.jsonl', chain: { key: new Secret('secret') } }, 'SECURE_API_AUDIT_CHAIN_KEY'],
    [{ sink, fields: { token: 'headers.Authorization' } }, 'SECURE_API_AUDIT_FIELD_SECRET'],
    [{ sink, fields: { body: 'body.card' } }, 'SECURE_API_OPTION_VALUE'],
    [{ sink, fields: { 'a b': 'params.id' } }, 'SECURE_API_OPTION_VALUE']
  ]
  for (const [options, code] of cases) {
    t.strictSame(await mistakesOf(() => startFastify(t).register(audit, options)), [code], JSON.stringify(options))
  }
})

t.test('19: one file for two sinks stops the boot, however its path is written', async t => {
  const file = join(t.testdir(), 'audit.jsonl')
  const { privateKey: key } = generateKeyPairSync('ed25519')
  for (const sinks of [[{ file, chain: { key } }, { file }], [{ file: relative(process.cwd(), file) }, { sink: () => {} }, { file }]]) {
    t.strictSame(await mistakesOf(() => startFastify(t).register(audit, { sinks })), ['SECURE_API_AUDIT_SINK'])
  }
  t.notOk(existsSync(file))
})

t.test('19: what a function does to an event is not in the file beside it', async t => {
  const file = join(t.testdir(), 'audit.jsonl')
  const sink = (event: AuditEvent) => { Object.assign(event, { address: 'hidden' }) }
  const { app } = await secured(t, issuer, { routes: orders, suite: { audit: { sinks: [{ file }, { sink }] } } })
  await answersOf(app, { url: '/orders/1' })
  await app.close()
  t.match(JSON.parse(await readFile(file, 'utf8')), { status: 401, address: '127.0.0.1' })
})

t.test('19: a chained file of events in a form of its own, which verify finds whole', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const file = join(t.testdir(), 'audit.jsonl')
  const { app } = await secured(t, issuer, {
    routes: orders,
    suite: { audit: { file, chain: { key: privateKey }, format: 'ecs', service: 'orders' } }
  })
  await answersOf(app, { url: '/orders/1', headers: bearer(issuer, { scope: 'a' }) }, { url: '/orders/1' })
  await app.close()
  const [start, first, second, end] = (await readFile(file, 'utf8')).split('\n').filter(line => line !== '').map(line => JSON.parse(line))
  t.match([start, end].map(({ chain }) => chain.type), ['start', 'end'])
  t.match([first, second], [
    { event: { outcome: 'success' }, service: { name: 'orders' } },
    { http: { response: { status_code: 401 } }, chain: { seq: 1, lines: 2 } }
  ])
  const key = chainVerifier(publicKey)
  const verification = await verifyChain([{ name: file, chunks: createReadStream(file) }], { keys: key && [key] })
  t.match(verification, { findings: [], lines: 4, signatures: 2 })
})

t.test('19: the key, the scopes, the rule and the trace are in the trail', async t => {
  const { app, events } = await secured(t, issuer, { routes: orders })
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const headers = { ...bearer(issuer, { scope: 'a b' }), traceparent: `00-${trace}-00f067aa0ba902b7-01` }
  const invalid = { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` }
  await answersOf(app, { url: '/orders/1', headers }, { url: '/fails', headers: invalid }, { url: '/nowhere' })
  const [one, fails, nowhere] = events
  t.match(one, { rule: { scope: 'a' }, traceId: trace, principal: { scopes: ['a', 'b'], keyId: String } })
  t.match(fails, { rule: 'public', traceId: undefined, principal: undefined })
  t.equal(nowhere?.rule, undefined)
})

t.test('19: fields by an allow-list, each redacted as stated', async t => {
  const fields: AuditOptions['fields'] = {
    order: 'params.id',
    page: 'query.page',
    agent: { from: 'headers.User-Agent', redact: 'hash' },
    card: { from: 'headers.x-card', redact: 'last4' },
    short: { from: 'headers.x-short', redact: 'last4' },
    own: { from: 'headers.x-own', redact: value => value.toUpperCase() },
    broken: { from: 'headers.x-own', redact: () => { throw new Error('a mistake') } }
  }
  const events: AuditEvent[] = []
  const hashed = (value: string) => hash('sha256', value).slice(0, 16)
  const { app } = await secured(t, issuer, { routes: orders, suite: { audit: { sink: event => { events.push(event) }, fields } } })
  await answersOf(app, { url: `/orders/${'7'.repeat(90)}?page=2&page=3&token=secret`, headers: bearer(issuer, { scope: 'a' }) }, {
    url: '/fails?page=2',
    headers: { 'user-agent': 'curl', 'x-card': '4111111111111111', 'x-short': '123', 'x-own': 'a'.repeat(300) }
  }, { url: '/nowhere' })
  t.strictSame(events.map(event => event.fields), [
    { order: '7'.repeat(90), agent: hashed('lightMyRequest') },
    { page: '2', agent: hashed('curl'), card: '…1111', short: '…', own: `${'A'.repeat(256)}…` },
    { agent: hashed('lightMyRequest') }
  ])
})

t.test('14 C5: the flood of one stranger does not close the gate of `deny` for others', async t => {
  muteTimers(t, windowMs)
  const kinds = { 'over its limit': { limit: 5 }, 'without a token': { limit: 100_000 } } as const
  for (const [name, { limit }] of Object.entries(kinds)) {
    const events: AuditEvent[] = []
    const sink = (event: AuditEvent) => {
      events.push(event)
      return new Promise<void>(resolve => { setTimeout(resolve, 60_000).unref() })
    }
    const rateLimit = { perAddress: { limit, window: '1 minute' } } as const
    const { app } = await secured(t, issuer, {
      suite: { rateLimit, audit: { sink, buffer: 10, onSinkFailure: 'deny', closeTimeout: 1 } },
      routes: orders
    })
    const statuses = await Promise.all(Array.from({ length: 1000 },
      async () => (await app.inject({ url: '/orders/1', remoteAddress: '192.0.2.66' })).statusCode))
    t.strictSame(new Set(statuses), new Set(limit === 5 ? [401, 429] : [401]), name)
    const good = await app.inject({ url: '/orders/1', remoteAddress: '192.0.2.7', headers: bearer(issuer, { scope: 'a' }) })
    t.equal(good.statusCode, 200, name)
    t.ok(events.length <= 6, `${events.length} events`)
    await app.close()
    t.equal(events.reduce((sum, { repeats = 1 }) => sum + repeats, 0), 1001, 'all of them are in the trail')
  }
})

t.test('15 C4: app.close() waits for events that are on their way, and not for ever', async t => {
  const stored: AuditEvent[] = []
  const app = await alone({ sink: async event => { await delay(30); stored.push(event) } })
  await Promise.all(Array.from({ length: 20 }, () => app.inject('/')))
  await app.close()
  t.equal(stored.length, 20)

  const lines: string[] = []
  const stream = new PassThrough().on('data', chunk => lines.push(String(chunk)))
  const stuck = startFastify(t, { logger: { stream } })
  await stuck.register(audit, { sink: () => new Promise(() => {}), closeTimeout: '20 milliseconds' })
  await stuck.inject('/nowhere')
  await stuck.close()
  t.match(lines.map(line => JSON.parse(line)).find(({ pending }) => pending?.['sink 1'] === 1), { level: 50 }, 'what is lost is told')
})

t.test('19 attack: a promise where none is expected ends no process, and shows nothing', async t => {
  const rejected: unknown[] = []
  const onRejection = (error: unknown) => { rejected.push(error) }
  process.on('unhandledRejection', onRejection)
  t.teardown(() => process.off('unhandledRejection', onRejection))
  const later = async () => { throw new Error('a mistake') }
  const events: AuditEvent[] = []
  const app = await alone({
    sink: event => { events.push(event) },
    filter: later as never,
    fields: { agent: { from: 'headers.user-agent', redact: later as never } }
  })
  await app.inject('/nowhere')
  await delay(1)
  t.strictSame([rejected, events.map(({ fields }) => fields)], [[], [undefined]])
})

t.test("19 attack: sink 'logger' without a logger is a trail to nowhere", async t => {
  const cases: readonly AuditOptions[] = [{ sink: 'logger' }, { sinks: [{ sink: 'logger' }, { sink: 'stdout' }] }]
  for (const options of cases) {
    const start = () => startFastify(t).register(audit, { ...options, environment: 'production' })
    t.strictSame(await mistakesOf(start), ['SECURE_API_AUDIT_NO_SINK'], JSON.stringify(options))
  }
  const text = await written(t, 'stderr', async () => (await alone({ sink: 'logger', environment: 'development' })).inject('/nowhere'))
  t.match(text, / 404 /, 'development has the line for people')
})

t.test('19 attack: no field shows a configured header of credentials, nor what is one by its name', async t => {
  const auth = { issuer: 'https://login.example.com', audience: issuer.audience, jwks: issuer.jwks as { keys: object[] } }
  const start = (fields: AuditOptions['fields'], more: object) => async () => {
    const app = startFastify(t)
    await app.register(secureApi, { auth: { ...auth, ...more }, audit: { sink: () => {}, ...(fields && { fields }) } })
    await app.ready()
  }
  const apiKeys = { prefix: 'test', lookup: async () => undefined, header: 'X-Shop' }
  const cases: ReadonlyArray<readonly [AuditOptions['fields'], object]> = [
    [{ a: 'headers.x-shop' }, { apiKeys }],
    [{ a: { from: 'headers.X-Shop', redact: 'hash' } }, { apiKeys }],
    [{ a: 'headers.x-cred' }, { token: { header: 'X-Cred' } }],
    [{ a: 'query.access_token' }, {}],
    [{ a: 'query.code' }, {}],
    [{ a: 'query.SAMLResponse' }, {}],
    [{ a: 'params.resetToken' }, {}],
    [{ a: 'query.X-Amz-Signature' }, {}],
    [{ a: 'headers.x-forwarded-access-token' }, {}],
    [{ a: { from: 'headers.sec-websocket-protocol', redact: 'hash' } }, {}]
  ]
  for (const [fields, more] of cases) {
    t.strictSame(await mistakesOf(start(fields, more)), ['SECURE_API_AUDIT_FIELD_SECRET'], JSON.stringify(fields))
  }
  t.strictSame(await mistakesOf(start({ a: { from: 'query.pageToken', redact: 'hash' }, b: 'headers.x-shop', c: 'params.code' }, {})), [])
})

t.test('19 attack: text of a caller makes no other line and obeys no terminal, and its id is bounded', async t => {
  const file = join(t.testdir(), 'audit.jsonl')
  const evil = 'a\u0085{}\u009b2Jb\u202ec'
  const send = async (options: AuditOptions) => {
    const app = startFastify(t, { requestIdHeader: 'x-id' })
    await app.register(audit, { ...options, fields: { agent: 'headers.user-agent' } })
    await app.inject({ url: '/nowhere', headers: { 'user-agent': evil, 'x-id': 'r'.repeat(5000) } })
    await app.close()
  }
  const stdout = await written(t, 'stdout', () => send({ sink: 'stdout' }))
  await send({ file })
  for (const text of [stdout, await readFile(file, 'utf8')]) {
    t.notMatch(text, /[\x7f-\x9f\u202a-\u202e]/)
    const parsed = JSON.parse(text)
    t.match(parsed.audit ?? parsed, { fields: { agent: evil }, requestId: /^r{256}…$/ })
  }
})
