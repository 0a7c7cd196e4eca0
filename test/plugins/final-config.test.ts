import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync, InjectOptions, RouteOptions } from 'fastify'
import t from 'tap'
import secureApi, { type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codesOf, mistakesOf, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const auth = { issuer: issuer.issuer, audience: issuer.audience }
const origin = 'https://app.example.com'
const lenient: SecureApiOptions = { authorization: { default: 'authenticated' }, cors: { origins: [origin] } }
const forbidden = [403, 'SECURE_API_FORBIDDEN']
const stranger = [401, 'SECURE_API_UNAUTHENTICATED']

type Change = (route: RouteOptions) => void

/** Options that a hook writes, misspelt or not: the compiler would refuse some of them. */
const config = (options: object) => options as FastifyContextConfig

/** Each way in which a hook can give a route a role. */
const ways: Readonly<Record<string, Change>> = {
  spread: route => { route.config = { ...route.config, role: 'admin' } },
  replaced: route => { route.config = { role: 'admin' } },
  mutated: route => { route.config = Object.assign(route.config ?? {}, { role: 'admin' }) },
  frozen: route => { route.config = Object.freeze({ role: 'admin' }) }
}

function group (change: Change, declare: (app: FastifyInstance) => void): FastifyPluginAsync {
  return async app => {
    app.addHook('onRoute', change)
    declare(app)
  }
}

const removeUser: InjectOptions = { method: 'DELETE', url: '/admin/users/1' }
const withToken = (request: InjectOptions, claims: Record<string, unknown> = {}) => ({ ...request, headers: bearer(issuer, claims) })

t.test('14 A1: the rule that the hook of a group adds is kept, however it is added', async t => {
  for (const [name, change] of Object.entries(ways)) {
    const { app } = await secured(t, issuer, {
      suite: lenient,
      routes: app => { app.register(group(change, admin => { admin.delete('/users/:id', async () => 'deleted') }), { prefix: '/admin' }) }
    })
    t.strictSame(await answersOf(app, removeUser, withToken(removeUser), withToken(removeUser, { roles: ['admin'] })),
      [stranger, forbidden, 200], name)
    t.match(app.secureApi.routes(), [{ url: '/admin/users/:id', access: { role: 'admin' } }], name)
  }
})

t.test('14 A1: a hook that is added at the root after the suite is kept too, and so for HEAD', async t => {
  const { app } = await secured(t, issuer, {
    suite: lenient,
    routes: app => {
      app.addHook('onRoute', route => { route.config = { ...route.config, scope: 'api.read' } })
      app.get('/orders', async () => [])
    }
  })
  const asked: InjectOptions[] = [{ url: '/orders' }, { method: 'HEAD', url: '/orders' }]
  for (const request of asked) {
    t.match(await answersOf(app, withToken(request), withToken(request, { scope: 'api.read' })), request.method === 'HEAD'
      ? [403, 200]
      : [forbidden, 200])
  }
})

t.test('14 A1: both routes that Fastify makes for the `/` of a prefix have the rule of the hook', async t => {
  const { app } = await secured(t, issuer, {
    suite: lenient,
    routes: app => {
      app.register(group(ways['spread'] as Change, admin => { admin.get('/', async () => 'secret') }),
        { prefix: '/admin' })
    }
  })
  for (const url of ['/admin', '/admin/']) {
    t.strictSame(await answersOf(app, withToken({ url }), withToken({ url }, { roles: ['admin'] })),
      [forbidden, 200], url)
  }
  t.strictSame(app.secureApi.routes().filter(({ methods }) => methods.includes('GET')).map(({ url, access }) => [url, access]),
    [['/admin', { role: 'admin' }]])
})

t.test('14 A1: what a hook takes away is gone', async t => {
  const { app } = await secured(t, issuer, {
    routes: app => {
      app.register(group(route => { delete route.config?.public },
        scope => { scope.get('/closed', { config: { public: true } }, async () => '') }))
    }
  })
  t.strictSame(await answersOf(app, { url: '/closed' }, withToken({ url: '/closed' })), [stranger, forbidden])
})

t.test('14 A1: limits, CORS, headers and the name in the trail are kept when a hook states them', async t => {
  const { app, events } = await secured(t, issuer, {
    suite: lenient,
    routes: app => {
      const options = {
        public: true,
        rateLimit: { limit: 1, window: '1 minute' },
        cors: false,
        headers: { referrerPolicy: 'origin' },
        audit: 'orders.list'
      } as const
      app.register(group(route => { route.config = { ...route.config, ...options } }, scope => { scope.get('/orders', async () => []) }))
    }
  })
  const response = await app.inject({ url: '/orders', headers: { origin } })
  t.match(response.headers, { 'referrer-policy': 'origin', ratelimit: /r=0/ })
  t.equal(response.headers['access-control-allow-origin'], undefined)
  t.equal(events[0]?.action, 'orders.list')
  t.equal((await app.inject('/orders')).statusCode, 429)
})

t.test('14 A1: a mistake that a hook makes stops the boot', async t => {
  const mistakes: readonly [object, string][] = [
    [{ roles: 'admin' }, 'SECURE_API_OPTION_UNKNOWN'],
    [{ rateLimit: 'bulk' }, 'SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN'],
    [{ public: true, scope: 'a' }, 'SECURE_API_ROUTE_PUBLIC_WITH_RULE']
  ]
  for (const [added, code] of mistakes) {
    const start = secured(t, issuer, {
      suite: lenient,
      routes: app => {
        app.register(group(route => { route.config = config({ ...route.config, ...added }) },
          scope => { scope.get('/orders', async () => []) }))
      }
    })
    t.strictSame(await start.then(() => [], codesOf), [code], code)
  }
})

t.test('14 A1: a change that comes after Fastify has read the options stops the boot', async t => {
  const app = startFastify(t)
  await app.register(secureApi, { auth, environment: 'development', ...lenient })
  let late: RouteOptions | undefined
  app.addHook('onRoute', route => { late ??= route })
  app.get('/orders', async () => [])
  await new Promise(resolve => setImmediate(resolve))
  if (late !== undefined) late.config = { ...late.config, role: 'admin' }
  t.strictSame(await mistakesOf(() => app.ready()), ['SECURE_API_ROUTE_CONFIG_LATE'])
})

t.test('14 A4: a polluted prototype changes no part of what a route states', async t => {
  const pollution: readonly [string, unknown][] = [
    ['all', []], ['any', ['own']], ['dryRun', true], ['allowed', true], ['unavailable', 'x'], ['refused', 'x'],
    ['origins', ['https://evil.example']], ['contentTypeOptions', false], ['contentSecurityPolicy', false], ['directives', {}]
  ]
  for (const [name, value] of pollution) {
    await polluted(name, value, async () => {
      const { app } = await secured(t, issuer, {
        suite: {
          ...lenient,
          authorization: { policies: { chiefs: { role: { any: ['admin'] } } } },
          rateLimit: { policies: { few: { limit: 4, window: '1 minute' } } }
        },
        routes: app => {
          app.get('/rule', { config: { role: { any: ['admin', 'chief'] } } }, async () => '')
          app.get('/policy', { config: { policy: { any: ['chiefs'] } } }, async () => '')
          app.get('/hand', { config: { authenticated: true }, preHandler: app.requireRole({ any: ['admin'] }) }, async () => '')
          app.get('/limited', {
            config: {
              public: true,
              rateLimit: { limit: 1, window: '1 minute' },
              cors: { methods: ['GET'] },
              headers: { referrerPolicy: 'origin' }
            }
          }, async () => '')
          app.get('/few', { config: { public: true, rateLimit: ['few', 'read'] } }, async () => '')
        }
      })
      for (const url of ['/rule', '/policy', '/hand']) {
        t.strictSame(await answersOf(app, withToken({ url })), [forbidden],
        `${name}: ${url}`)
      }
      const { headers } = await app.inject({ url: '/limited', headers: { origin: 'https://evil.example' } })
      t.match(headers, { 'content-security-policy': String, 'x-content-type-options': 'nosniff' }, name)
      t.equal(headers['access-control-allow-origin'], undefined, name)
      t.equal((await app.inject('/limited')).statusCode, 429, name)
      t.equal(app.secureApi.routes().some(({ rateLimit }) => JSON.stringify(rateLimit ?? null).includes('"dryRun":true')), false, name)
      const few = await answersOf(app, ...Array.from({ length: 5 }, () => ({ url: '/few' })))
      t.match(few, [200, 200, 200, 200, [429, 'SECURE_API_RATE_LIMITED']], name)
    })
  }
})

t.test('14 A1: an object that changes right behind the call, for the next route, stops the boot', async t => {
  const start = secured(t, issuer, {
    suite: lenient,
    routes: app => {
      const shared: FastifyContextConfig = { public: true }
      app.get('/open', { config: shared }, async () => '')
      delete shared.public
      shared.role = 'admin'
      app.get('/admin', { config: shared }, async () => '')
    }
  })
  t.strictSame([...new Set(await start.then(() => [], codesOf))], ['SECURE_API_ROUTE_CONFIG_LATE'])
})

t.test('14 A1: a rule that Fastify does not copy, because it is inherited or hidden, stops the boot', async t => {
  class Restricted { get role () { return 'admin' } }
  const lost: readonly object[] = [new Restricted(), Object.create({ role: 'admin' }),
    Object.defineProperty({}, 'role', { value: 'admin' })]
  for (const options of lost) {
    const start = secured(t, issuer, { suite: lenient, routes: app => { app.get('/admin', { config: config(options) }, async () => '') } })
    t.strictSame([...new Set(await start.then(() => [], codesOf))], ['SECURE_API_OPTION_VALUE'])
  }
})

t.test('14 A9: a pattern reaches the `/` of a prefix, which answers with and without its slash', async t => {
  for (const pattern of ['/admin/*', '/admin', '/admin/']) {
    const { app } = await secured(t, issuer, {
      suite: { ...lenient, authorization: { default: 'authenticated', routes: { [pattern]: { role: 'admin' } } } },
      routes: app => { app.register(async admin => { admin.get('/', async () => 'secret') }, { prefix: '/admin' }) }
    })
    for (const url of ['/admin', '/admin/']) {
      t.strictSame(await answersOf(app, withToken({ url }),
        withToken({ url }, { roles: ['admin'] })), [forbidden, 200], `${pattern}: ${url}`)
    }
  }
})

/** Runs with this property on every object of the process. */
async function polluted (name: string, value: unknown, act: () => Promise<void>): Promise<void> {
  const everybody: object = Object.prototype
  Object.defineProperty(everybody, name, { value, configurable: true, writable: true, enumerable: true })
  try {
    await act()
  } finally {
    Reflect.deleteProperty(everybody, name)
  }
}

t.test('14 A4: a polluted prototype opens no route, early or not, and changes no option', async t => {
  const pollution: readonly [string, unknown][] = [
    ['public', true], ['authenticated', true], ['scope', 'own'], ['rateLimit', false], ['audit', false], ['default', 'authenticated'],
    ['cors', { origins: ['https://evil.example'] }],
    ['origins', ['https://evil.example']], ['perAddress', false], ['routes', { '/*': { authenticated: true } }], ['headers', false],
    ['phase', 'none'], ['onSinkFailure', 'drop'], ['challenge', true]
  ]
  for (const [name, value] of pollution) {
    await polluted(name, value, async () => {
      const app = startFastify(t)
      app.get('/early', async () => 'secret')
      await app.register(secureApi, { auth, environment: 'development', audit: { sink: () => {} }, cors: { origins: [origin] } })
      app.get('/late', async () => 'secret')
      for (const url of ['/early', '/late']) {
        const response = await app.inject({ url, headers: { origin: 'https://evil.example' } })
        t.match([response.statusCode, response.headers['access-control-allow-origin'], response.headers['x-content-type-options']],
          [401, undefined, 'nosniff'], `${name}: ${url}`)
        t.equal((await app.inject(withToken({ url }))).statusCode, 403, `${name}: ${url} with a token`)
      }
    })
  }
})

t.test('14 A4: a polluted `config`, which Fastify reads as that of every route without one, opens none', async t => {
  for (const value of [{ public: true }, { authenticated: true, audit: false }]) {
    await polluted('config', value, async () => {
      const app = startFastify(t)
      app.get('/early', async () => 'secret')
      app.get('/early/own', { config: { role: 'admin' } }, async () => 'secret')
      await app.register(secureApi, { auth, environment: 'development', audit: { sink: () => {} } })
      app.get('/late', async () => 'secret')
      app.get('/late/own', { config: { public: true } }, async () => '')
      t.strictSame(await answersOf(app, withToken({ url: '/early' }), withToken({ url: '/late' })), [forbidden, forbidden])
      t.strictSame(await answersOf(app, { url: '/late' }, { url: '/late/own' }), [stranger, 200])
      t.not((await app.inject('/early')).statusCode, 200)
      t.strictSame(await answersOf(app, withToken({ url: '/early/own' }), withToken({ url: '/early/own' }, { roles: ['admin'] })),
        [forbidden, 200])
    })
  }
})

t.test('14 A6: misspelt keys of every control stop the boot, also without authentication', async t => {
  const wrong = ['ratelimit', 'rateLimits', 'rate_limit', 'cor', 'header', 'audits', 'helmet', 'scopes', 'Public', 'policies', 'role_']
  for (const key of wrong) {
    for (const suite of [{ cors: { origins: [origin] } }, { auth: false, audit: false }] satisfies SecureApiOptions[]) {
      const start = secured(t, issuer, { suite, routes: app => { app.get('/orders', { config: config({ [key]: 'x' }) }, async () => []) } })
      t.strictSame(await start.then(() => [], codesOf), ['SECURE_API_OPTION_UNKNOWN'], `${key} ${JSON.stringify(suite)}`)
    }
  }
  await secured(t, issuer, {
    routes: app => {
      app.get('/orders',
        { config: config({ public: true, roleId: 1, publish: true, swagger: {}, timeout: 5 }) }, async () => [])
    }
  })
})

t.test('14 A6: an option of a control that is switched off stops the boot', async t => {
  const cases: readonly [SecureApiOptions, object, string[]][] = [
    [{ rateLimit: false }, { rateLimit: { limit: 1, window: '1 minute' } }, ['SECURE_API_ROUTE_OPTION_UNKEPT']],
    [{ headers: false }, { headers: { referrerPolicy: 'origin' } }, ['SECURE_API_ROUTE_OPTION_UNKEPT']],
    [{ audit: false }, { audit: 'orders.list' }, ['SECURE_API_ROUTE_OPTION_UNKEPT']],
    [{}, { cors: { origins: [origin] } }, ['SECURE_API_ROUTE_OPTION_UNKEPT']],
    [{ rateLimit: false, audit: false }, { rateLimit: false, audit: false, cors: false }, []]
  ]
  for (const [suite, options, codes] of cases) {
    const start = secured(t, issuer, {
      suite,
      routes: app => { app.get('/orders', { config: config({ public: true, ...options }) }, async () => []) }
    })
    t.strictSame(await start.then(() => [], codesOf), codes, JSON.stringify(options))
  }
})

t.test('14 A9: routes of other plugins get a rule, a limit and headers by their path', async t => {
  const foreign: FastifyPluginAsync = async app => {
    app.get('/*', async () => 'file')
    app.get('/private/*', async () => 'private')
    app.get('/own', { config: { scope: 'own' } }, async () => 'own')
  }
  const routes = {
    '/uploads/*': { public: true, rateLimit: { limit: 2, window: '1 minute' }, headers: { referrerPolicy: 'origin' } },
    '/uploads/private/*': { role: 'admin' },
    '/early': { public: true }
  } as const
  const app = startFastify(t)
  app.get('/early', async () => 'early')
  await app.register(secureApi, { auth, environment: 'development', audit: { sink: () => {} }, authorization: { routes } })
  await app.register(foreign, { prefix: '/uploads' })
  const open = await app.inject('/uploads/a.png')
  t.match([open.statusCode, open.headers], [200, { 'referrer-policy': 'origin', 'ratelimit-policy': /q=2/ }])
  const inside = { url: '/uploads/private/a' }
  t.strictSame(await answersOf(app, inside, withToken(inside), withToken(inside, { roles: ['admin'] }), { url: '/uploads/own' },
    { url: '/early' }), [stranger, forbidden, 200, stranger, 200])
  t.match(app.secureApi.routes().filter(({ methods }) => methods.includes('GET')).map(({ url, access, source }) => [url, access, source]), [
    ['/uploads/*', 'public', "authorization.routes['/uploads/*']"],
    ['/uploads/private/*', { role: 'admin' }, "authorization.routes['/uploads/private/*']"],
    ['/uploads/own', { scope: 'own' }, "authorization.routes['/uploads/*']"],
    ['/early', 'public', "authorization.routes['/early']"]
  ])
})

t.test('14 A9: a pattern that stands for no route, opens everything or holds a mistake stops the boot', async t => {
  const cases: readonly [Readonly<Record<string, FastifyContextConfig>>, string][] = [
    [{ '/upload/*': { public: true } }, 'SECURE_API_ROUTE_PATTERN_UNMATCHED'],
    [{ '/orders/*': { public: true } }, 'SECURE_API_ROUTE_PATTERN_UNMATCHED'],
    [{ orders: { public: true } }, 'SECURE_API_ROUTE_PATTERN_INVALID'],
    [{ '/*': { public: true } }, 'SECURE_API_ROUTE_PATTERN_INVALID'],
    [{ '/orders': {} }, 'SECURE_API_OPTION_EMPTY'],
    [{ '/orders': config({ scopes: 'a' }) }, 'SECURE_API_OPTION_UNKNOWN'],
    [{ '/orders': { public: true, rateLimit: 'bulk' } }, 'SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN'],
    [{ '/orders': { public: true, scope: 'a' } }, 'SECURE_API_ROUTE_PUBLIC_WITH_RULE']
  ]
  for (const [routes, code] of cases) {
    const start = secured(t, issuer, { suite: { authorization: { routes } }, routes: app => { app.get('/orders', async () => []) } })
    t.strictSame(await start.then(() => [], codesOf), [code], JSON.stringify(routes))
  }
})

t.test('14 A9: a pattern for a part of what a wildcard route answers, which would not be guarded, stops the boot', async t => {
  const routes = { '/uploads/*': { public: true }, '/uploads/private/*': { role: 'admin' } } as const
  const started = (declare: (app: FastifyInstance) => void) => secured(t, issuer, { suite: { authorization: { routes } }, routes: declare })
  const upload = (app: FastifyInstance) => { app.post('/uploads/private/new', async () => '') }
  const serve = (app: FastifyInstance, url: string) => { app.get(url, async () => 'a file') }
  const hidden = started(app => { serve(app, '/uploads/*'); upload(app) })
  t.strictSame(await hidden.then(() => [], codesOf), ['SECURE_API_ROUTE_PATTERN_UNMATCHED'])
  const { app } = await started(app => { serve(app, '/uploads/*'); serve(app, '/uploads/private/*'); upload(app) })
  t.strictSame(await answersOf(app, { url: '/uploads/a.txt' }, { url: '/uploads/private/a.txt' },
    withToken({ url: '/uploads/private/a.txt' }, { roles: ['admin'] })), [200, stranger, 200])
  const each = await started(app => { serve(app, '/uploads/a.txt'); serve(app, '/uploads/private/a.txt') })
  t.strictSame(await answersOf(each.app, { url: '/uploads/a.txt' }, { url: '/uploads/private/a.txt' }), [200, stranger])
})

t.test('14 A9: however a wildcard route is written, and for each of its methods, a pattern inside it is not left unguarded', async t => {
  const answer = async () => 'a file'
  const started = (routes: Readonly<Record<string, FastifyContextConfig>>, declare: (app: FastifyInstance) => void) =>
    secured(t, issuer, { suite: { authorization: { routes } }, routes: declare })
  const hidden: Readonly<Record<string, readonly [outer: string, inner: string, declare: (app: FastifyInstance) => void]>> = {
    'no slash before it': ['/uploads*', '/uploads/private/*', app => { app.get('/uploads*', answer).post('/uploads/private/new', answer) }],
    everything: ['*', '/admin/*', app => { app.get('*', answer).get('/admin/users', answer) }],
    'a parameter': ['/:tenant/*', '/:tenant/private/*', app => { app.get('/:tenant/*', answer).post('/:tenant/private/new', answer) }],
    'for a parameter': ['/:tenant/*', '/acme/*', app => { app.get('/:tenant/*', answer).post('/acme/new', answer) }],
    'HEAD alone': ['/uploads/*', '/uploads/private/*', app => { app.head('/uploads/*', answer).post('/uploads/private/new', answer) }],
    'GET without HEAD': ['/uploads/*', '/uploads/private/*', app => {
      app.get('/uploads/*', answer).get('/uploads/private/*', { exposeHeadRoute: false }, answer)
    }]
  }
  for (const [name, [outer, inner, declare]] of Object.entries(hidden)) {
    const boot = started({ [outer]: { public: true }, [inner]: { role: 'admin' } }, declare)
    t.strictSame(await boot.then(() => [], codesOf), ['SECURE_API_ROUTE_PATTERN_UNMATCHED'], name)
  }
})

t.test('14 A9: a route of its own for a pattern inside a wildcard route counts as the router reads it', async t => {
  const routes = { '/Uploads/*': { public: true }, '/Uploads//Private/*': { role: 'admin' } } as const
  const { app } = await secured(t, issuer, {
    fastify: { routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } },
    suite: { authorization: { routes } },
    routes: app => { app.get('/Uploads/*', async () => '').get('/Uploads//Private/*', async () => '') }
  })
  t.strictSame(await answersOf(app, { url: '/uploads/a' }, { url: '/uploads/private/a' }, { method: 'HEAD', url: '/uploads/private/a' })
    .then(answers => answers.map(answer => Array.isArray(answer) ? answer[0] : answer)), [200, 401, 401])
})

t.test('14 A1: a rule outside of the scope that the suite guards stops the boot', async t => {
  const start = async (outside: object) => {
    const app = startFastify(t)
    app.register(async child => {
      await child.register(secureApi, { auth, environment: 'development', audit: false })
      child.get('/inside', { config: { scope: 'a' } }, async () => '')
      await child.register(async inner => { inner.get('/inner', { config: { role: 'a' } }, async () => '') })
    })
    app.register(async sibling => { sibling.get('/outside', { config: config(outside) }, async () => '') })
    return await mistakesOf(() => app.ready())
  }
  t.strictSame(await start({ scope: 'a' }), ['SECURE_API_ROUTE_OUTSIDE'])
  t.strictSame(await start({ public: true }), [])
})

t.test('16: options of a route from before the suite that cannot be read close it, once and for all, with headers and limits', async t => {
  const circle: Record<string, unknown> = {}
  circle['any'] = circle
  const unreadable: Readonly<Record<string, object>> = {
    getter: { get any () { throw new Error('boom') } },
    proxy: new Proxy({}, { ownKeys () { throw new Error('boom') } }),
    circle
  }
  for (const [name, scope] of Object.entries(unreadable)) {
    const app = startFastify(t)
    app.get('/early', { config: config({ scope, public: true }) }, async () => 'open')
    await app.register(secureApi, { auth, audit: false, environment: 'development' })
    for (let asked = 0; asked < 3; asked++) {
      const answer = await app.inject('/early')
      t.equal(answer.statusCode, 401, name)
      t.match(answer.headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' }, name)
      t.match((await app.inject({ url: '/early', headers: bearer(issuer) })).statusCode, 403, name)
    }
    t.equal(app.secureApi.routes().length, 1, name)
  }
})

t.test('16: options of a route that cannot be read stop the boot with its name, and end no process', async t => {
  const app = startFastify(t)
  await app.register(secureApi, { auth, audit: false, environment: 'development' })
  app.get('/x', { config: config({ scope: { get any () { throw new Error('boom') } } }) }, async () => 'x')
  await t.rejects(async () => await app.ready(), { message: /route GET \/x: config: it cannot be read: Error: boom/ })
  const broken = startFastify(t)
  await broken.register(secureApi, { auth, audit: false, environment: 'development' })
  t.throws(() => broken.get('/x', { config: config({ get scope () { throw new Error('boom') } }) }, async () => 'x'), /boom/)
  await t.rejects(async () => await broken.ready())
})
