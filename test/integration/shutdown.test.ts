import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { AuditEvent } from '../../plugins/index.ts'
import { bearer, listen, secured, sendRaw, startIssuer, until } from '../helpers/server.ts'
import { createManualClock, settled } from '../helpers/manual-clock.ts'

interface Answer { readonly status: number, readonly body: string, readonly headers: IncomingHttpHeaders }

/** Rejects where the connection fails: a lost answer. */
async function get (url: string, headers: object, agent: http.Agent | false): Promise<Answer> {
  const request = http.get(url, { headers: { ...headers }, agent })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  return { status: response.statusCode ?? 0, body: await text(response), headers: response.headers }
}

/** The rehearsal of docs/operations/shutdown.md: the order of Kubernetes, with a load balancer that is late. */
t.test('shutdown: readiness fails, requests go on, then the sockets close, then the trail is written: nothing is lost', async t => {
  const clock = createManualClock()
  t.teardown(() => { clock.close() })
  const issuer = await startIssuer(t)
  const written: AuditEvent[] = []
  let releaseSink = () => {}
  const sinkFree = new Promise<void>(resolve => { releaseSink = resolve })
  let held = false
  const sink = async (event: AuditEvent) => {
    if (held) await sinkFree
    written.push(event)
  }
  let release = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  let waiting = 0
  const { app } = await secured(t, issuer, {
    suite: { audit: { sink, buffer: 10_000, closeTimeout: '5 minutes' }, rateLimit: false, health: { drain: '10 seconds' } },
    routes: app => {
      app.get('/orders', { config: { authenticated: true } }, async () => 'order')
      app.get('/slow', { config: { authenticated: true } }, async () => {
        waiting++
        await released
        return 'slow'
      })
    }
  })
  const url = await listen(app)
  const token = bearer(issuer)
  const pooled = new http.Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => { pooled.destroy() })
  const answers: Answer[] = []
  const order = async (agent: http.Agent | false) => { answers.push(await get(`${url}/orders`, token, agent)) }
  const [live, ready] = ['live', 'ready'].map(probe => async () => (await get(`${url}/health/${probe}`, {}, false)).status)
  if (live === undefined || ready === undefined) throw new TypeError('no probes')

  await Promise.all(Array.from({ length: 20 }, () => order(pooled)))
  t.strictSame([await live(), await ready()], [200, 200])
  t.not(answers.at(-1)?.headers.connection, 'close')
  // As most clients do, they would keep their connections after the answer.
  const waiters = new http.Agent({ keepAlive: true })
  t.teardown(() => { waiters.destroy() })
  const slow = Array.from({ length: 5 }, () => get(`${url}/slow`, token, waiters))
  await until(() => waiting === 5, 'the slow requests')

  // SIGTERM. The load balancer knows nothing of it yet: callers keep coming, on open connections and on new ones.
  let isOver = false
  const closing = app.close().then(() => { isOver = true })
  await until(async () => await ready() === 503, 'readiness')
  t.equal(await live(), 200)
  const before = answers.length
  await Promise.all(Array.from({ length: 50 }, (_, index) => order(index % 2 === 0 ? pooled : false)))
  for (let round = 0; round < 10; round++) await order(pooled)
  t.ok(answers.slice(before).every(({ headers }) => headers.connection === 'close'), 'no connection is left for a request to be lost on')
  t.strictSame([await live(), await ready()], [200, 503])

  // It has seen it now. The drain ends: the sockets close, and what is under way is finished.
  held = true
  await clock.advance('10 seconds')
  await until(() => !app.server.listening, 'the end of the listening sockets')
  release()
  const late = await Promise.all(slow)
  t.strictSame(late.map(({ status, body }) => [status, body]), Array(5).fill([200, 'slow']))

  // The trail is last. Its sink has not taken the last five events yet.
  await settled()
  t.equal(isOver, false)
  t.equal(written.filter(({ route }) => route === '/slow').length, 0)
  releaseSink()
  await closing
  t.strictSame(new Set(answers.map(({ status, body }) => `${status} ${body}`)), new Set(['200 order']))
  const calls = written.filter(({ route }) => route === '/orders' || route === '/slow')
  t.equal(calls.length, answers.length + late.length, 'one event each')
  t.equal(new Set(calls.map(({ requestId }) => requestId)).size, calls.length)
  t.ok(calls.every(({ outcome }) => outcome === 'allowed'))
  await t.rejects(order(false), { code: 'ECONNREFUSED' })
})

t.test('pipelined requests during the drain are all answered, and the last answer ends the connection', async t => {
  const clock = createManualClock()
  t.teardown(() => { clock.close() })
  const issuer = await startIssuer(t)
  const { app, events } = await secured(t, issuer, {
    suite: { rateLimit: false, health: { drain: '10 seconds' } },
    routes: app => {
      app.get('/now', { config: { public: true } }, (_request, reply) => { reply.send('now') })
      app.post<{ Params: { id: string } }>('/orders/:id', { config: { authenticated: true } }, async ({ params }) => `order ${params.id}`)
    }
  })
  const url = await listen(app)
  const closing = app.close()
  const pooled = new http.Agent({ keepAlive: true })
  t.teardown(() => { pooled.destroy() })
  await until(async () => {
    const { status, headers } = await get(`${url}/health/ready`, {}, pooled)
    return status === 503 && headers.connection === 'close'
  }, 'the drain')
  t.equal((await get(`${url}/now`, {}, pooled)).headers.connection, 'close', 'also where a handler answers at once')
  const { authorization } = bearer(issuer)
  const requests = ['1', '2', '3'].flatMap(id =>
    [`POST /orders/${id} HTTP/1.1`, 'Host: a', `Authorization: ${authorization}`, 'Content-Length: 0', ''])
  const answers = await sendRaw(url, ...requests, '')
  t.strictSame(answers.match(/Connection: [a-z-]+|order \d/g), [
    'Connection: keep-alive', 'order 1', 'Connection: keep-alive', 'order 2', 'Connection: close', 'order 3'
  ])
  await clock.advance('10 seconds')
  await closing
  t.strictSame(events.filter(({ route }) => route === '/orders/:id').map(({ outcome }) => outcome), Array(3).fill('allowed'))
})
