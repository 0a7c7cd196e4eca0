import dns from 'node:dns'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import http2 from 'node:http2'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { secureServer, type AuditEvent } from '../../plugins/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/server.ts'
import { createManualClock, settled, type ManualClock } from '../helpers/manual-clock.ts'
import { closeFrame, connectionsOf, upgrade } from '../helpers/upgrades.ts'
import { Certificates } from '../lib/server/certificates.ts'

const { cert, key } = new Certificates(t.testdir({})).issue()
const overHttp2 = (more: FastifyServerOptions = {}) =>
  Fastify({ ...secureServer({ tls: { cert, key }, http2: true, environment: 'development' }), ...more } as object) as FastifyInstance
const servers: Readonly<Record<string, () => FastifyInstance>> = {
  'any Fastify()': () => Fastify(),
  'secureServer()': () => Fastify(secureServer({ environment: 'development' })),
  'Fastify() over TLS': () => Fastify({ https: { cert, key } }) as unknown as FastifyInstance,
  'secureServer() over TLS': () => Fastify(secureServer({ tls: { cert, key }, environment: 'development' })) as unknown as FastifyInstance,
  'HTTP/1.1 on a server of HTTP/2': () => overHttp2()
}

interface Served {
  readonly app: FastifyInstance
  readonly url: string
  readonly clock: ManualClock
  readonly events: AuditEvent[]
  /** Lets `/slow` and the rest of `/stream` answer. */
  readonly release: () => void
  /** How many requests of `/slow` and `/stream` wait. */
  readonly waiting: () => number
}

async function serve (t: Test, app: FastifyInstance, closeTimeout?: string, host = '127.0.0.1',
  port: number | 'none' = 0): Promise<Served> {
  const clock = createManualClock()
  const events: AuditEvent[] = []
  let [release, waiting] = [() => {}, 0]
  const released = new Promise<void>(resolve => { release = resolve })
  t.teardown(async () => {
    release()
    clock.close()
    await app.close()
  })
  await app.register(secureApi, {
    auth: false,
    rateLimit: false,
    audit: { sink: event => { events.push(event) } },
    environment: 'development',
    ...(closeTimeout !== undefined && { closeTimeout })
  })
  app.get('/fast', async () => 'fast')
  app.post('/fast', async () => 'fast')
  app.get('/slow', async () => {
    waiting++
    await released
    return 'slow'
  })
  app.get('/stream', async (_request, reply) => {
    async function * parts (): AsyncGenerator<string> {
      yield 'first'
      waiting++
      await released
      yield 'last'
    }
    return reply.type('text/plain').send(Readable.from(parts()))
  })
  await app.ready()
  const url = port === 'none' ? '' : await app.listen({ port, host })
  return { app, url, clock, events, release, waiting: () => waiting }
}

/** A client that leaves its connections open, as browsers, proxies and `fetch()` do. */
function pooled (t: Test, url: string) {
  const secure = url.startsWith('https:')
  const agent = secure ? new https.Agent({ keepAlive: true, rejectUnauthorized: false }) : new http.Agent({ keepAlive: true })
  t.teardown(() => { agent.destroy() })
  return async (path: string) => {
    const request = secure ? https.get(url + path, { agent }) : http.get(url + path, { agent })
    const [response] = await once(request, 'response') as [http.IncomingMessage]
    return { response, body: text(response) }
  }
}

/** Closes; tells whether that is over. */
async function startClosing (app: FastifyInstance) {
  let isOver = false
  const closed = app.close().then(() => { isOver = true })
  await until(() => !app.server.listening, 'the end of the listening socket')
  return { closed, isOver: () => isOver }
}

for (const [name, start] of Object.entries(servers)) {
  t.test(`a request under way when the server closes is answered, and its connection does not hold the server: ${name}`, async t => {
    const { app, url, release, waiting } = await serve(t, start())
    const get = pooled(t, url)
    const slow = Promise.all([get('/slow'), get('/slow')])
    await until(() => waiting() === 2, 'the requests')
    const { closed } = await startClosing(app)
    release()
    for (const { response, body } of await slow) {
      t.equal(await body, 'slow')
      t.equal(response.headers.connection, 'close')
    }
    await closed
  })

  t.test(`an answer that a slow client still reads when the server closes is whole, and one pipelined behind it too: ${name}`, async t => {
    const app = start()
    let sent: http.ServerResponse | undefined
    app.get('/large', async (_request, reply) => {
      sent = reply.raw
      return Buffer.alloc(30_000_000, 'x')
    })
    const { url, events, release, waiting } = await serve(t, app)
    const socket = await openTo(t, url, ['/large', '/slow'].map(path => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''), false)
    await until(() => sent?.writableEnded === true && waiting() === 1, 'both requests')
    t.equal(sent?.writableFinished, false)
    const { closed } = await startClosing(app)
    release()
    const [, first = '', second = ''] = (await text(socket)).split('HTTP/1.1 200 OK')
    t.ok(first.endsWith('x'.repeat(30_000_000)), `${first.length} of 30,000,000`)
    t.match(second, /connection: close[^]*slow$/i)
    await closed
    t.strictSame(events.map(({ route, outcome }) => [route, outcome]).sort(), [['/large', 'allowed'], ['/slow', 'allowed']])
  })

  t.test(`one whose head was sent before ends with it, and its connection within two looks: ${name}`, async t => {
    const { app, url, clock, release, waiting } = await serve(t, start())
    const { response, body } = await pooled(t, url)('/stream')
    t.not(response.headers.connection, 'close')
    await until(() => waiting() === 1, 'the stream')
    const { closed } = await startClosing(app)
    release()
    t.equal(await body, 'firstlast')
    await twice(clock)
    await closed
  })

  t.test(`connections that send nothing, or half a head, hold the server for a second: ${name}`, async t => {
    const { app, url, clock } = await serve(t, start())
    const quiet = await Promise.all([openTo(t, url), openTo(t, url, 'GET /fa'), openBetween(t, url)])
    await until(async () => await connectionsOf(app.server) === 3, 'the connections')
    const { closed, isOver } = await startClosing(app)
    await clock.advance(400)
    await settled()
    t.notOk(isOver(), 'a request may be on its way')
    t.equal(await connectionsOf(app.server), 3)
    const ended = Promise.all(quiet.map(socket => socket.destroyed || once(socket, 'close')))
    await twice(clock)
    await closed
    await ended
  })

  t.test(`half a body holds the server until closeTimeout: ${name}`, async t => {
    const { app, url, clock, events } = await serve(t, start(), '20 seconds')
    const arrived = once(app.server, 'request')
    await openTo(t, url, `${head('POST', 'Content-Type: application/json\r\nContent-Length: 10\r\n')}\r\n{`)
    await arrived
    const { closed, isOver } = await startClosing(app)
    await clock.advance('19 seconds')
    await settled()
    t.notOk(isOver())
    await clock.advance('1 second')
    await closed
    t.strictSame(events.map(({ method, route }) => [method, route]), [['POST', '/fast']], 'it has its event')
  })
}

/** The server looks at its connections, after it has read its sockets. */
async function twice (clock: ManualClock): Promise<void> {
  for (let look = 0; look < 2; look++) {
    await clock.advance('500 ms')
    await settled()
  }
}

const head = (method: string, more = '') => `${method} /fast HTTP/1.1\r\nHost: a\r\n${more}`

/** A connection that sends these bytes, and then nothing. */
async function openTo (t: Test, url: string, bytes = '', discards = true): Promise<Socket> {
  const { protocol, hostname, port } = new URL(url)
  const to = { host: hostname, port: Number(port) }
  const socket = protocol === 'https:' ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  if (discards) socket.resume()
  await once(socket, protocol === 'https:' ? 'secureConnect' : 'connect')
  if (bytes !== '') await new Promise(resolve => { socket.write(bytes, resolve) })
  return socket
}

/** A connection with half a head behind a request, which the server has answered. */
async function openBetween (t: Test, url: string): Promise<Socket> {
  const socket = await openTo(t, url, `${head('GET')}\r\nGET /fa`, false)
  await once(socket, 'data')
  return socket
}

t.test('a WebSocket lives until closeTimeout, unless the application ends it; then it is cut, and the log says so', async t => {
  const lines: Array<Record<string, unknown>> = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const { app, url, clock } = await serve(t, Fastify({ logger }))
  app.server.on('upgrade', (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  })
  const { socket, status, ended } = await upgrade(url)
  t.equal(status, 101)
  const { closed, isOver } = await startClosing(app)
  await clock.advance('29 seconds')
  await settled()
  t.notOk(isOver())
  socket.write(closeFrame)
  await clock.advance('1 second')
  await closed
  await ended.catch(() => {})
  t.match(lines.filter(({ code }) => code === 'SECURE_API_SERVER_CLOSING'), [{ connections: 1 }])
})

t.test('an upgraded connection whose new owner removed all listeners holds the server no longer than it is open', async t => {
  const { app, url, clock } = await serve(t, Fastify())
  app.server.on('upgrade', (_request, socket: Socket) => {
    socket.removeAllListeners()
    socket.on('error', () => {}).on('end', () => { socket.end() }).resume()
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  })
  const { socket } = await upgrade(url)
  socket.destroy()
  await until(async () => await connectionsOf(app.server) === 0, 'the end of the connection')
  const { closed } = await startClosing(app)
  await twice(clock)
  await closed
})

t.test('a client that never begins its TLS handshake, and half an HTTP/2 request, hold the server until closeTimeout', async t => {
  const lines: Array<Record<string, unknown>> = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const { app, url, clock } = await serve(t, overHttp2({ logger }))
  const { port } = new URL(url)
  const silent = connect(Number(port), '127.0.0.1').on('error', () => {})
  await once(silent, 'connect')
  const arrived = once(app.server, 'request')
  const session = http2.connect(url, { rejectUnauthorized: false }).on('error', () => {})
  const stream = session.request({ ':method': 'POST', ':path': '/fast', 'content-type': 'application/json' }).on('error', () => {})
  stream.write('{')
  t.teardown(() => { silent.destroy(); session.destroy() })
  await arrived
  await until(async () => await connectionsOf(app.server) === 2, 'the connections')
  const { closed, isOver } = await startClosing(app)
  await clock.advance('29 seconds')
  await settled()
  t.notOk(isOver())
  await clock.advance('1 second')
  await closed
  t.match(lines.filter(({ code }) => code === 'SECURE_API_SERVER_CLOSING'), [{ connections: 2 }])
})

t.test('an HTTP/2 session that its client keeps open is told to go, and ends with its last answer', async t => {
  const { app, url, release, waiting } = await serve(t, overHttp2())
  const session = http2.connect(url, { rejectUnauthorized: false }).on('error', () => {})
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/slow' })
  const body = text(stream)
  await until(() => waiting() === 1, 'the request')
  const { closed } = await startClosing(app)
  release()
  t.equal(await body, 'slow')
  await closed
})

/** The answers on one connection, until the server ends it. */
async function answersOn (socket: Socket): Promise<string[]> {
  const received = await text(socket)
  return received.split(/(?=HTTP\/1\.1 \d)/).map(answer => `${answer.slice(9, 12)} ${/connection: (\S+)/i.exec(answer)?.[1] ?? '-'}`)
}

t.test('of pipelined requests each is answered, those that come while the server closes too', async t => {
  const { app, url, release, waiting } = await serve(t, Fastify())
  const socket = await openTo(t, url, '', false)
  const answers = answersOn(socket)
  const slow = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n'
  socket.write(slow + slow + slow)
  await until(() => waiting() === 3, 'the requests')
  const { closed } = await startClosing(app)
  const arrived = once(app.server, 'request')
  socket.write(slow)
  await arrived
  release()
  t.strictSame(await answers, ['200 keep-alive', '200 keep-alive', '200 keep-alive', '503 close'])
  await closed
})

t.test('streams of events, and answers of a gateway, say keep-alive by themselves: the last ones do not', async t => {
  const app = Fastify()
  let [go, waiting] = [() => {}, 0]
  const gone = new Promise<void>(resolve => { go = resolve })
  app.addHook('preHandler', async () => {
    waiting++
    await gone
  })
  app.get('/events', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'keep-alive' }).end('data: 1\n\n')
  })
  app.get('/gateway', async (_request, reply) => reply.header('connection', 'keep-alive').send('from upstream'))
  app.get('/raw', (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('connection', 'keep-alive')
    reply.raw.end('raw')
  })
  const { url } = await serve(t, app)
  const get = pooled(t, url)
  const answers = Promise.all(['/events', '/gateway', '/raw'].map(get))
  await until(() => waiting === 3, 'the requests')
  const { closed } = await startClosing(app)
  go()
  for (const { response, body } of await answers) t.match([await body, response.headers.connection], [/./, 'close'])
  await closed
})

t.test('an answer that is cut while its caller reads it is not said to be sent', async t => {
  const app = Fastify()
  app.get('/large', async () => Buffer.alloc(30_000_000))
  const { url, clock, events } = await serve(t, app)
  const before = await openTo(t, url, 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n', false)
  const whole = await pooled(t, url)('/fast')
  t.equal(await whole.body, 'fast')
  before.pause()
  await until(() => before.bytesRead > 0, 'the beginning of the answer')
  const { closed } = await startClosing(app)
  await clock.advance('30 seconds')
  await closed
  t.strictSame(events.map(({ route, outcome }) => [route, outcome]).sort(), [['/fast', 'allowed'], ['/large', 'aborted']])
})

t.test('a body that is still coming in after its answer is no idle connection', async t => {
  const app = Fastify()
  let received = 0
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => { done(null, payload) })
  app.post('/ingest', async (request, reply) => {
    (request.body as Readable).on('data', (part: Buffer) => { received += part.length })
    return reply.code(202).send('accepted')
  })
  const { url, clock } = await serve(t, app)
  const socket = await openTo(t, url, '', false)
  socket.write('POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\n1')
  await once(socket, 'data')
  const { closed, isOver } = await startClosing(app)
  for (const part of '23') {
    for (let looks = 0; looks < 2; looks++) await twice(clock)
    t.notOk(isOver())
    socket.write(part)
  }
  await until(() => received === 3, 'the body')
  await clock.advance('500 ms')
  await until(async () => { await clock.advance('500 ms'); return isOver() }, 'the end')
  await closed
})

t.test('an answer before the end of an upload keeps its connection until the rest is there', async t => {
  const app = Fastify()
  let [go, waiting] = [() => {}, 0]
  const gone = new Promise<void>(resolve => { go = resolve })
  app.addHook('onRequest', async (_request, reply) => {
    waiting++
    await gone
    return reply.code(401).send('no')
  })
  const { url, clock } = await serve(t, app)
  const socket = await openTo(t, url, '', false)
  socket.write('POST /fast HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n1')
  await until(() => waiting === 1, 'the head')
  const { closed, isOver } = await startClosing(app)
  go()
  const [answer] = await once(socket, 'data')
  t.match(String(answer), /^HTTP\/1.1 401 [^]*Connection: keep-alive/)
  await twice(clock)
  t.notOk(isOver())
  socket.write('23')
  await until(async () => { await twice(clock); return isOver() }, 'the end')
  await closed
})

t.test('hooks of the application that take their time, or fail, before the server closes change nothing', async t => {
  const app = Fastify({ return503OnClosing: false })
  let go = () => {}
  const gone = new Promise<void>(resolve => { go = resolve })
  app.addHook('preClose', async () => {
    await gone
    throw new Error('it fails')
  })
  const { url, clock } = await serve(t, app, '1 second')
  const [silent, pooledGet] = [await openTo(t, url), pooled(t, url)]
  const closed = app.close().catch(() => {})
  await clock.advance('5 seconds')
  const { body } = await pooledGet('/fast')
  t.equal(await body, 'fast', 'it still serves')
  t.notOk(silent.closed)
  go()
  await until(() => !app.server.listening, 'the end of the listening socket')
  await until(async () => { await clock.advance('500 ms'); return silent.closed }, 'the end of the connection')
  await closed
})

t.test('a server that listens again keeps its connections', async t => {
  const port = await freePort()
  const { app, url, clock } = await serve(t, Fastify(), '1 second', undefined, port)
  app.server.close()
  app.server.listen(port, '127.0.0.1')
  await once(app.server, 'listening')
  const socket = await openTo(t, url, 'GET /fast HT', false)
  for (let looks = 0; looks < 3; looks++) await twice(clock)
  socket.write('TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.match(await text(socket), /200 OK[^]*fast/)
})

t.test('a server that is closed at once by closeTimeout: 0, and one that never listened', async t => {
  const { app, url, clock } = await serve(t, Fastify(), '0 seconds')
  await openTo(t, url, 'GET /fa')
  const { closed } = await startClosing(app)
  await clock.advance(0)
  await closed
  const quiet = await serve(t, Fastify(), '30 days')
  await quiet.app.close()
  t.notOk(Object.hasOwn(quiet.app.server, 'close'), 'nothing of ours stays behind')
})

/** Fastify makes a second server for each further address of localhost: here 127.0.0.2. Its URL. */
async function serveTwo (t: Test): Promise<Served & { readonly second: string }> {
  const lookup = dns.lookup as (...parts: unknown[]) => void
  t.intercept(dns, 'lookup', {
    value: (host: string, options: { all?: boolean }, ...rest: Array<(...facts: unknown[]) => void>) => {
      if (host !== 'localhost' || options.all !== true) return lookup(host, options, ...rest)
      rest[0]?.(null, ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 })))
    }
  })
  const served = await serve(t, Fastify(), undefined, 'localhost')
  const { port } = (served.app.addresses() as AddressInfo[]).find(({ address }) => address === '127.0.0.2') ?? {}
  t.ok(port)
  return { ...served, second: `http://127.0.0.2:${port}` }
}

t.test('a request on the first connection of the second server of localhost is waited for, and has its event', async t => {
  const { app, clock, events, release, waiting, second } = await serveTwo(t)
  const slow = pooled(t, second)('/slow')
  await until(() => waiting() === 1, 'the request')
  const { closed, isOver } = await startClosing(app)
  await twice(clock)
  t.notOk(isOver())
  release()
  const { response, body } = await slow
  t.strictSame([await body, response.headers.connection], ['slow', 'close'])
  await closed
  t.strictSame(events.map(({ route, outcome }) => [route, outcome]), [['/slow', 'allowed']])
})

t.test('both servers of localhost end within one closeTimeout', async t => {
  const { app, url, clock, events, waiting, second } = await serveTwo(t)
  const answers = [url, second].map(one => pooled(t, one)('/slow').catch(() => 'cut'))
  await until(() => waiting() === 2, 'the requests')
  const { closed } = await startClosing(app)
  await clock.advance('30 seconds')
  await settled()
  await clock.advance(0)
  await closed
  t.strictSame(await Promise.all(answers), ['cut', 'cut'])
  t.strictSame(events.map(({ route, outcome }) => [route, outcome]), Array(2).fill(['/slow', 'aborted']))
})

t.test('half a head on the second server of localhost holds the application as long as on the first', async t => {
  const { app, clock, second } = await serveTwo(t)
  await openBetween(t, second)
  const { closed, isOver } = await startClosing(app)
  await clock.advance(400)
  await settled()
  t.notOk(isOver())
  await twice(clock)
  await closed
})

t.test('when the second server closes alone, the first goes on', async t => {
  const { app, url, clock, second } = await serveTwo(t)
  await openTo(t, second)
  const silent = await openTo(t, url, '', false)
  app.server.unref() // Fastify closes the second one then
  await until(() => openTo(t, second).then(() => false, () => true), 'the end of the second server')
  await clock.advance('31 seconds')
  await twice(clock)
  app.server.ref()
  const { body } = await pooled(t, url)('/fast')
  t.equal(await body, 'fast')
  silent.write(`${head('GET', 'Connection: close\r\n')}\r\n`)
  t.match(await text(silent), /200 OK[^]*fast/, 'nor is an idle connection of the first one cut')
})

t.test('when the second server has closed alone long ago, a request of the first still has all its time', async t => {
  const { app, url, clock, release, waiting, second } = await serveTwo(t)
  await openTo(t, second)
  app.server.unref() // Fastify closes the second one then
  await until(() => openTo(t, second).then(() => false, () => true), 'the end of the second server')
  await clock.advance('31 seconds')
  app.server.ref()
  const slow = pooled(t, url)('/slow')
  await until(() => waiting() === 1, 'the request')
  const { closed } = await startClosing(app)
  await clock.advance('29 seconds')
  await settled()
  release()
  t.equal(await (await slow).body, 'slow')
  await closed
})

t.test('an idle connection keeps nothing of the requests that it carried', async t => {
  const { url, app } = await serve(t, Fastify())
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const socket = await openTo(t, url)
  const fast = 'GET /fast HTTP/1.1\r\nHost: a\r\n\r\n'
  const responses: WeakRef<object>[] = []
  app.server.on('request', (_request, response) => { responses.push(new WeakRef(response)) })
  socket.write(fast + fast)
  const [inside] = await accepted
  await until(() => responses.length === 2 && Reflect.get(inside, '_httpMessage') === null, 'the answers')
  await settled()
  const kept = Object.getOwnPropertySymbols(inside).filter(symbol => symbol.description === 'secure-api.last')
  t.strictSame(kept.map(symbol => Reflect.get(inside, symbol)), [undefined])
})

t.test('close() of the server keeps its forms', async t => {
  const port = await freePort()
  const { app, url } = await serve(t, Fastify(), undefined, undefined, port)
  const { server } = app
  const [first] = await once(server.close(function (this: unknown, ...facts: unknown[]) {
    server.emit('told', this === server, facts)
  }), 'told') as unknown[]
  t.equal(first, true)
  const error = await new Promise<unknown>(resolve => { server.close(resolve) })
  t.match(error, { code: 'ERR_SERVER_NOT_RUNNING' })
  t.equal(server.close('x' as unknown as () => void), server)
  // Closed, open again, and closed with the application before anybody has looked.
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { response, body } = await pooled(t, url)('/fast')
  t.strictSame([await body, response.headers.connection], ['fast', 'keep-alive'])
})

t.test('a cover that somebody has covered does nothing when the application is gone', async t => {
  const server = http.createServer()
  const app = Fastify({ serverFactory: handler => { server.on('request', handler); return server } })
  const { clock } = await serve(t, app, '1 second', undefined, 'none')
  const ours = server.close
  server.close = function (done) { return ours.call(this, done) }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = await openTo(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'POST /fast HTTP/1.1\r\nHost: a\r\n')
  await app.close()
  const closed = new Promise(resolve => { server.close(resolve) })
  await clock.advance('2 seconds')
  await settled()
  t.notOk(socket.closed)
  t.equal(await connectionsOf(server), 1)
  socket.destroy()
  await closed
})

t.test('in a scope the option would be a promise that nobody keeps', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async scope => {
    await scope.register(secureApi, { auth: false, rateLimit: false, audit: false, environment: 'development', closeTimeout: '1 second' })
  })
  await t.rejects(async () => { await app.ready() }, { errors: [{ code: 'SECURE_API_OPTION_CONFLICT', path: 'closeTimeout' }] })
})
