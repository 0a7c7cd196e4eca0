import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import secureApi, {
  audit, authentication, authorization, cors, headers, methodNotAllowed, rateLimit,
  secureServer
} from '../../plugins/index.ts'
import { bearer, missingHeaders, startIssuer, until } from '../helpers/server.ts'
import { Certificates } from '../lib/server/certificates.ts'

const origin = 'https://app.example.com'
const issuer = await startIssuer(t)
// In production, where HSTS is sent: the issuer has to be an https address there, and its keys are given.
const environment = 'production'
const iss = 'https://login.example.com'
const auth = { issuer: iss, audience: issuer.audience, jwks: issuer.jwks as { keys: object[] } }
const { cert, key } = new Certificates(t.testdir({})).issue()
const sink = () => {}
const open = { public: true } as const

const plugins: Readonly<Record<string, (app: FastifyInstance) => PromiseLike<unknown>>> = {
  suite: app => app.register(secureApi, { auth, cors: { origins: [origin] }, audit: { sink }, environment }),
  authentication: app => app.register(authentication, { ...auth, environment }),
  authorization: app => app.register(authorization, {}),
  rateLimit: app => app.register(rateLimit, {}),
  headers: app => app.register(headers, { environment }),
  cors: app => app.register(cors, { origins: [origin], environment }),
  method: app => app.register(methodNotAllowed),
  audit: app => app.register(audit, { sink })
}

const single = ['authentication', 'authorization', 'rateLimit', 'headers', 'cors', 'method', 'audit']
const orders: readonly (readonly string[])[] = [['suite'], single, single.toReversed(), [...single.slice(4), ...single.slice(0, 4)]]

interface Slow { entered: boolean, release: () => void }

function routes (app: FastifyInstance, slow: Slow): void {
  const schema = { body: { type: 'object', required: ['item'] } }
  app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  app.post('/orders', { config: { scope: 'api.write' }, bodyLimit: 100, schema }, async (_request, reply) => reply.code(201).send({}))
  app.delete('/orders/:id', { config: { scope: 'api.write' } }, async (_request, reply) => reply.code(204).send())
  app.get('/same', { config: open }, async (_request, reply) => reply.code(304).send())
  app.get('/once', { config: { ...open, rateLimit: { limit: 1, window: '1 minute' } } }, async () => '')
  app.get('/fails', { config: open }, async () => { throw new Error('no') })
  app.get('/down', { config: open }, async () => { throw Object.assign(new Error('no'), { statusCode: 503 }) })
  app.get('/stream', { config: open }, async (_request, reply) => reply.send(Readable.from(['a', 'b'])))
  app.get('/hijacked', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
  app.get('/written', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.writeHead(203, { 'x-own': '1' }).end() })
  app.get('/slow', { config: open }, async () => {
    await hold(slow)
    return ''
  })
}

interface Kind {
  readonly name: string
  readonly method?: string
  readonly path: string
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Answered before any hook: no origin is looked at. */
  readonly edge?: true
  /** A handler's own answer, public or written past Fastify: nothing is said of caches. */
  readonly cacheable?: true
}

const reader = bearer(issuer, { iss, scope: 'api.read' })
const writer = { ...bearer(issuer, { iss, scope: 'api.write' }), 'content-type': 'application/json' }
const kinds: readonly Kind[] = [
  { name: '200', path: '/orders', headers: reader, status: 200 },
  { name: 'HEAD', method: 'HEAD', path: '/orders', headers: reader, status: 200 },
  { name: '201', method: 'POST', path: '/orders', headers: writer, body: '{"item":1}', status: 201 },
  { name: '204', method: 'DELETE', path: '/orders/1', headers: bearer(issuer, { iss, scope: 'api.write' }), status: 204 },
  { name: '304', path: '/same', status: 304, cacheable: true },
  { name: '400 no JSON', method: 'POST', path: '/orders', headers: writer, body: '{', status: 400 },
  { name: '400 schema', method: 'POST', path: '/orders', headers: writer, body: '{}', status: 400 },
  { name: '401', path: '/orders', status: 401 },
  { name: '401 HEAD', method: 'HEAD', path: '/orders', status: 401 },
  { name: '403', method: 'POST', path: '/orders', headers: { ...writer, ...reader }, body: '{"item":1}', status: 403 },
  { name: '404', path: '/nowhere', status: 404 },
  { name: '405', method: 'PUT', path: '/orders', status: 405 },
  { name: '413', method: 'POST', path: '/orders', headers: writer, body: JSON.stringify({ item: 'x'.repeat(200) }), status: 413 },
  { name: '415', method: 'POST', path: '/orders', headers: { ...writer, 'content-type': 'text/csv' }, body: 'a,b', status: 415 },
  { name: 'within the limit', path: '/once', status: 200, cacheable: true },
  { name: '429', path: '/once', status: 429 },
  { name: '500', path: '/fails', status: 500 },
  { name: '503', path: '/down', status: 503 },
  { name: 'stream', path: '/stream', status: 200, cacheable: true },
  { name: 'hijacked', path: '/hijacked', status: 200, cacheable: true },
  { name: 'raw writeHead', path: '/written', status: 203, cacheable: true },
  { name: '400 bad URL', path: '/%zz', status: 400, edge: true },
  { name: '414', method: 'DELETE', path: `/orders/${'x'.repeat(101)}`, status: 414, edge: true }
]

/** What is no request at all; HTTP/1.1 only, as HTTP/2 has frames in their place. */
const broken: ReadonlyArray<readonly [name: string, status: number, bytes: string]> = [
  ['malformed', 400, 'HELLO\r\n\r\n'],
  ['missing Host', 400, 'GET /orders HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['431', 431, `GET /orders HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['417', 417, 'GET /orders HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n']
]

interface Answer { readonly status: number, readonly headers: Readonly<Record<string, unknown>>, readonly body: string }
interface Transport { readonly http2: boolean, readonly tls: boolean }
interface Address extends Transport { readonly host: string, readonly port: number }

function parse (received: string): Answer {
  const [head = '', body = ''] = received.split('\r\n\r\n', 2)
  const [line = '', ...fields] = head.split('\r\n')
  return {
    status: Number(line.split(' ')[1]),
    headers: Object.fromEntries(fields.map(field =>
      [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 2)])),
    body
  }
}

function open1 ({ host, port, tls }: Address) {
  return tls ? connectTls({ port, host, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }) : connect(port, host)
}

function open2 ({ host, port, tls }: Address): ClientHttp2Session {
  return connectHttp2(`http${tls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`, { rejectUnauthorized: false })
}

function bytesOf ({ method = 'GET', path, headers = {}, body = '' }: Kind): string {
  const all = {
    host: 'a',
    origin,
    connection: 'close',
    ...(body === '' ? undefined : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers
  }
  return [`${method} ${path} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`), '', body].join('\r\n')
}

async function overHttp1 (address: Address, bytes: string): Promise<Answer> {
  const socket = open1(address)
  socket.write(bytes) // not end(): Node takes a half-closed connection for a caller that has left
  return parse(await text(socket))
}

async function overHttp2 (address: Address, kind: Kind): Promise<Answer> {
  const session = open2(address)
  const answer = await streamed(session, kind)
  session.close()
  return answer
}

async function streamed (session: ClientHttp2Session, { method = 'GET', path, headers = {}, body = '' }: Omit<Kind,
  'name' | 'status'>): Promise<Answer> {
  const stream = session.request({ ':method': method, ':path': path, origin, ...headers }, { endStream: body === '' })
  if (body !== '') stream.end(body)
  const [answer] = await once(stream, 'response') as [IncomingHttpHeaders & { ':status'?: number }]
  return { status: answer[':status'] ?? 0, headers: answer, body: await text(stream) }
}

/** A stream of a session that was open before the application closes; hooks of the application hold the closing up. */
async function whileClosing2 (app: FastifyInstance, address: Address, slow: Slow): Promise<Answer> {
  const session = open2(address)
  await streamed(session, { path: '/same' })
  const closed = app.close()
  await until(() => slow.entered, 'the closing')
  const answer = await streamed(session, { path: '/orders' })
  slow.release()
  session.close()
  await closed
  return answer
}

/** A first request on a connection that was open before, while another request holds the closing up. */
async function whileClosing1 (app: FastifyInstance, address: Address, slow: Slow): Promise<Answer> {
  const socket = open1(address)
  await once(socket, address.tls ? 'secureConnect' : 'connect')
  const busy = open1(address)
  busy.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => slow.entered, 'the slow request')
  const closed = app.close()
  await until(() => !app.server.listening, 'the closing')
  socket.write('GET /orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const answer = await text(socket)
  slow.release()
  await Promise.all([text(busy), closed])
  return parse(answer)
}

/** What is wrong with an answer; empty if nothing is. */
function faults ({ status, headers }: Answer, kind: Pick<Kind, 'status' | 'edge' | 'cacheable'>, tls: boolean): string {
  const readable = headers['access-control-allow-origin'] === origin && String(headers.vary).includes('Origin')
  return [
    status === kind.status ? '' : `status ${status}`,
    ...missingHeaders(headers),
    headers['strict-transport-security'] === (tls ? 'max-age=31536000; includeSubDomains' : undefined)
      ? ''
      : `HSTS ${String(headers['strict-transport-security'])}`,
    kind.edge === true || readable ? '' : 'CORS',
    kind.cacheable === true || String(headers['cache-control']).includes('no-store') ? '' : 'no-store'
  ].filter(fault => fault !== '').join(', ')
}

interface Row { readonly run: string, readonly kind: string, readonly faults: string }

/** Over TLS by turns with the options of `secureServer()` and with those of Fastify alone. */
function serverOptions ({ http2, tls }: Transport, order: readonly string[]): object {
  if (!tls) return { http2 }
  return order === single ? { http2, https: { cert, key } } : secureServer({ tls: { cert, key }, http2: http2 as true })
}

async function start (order: readonly string[], host: string, transport: Transport, slow: Slow): Promise<{
  app: FastifyInstance,
  address: Address
}> {
  const app = Fastify(serverOptions(transport, order)) as FastifyInstance
  // Before the suite, so that its own hook has not been told yet.
  if (transport.http2) app.addHook('preClose', async () => await hold(slow))
  for (const name of order) await plugins[name]?.(app)
  routes(app, slow)
  await app.listen({ port: 0, host })
  const [address] = app.addresses()
  return { app, address: { ...transport, host, port: Number(typeof address === 'object' && address.port) } }
}

async function hold (slow: Slow): Promise<void> {
  slow.entered = true
  await new Promise<void>(resolve => { slow.release = resolve })
}

async function tableOf (order: readonly string[], host: string, transport: Transport): Promise<Row[]> {
  const slow: Slow = { entered: false, release: () => {} }
  const { app, address } = await start(order, host, transport, slow)
  const { http2, tls } = transport
  const run = `${describe(transport)} ${host} ${order.join('→')}`
  const rows: Row[] = []
  const add = (kind: string, found: string) => { rows.push({ run, kind, faults: found }) }
  for (const kind of kinds) {
    const answer = http2 ? await overHttp2(address, kind) : await overHttp1(address, bytesOf(kind))
    add(kind.name, faults(answer, kind, tls))
  }
  if (!http2) for (const [name, status, bytes] of broken) add(name, faults(await overHttp1(address, bytes), { status, edge: true }, tls))
  const closing = await (http2 ? whileClosing2 : whileClosing1)(app, address, slow)
  add('503 while closing', faults(closing, { status: 503, edge: true }, tls))
  add('its body', String(closing.headers['content-type']).startsWith('application/problem+json') &&
    JSON.parse(closing.body).code === 'SECURE_API_SERVER_CLOSING'
    ? ''
    : closing.body)
  return rows
}

function describe ({ http2, tls }: Transport): string {
  return `${http2 ? 'HTTP/2' : 'HTTP/1.1'}${tls ? ' over TLS' : ''}`
}

t.test('this machine has both loopback addresses', async t => {
  const found = Object.values(networkInterfaces()).flat().filter(found => found?.internal === true).map(found => found?.address)
  t.ok(found.includes('127.0.0.1') && found.includes('::1'), `without ::1 half of the table below cannot be tried: ${found.join(' ')}`)
})

const transports: readonly Transport[] = [false, true].flatMap(tls => [false, true].map(http2 => ({ http2, tls })))

for (const transport of transports) {
  for (const host of ['127.0.0.1', '::1']) {
    t.test(`every answer carries its headers: ${describe(transport)} on ${host}, whatever the order of registration`, async t => {
      for (const order of orders) {
        const rows = await tableOf(order, host, transport)
        const wrong = rows.filter(({ faults }) => faults !== '')
        if (wrong.length > 0) t.comment(rows.map(({ kind, faults }) => `${kind.padEnd(20)} ${faults === '' ? 'ok' : faults}`).join('\n'))
        t.strictSame(wrong, [], order.join(' → '))
        t.equal(rows.length, kinds.length + (transport.http2 ? 0 : broken.length) + 2)
      }
    })
  }
}
