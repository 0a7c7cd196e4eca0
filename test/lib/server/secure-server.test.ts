import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import querystring from 'fast-querystring'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { ConfigurationError } from '../../../lib/config/index.ts'
import { compileHeaders } from '../../../lib/headers/index.ts'
import { createServerOptions, secureServer, type SecureServerOptions } from '../../../lib/server/index.ts'
import { installEdge, trustedProxies, type ClientErrorEvent } from '../../../lib/edge/index.ts'
import { Certificates } from './certificates.ts'

const { certFile: cert, keyFile: key } = new Certificates(t.testdir({})).issue()
const development = { environment: 'development' } as const
const securityHeaders = ['content-security-policy', 'x-content-type-options', 'referrer-policy', 'x-frame-options',
  'cross-origin-resource-policy']

function mistakes (options: unknown): string[] {
  try {
    createServerOptions(options as SecureServerOptions, Date.now)
    return []
  } catch (error) {
    return (error as ConfigurationError).errors.map(({ code, path }) => `${code} ${path}`)
  }
}

t.test('a query has its own members alone, a thousand at most', async t => {
  const read = secureServer(development).routerOptions?.querystringParser
  if (read === undefined) throw new Error('no parser')
  for (const text of ['', 'a=1']) {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) t.notOk(name in read(text), `${name} of ${text}`)
  }
  t.not(read(''), read(''), 'nobody else has the same object')
  t.same(read('a=1&a=2&b='), { a: ['1', '2'], b: '' })
  t.equal(Object.keys(read(Array.from({ length: 1100 }, (_, index) => `${index}=`).join('&'))).length, 1000)
})

t.test('a query with fewer parameters says what it says to Fastify alone', async () => {
  const read = secureServer(development).routerOptions?.querystringParser
  const pieces = ['&', '&&', '=', '+', '%', '%26', '%3D', '%zz', '%f', '%C3%A9', '%ff', 'a', 'a=1', '__proto__=x', 'constructor', 'é']
  const piece = fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 5 }))
  const text = fc.array(piece, { maxLength: 900 }).map(parts => parts.join(''))
  fc.assert(fc.property(text.filter(given => given.split('&').length <= 1000), given => {
    assert.deepEqual(read?.(given), querystring.parse(given))
  }))
})

t.test('of a longer query the first thousand parameters count, those without a name among them', async t => {
  const read = secureServer(development).routerOptions?.querystringParser
  const cases: Array<[before: string, names: string[]]> = [
    ['&'.repeat(999), ['last']], ['&'.repeat(1000), []], ['a&'.repeat(999), ['a', 'last']], ['a&'.repeat(1000), ['a']]
  ]
  for (const [before, names] of cases) t.strictSame(Object.keys(read?.(`${before}last=1`) ?? {}), names, `behind ${before.length} letters`)
})

t.test('trustProxy: who may be named', async t => {
  const refused = 'SECURE_API_SERVER_TRUST_PROXY trustProxy'
  const wide = 'SECURE_API_SERVER_TRUST_PROXY_WIDE trustProxy'
  const cases: Array<[value: unknown, ...expected: string[]]> = [
    [false],
    ['loopback'],
    ['10.0.0.0/8'],
    ['127.0.0.1, ::1'],
    [['10.1.2.3', '192.168.0.0/16', 'fd00::/8', 'fc00::/7', 'uniquelocal', 'linklocal', '2001:db8::1']],
    [['::ffff:10.0.0.0/104']],
    [true, refused],
    [1, refused],
    [0, refused],
    [() => true, refused],
    [null, refused],
    [{}, refused],
    [[], 'SECURE_API_OPTION_EMPTY trustProxy'],
    ['', refused],
    ['1', refused],
    ['true', refused],
    ['proxy.example.com', refused],
    ['10.0.0.0/33', refused],
    ['10.0.0.0/255.0.0.0', refused],
    ['fe80::1%eth0', refused],
    ['10.0.0.0/-1', refused],
    [['::1', 7], `${refused}[1]`],
    ['0.0.0.0/0', wide],
    ['0.0.0.0/1,128.0.0.0/1', wide, wide],
    [['8.0.0.0/7'], `${wide}[0]`],
    ['::/0', wide],
    ['2000::/3', wide],
    ['::ffff:0:0/96', wide],
    ['0:0:0:0:0:ffff:0:0/100', wide],
    ['::/80', wide]
  ]
  for (const [trustProxy, ...expected] of cases) {
    t.strictSame(mistakes({ ...development, trustProxy }), expected,
      JSON.stringify(trustProxy) ?? 'function')
  }
})

t.test('the rest of the options', async t => {
  const production = { environment: 'production' }
  const cases: Array<[options: object, ...expected: string[]]> = [
    [development],
    [production, 'SECURE_API_SERVER_PLAINTEXT tls'],
    [{ ...production, trustProxy: false }, 'SECURE_API_SERVER_PLAINTEXT tls'],
    [{ ...production, trustProxy: 'loopback' }],
    [{ ...production, dangerouslyAllowPlaintext: true }],
    [{ ...production, tls: { cert, key } }],
    [{ ...production, tls: { cert, key }, http2: true }],
    [{ ...development, http2: true }, 'SECURE_API_OPTION_CONFLICT http2'],
    [{ ...development, requestIdHeader: 'x-request-id' }, 'SECURE_API_OPTION_CONFLICT requestIdHeader'],
    [{ ...development, requestIdHeader: 'x request', trustProxy: '::1' }, 'SECURE_API_OPTION_VALUE requestIdHeader'],
    [{ ...development, headersTimeout: '31 seconds' }, 'SECURE_API_OPTION_CONFLICT headersTimeout'],
    [{ ...development, headersTimeout: '31 seconds', requestTimeout: '1 minute' }],
    [{ ...development, requestTimeout: 0 }, 'SECURE_API_OPTION_RANGE requestTimeout', 'SECURE_API_OPTION_CONFLICT headersTimeout'],
    [{ ...development, connectionTimeout: '25 days' }, 'SECURE_API_OPTION_RANGE connectionTimeout'],
    [{ ...development, bodyLimit: 0, maxParamLength: 1e9, maxHeaderSize: 1 }, 'SECURE_API_OPTION_RANGE bodyLimit',
      'SECURE_API_OPTION_RANGE maxParamLength', 'SECURE_API_OPTION_RANGE maxHeaderSize'],
    [{ ...development, requestTimeout: '5 parsecs', tls: { handshakeTimeout: true } }, 'SECURE_API_OPTION_VALUE requestTimeout',
      'SECURE_API_OPTION_VALUE tls.handshakeTimeout'],
    [{ ...development, https: {} }, 'SECURE_API_OPTION_UNKNOWN https'],
    [{ ...development, tls: undefined }, 'SECURE_API_OPTION_UNDEFINED tls'],
    [{ ...production, tls: {}, trustProxy: true }, 'SECURE_API_SERVER_TRUST_PROXY trustProxy',
      'SECURE_API_TLS_CERTIFICATE_MISSING tls.cert']
  ]
  for (const [options, ...expected] of cases) t.strictSame(mistakes(options), expected, JSON.stringify(options))
})

t.test('what Fastify is given', async t => {
  t.match(createServerOptions(development, Date.now), {
    bodyLimit: 262_144,
    connectionTimeout: 120_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    return503OnClosing: true,
    requestIdHeader: false,
    trustProxy: false,
    routerOptions: { maxParamLength: 100 },
    http: {
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      maxHeaderSize: 16_384,
      requireHostHeader: true,
      connectionsCheckingInterval: 5000
    }
  })
  t.match(createServerOptions({
    tls: { cert, key, minVersion: 'TLSv1.3' },
    http2: true,
    handlerTimeout: '5 seconds',
    return503OnClosing: false
  }, Date.now), {
    handlerTimeout: 5000,
    return503OnClosing: false,
    http2: true,
    https: {
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      honorCipherOrder: true,
      allowHTTP1: true,
      handshakeTimeout: 10_000,
      settings: { maxConcurrentStreams: 100 }
    }
  })
  const plain: FastifyInstance = Fastify({ ...secureServer(development), logger: false })
  const overTls = Fastify({ ...secureServer({ tls: { cert, key } }), logger: false })
  const two = Fastify(secureServer({ tls: { cert, key }, http2: true }))
  for (const app of [plain, overTls, two]) await app.close()
})

t.test('request ids', async t => {
  const ids = async (options: SecureServerOptions, id: string, address: string) => {
    const app = Fastify(secureServer({ ...development, ...options } as typeof development))
    app.get('/', async request => request.id)
    return (await app.inject({ url: '/', headers: { 'x-request-id': id }, remoteAddress: address })).body
  }
  const series = /^[\w-]{16}-[0-9a-z]+$/
  const proxied: SecureServerOptions = { trustProxy: ['10.0.0.0/8', '::1'], requestIdHeader: 'X-Request-Id' }
  t.match(await ids({}, 'mine', '10.0.0.1'), series)
  t.equal(await ids(proxied, 'trace:1.a_b-c', '10.0.0.1'), 'trace:1.a_b-c')
  t.equal(await ids(proxied, 'mapped', '::ffff:10.0.0.1'), 'mapped')
  t.match(await ids(proxied, 'stranger', '192.0.2.1'), series)
  t.match(await ids(proxied, 'a b', '10.0.0.1'), series)
  t.match(await ids(proxied, 'x'.repeat(129), '10.0.0.1'), series)
  t.equal(trustedProxies(['loopback'])(undefined), false)
})

type Connect = () => net.Socket

async function exchange (connect: Connect, bytes: string): Promise<string> {
  const socket = connect()
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk) }).on('error', () => {})
  socket.write(bytes)
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

function parse (text: string): { status: number, headers: Map<string, string>, body: string } {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  const [line = '', ...lines] = head.split('\r\n')
  return {
    status: Number(line.split(' ')[1]),
    headers: new Map(lines.map(pair => [pair.slice(0, pair.indexOf(':')).toLowerCase(),
      pair.slice(pair.indexOf(':') + 2)])),
    body
  }
}

async function start (t: Test, options: object): Promise<number> {
  const app = Fastify({
    ...createServerOptions({ ...development, ...options }, Date.now),
    forceCloseConnections: true
  } as object) as FastifyInstance
  app.addConstraintStrategy({
    name: 'secret',
    storage: () => ({ get: () => null, set: () => {}, del: () => {}, empty: () => {} }),
    validate: () => {},
    deriveConstraint: (request: { headers: object }, _context: unknown, done?: (error: Error | null, value?: string) => void) =>
      done?.(!('x-fail' in request.headers) ? null : new Error('it failed'))
  } as never)
  app.get('/', async () => 'ok')
  app.get('/secret', { constraints: { secret: 'x' } }, async () => 'ok')
  app.get('/items/:id', async () => 'ok')
  app.post('/', async () => 'ok')
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return (app.server.address() as AddressInfo).port
}

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\n${['host: x', 'connection: close', ...headers].join('\r\n')}\r\n\r\n`
const refusals: Array<[label: string, bytes: string, status: number, code: string]> = [
  ['bad URL', get('/%zz'), 400, 'SECURE_API_REQUEST_URL'],
  ['parameter too long', get(`/items/${'x'.repeat(101)}`), 414, 'SECURE_API_REQUEST_PARAMETER_TOO_LONG'],
  ['a constraint that fails', get('/secret', 'x-fail: 1'), 500, 'SECURE_API_INTERNAL'],
  ['no Host', 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'SECURE_API_REQUEST_HOST'],
  ['unknown expectation', get('/', 'expect: foo'), 417, 'SECURE_API_REQUEST_EXPECTATION'],
  ['not HTTP', 'garbage\r\n\r\n', 400, 'SECURE_API_REQUEST_MALFORMED'],
  ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n', 400,
    'SECURE_API_REQUEST_MALFORMED'],
  ['headers too large', get('/', `x-large: ${'x'.repeat(17_000)}`), 431, 'SECURE_API_REQUEST_HEADERS_TOO_LARGE']
]

t.test('refusals before any hook have the house format, without the suite', async t => {
  const plain = await start(t, {})
  const secure = await start(t, { tls: { cert, key } })
  const transports: Array<[string, Connect]> = [
    ['http', () => net.connect(plain, '127.0.0.1')],
    ['https', () => tls.connect({ port: secure, host: '127.0.0.1', rejectUnauthorized: false })]
  ]
  for (const [transport, connect] of transports) {
    for (const [label, bytes, status, code] of refusals) {
      const { headers, body, ...answer } = parse(await exchange(connect, bytes))
      t.equal(answer.status, status, `${transport} ${label}`)
      t.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8', `${transport} ${label}`)
      t.equal(headers.get('content-length'), String(body.length))
      t.equal(JSON.parse(body).code, code)
      t.strictSame(securityHeaders.filter(name => !headers.has(name)), [], `${transport} ${label}`)
      t.notOk(body.includes('zz') || body.includes('xxx'), 'nothing of the request comes back')
    }
  }
})

t.test('requests that are none of them go through', async t => {
  const port = await start(t, {})
  const connect = () => net.connect(port, '127.0.0.1')
  const post = (body: string, length = body.length, more = '') =>
    `POST / HTTP/1.1\r\nhost: x\r\n${more}connection: close\r\ncontent-length: ${length}\r\ncontent-type: application/json\r\n\r\n${body}`
  const answers = await Promise.all([
    get('/'),
    'GET / HTTP/1.0\r\n\r\n',
    post('{}', 2, 'expect: 100-continue\r\n')
  ].map(bytes => exchange(connect, bytes)))
  for (const answer of answers) t.match(answer, /HTTP\/1.1 200 OK[^]*ok$/)
  const large = await exchange(connect, post(`"${'x'.repeat(1000)}`, 262_145))
  t.match(large, /^HTTP\/1.1 413 /)
  const poisoned = '{"__proto__":{"admin":true}}'
  t.match(await exchange(connect, post(poisoned)), /^HTTP\/1.1 400 /)
})

t.test('Host is not required by the application: its own answer stays whole', async t => {
  const { http, ...rest } = secureServer(development)
  const app = Fastify({ ...rest, http: { ...http, requireHostHeader: false } })
  app.get('/', async () => 'ok')
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  t.match(await exchange(() => net.connect((app.server.address() as AddressInfo).port, '127.0.0.1'),
    'GET / HTTP/1.1\r\nconnection: close\r\n\r\n'), /^HTTP\/1.1 200 OK[^]*ok$/)
})

t.test('together with the edge: one answer, and it is told', async t => {
  const app = Fastify(secureServer(development))
  app.get('/', async () => 'ok')
  const events: ClientErrorEvent[] = []
  const edge = installEdge(app.server, {
    table: compileHeaders({}, { environment: 'development', secure: false }),
    onClientError: event => { events.push(event) }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    edge.dispose()
    await app.close()
  })
  const connect = () => net.connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  for (const [label, bytes, , code] of refusals.filter(([label]) => label !== 'a constraint that fails' &&
    label !== 'parameter too long')) {
    const answer = await exchange(connect, bytes)
    t.equal(answer.match(/^x-frame-options:/gmi)?.length, 1, label)
    t.equal(JSON.parse(parse(answer).body).code, code, label)
  }
  t.strictSame(events.map(({ status }) => status), [400, 400, 431])
})

t.test('HTTP/2', async t => {
  const port = await start(t, { tls: { cert, key }, http2: true })
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  t.teardown(() => { session.close() })
  const ask = async (path: string, headers: object = {}) => {
    const stream = session.request({ ':path': path, ...headers })
    const chunks: string[] = []
    stream.setEncoding('utf8').on('data', (chunk: string) => { chunks.push(chunk) })
    const [answer] = await once(stream, 'response') as [http2.IncomingHttpHeaders & { ':status': number }]
    await once(stream, 'close')
    return { status: answer[':status'], headers: answer, body: chunks.join('') }
  }
  t.equal((await ask('/')).body, 'ok')
  for (const [path, status, code] of [['/%zz', 400, 'SECURE_API_REQUEST_URL'],
    [`/items/${'x'.repeat(101)}`, 414, 'SECURE_API_REQUEST_PARAMETER_TOO_LONG']] as const) {
    const answer = await ask(path)
    t.equal(answer.status, status)
    t.equal(JSON.parse(answer.body).code, code)
    t.strictSame(securityHeaders.filter(name => answer.headers[name] === undefined), [])
  }
  await t.rejects(ask('/', { 'x-large': 'x'.repeat(40_000) }), 'headers over the limit end the stream')
  t.match(await exchange(() => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }), get('/%zz')),
    /^HTTP\/1.1 400 [^]*SECURE_API_REQUEST_URL/, 'HTTP/1.1 on the same port')
})

t.test('slow headers are cut', async t => {
  const { http, ...rest } = secureServer({ ...development, headersTimeout: 50 })
  const app = Fastify({ ...rest, http: { ...http, connectionsCheckingInterval: 20 } })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const answer = parse(await exchange(() => net.connect((app.server.address() as AddressInfo).port, '127.0.0.1'),
    'GET / HTTP/1.1\r\nhost: x\r\nx-'))
  t.equal(answer.status, 408)
  t.equal(JSON.parse(answer.body).code, 'SECURE_API_REQUEST_TIMEOUT')
  t.ok(answer.headers.has('x-frame-options'))
})

t.test('14 C1: a query is read up to its 1,000th parameter', async t => {
  const app = Fastify(secureServer({ environment: 'development' }))
  t.teardown(() => app.close())
  app.get('/', async ({ query }) => query)
  t.strictSame((await app.inject('/?page=1&tag=a&tag=b&text=a+b%20c&bad=%zz&empty')).json(),
    { page: '1', tag: ['a', 'b'], text: 'a b c', bad: '%zz', empty: '' })
  const many = (await app.inject(`/?${'a=1&'.repeat(2000)}last=1`)).json()
  t.strictSame([many.a.length, 'last' in many], [1000, false])
  t.equal((await app.inject('/?__proto__=x&constructor=y')).json().constructor, 'y')
})
