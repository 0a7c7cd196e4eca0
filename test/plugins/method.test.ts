import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import secureApi, { methodNotAllowed } from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, codesOf, missingHeaders, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const open = { public: true } as const
const refused = [405, 'SECURE_API_METHOD_NOT_ALLOWED']
const suite = { auth: false, audit: false, environment: 'development' } as const

function orders (app: FastifyInstance): void {
  app.get('/orders', { config: open }, async () => [])
  app.post('/orders', { config: { scope: 'api.write' } }, async () => '')
  app.put('/orders/:id', { config: open }, async () => '')
  app.route({ method: 'GET', url: '/alone', exposeHeadRoute: false, config: open, handler: async () => '' })
  app.options('/tool', { config: open }, async () => 'genuine')
  app.get('/files/*', { config: open }, async () => '')
}

t.test('a known path with another method: 405, with the methods it has', async t => {
  const { app, events } = await secured(t, issuer, { routes: orders })
  const cases: ReadonlyArray<readonly [request: InjectOptions, allow: string]> = [
    [{ method: 'DELETE', url: '/orders' }, 'GET, HEAD, POST'],
    [{ method: 'DELETE', url: '/orders?a=b' }, 'GET, HEAD, POST'],
    [{ method: 'DELETE', url: '/%6frders' }, 'GET, HEAD, POST'],
    [{ method: 'OPTIONS', url: '/orders' }, 'GET, HEAD, POST'],
    [{ method: 'PROPFIND' as 'GET', url: '/orders' }, 'GET, HEAD, POST'],
    [{ method: 'GET', url: '/orders/17' }, 'PUT'],
    [{ method: 'HEAD', url: '/alone' }, 'GET'],
    [{ method: 'GET', url: '/tool' }, 'OPTIONS'],
    [{ method: 'POST', url: '/files/a/b' }, 'GET, HEAD']
  ]
  for (const [request, allow] of cases) {
    const { statusCode, headers, body } = await app.inject({ ...request, headers: bearer(issuer) })
    t.strictSame([statusCode, headers.allow, missingHeaders(headers)], [405, allow, []], `${request.method} ${String(request.url)}`)
    if (request.method !== 'HEAD') t.equal(codeOf({ headers, body }), refused[1])
  }
  t.match(events.at(-1), { event: 'input_validation_fail', outcome: 'denied', status: 405, reason: refused[1] })
  t.strictSame(await answersOf(app, { url: '/nowhere' }, { url: '/orders' }, { method: 'PUT', url: '/orders/17' },
    { method: 'OPTIONS', url: '/tool' }), [404, 200, 200, 200])
})

t.test('it counts for the address, and a preflight is answered before it', async t => {
  const { app } = await secured(t, issuer, {
    suite: {
      cors: { origins: ['https://app.example.com'] },
      rateLimit: { perAddress: { limit: 2, window: '1 minute' } }
    },
    routes: orders
  })
  const preflight: InjectOptions = {
    method: 'OPTIONS',
    url: '/orders',
    headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' }
  }
  const wrong: InjectOptions = { method: 'DELETE', url: '/orders', headers: { origin: 'https://app.example.com' } }
  t.strictSame(await answersOf(app, preflight), [204])
  const answer = await app.inject(wrong)
  t.strictSame([answer.statusCode, answer.headers['access-control-allow-origin']], [405, 'https://app.example.com'], 'the page can read it')
  t.strictSame(await answersOf(app, wrong), [[429, 'SECURE_API_RATE_LIMITED']])
})

t.test('catch-alls, handlers of 404 and the OPTIONS of a CORS plugin stay as they are', async t => {
  for (const url of ['*', '/*']) {
    const app = startFastify(t)
    await app.register(secureApi, suite)
    app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('own'))
    app.get(url, { config: open }, async () => 'page')
    app.options('/api/*', { config: open }, async () => '')
    app.post('/orders', { config: open }, async () => '')
    t.strictSame(await answersOf(app, { url: '/nowhere' }, { method: 'POST', url: '/nowhere' }, { method: 'DELETE', url: '/api/x' }),
      [200, 404, 404], url)
    const { statusCode, headers } = await app.inject({ method: 'DELETE', url: '/orders' })
    t.strictSame([statusCode, headers.allow], [405, 'GET, HEAD, POST'], 'the page is a GET of this path too')
  }
})

t.test('it can be left to the handler of 404s, and is a plugin of its own', async t => {
  const off = startFastify(t)
  await off.register(secureApi, { ...suite, methodNotAllowed: false })
  off.get('/orders', { config: open }, async () => '')
  t.strictSame(await answersOf(off, { method: 'POST', url: '/orders' }), [404])
  const alone = startFastify(t)
  await alone.register(methodNotAllowed)
  alone.get('/orders', async () => '')
  t.strictSame(await answersOf(alone, { method: 'POST', url: '/orders' }, { url: '/orders' }), [refused, 200])
})

t.test('routes declared before the suite count as well, but for early wildcards', async t => {
  const app = startFastify(t)
  app.get('/early/:id/part', { config: open }, async () => '')
  app.get('/files/*', { config: open }, async () => '')
  await app.register(secureApi, suite)
  t.strictSame(await answersOf(app, { method: 'POST', url: '/early/1/part?a' }, { method: 'POST', url: '/files/a' }, { url: '/files/a' },
    { method: 'POST', url: '/files/a' }), [refused, 404, 200, refused])
})

t.test('a URL that looks like a pattern is a URL', async t => {
  const app = startFastify(t)
  await app.register(secureApi, { ...suite, cors: { origins: ['https://app.example.com'] } })
  app.get('/orders/:id/part', { config: open }, async () => '')
  for (const url of ['/orders/:(', '/orders/:id(', '/orders/:id(a+)+', '/orders/*', '/orders/::', '/orders/:id/part:(']) {
    const preflight: InjectOptions = {
      method: 'OPTIONS',
      url,
      headers: { origin: 'https://app.example.com', 'access-control-request-method': 'GET' }
    }
    t.strictSame(await answersOf(app, { method: 'POST', url }, preflight), [404, [403, 'SECURE_API_CORS_REFUSED']], url)
  }
})

t.test('routes that differ by their constraints share a path', async t => {
  const app = startFastify(t)
  await app.register(secureApi, suite)
  app.get('/:a', { config: open, constraints: { host: 'a.example' } }, async () => 'a')
  app.get('/:b', { config: open, constraints: { host: 'b.example' } }, async () => 'b')
  t.strictSame(await answersOf(app, { method: 'POST', url: '/x', headers: { host: 'b.example' } }), [refused])
})

t.test('14 A8: a method that has a route for another host or version is not refused with 405', async t => {
  const app = startFastify(t)
  app.get('/early', { config: open, constraints: { version: '1.0.0' } }, async () => 'early')
  await app.register(secureApi, suite)
  app.get('/tenant', { config: open, constraints: { host: 'a.example' } }, async () => 'a')
  app.get('/versions', { config: open, constraints: { version: '1.0.0' } }, async () => 'v1')
  const host = { host: 'b.example' }
  const ask = (method: 'GET' | 'HEAD' | 'POST', url: string, headers = {}) => ({ method, url, headers })
  t.strictSame(await answersOf(app, ask('GET', '/tenant', host), ask('HEAD', '/tenant', host),
    ask('GET', '/tenant', { host: 'a.example' })), [404, 404, 200])
  t.strictSame(await answersOf(app, ask('GET', '/versions', { 'accept-version': '2.x' }), ask('GET', '/versions'),
    ask('GET', '/early', { 'accept-version': '2.x' })), [404, 404, 404])
  t.strictSame(await answersOf(app, ask('POST', '/tenant', host), ask('POST', '/versions')), [refused, refused])
})

t.test('errors: throw hands it to the application', async t => {
  const app = startFastify(t)
  app.setErrorHandler((error: Error & { code: string, statusCode: number }, _request, reply) =>
    reply.code(error.statusCode).send({ own: error.code }))
  await app.register(secureApi, { ...suite, errors: 'throw' })
  app.get('/orders', { config: open }, async () => '')
  t.strictSame((await app.inject({ method: 'POST', url: '/orders' })).json(), { own: refused[1] })
})

t.test('a second one is refused', async t => {
  const app = startFastify(t)
  await app.register(secureApi, suite)
  t.strictSame(codesOf(await app.register(methodNotAllowed).then(() => undefined, (error: unknown) => error)),
    ['SECURE_API_ALREADY_REGISTERED'])
})

t.test('14 C1: a long path is not searched, and decoded, again for each method', async t => {
  const { app } = await secured(t, issuer, { routes: orders })
  const searched = async (url: string) => {
    const calls = t.capture(app, 'findRoute', app.findRoute)
    const { statusCode } = await app.inject({ method: 'DELETE', url })
    const { length } = calls()
    calls.restore()
    return [statusCode, length]
  }
  t.strictSame(await searched(`/files/${'%41'.repeat(5000)}`), [404, 0])
  t.strictSame(await searched(`/files/${'a'.repeat(600)}`), [404, 0])
  t.strictSame((await searched('/files/%41'))[0], 405)
})
