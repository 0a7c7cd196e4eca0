import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { type AuditEvent } from '../../plugins/index.ts'
import { startIssuer, until } from '../helpers/server.ts'
import { closeFrame, handshake } from '../helpers/upgrades.ts'
import { Certificates } from '../lib/server/certificates.ts'

const issuer = await startIssuer(t)
const { cert, key } = new Certificates(t.testdir({})).issue()
const open = { public: true } as const

interface Transport { readonly name: string, readonly http2: boolean, readonly tls: boolean }
const transports: readonly Transport[] = [
  { name: 'HTTP/1.1', http2: false, tls: false },
  { name: 'HTTPS', http2: false, tls: true },
  { name: 'HTTP/2', http2: true, tls: true }
]

interface Running {
  readonly app: FastifyInstance
  readonly transport: Transport
  readonly port: number
  readonly events: AuditEvent[]
  /** How many requests the server has had, by its own count. */
  readonly count: () => number
  /** Requests that wait in an earlier hook, or in a handler. */
  readonly waiting: Array<() => void>
}

/** Every request that Node has told of: with a response, as a stream, as a handshake, or as something that it could not read. */
function counted (t: Test, app: FastifyInstance): () => number {
  let count = 0
  const { server } = app
  const onStart = (message: unknown) => { if ((message as { server: unknown }).server === server) count++ }
  subscribe('http.server.request.start', onStart)
  t.teardown(() => unsubscribe('http.server.request.start', onStart))
  const { emit } = server
  server.emit = function (this: typeof server, event: string, ...given: unknown[]) {
    if (event === 'stream' || event === 'upgrade') count++
    if (event === 'connect' && !('stream' in Object(given[1]))) count++
    if (event === 'clientError' && isUnreadable(given[0]) && !isInTheMiddle(given[1] as Reading)) count++
    return Reflect.apply(emit, this, [event, ...given])
  } as typeof server.emit
  return () => count
}

/** Not a connection that was reset. */
function isUnreadable (error: unknown): boolean {
  return /^(?:HPE_|ERR_HTTP_REQUEST_TIMEOUT)/.test(String(Object(error).code))
}

type Reading = Socket & { parser?: { incoming?: { complete: boolean } | null } | null }

function isInTheMiddle ({ parser }: Reading): boolean {
  return parser?.incoming?.complete === false
}

/** More than the buffers of a connection hold. */
const large = 'x'.repeat(32 * 1024 * 1024)

interface Options { readonly transport: Transport, readonly server?: object, readonly listeners?: (app: FastifyInstance) => void }

async function start (t: Test, { transport, server = {}, listeners = () => {} }: Options): Promise<Running> {
  const { http2, tls } = transport
  const events: AuditEvent[] = []
  const waiting: Array<() => void> = []
  const wait = async () => { await new Promise<void>(resolve => { waiting.push(resolve) }) }
  const options: object = { ...(http2 && { http2 }), ...(tls && { https: { cert, key, allowHTTP1: true } }), ...server }
  const app = Fastify(options) as FastifyInstance
  t.teardown(() => app.close())
  app.addHook('onRequest', async function healthBefore (request, reply) {
    const { pathname, searchParams } = new URL(request.url, 'http://a')
    if (pathname === '/before') return reply.code(Number(searchParams.get('status'))).send('')
    if (pathname === '/before-throws') throw new Error('no')
    if (pathname === '/before-waits') await wait()
    if (pathname === '/before-hijacks') reply.hijack().raw.end('raw')
    return undefined
  })
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    audit: { sink: event => { events.push(event) } },
    rateLimit: { perAddress: { limit: 100_000, window: '1 minute' } },
    hooksBefore: ['healthBefore'],
    environment: 'development'
  })
  app.get('/open', { config: open }, async () => '')
  app.get('/orders/:id', { config: { scope: 'a' } }, async () => '')
  app.post('/body', { config: open, bodyLimit: 100 }, async () => '')
  app.get('/fails', { config: open }, async () => { throw new Error('no') })
  app.get('/waits', { config: open }, async () => { await wait(); return '' })
  app.get('/large', { config: open }, async () => large)
  app.get('/hijacked', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
  app.get('/destroyed', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.destroy() })
  listeners(app)
  await app.ready()
  const count = counted(t, app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, transport, events, waiting, count, port: (app.server.address() as AddressInfo).port }
}

/** What the trail says of an ending, as one text. */
function saying ({ action, outcome, status, reason, method, route, event }: AuditEvent): string {
  const kind = event === 'api_connection_closed' ? ['closed'] : []
  return [...kind, status, outcome, action, method === '' ? '-' : method, route ?? '-', reason ?? '-'].join(' | ')
}

async function dial ({ transport, port }: Running): Promise<Socket> {
  const socket = transport.tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    : connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, transport.tls ? 'secureConnect' : 'connect')
  return socket
}

/** Bytes on a connection of their own, and what comes until the server closes it. */
async function send (running: Running, bytes: string): Promise<string> {
  const socket = await dial(running)
  socket.write(bytes)
  return await text(socket).catch(() => '')
}

/** Leaves when the server has come to the place where it waits. */
async function leave (running: Running, bytes: string, requests = 1): Promise<void> {
  const socket = await dial(running)
  const before = running.count()
  socket.write(bytes)
  await until(() => running.waiting.length > 0 && running.count() === before + requests, 'the request that waits')
  socket.destroy()
  await until(() => running.events.length >= requests, 'its event')
  running.waiting.pop()?.()
}

const get = (path: string, method = 'GET', more = '') => `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`
const post = (body: string, more = `Content-Length: ${body.length}\r\n`, type = 'application/json') =>
  `POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\n${more}\r\n${body}`

type Ending = readonly [says: readonly string[] | string, act: (running: Running) => Promise<unknown>]
const bytes = (text: string) => async (running: Running) => await send(running, text)
const long = `/orders/${'x'.repeat(101)}`

/** Every way over HTTP/1.1, and what the trail says: one event for each request. */
const endings: Readonly<Record<string, Ending>> = {
  'an answer': ['200 | allowed | GET /open | GET | /open | -', bytes(get('/open'))],
  'a refusal': ['401 | denied | GET /orders/:id | GET | /orders/:id | SECURE_API_UNAUTHENTICATED', bytes(get('/orders/1'))],
  'no route': ['404 | denied | GET unknown route | GET | - | -', bytes(get('/nowhere'))],
  'no method': ['405 | denied | PUT unknown route | PUT | - | SECURE_API_METHOD_NOT_ALLOWED', bytes(get('/open', 'PUT'))],
  'a handler that throws': ['500 | failed | GET /fails | GET | /fails | -', bytes(get('/fails'))],
  hijacked: ['200 | allowed | GET /hijacked | GET | /hijacked | -', bytes(get('/hijacked'))],
  destroyed: ['499 | aborted | GET /destroyed | GET | /destroyed | client-aborted', bytes(get('/destroyed'))],
  'no JSON': ['400 | denied | POST /body | POST | /body | -', bytes(post('{'))],
  'another type': ['415 | denied | POST /body | POST | /body | -', bytes(post('a', undefined, 'text/csv'))],
  'a body that is too long': ['413 | denied | POST /body | POST | /body | -', bytes(post(`"${'x'.repeat(200)}"`))],
  'a chunk that cannot be read': ['400 | denied | POST /body | POST | /body | SECURE_API_REQUEST_MALFORMED',
    bytes(post('zz\r\n', 'Transfer-Encoding: chunked\r\n'))],
  'a bad URL': ['400 | denied | malformed request | GET | - | SECURE_API_REQUEST_URL', bytes(get('/%zz'))],
  'a parameter that is too long': ['414 | denied | malformed request | GET | - | SECURE_API_REQUEST_PARAMETER_TOO_LONG', bytes(get(long))],
  'no host': ['400 | denied | malformed request | GET | - | SECURE_API_REQUEST_HOST',
    bytes('GET /open HTTP/1.1\r\nConnection: close\r\n\r\n')],
  'another expectation': ['417 | denied | malformed request | GET | - | SECURE_API_REQUEST_EXPECTATION',
    bytes(get('/open', 'GET', 'Expect: tea\r\n'))],
  'no HTTP': ['400 | denied | malformed request | - | - | SECURE_API_REQUEST_MALFORMED', bytes('HELLO\r\n\r\n')],
  'HTTP/2 without an agreement': ['400 | denied | malformed request | - | - | SECURE_API_REQUEST_MALFORMED',
    bytes('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  'long headers': ['431 | denied | malformed request | - | - | SECURE_API_REQUEST_HEADERS_TOO_LARGE',
    bytes(get('/open', 'GET', `X-A: ${'a'.repeat(20_000)}\r\n`))],
  'a tunnel': ['405 | denied | connect | CONNECT | - | SECURE_API_METHOD_NOT_ALLOWED', bytes(get('a:443', 'CONNECT'))],
  'h2c without listeners': ['200 | allowed | GET /open | GET | /open | -',
    bytes('GET /open HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n')],
  'an earlier hook lets in': ['200 | allowed | answered before the suite | GET | - | -', bytes(get('/before?status=200'))],
  'an earlier hook refuses': ['401 | denied | answered before the suite | GET | - | -', bytes(get('/before?status=401'))],
  'an earlier hook throws': ['500 | failed | answered before the suite | GET | - | -', bytes(get('/before-throws'))],
  'an earlier hook hijacks': ['200 | allowed | answered before the suite | GET | - | -', bytes(get('/before-hijacks'))],
  'left while an earlier hook waits': ['499 | aborted | answered before the suite | GET | - | client-aborted',
    async running => { await leave(running, get('/before-waits')) }],
  'left while a large answer is on its way': ['499 | aborted | GET /large | GET | /large | client-aborted', async running => {
    const socket = await dial(running)
    const before = running.count()
    socket.pause().write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => running.count() > before, 'the request')
    await once(socket, 'readable')
    socket.destroy() // with bytes unread: that resets the connection
  }],
  'left while the handler waits': ['499 | aborted | GET /waits | GET | /waits | client-aborted',
    async running => { await leave(running, get('/waits')) }],
  'an answer that waits behind another one': [
    ['499 | aborted | GET /waits | GET | /waits | client-aborted', '499 | aborted | GET /open | GET | /open | client-aborted',
      '499 | aborted | answered before the suite | GET | - | client-aborted'],
    async running => {
      const slow = 'GET /waits HTTP/1.1\r\nHost: a\r\n\r\n'
      await leave(running, `${slow}GET /open HTTP/1.1\r\nHost: a\r\n\r\n${get('/before?status=200')}`, 3)
    }
  ],
  'a tunnel behind a request': [
    ['405 | denied | connect | CONNECT | - | SECURE_API_METHOD_NOT_ALLOWED', '499 | aborted | GET /waits | GET | /waits | client-aborted'],
    async running => {
      const socket = await dial(running)
      const closed = once(socket.resume(), 'close')
      socket.write('GET /waits HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => running.waiting.length > 0, 'the request that waits')
      socket.write(get('a:443', 'CONNECT'))
      await closed
      running.waiting.pop()?.()
    }
  ],
  'more requests than a connection may have': [
    ['200 | allowed | GET /open | GET | /open | -', '503 | failed | answered before the suite | GET | - | -'],
    async running => {
      running.app.server.maxRequestsPerSocket = 1
      await send(running, `GET /open HTTP/1.1\r\nHost: a\r\n\r\n${get('/open')}`)
      running.app.server.maxRequestsPerSocket = 0
    }
  ]
}

async function session ({ port }: Running): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {})
  await once(session, 'connect')
  return session
}

function stream (path: string, more: object = {}) {
  return async (running: Running) => {
    const client = await session(running)
    const stream = client.request({ ':path': path, ...more }).on('error', () => {})
    stream.resume()
    await once(stream, 'close')
    client.close()
  }
}

const reset = (path: string) => async (running: Running) => {
  const client = await session(running)
  const stream = client.request({ ':path': path }).on('error', () => {})
  await until(() => running.waiting.length > 0, 'the stream that waits')
  stream.close(constants.NGHTTP2_CANCEL)
  await once(stream, 'close')
  client.close()
  await until(() => running.events.length > 0, 'its event')
  running.waiting.pop()?.()
}

/** Those over HTTP/2 that have a way of their own there. */
const endings2: Readonly<Record<string, Ending>> = {
  'an answer': ['200 | allowed | GET /open | GET | /open | -', stream('/open')],
  'a refusal': ['401 | denied | GET /orders/:id | GET | /orders/:id | SECURE_API_UNAUTHENTICATED', stream('/orders/1')],
  'a method that nobody knows': ['404 | denied | answered before the suite | - | - | -', stream('/open', { ':method': 'MY-SECRET' })],
  'a bad URL': ['400 | denied | malformed request | GET | - | SECURE_API_REQUEST_URL', stream('/%zz')],
  'a parameter that is too long': ['414 | denied | malformed request | GET | - | SECURE_API_REQUEST_PARAMETER_TOO_LONG', stream(long)],
  'another expectation': ['417 | denied | malformed request | GET | - | SECURE_API_REQUEST_EXPECTATION',
    stream('/open', { expect: 'tea' })],
  'an expectation that Node knows': ['200 | allowed | GET /open | GET | /open | -', stream('/open', { expect: '100-continue' })],
  'a tunnel': ['405 | denied | connect | CONNECT | - | SECURE_API_METHOD_NOT_ALLOWED', async running => {
    const client = await session(running)
    const stream = client.request({ ':method': 'CONNECT', ':authority': 'a:443' }).on('error', () => {})
    const [headers] = await once(stream, 'response')
    t.strictSame([headers[':status'], typeof headers['x-content-type-options']], [405, 'string'])
    stream.destroy()
    client.close()
  }],
  'an earlier hook lets in': ['200 | allowed | answered before the suite | GET | - | -', stream('/before?status=200')],
  'an earlier hook refuses': ['403 | denied | answered before the suite | GET | - | -', stream('/before?status=403')],
  'left while an earlier hook waits': ['499 | aborted | answered before the suite | GET | - | client-aborted', reset('/before-waits')],
  'left while the handler waits': ['499 | aborted | GET /waits | GET | /waits | client-aborted', reset('/waits')],
  'the connection ends': ['499 | aborted | GET /waits | GET | /waits | client-aborted', async running => {
    const client = await session(running)
    client.request({ ':path': '/waits' }).on('error', () => {})
    await until(() => running.waiting.length > 0, 'the stream that waits')
    client.destroy()
    await until(() => running.events.length > 0, 'its event')
    running.waiting.pop()?.()
  }]
}

/** HTTP/1.1 on a server of HTTP/2, where Node asks for a host since version 24. */
const asksForHost = Number(process.versions.node.split('.')[0]) >= 24
const overAnother: Readonly<Record<string, Ending>> = {
  'an answer over HTTP/1.1': endings['an answer'] as Ending,
  'no host': asksForHost
    ? endings['no host'] as Ending
    : ['200 | allowed | GET /open | GET | /open | -', bytes('GET /open HTTP/1.1\r\nConnection: close\r\n\r\n')],
  'a bad URL over HTTP/1.1': endings['a bad URL'] as Ending,
  'a tunnel over HTTP/1.1': endings['a tunnel'] as Ending,
  'another expectation over HTTP/1.1': endings['another expectation'] as Ending
}

/** One after the other; then as many events as the server has counted requests. */
async function check (t: Test, running: Running, all: Readonly<Record<string, Ending>>, closings = 0): Promise<void> {
  const { app, events, count } = running
  let told = 0
  for (const [name, [says, act]] of Object.entries(all)) {
    const expected = [says].flat().sort()
    events.length = 0
    await act(running)
    const isThere = () => events.length >= expected.length
    await until(isThere, `the event of: ${name}`).catch(() => {})
    t.strictSame(events.map(saying).sort(), expected, name)
    t.ok(events.every(({ address, durationMs }) => address === '127.0.0.1' && durationMs >= 0), `${name}: from where, and how long`)
    told += events.length
  }
  events.length = 0
  await app.close()
  told += events.length
  t.equal(told, count() + closings, 'one event for each request that the server has counted')
}

for (const transport of transports) {
  t.test(`19: ${transport.name}: every way to end is exactly one event`, async t => {
    const running = await start(t, { transport })
    await check(t, running, transport.http2 ? { ...endings, ...endings2, ...overAnother } : endings)
  })
}

t.test('19: 503 while the server closes is in the trail', async t => {
  const running = await start(t, { transport: { name: '', http2: false, tls: false } })
  const { app, events, waiting, count } = running
  const [waits, late] = [await dial(running), await dial(running)]
  const received = [text(waits), text(late)]
  waits.write('GET /waits HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => waiting.length > 0, 'the request')
  const closed = app.close()
  await until(() => !app.server.listening, 'the closing')
  late.write(get('/open'))
  waits.write(get('/open'))
  await until(() => count() === 3, 'the other requests')
  await received[1]
  waiting.pop()?.()
  await received[0]
  await closed
  const refused = '503 | failed | answered before the suite | GET | - | SECURE_API_SERVER_CLOSING'
  t.strictSame(events.map(saying), [refused, '200 | allowed | GET /waits | GET | /waits | -', refused])
})

/** Sends these bytes; the server's patience ends when it has read them, however long that took: Node counts from the connection on. */
const slow = (patience: 'headersTimeout' | 'requestTimeout', bytes: string) => async (running: Running) => {
  const { server } = running.app
  const usual = server[patience]
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const answer = send(running, bytes)
  const [socket] = await accepted
  await until(() => socket.bytesRead === bytes.length, 'the bytes')
  server[patience] = 1
  await answer
  server[patience] = usual
}

t.test('19: who is too slow has one event, with the route if there was one', async t => {
  const running = await start(t, {
    transport: { name: '', http2: false, tls: false },
    server: { http: { connectionsCheckingInterval: 20 } }
  })
  await check(t, running, {
    'slow headers': ['408 | denied | malformed request | - | - | SECURE_API_REQUEST_TIMEOUT',
      slow('headersTimeout', 'GET /open HTTP/1.1\r\nHost')],
    'a slow body': ['408 | denied | POST /body | POST | /body | SECURE_API_REQUEST_TIMEOUT',
      slow('requestTimeout', post('{', 'Content-Length: 10\r\n'))]
  })
})

/** Accepts, refuses or ends a handshake, on the connection or by way of the routes. */
function listeners (app: FastifyInstance): void {
  app.get('/socket', { config: open }, (request, reply) => {
    reply.hijack()
    accept(request.raw.socket)
  })
  const accept = (socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.on('data', () => socket.end())
  }
  app.server.on('upgrade', (request, socket: Socket) => {
    socket.on('error', () => {})
    if (request.url === '/foreign') accept(socket)
    else if (request.url === '/foreign-refused') socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    else if (request.url === '/foreign-silent') socket.destroy()
    else {
      const response = new ServerResponse(request)
      response.assignSocket(socket)
      app.routing(request, response)
    }
  })
  app.server.on('connect', (request, socket: Socket) => {
    if (request.url === 'b:1') socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    else {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.on('data', () => socket.end())
    }
  })
}

const shake = (path: string, then = '') => async (running: Running) => {
  const socket = await dial(running)
  let received = ''
  socket.on('data', chunk => { received += String(chunk) })
  const closed = once(socket, 'close')
  socket.write(handshake({ path }))
  if (then !== '') {
    await until(() => received.includes('\r\n\r\n'), 'the answer')
    socket.write(closeFrame)
  }
  await closed
}

t.test('19: handshakes: one event each, two for a connection that is accepted', async t => {
  const running = await start(t, { transport: { name: '', http2: false, tls: false }, listeners })
  const foreign = 'answered before the suite | GET | - | -'
  await check(t, running, {
    'accepted by a route': [['101 | allowed | GET /socket | GET | /socket | -', 'closed | 101 | allowed | GET /socket | GET | /socket | -'],
      shake('/socket', 'close')],
    'refused by a guard': ['401 | denied | GET /orders/:id | GET | /orders/:id | SECURE_API_UNAUTHENTICATED', shake('/orders/1')],
    'a handler that throws': ['500 | failed | GET /fails | GET | /fails | -', shake('/fails')],
    'no route': ['404 | denied | GET unknown route | GET | - | -', shake('/nowhere')],
    'a bad URL': ['400 | denied | answered before the suite | GET | - | -', shake('/%zz')],
    'an earlier hook': ['403 | denied | answered before the suite | GET | - | -', shake('/before?status=403')],
    'accepted by a listener': [[`101 | allowed | ${foreign}`, `closed | 101 | allowed | ${foreign}`], shake('/foreign', 'close')],
    'refused by a listener': [`403 | denied | ${foreign}`, shake('/foreign-refused')],
    'a listener that says nothing': ['499 | aborted | answered before the suite | GET | - | client-aborted', shake('/foreign-silent')],
    'a tunnel of a listener': [['200 | allowed | answered before the suite | CONNECT | - | -',
      'closed | 200 | allowed | answered before the suite | CONNECT | - | -'],
    async running => {
      const socket = await dial(running)
      socket.write(get('a:1', 'CONNECT'))
      await once(socket, 'data')
      socket.write('x')
      await once(socket, 'close')
    }],
    'a tunnel that a listener refuses': ['502 | failed | answered before the suite | CONNECT | - | -', bytes(get('b:1', 'CONNECT'))],
    'an ordinary request': ['200 | allowed | GET /open | GET | /open | -', bytes(get('/open'))]
  }, 3)
})
