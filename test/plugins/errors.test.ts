import { once } from 'node:events'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import t from 'tap'
import secureApi, { secureServer, type SecureApiOptions } from '../../plugins/index.ts'
import { bearer, listen, missingHeaders, secured, sendRaw, startFastify, startIssuer } from '../helpers/server.ts'
import { Certificates } from '../lib/server/certificates.ts'

const issuer = await startIssuer(t)
const open = { public: true } as const
const cause = 'connect ECONNREFUSED 10.0.0.7:5432'
const thrown: unknown = 'a text'
const json = { 'content-type': 'application/json' }
const production = {
  environment: 'production',
  audit: { sink () {} },
  auth: {
    issuer: 'https://login.example.com',
    audience: issuer.audience,
    jwks: issuer.jwks as { keys: object[] }
  }
} as const

interface Logged { readonly level: number, readonly reqId?: string, readonly err?: { message: string }, readonly req?: { url: string } }

function logOf (): { readonly options: { stream: PassThrough }, readonly lines: () => Logged[] } {
  const stream = new PassThrough()
  return {
    options: { stream },
    lines: () => String(stream.read() ?? '').split('\n').filter(line => line !== '').map(line =>
      JSON.parse(line))
  }
}

function routes (app: FastifyInstance): void {
  app.get('/fails', { config: open }, async () => { throw new Error(cause) })
  app.get('/down', { config: open }, async () => {
    throw Object.assign(new Error(cause),
      { statusCode: 503, headers: { 'retry-after': '7', 'content-length': '1' } })
  })
  app.get('/told', { config: open }, async () => {
    throw Object.assign(new Error('We are back at five.'),
      { statusCode: 503, expose: true })
  })
  app.get('/sold-out', { config: open }, async () => {
    throw Object.assign(new Error('The item is sold out.'), { statusCode: 409, code: 'SOLD_OUT' })
  })
  app.get('/file', { config: open },
    async () => {
      throw Object.assign(new Error("ENOENT: no such file or directory, open '/srv/keys/a.pem'"),
        { statusCode: 404, code: 'ENOENT', syscall: 'open' })
    })
  app.get('/hidden', { config: open }, async () => { throw Object.assign(new Error('secret'), { statusCode: 403, expose: false }) })
  app.get('/text', { config: open }, () => Promise.reject<string>(thrown))
  app.get('/lost', { config: open }, (_request, reply) => { reply.callNotFound() })
  app.get('/late', { config: open }, (_request, reply) => {
    const stream = Readable.from(['half of it'])
    stream.once('end', () => { stream.destroy(new Error(cause)) })
    reply.header('content-length', '100').send(stream)
  })
  app.get('/before', { config: open }, async (_request, reply) => reply.type('text/csv').header('content-encoding',
    'gzip').send(new Readable({ read () { this.destroy(new Error(cause)) } })))
  app.get('/long/:part', { config: open }, async () => '')
  app.post('/orders', {
    config: open,
    bodyLimit: 100,
    schema: {
      querystring: { type: 'object', properties: { page: { type: 'integer' } } },
      body: { type: 'object', required: ['a/b'], properties: { list: { type: 'array', items: { type: 'integer' } } } }
    }
  }, async () => '')
}

function documentOf ({ headers, body }: Pick<LightMyRequestResponse, 'headers' | 'body'>): Record<string, unknown> {
  if (headers['content-type'] !== 'application/problem+json; charset=utf-8') throw new Error(`${String(headers['content-type'])}: ${body}`)
  return JSON.parse(body)
}

async function start (t: { teardown: (fn: () => unknown) => void }, suite: Partial<SecureApiOptions>,
  fastify: FastifyServerOptions = {}): Promise<FastifyInstance> {
  return (await secured(t, issuer, { routes, suite, fastify: fastify as object })).app
}

t.test('15 B2: every error of the application is a problem document', async t => {
  const app = await start(t, {})
  const post = (payload: string, headers: Record<string, string> = json, query = '') =>
    app.inject({ method: 'POST', url: `/orders${query}`, headers, payload })
  const table: ReadonlyArray<readonly [name: string, response: LightMyRequestResponse, document: object]> = [
    ['404', await app.inject('/nowhere'), { status: 404, title: 'Not Found', code: 'SECURE_API_NOT_FOUND' }],
    ['404 by a handler', await app.inject('/lost'), { status: 404, code: 'SECURE_API_NOT_FOUND' }],
    ['405', await app.inject({ method: 'PUT', url: '/orders' }),
      { status: 405, title: 'Method Not Allowed', code: 'SECURE_API_METHOD_NOT_ALLOWED' }],
    ['413', await post(JSON.stringify({ a: 'x'.repeat(200) })), { status: 413, code: 'SECURE_API_REQUEST_TOO_LARGE' }],
    ['415', await post('a,b', { 'content-type': 'text/csv' }),
      { status: 415, title: 'Unsupported Media Type', code: 'SECURE_API_REQUEST_MEDIA_TYPE' }],
    ['body syntax', await post('{"secret'), {
      status: 400,
      title: 'Bad Request',
      code: 'SECURE_API_REQUEST_BODY',
      detail: /^The body could not be parsed/
    }],
    ['empty body', await post(''), { status: 400, code: 'SECURE_API_REQUEST_BODY' }],
    ['a missing member', await post('{}'), {
      status: 400,
      code: 'SECURE_API_REQUEST_INVALID',
      errors: [{ in: 'body', pointer: '#/a~1b', detail: /required/ }]
    }],
    ['a wrong one', await post('{"a/b":1,"list":[1,"x"]}'),
      { status: 400, errors: [{ in: 'body', pointer: '#/list/1', detail: 'must be integer' }] }],
    ['a parameter', await post('{"a/b":1}', json, '?page=x'),
      { status: 400, errors: [{ in: 'query', pointer: '#/page', detail: 'must be integer' }] }],
    ['its own 4xx', await app.inject('/sold-out'), { status: 409, title: 'Conflict', code: 'SOLD_OUT', detail: 'The item is sold out.' }],
    ['500', await app.inject('/fails'), {
      status: 500,
      title: 'Internal Server Error',
      code: 'SECURE_API_APPLICATION_FAILED',
      detail: cause
    }],
    ['no error at all', await app.inject('/text'), { status: 500, code: 'SECURE_API_APPLICATION_FAILED' }],
    ['a stream that fails before the head', await app.inject('/before'), { status: 500, code: 'SECURE_API_APPLICATION_FAILED' }]
  ]
  for (const [name, response, document] of table) {
    t.match(documentOf(response), { type: 'about:blank', ...document }, name)
    t.equal(response.statusCode, documentOf(response).status, name)
    t.match(response.headers['cache-control'], 'no-store', name)
    t.strictSame(missingHeaders(response.headers), [], name)
    t.equal(response.headers['content-encoding'], undefined, name)
    t.notMatch(response.body, /text\/csv|"secret|nowhere/, `${name} repeats nothing of the request`)
  }
  const head = await app.inject({ method: 'HEAD', url: '/fails' })
  t.match([head.statusCode, head.headers['content-type'], head.body], [500, 'application/problem+json; charset=utf-8', ''])
})

t.test('15 B2: in production a failure says nothing of its cause, which is in the log with the request id', async t => {
  const log = logOf()
  const app = await start(t, production, { logger: log.options, disableRequestLogging: true })
  for (const [url, status] of [['/fails', 500], ['/down', 503], ['/file', 404], ['/hidden', 403]] as const) {
    const response = await app.inject(url)
    const { requestId, detail } = documentOf(response)
    t.equal(response.statusCode, status)
    t.notMatch(response.body, /ECONN|10\.0\.0|ENOENT|srv|secret/, String(detail))
    const [line] = log.lines().filter(({ err }) => err !== undefined)
    if (status >= 500) {
      t.match(line, { level: 50, err: { message: cause }, reqId: requestId as string },
        'also where requests are not logged')
    } else t.equal(line, undefined, 'disableRequestLogging')
  }
  t.match((await app.inject('/down')).headers, { 'retry-after': '7' })
  t.equal(documentOf(await app.inject('/told')).detail, 'We are back at five.', 'expose: true')
  t.equal(documentOf(await app.inject('/sold-out')).detail, 'The item is sold out.')
})

t.test("15 B2: an application's own handlers win, whenever they are set, and what they hand on is a document", async t => {
  const own = (error: unknown, _request: unknown, reply: { code (status: number): { send (body: unknown): unknown } }) => {
    const { message } = error as Error
    if (message === 'mine') return reply.code(418).send({ own: message })
    throw error
  }
  const some = (scope: FastifyInstance, prefix: string, extra: object = {}) => {
    scope.get(`/${prefix}/mine`, { config: open, ...extra }, async () => { throw new Error('mine') })
    scope.get(`/${prefix}/other`, { config: open, ...extra }, async () => { throw new Error(cause) })
  }
  for (const override of [true, false]) {
    for (const early of [true, false]) {
      const app = startFastify(t, { allowErrorHandlerOverride: override })
      const add = async () => {
        app.setErrorHandler(own)
        app.setNotFoundHandler(async (_request, reply) => reply.code(404).send({ own: 'none' }))
        some(app, 'root')
        some(app, 'route', { errorHandler: own })
        await app.register(async child => {
          child.setErrorHandler(own)
          some(child, 'child')
        })
      }
      if (early) await add()
      await app.register(secureApi, { ...production, rateLimit: false })
      if (!early) await add()
      for (const prefix of ['root', 'route', 'child']) {
        const name = `${prefix}, set ${early ? 'before' : 'after'} the suite`
        const mine = await app.inject(`/${prefix}/mine`)
        t.strictSame([mine.statusCode, mine.body, missingHeaders(mine.headers)], [418, '{"own":"mine"}', []], name)
        const other = await app.inject(`/${prefix}/other`)
        t.equal(documentOf(other).code, 'SECURE_API_APPLICATION_FAILED', name)
        t.notMatch(other.body, 'ECONN', name)
      }
      const none = await app.inject('/nowhere')
      t.strictSame([none.statusCode, none.body, missingHeaders(none.headers)], [404, '{"own":"none"}', []])
    }
  }
})

t.test('15 B2: routes declared before the suite, and children, answer in the same way', async t => {
  const app = startFastify(t)
  routes(app)
  await app.register(async child => { child.get('/child', { config: open }, async () => { throw new Error(cause) }) })
  await app.register(secureApi, production)
  for (const url of ['/fails', '/child', '/text']) {
    const response = await app.inject(url)
    t.equal(documentOf(response).code, 'SECURE_API_APPLICATION_FAILED', url)
    t.notMatch(response.body, 'ECONN')
  }
})

t.test('15 B2: a stream that fails after the head ends the connection, and nothing is added to it', async t => {
  const app = await start(t, production)
  const received = await sendRaw(await listen(app), 'GET /late HTTP/1.1', 'Host: a', 'Connection: close', '', '')
  t.match(received, /^HTTP\/1\.1 200 [^]*\r\n\r\nhalf of it$/)
})

t.test('15 B2: over HTTP/2 too', async t => {
  const { cert, key } = new Certificates(t.testdir({})).issue()
  const app = Fastify(secureServer({ tls: { cert, key }, http2: true })) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(secureApi, production)
  routes(app)
  const session = connectHttp2(await listen(app), { rejectUnauthorized: false })
  t.teardown(() => session.close())
  for (const [path, status, code] of [['/fails', 500, 'SECURE_API_APPLICATION_FAILED'], ['/nowhere', 404, 'SECURE_API_NOT_FOUND'],
    ['/%zz', 400, 'SECURE_API_REQUEST_URL']] as const) {
    const stream = session.request({ ':path': path })
    const [head] = await once(stream, 'response') as [IncomingHttpHeaders & { ':status'?: number }]
    t.match([head[':status'], JSON.parse(await text(stream)).code], [status, code])
    t.strictSame(missingHeaders(head), [])
  }
})

t.test('15 B2: a bad URL, a part of the path that is too long and a missing Host are documents without secureServer() too', async t => {
  const app = await start(t, {})
  const url = await listen(app)
  const table = {
    '/%zz?access_token=secret': 'SECURE_API_REQUEST_URL',
    [`/long/${'x'.repeat(101)}`]: 'SECURE_API_REQUEST_PARAMETER_TOO_LONG'
  }
  for (const [path, code] of Object.entries(table)) {
    const answer = await sendRaw(url, `GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', '', '')
    t.match(answer.toLowerCase(), '\r\ncontent-type: application/problem+json')
    t.equal(JSON.parse(answer.split('\r\n\r\n')[1] ?? '').code, code)
    t.notMatch(answer, /zz|secret|xxx/)
  }
  t.match(await sendRaw(url, 'GET / HTTP/1.1', 'Connection: close', '', ''), 'SECURE_API_REQUEST_HOST')
})

t.test('15 B3: with errors: throw the mandatory headers are there whatever the handler sends', async t => {
  const app = startFastify(t)
  app.setErrorHandler(async (_error, _request, reply) => reply.code(400).send({ own: true }))
  await app.register(secureApi, { auth: { issuer: issuer.issuer, audience: issuer.audience }, environment: 'development', errors: 'throw' })
  app.get('/orders', { config: { scope: 'a' } }, async () => '')
  app.get('/once', { config: { ...open, rateLimit: { limit: 1, window: '1 minute' } } }, async () => '')
  app.get('/by-hand', { config: open, onRequest: app.requireScope('a') }, async () => '')
  const send = async (url: string, headers = {}, method: 'GET' | 'PUT' = 'GET') => {
    const response = await app.inject({ method, url, headers })
    t.strictSame(JSON.parse(response.body), { own: true })
    return response.headers
  }
  t.match(await send('/orders'), { 'www-authenticate': /^Bearer realm=/ })
  t.match(await send('/orders', bearer(issuer, { exp: 1 })), { 'www-authenticate': /error="invalid_token"/ })
  t.match(await send('/orders', bearer(issuer)), { 'www-authenticate': /error="insufficient_scope"/ })
  t.match(await send('/by-hand'), { 'www-authenticate': /^Bearer realm=/ })
  t.match(await send('/orders', {}, 'PUT'), { allow: /GET/ })
  await app.inject('/once')
  t.match(await send('/once'), { 'retry-after': /^\d+$/, ratelimit: /r=0/, 'ratelimit-policy': /q=1/ })
  const { 'content-type': type } = await send('/orders')
  t.match(type, 'application/json')
})

t.test('15 B3: the headers of a guard by hand are there on a route that was declared before the suite too', async t => {
  const app = startFastify(t)
  app.setErrorHandler(async (error, _request, reply) => {
    if (error instanceof TypeError) throw error
    return reply.code(400).send({ own: true })
  })
  app.get('/early', { config: open, onRequest: (request, reply, done) => { app.requireScope('a')(request, reply, done) } }, async () => '')
  app.get('/thrown', { config: open }, async () => { throw new TypeError('passed on') })
  const odd: unknown = { odd: true }
  app.get('/odd', { config: open }, async () => { throw odd })
  await app.register(secureApi, { auth: { issuer: issuer.issuer, audience: issuer.audience }, environment: 'development', errors: 'throw' })
  for (const time of ['first', 'second']) {
    const early = await app.inject('/early')
    t.strictSame([early.json(), early.statusCode], [{ own: true }, 400], time)
    t.match(early.headers, { 'www-authenticate': /^Bearer realm=/ }, time)
  }
  t.match((await app.inject('/thrown')).json(), { message: 'passed on', statusCode: 500 })
  t.match((await app.inject('/odd')).json(), { own: true })
})

t.test('15 B7: a 404 repeats neither path nor query, in the answer and in the log', async t => {
  for (const errors of ['problem', 'throw'] as const) {
    const log = logOf()
    const app = await start(t, { errors }, { ...secureServer({ dangerouslyAllowPlaintext: true }), logger: log.options })
    const { statusCode, body } = await app.inject('/nowhere/secret?access_token=secret')
    t.equal(statusCode, 404)
    t.notMatch(body, /nowhere|secret|access_token/, errors)
    t.notMatch(JSON.stringify(log.lines()), 'access_token', errors)
  }
})

t.test('15 B2: in production a failure says nothing of its cause where the answer to it fails too', async t => {
  const log = logOf()
  const failing = startFastify(t, { logger: log.options })
  await failing.register(secureApi, production)
  failing.addHook('onSend', async () => { throw new Error(cause) })
  failing.get('/sent', { config: open }, async () => 'a')
  failing.get('/failed', { config: open }, async () => { throw new Error('first') })
  const boom = () => { throw new Error(cause) }
  const hostile = startFastify(t, { logger: log.options })
  await hostile.register(secureApi, production)
  const errors: Readonly<Record<string, object>> = {
    message: Object.defineProperty(new Error(), 'message', { get: boom }),
    stack: Object.defineProperty(new Error(cause), 'stack', { get: boom }),
    member: Object.defineProperty(new Error(cause), 'other', { enumerable: true, get: boom }),
    headers: Object.assign(new Error(cause), { headers: { get other () { return boom() } } }),
    proxy: new Proxy(new Error(cause), { get: boom }),
    everything: new Proxy({}, { get: boom, getPrototypeOf: boom, ownKeys: boom, has: boom }),
    name: Object.assign(new Error(cause), { headers: { 'x a\r\nb': '1', '': '2' } })
  }
  for (const [name, error] of Object.entries(errors)) hostile.get(`/${name}`, { config: open }, () => Promise.reject<string>(error))
  const answers = [
    ...await Promise.all(['/sent', '/failed', '/nowhere'].map(async url => [`onSend ${url}`, await failing.inject(url)] as const)),
    ...await Promise.all(Object.keys(errors).map(async name => [name, await hostile.inject(`/${name}`)] as const))
  ]
  for (const [name, response] of answers) {
    t.match([response.statusCode, documentOf(response).code], [500, 'SECURE_API_APPLICATION_FAILED'], name)
    t.notMatch(JSON.stringify([response.headers, response.body]), 'ECONN', name)
    t.strictSame(missingHeaders(response.headers), [], name)
    t.equal(response.headers['cache-control'], 'no-store, max-age=0', name)
  }
  const url = await listen(failing)
  t.match(await sendRaw(url, 'GET /sent HTTP/1.1', 'Host: a', 'Connection: close', '', ''),
    /^HTTP\/1\.1 500 [^]*SECURE_API_APPLICATION_FAILED"\}$/)
  t.ok(log.lines().some(({ level, err }) => level === 50 && err?.message === cause), 'it is in the log')
})
