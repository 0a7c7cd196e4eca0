import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { Problems } from '../../lib/config/index.ts'
import { validateCors } from '../../lib/cors/index.ts'
import secureApi, { cors, type CorsOptions, type RouteCors, type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, mistakesOf, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const origin = 'https://app.example.com'
const partner = 'https://partner.example.net'
const refused = [403, 'SECURE_API_CORS_REFUSED']
const plenty = { policies: { write: { limit: 1000, window: '1 minute' } } } as const
const suite = { cors: { origins: [origin] }, rateLimit: plenty } as const satisfies SecureApiOptions

function orders (app: FastifyInstance): void {
  const config = { public: true } as const
  app.get('/orders', { config }, async () => '')
  app.post('/orders', { config }, async () => '')
  app.put('/orders/:id', { config }, async () => '')
  app.get('/internal', { config: { ...config, cors: false } }, async () => '')
  app.put('/internal', { config: { ...config, cors: false } }, async () => '')
  app.put('/partner', { config: { ...config, cors: { origins: [partner], credentials: false, maxAge: '5 seconds' } } }, async () => '')
  app.options('/tool', { config }, async () => 'genuine')
  app.options('/orders/:id', { config: { scope: 'a' } }, async () => 'genuine')
}

const preflight = (url: string, method: string, from = origin, headers: Record<string, string> = {}): InjectOptions =>
  ({ method: 'OPTIONS', url, headers: { origin: from, 'access-control-request-method': method, ...headers } })

const accessControl = (headers: Readonly<Record<string, unknown>>) => Object.keys(headers).filter(name => name.startsWith('access-control'))

t.test('an allowed origin reads the answer and its headers; others get nothing at all', async t => {
  const { app } = await secured(t, issuer, { suite, routes: orders })
  const allowed = await app.inject({ url: '/orders', headers: { origin } })
  t.equal(allowed.headers['access-control-allow-origin'], origin)
  t.equal(allowed.headers['access-control-allow-credentials'], undefined)
  t.equal(allowed.headers.vary, 'Origin')
  const exposed = String(allowed.headers['access-control-expose-headers']).toLowerCase().split(', ')
  for (const name of ['ratelimit', 'ratelimit-policy', 'retry-after', 'www-authenticate']) t.ok(exposed.includes(name), name)
  const foreign = [
    'https://evil.example', `${origin}.evil.example`, 'https://evilapp.example.com', 'http://app.example.com', `${origin}:444`,
      `${origin}/`, 'HTTPS://APP.EXAMPLE.COM', 'null', ''
  ]
  for (const from of foreign) {
    const { statusCode, headers } = await app.inject({ url: '/orders', headers: { origin: from } })
    t.strictSame([statusCode, accessControl(headers), headers.vary], [200, [], 'Origin'], from)
  }
  t.equal((await app.inject('/orders')).headers.vary, 'Origin', 'a cache must not keep the answer without Origin for others')
})

t.test('a preflight is answered for the route that it asks about', async t => {
  const { app } = await secured(t, issuer, { suite, routes: orders })
  const { statusCode, headers, body } = await app.inject(preflight('/orders/17?a=b', 'PUT', origin,
    { 'access-control-request-headers': 'authorization,content-type' }))
  t.strictSame([statusCode, body, headers['access-control-allow-origin'], headers['access-control-max-age']], [204, '', origin, '600'])
  t.match(headers['access-control-allow-methods'], /\bPUT\b/)
  t.match(headers['access-control-allow-headers'], /authorization/)
  t.match(headers.vary, /Origin/)
  const asked: ReadonlyArray<readonly [what: string, request: InjectOptions, allowed: boolean]> = [
    ['a foreign origin', preflight('/orders', 'POST', 'https://evil.example'), false],
    ['an unknown path', preflight('/nowhere', 'GET'), false],
    ['a method that the route has not', preflight('/orders', 'DELETE'), false],
    ['a method in small letters', preflight('/orders/1', 'put'), false],
    ['a method that does not exist', preflight('/orders', 'BREW'), false],
    ['a header that is not allowed', preflight('/orders', 'POST', origin, { 'access-control-request-headers': 'x-internal' }), false],
    ['HEAD, which follows GET', preflight('/orders', 'HEAD'), true],
    ['a route without CORS', preflight('/internal', 'PUT'), false],
    ['a route of another origin', preflight('/partner', 'PUT'), false],
    ['a route of its own origin', preflight('/partner', 'PUT', partner), true],
    ['a route that has OPTIONS itself', preflight('/orders/1', 'PUT'), true],
    ['a path that cannot be decoded', preflight('/orders/%E0%A4%A', 'PUT'), false]
  ]
  for (const [what, request, allowed] of asked) {
    const response = await app.inject(request)
    t.equal(response.statusCode < 300, allowed, `${what}: ${response.statusCode}`)
    t.equal(accessControl(response.headers).length > 0, allowed, `${what}: headers`)
  }
  const denied = await app.inject(preflight('/internal', 'PUT'))
  t.equal(codeOf(denied), 'SECURE_API_CORS_REFUSED')
  t.match(denied.headers.vary, /Origin.*Access-Control-Request-Method/i)
  t.equal((await app.inject(preflight('/partner', 'PUT', partner))).headers['access-control-max-age'], '5')
})

t.test('the route decides about the answer as well', async t => {
  const { app } = await secured(t, issuer, { suite, routes: orders })
  const allows = async (url: string, from: string, method: 'GET' | 'PUT' = 'PUT') =>
    (await app.inject({ method, url, headers: { origin: from } })).headers['access-control-allow-origin']
  t.equal(await allows('/internal', origin, 'GET'), undefined)
  t.equal(await allows('/partner', partner), partner)
  t.equal(await allows('/partner', origin), undefined)
})

t.test('an OPTIONS that is no preflight reaches its handler, its guard, or a 404', async t => {
  const { app } = await secured(t, issuer, { suite, routes: orders })
  const options = (url: string, headers: Record<string, string> = {}): InjectOptions => ({ method: 'OPTIONS', url, headers })
  t.equal((await app.inject(options('/tool'))).body, 'genuine')
  t.equal((await app.inject(options('/tool', { origin }))).headers['access-control-allow-origin'], origin)
  t.strictSame(await answersOf(app, options('/orders/1'), options('/orders/1', bearer(issuer, { scope: 'a' })), options('/nowhere'),
    options('/tool', { 'access-control-request-method': 'GET' })),
  [[401, 'SECURE_API_UNAUTHENTICATED'], 200, 404, 200])
})

t.test('routes declared before the suite, or beside its register, answer preflights too', async t => {
  const app = startFastify(t)
  const config = { public: true } as const
  app.put('/before/:id', { config }, async () => '')
  app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    environment: 'development',
    audit: false,
    ...suite
  })
  app.put('/beside/:id', { config }, async () => '')
  app.put('/closed', { config: { ...config, cors: false } }, async () => '')
  t.strictSame(await answersOf(app, preflight('/before/1', 'PUT'), preflight('/beside/1?a=b', 'PUT'), preflight('/before/1', 'DELETE'),
    preflight('/before', 'PUT')), [204, 204, refused, refused])
  t.equal((await app.inject({ method: 'PUT', url: '/before/1', headers: { origin } })).headers['access-control-allow-origin'], origin)
  t.strictSame(await answersOf(app, preflight('/before/2', 'PUT')), [204])
  t.strictSame(accessControl((await app.inject({ method: 'PUT', url: '/closed', headers: { origin } })).headers), [])
  t.strictSame(await answersOf(app, preflight('/closed', 'PUT')), [refused], 'once its policy is known')
})

t.test('routes that differ only by their host must all agree', async t => {
  const { app } = await secured(t, issuer, {
    suite,
    routes: app => {
      app.put('/hosted', { constraints: { host: 'a.example' }, config: { public: true } }, async () => '')
      app.put('/hosted', { constraints: { host: 'b.example' }, config: { public: true, cors: false } }, async () => '')
      app.put('/agreed', { constraints: { host: 'a.example' }, config: { public: true } }, async () => '')
    }
  })
  t.strictSame(await answersOf(app, preflight('/hosted', 'PUT', origin, { host: 'a.example' }),
    preflight('/agreed', 'PUT', origin, { host: 'a.example' })), [refused, 204])
})

t.test('the shadow router reads URLs as the application does', async t => {
  const { app } = await secured(t, issuer, {
    suite,
    fastify: { routerOptions: { ignoreTrailingSlash: true, caseSensitive: false } },
    routes: app => { app.put('/Orders', { config: { public: true } }, async () => '') }
  })
  t.strictSame(await answersOf(app, preflight('/orders/', 'PUT'), preflight('/ORDERS', 'PUT'), preflight('/orders/1', 'PUT')),
    [204, 204, refused])
})

t.test('credentials are allowed by name only where the options say so', async t => {
  const { app } = await secured(t, issuer, {
    suite: {
      cors: {
        origins: [origin, 'https://*.example.org'],
        credentials: true,
        requestHeaders: ['x-own'],
        dangerouslyAllowPublicSuffixes: true
      }
    },
    routes: orders
  })
  for (const from of [origin, 'https://a.b.example.org']) {
    const answer = await app.inject({ url: '/orders', headers: { origin: from } })
    const asked = await app.inject(preflight('/orders', 'POST', from, { 'access-control-request-headers': 'x-own' }))
    for (const { headers } of [answer, asked]) {
      t.match(headers,
        { 'access-control-allow-origin': from, 'access-control-allow-credentials': 'true' })
    }
  }
  t.strictSame(await answersOf(app, preflight('/orders', 'POST', 'https://example.org')), [refused])
})

t.test('subdomains with credentials: of a domain of one\'s own, not of a public suffix', async t => {
  const auth = { issuer: issuer.issuer, audience: issuer.audience }
  const start = async (cors: CorsOptions, own?: RouteCors, environment: 'development' | 'production' = 'development') => {
    const app = startFastify(t)
    await app.register(secureApi, { auth, audit: false, environment, cors })
    if (own !== undefined) app.get('/own', { config: { public: true, cors: own } }, async () => '')
    await app.ready()
  }
  const refused = ['SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX']
  const outcome = (...parts: Parameters<typeof start>) => mistakesOf(() => start(...parts))
  t.strictSame(await outcome({ origins: [origin], credentials: true }, { origins: ['https://*.github.io'], credentials: true }), refused,
    'of a route, before anything is served')
  t.strictSame(await outcome({ origins: [origin] }, { origins: ['https://*.example.com'], credentials: true }), [])
  t.strictSame(await outcome({ origins: ['https://*.co.uk'] }, { credentials: true }), refused,
    'credentials of a route, origins of the application')
  for (const suffix of ['co.uk', 'github.io', 'sch.uk', 'anything.ck', 'vercel.app', 's3.amazonaws.com', 'xn--55qx5d.cn', 'com', 'corp']) {
    t.strictSame(await outcome({ origins: [`https://*.${suffix}`], credentials: true }), refused, suffix)
    t.strictSame(await outcome({ origins: [`https://*.${suffix}`], credentials: true, dangerouslyAllowPublicSuffixes: true }), [],
      `${suffix}, said to be meant`)
    t.strictSame(await outcome({ origins: [`https://*.${suffix}`] }), [], `${suffix} without credentials`)
  }
  for (const own of ['example.com', 'example.co.uk', 'example.github.io', 'www.ck', 'a.corp', 'sub_domain.example.com', 'localhost']) {
    t.strictSame(await outcome({ origins: [`https://*.${own}`], credentials: true }), [], own)
  }
  const early = startFastify(t)
  early.get('/early', { config: { public: true, cors: { origins: ['https://*.github.io'], credentials: true } } }, async () => '')
  await early.register(secureApi, { auth, audit: false, environment: 'development', cors: { origins: [origin] } })
  t.equal((await early.inject({ url: '/early', headers: { origin: 'https://evil.github.io' } })).headers['access-control-allow-origin'],
    undefined, 'a route declared before the suite')
})

t.test('enforceOrigin refuses unsafe requests of foreign pages, not only hides the answer', async t => {
  const { app, events } = await secured(t, issuer, { suite: { cors: { origins: [origin], enforceOrigin: true } }, routes: orders })
  const post = (headers: Record<string, string>): InjectOptions => ({ method: 'POST', url: '/orders', headers })
  t.strictSame(await answersOf(app,
    post({}), post({ origin }), post({ origin: 'http://localhost:80', host: 'localhost:80' }),
    { url: '/orders', headers: { origin: 'https://evil.example' } },
    post({ origin: 'https://evil.example' }), post({ 'sec-fetch-site': 'cross-site' }), post({ origin: 'null' })),
  [200, 200, 200, 200, refused, refused, refused])
  t.match(events.at(-1), { event: 'malicious_cors', outcome: 'denied' })
})

t.test('in development a refused preflight can say why, in production never', async t => {
  for (const [environment, told] of [['development', true], ['production', false]] as const) {
    const app = startFastify(t)
    await app.register(cors, { origins: [origin], debug: true, environment })
    app.put('/orders', { config: { public: true } }, async () => '')
    const { body } = await app.inject(preflight('/orders', 'PUT', 'https://evil.example'))
    t.equal('debug' in JSON.parse(body), told, environment)
  }
})

t.test('15 B5: no request header and no response header are legal values', async t => {
  const { app } = await secured(t, issuer, {
    suite: { cors: { origins: [origin], requestHeaders: [], responseHeaders: [] } },
    routes: app => { app.put('/orders', { config: { public: true } }, async () => '') }
  })
  const ask = (headers: Record<string, string>) =>
    app.inject({ method: 'OPTIONS', url: '/orders', headers: { origin, 'access-control-request-method': 'PUT', ...headers } })
  const allowed = await ask({})
  t.strictSame([allowed.statusCode, allowed.headers['access-control-allow-headers']], [204, ''])
  t.equal((await ask({ 'access-control-request-headers': 'authorization' })).statusCode, 403)
})

t.test('15 B5: what is said of access-control-allow-origin is true', async t => {
  const problems = new Problems()
  validateCors({ origins: [origin], responseHeaders: ['Access-Control-Allow-Origin'] }, 'cors', problems, { environment: 'production' })
  const [{ why } = { why: '' }] = problems.list()
  t.notMatch(why, 'never read', 'a script may read it where it is exposed')
  t.match(why, /is for the browser/)
})
