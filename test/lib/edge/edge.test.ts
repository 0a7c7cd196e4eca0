import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import http from 'node:http'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { execFileSync } from 'node:child_process'
import dns from 'node:dns'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { text as read } from 'node:stream/consumers'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { compileHeaders } from '../../../lib/headers/index.ts'
import {
  callerBy, claim, edgePairsBy, edgeResponse, installEdge, overTls, type ClientErrorEvent, type Edge, type EdgeOptions
} from '../../../lib/edge/index.ts'

const table = compileHeaders({}, { environment: 'production', secure: true })
const names = table.headers.map(([name]) => name)

interface Raw { readonly status: number, readonly headers: string[], readonly body: string }

/** Sends bytes as they are, and reads until the server closes. */
async function exchange (connect: () => net.Socket, bytes: string): Promise<string> {
  const socket = connect()
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  socket.write(bytes)
  await new Promise<void>(resolve => { socket.on('close', () => { resolve() }).on('error', () => {}) })
  return Buffer.concat(chunks).toString('latin1')
}

function parse (text: string): Raw {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  const [status = '', ...lines] = head.split('\r\n')
  return { status: Number(status.split(' ')[1]), headers: lines.map(line => line.toLowerCase()), body }
}

const named = (raw: Raw, name: string) => raw.headers.filter(line => line.startsWith(`${name}:`))

function carries (t: Test, raw: Raw, label: string): void {
  for (const name of [...names, 'cache-control']) t.equal(named(raw, name).length, 1, `${label}: ${name}`)
}

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\n${['host: x', 'connection: close', ...headers].join('\r\n')}\r\n\r\n`

/** Answers that come before any hook, or without one. */
const early: Array<[label: string, bytes: string, status: number]> = [
  ['bad URL', get('/%zz'), 400],
  ['bad parameter', get('/items/%c3%28'), 400],
  ['parameter too long', get(`/items/${'x'.repeat(200)}`), 414],
  ['missing Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['unknown expectation', get('/', 'expect: foo'), 417]
]
const malformed: Array<[label: string, bytes: string, status: number]> = [
  ['not HTTP', 'garbage\r\n\r\n', 400],
  ['unknown method', 'BREW / HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ['bad header', 'GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', 400],
  ['both lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n', 400],
  ['headers too large', get('/', `x-large: ${'x'.repeat(20_000)}`), 431]
]

interface Running { readonly app: FastifyInstance, readonly edge: Edge, readonly port: number }

async function start (t: Test, options: FastifyServerOptions = {}, edgeOptions: Partial<EdgeOptions> = {},
  host = 'localhost'): Promise<Running> {
  const app = Fastify({ ...options, forceCloseConnections: true }) as FastifyInstance
  app.get('/', async () => ({ ok: true }))
  app.get('/items/:id', async () => ({ ok: true }))
  app.get('/claimed', async (_, reply) => {
    claim(reply.raw)
    return { ok: true }
  })
  app.get('/begun', (_, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-length': '1000' })
    reply.raw.write('begun')
  })
  const edge = installEdge(app.server, { table, ...edgeOptions })
  await app.listen({ port: 0, host })
  t.teardown(async () => {
    edge.dispose()
    await app.close()
  })
  return { app, edge, port: (app.server.address() as AddressInfo).port }
}

function addresses (app: FastifyInstance): string[] {
  return (app.addresses() as AddressInfo[]).map(({ address }) => address)
}

/** Fastify asks for all addresses of localhost, and makes a server for each: here always both. Node 22 asks for those of `::1` too. */
const has6 = Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))
const { lookup } = dns
t.intercept(dns, 'lookup', {
  value: (host: string, ...rest: [dns.LookupAllOptions, (error: null, addresses: dns.LookupAddress[]) => void]) => {
    const [options, callback] = rest
    if (host !== 'localhost' || options.all !== true) return (lookup as (...parts: unknown[]) => void)(host, ...rest)
    callback(null, [{ address: '127.0.0.1', family: 4 }, ...has6 ? [{ address: '::1', family: 6 }] : []])
  }
})

t.test('every socket of localhost, HTTP/1.1', async t => {
  const { app, port } = await start(t)
  const hosts = addresses(app)
  t.ok(hosts.includes('127.0.0.1'))
  t.equal(hosts.includes('::1'), has6, 'the second server is tested too, where the machine has IPv6')
  for (const host of hosts) {
    const connect = () => net.connect(port, host)
    for (const [label, bytes, status] of [...early, ...malformed]) {
      const raw = parse(await exchange(connect, bytes))
      t.equal(raw.status, status, `${host} ${label}`)
      carries(t, raw, `${host} ${label}`)
      t.equal(named(raw, 'strict-transport-security').length, 0, 'not over http')
    }
    const plain = parse(await exchange(connect, get('/')))
    t.equal(plain.status, 200)
    for (const name of names) t.equal(named(plain, name).length, 0, 'what a hook sees is the hook\'s')
  }
})

t.test('answers of the parser are problem documents', async t => {
  const events: ClientErrorEvent[] = []
  const { port } = await start(t, {}, { onClientError: event => { events.push(event) } }, '127.0.0.1')
  const codes = ['SECURE_API_REQUEST_MALFORMED', 'SECURE_API_REQUEST_MALFORMED', 'SECURE_API_REQUEST_MALFORMED',
    'SECURE_API_REQUEST_MALFORMED', 'SECURE_API_REQUEST_HEADERS_TOO_LARGE']
  for (const [index, [label, bytes]] of malformed.entries()) {
    const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), bytes))
    t.same(named(raw, 'content-type'), ['content-type: application/problem+json; charset=utf-8'], label)
    t.same(named(raw, 'content-length'), [`content-length: ${raw.body.length}`])
    t.equal(named(raw, 'date').length, 1)
    t.equal(JSON.parse(raw.body).code, codes[index])
  }
  t.same(events.map(({ status }) => status), malformed.map(([,, status]) => status))
  for (const { reason, address } of events) {
    t.match(reason, /^HPE_/)
    t.equal(address, '127.0.0.1')
  }
})

t.test('19: CONNECT is answered 405 with the headers, unless the application has a listener for it', async t => {
  const events: ClientErrorEvent[] = []
  const tunnels: string[] = []
  const { app, port } = await start(t, {}, {
    onClientError: event => { events.push(event) }, onConnect: ({ url = '' }) => { tunnels.push(url) }
  }, '127.0.0.1')
  const tunnel = 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n'
  const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), tunnel))
  t.equal(raw.status, 405)
  for (const name of names) t.equal(named(raw, name).length, 1, name)
  t.same(named(raw, 'allow'), ['allow: '])
  t.match(events, [{ status: 405, reason: 'CONNECT', address: '127.0.0.1', answered: true, request: undefined }])
  app.server.on('connect', (_request, socket) => { socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n') })
  t.equal(parse(await exchange(() => net.connect(port, '127.0.0.1'), tunnel)).status, 502)
  t.strictSame([tunnels, events.length], [['a:443'], 1])
})

t.test('a slow request is answered 408', async t => {
  const { port } = await start(t, {
    http: {
      connectionsCheckingInterval: 20,
      headersTimeout: 50,
      requestTimeout: 50
    }
  } as FastifyServerOptions, {}, '127.0.0.1')
  const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), 'GET / HTTP/1.1\r\nhost: x\r\n'))
  t.equal(raw.status, 408)
  carries(t, raw, 'timeout')
})

t.test('a claimed response is left alone, also when it looked suspicious', async t => {
  const { port } = await start(t, {}, {}, '127.0.0.1')
  const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), get('/claimed?q=%20')))
  t.equal(raw.status, 200)
  for (const name of names) t.equal(named(raw, name).length, 0, name)
  t.doesNotThrow(() => { claim({}) })
})

t.test('headers that are there are kept', async t => {
  const { app, port } = await start(t, {}, {}, '127.0.0.1')
  app.server.prependListener('request', (_: http.IncomingMessage, response: http.ServerResponse) => {
    response.setHeader('x-frame-options', 'SAMEORIGIN')
  })
  const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), get('/%zz')))
  t.same(named(raw, 'x-frame-options'), ['x-frame-options: sameorigin'])
})

t.test('503 while closing', async t => {
  const app = Fastify()
  const edge = installEdge(app.server, { table })
  const started = deferred()
  const released = deferred()
  app.addHook('preClose', async () => { edge.closing() })
  app.get('/slow', async () => {
    started.resolve()
    await released.promise
    return 'late'
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  let socket = new net.Socket()
  const answers = exchange(() => (socket = net.connect(port, '127.0.0.1')), 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
  await started.promise
  const closed = app.close()
  await new Promise(resolve => { setImmediate(resolve) })
  const received = new Promise(resolve => { app.server.once('request', resolve) })
  socket.write(get('/'))
  await received
  released.resolve()
  const text = await answers
  await closed
  edge.dispose()
  const raw = parse(text.slice(text.indexOf('HTTP/1.1 503')))
  t.equal(raw.status, 503)
  carries(t, raw, 'closing')
})

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}

t.test('taken off again', async t => {
  const { app, edge, port } = await start(t, {}, {}, 'localhost')
  await exchange(() => net.connect(port, '127.0.0.1'), get('/%zz'))
  const count = app.server.listenerCount('clientError')
  edge.dispose()
  edge.dispose()
  t.equal(app.server.listenerCount('clientError'), count - 1)
  const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), get('/%zz')))
  t.equal(raw.status, 400)
  t.equal(named(raw, 'x-frame-options').length, 0)
})

t.test('servers of others are left alone', async t => {
  const tool = () => {}
  const app = Fastify()
  app.server.on('request', tool)
  const edge = installEdge(app.server, { table })
  t.teardown(() => { edge.dispose() })
  const other = http.createServer((_, response) => { response.end('other') }).on('request', tool)
  await new Promise<void>(resolve => { other.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { other.close() })
  const { port } = other.address() as AddressInfo
  for (const bytes of [get('/%zz'), 'garbage\r\n\r\n']) {
    const raw = parse(await exchange(() => net.connect(port, '127.0.0.1'), bytes))
    t.equal(named(raw, 'x-frame-options').length, 0)
  }
  t.equal(other.listenerCount('clientError'), 0)
})

t.test('a clientErrorHandler of the application keeps its place', async t => {
  const { port } = await start(t, { clientErrorHandler: (_, socket) => { socket.end('HTTP/1.1 400 Mine\r\n\r\n') } }, {}, '127.0.0.1')
  t.equal(await exchange(() => net.connect(port, '127.0.0.1'), 'garbage\r\n\r\n'), 'HTTP/1.1 400 Mine\r\n\r\n')
})

t.test('no second head on a connection whose answer has begun', async t => {
  const { port } = await start(t, {}, {}, '127.0.0.1')
  const text = await exchange(() => {
    const socket = net.connect(port, '127.0.0.1')
    return socket.once('data', () => { socket.write('garbage\r\n\r\n') })
  }, 'GET /begun HTTP/1.1\r\nhost: x\r\n\r\n')
  t.match(text, /^HTTP\/1\.1 200 /)
  t.notOk(text.includes('HTTP/1.1 400'), text)
})

const certificate = selfSigned(t)

function selfSigned (t: Test): { key: Buffer, cert: Buffer } {
  const folder = t.testdir({})
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
    '/CN=localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')], { stdio: 'ignore' })
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) }
}

t.test('TLS', async t => {
  const { app, port } = await start(t, { https: certificate } as FastifyServerOptions)
  for (const address of addresses(app)) {
    const connect = () => tls.connect({ port, host: address, rejectUnauthorized: false })
    for (const [label, bytes, status] of [...early, ...malformed]) {
      const raw = parse(await exchange(connect, bytes))
      t.equal(raw.status, status, `${address} ${label}`)
      carries(t, raw, `${address} ${label}`)
      t.equal(named(raw, 'strict-transport-security').length, 1, 'over TLS')
    }
    t.equal(await exchange(() => net.connect(port, address), get('/')), '', 'plain http on the TLS port is closed')
  }
})

t.test('HTTP/2', async t => {
  const { app, edge, port } = await start(t, { http2: true, https: { ...certificate, allowHTTP1: true } } as FastifyServerOptions)
  const ask = async (session: http2.ClientHttp2Session, path: string, headers: object = {}) => {
    const stream = session.request({ ':path': path, ...headers })
    stream.resume()
    const [head] = await once(stream, 'response') as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
    return head
  }
  for (const address of addresses(app)) {
    const session = http2.connect(`https://${address.includes(':') ? `[${address}]` : address}:${port}`, { rejectUnauthorized: false })
    for (const [path, status, headers] of [['/%zz', 400], [`/items/${'x'.repeat(200)}`, 414], ['/', 417, { expect: 'foo' }]] as const) {
      const answer = await ask(session, path, headers)
      t.equal(answer[':status'], status, `${address} ${path}`)
      for (const name of [...names, 'cache-control', 'strict-transport-security']) t.ok(answer[name], `${address} ${path} ${name}`)
    }
    t.equal((await ask(session, '/'))['x-frame-options'], undefined)
    t.match(JSON.parse(await read(session.request({ ':path': '/', expect: 'foo' }))),
      { status: 417, code: 'SECURE_API_REQUEST_EXPECTATION' })
    session.close()
    const raw = parse(await exchange(() => tls.connect({ port, host: address, rejectUnauthorized: false }), get('/%zz')))
    carries(t, raw, `${address} HTTP/1.1 on the same port`)
  }
  edge.dispose()
  t.equal(app.server.listenerCount('checkExpectation'), 0)
})

t.test('the raw answer', async t => {
  const text = edgeResponse(431, edgePairsBy(table)(true))(new Date(0))
  const raw = parse(text)
  t.equal(raw.status, 431)
  t.same(named(raw, 'date'), ['date: thu, 01 jan 1970 00:00:00 gmt'])
  t.same(named(raw, 'connection'), ['connection: close'])
  t.equal(named(raw, 'strict-transport-security').length, 1)
  t.same(edgePairsBy({ headers: [], hsts: ['h', '1'], cache: { error: undefined } })(false), [])
})

t.test('14 C3: a trusted proxy that is named with its port is passed by, too', t => {
  const headers = { 'x-forwarded-for': '192.0.2.6:1, 10.0.0.5:4711' }
  const caller = callerBy(['127.0.0.1', '10.0.0.0/8'])
  t.equal(caller({ headers, socket: { remoteAddress: '127.0.0.1' } }), '192.0.2.6:1')
  t.equal(caller({ headers, socket: { remoteAddress: '192.0.2.9' } }), '192.0.2.9')
  t.end()
})

t.test('19 attack: a function for trustProxy counts hops, and one that throws trusts nobody', t => {
  const headers = { 'x-forwarded-for': '192.0.2.6, 192.0.2.7, 192.0.2.8', 'x-forwarded-proto': 'https' }
  const oneHop = (_address: string, hop: number) => hop < 1
  t.equal(callerBy(oneHop)({ headers, socket: { remoteAddress: '127.0.0.1' } }), '192.0.2.8')
  const local = (address: string) => address.startsWith('127.')
  const closed = { headers, socket: { remoteAddress: undefined } }
  t.equal(callerBy(local)(closed), undefined)
  t.equal(overTls(local)(closed), false)
  t.end()
})
