import { PassThrough } from 'node:stream'
import type { FastifyContextConfig, FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import secureApi, { authentication, authorization, RefusalError, type PolicyContext, type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, mistakesOf, missingHeaders, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const unreadable = [400, 'SECURE_API_REQUEST_BODY']
const forbidden = [403, 'SECURE_API_FORBIDDEN']
const stranger = [401, 'SECURE_API_UNAUTHENTICATED']

type Claims = Parameters<typeof issuer.sign>[0]
const as = (claims: Claims, url: string, more: InjectOptions = {}): InjectOptions => ({ url, headers: bearer(issuer, claims), ...more })

interface Order { owner: string }

const policies: NonNullable<NonNullable<SecureApiOptions['authorization']>['policies']> = {
  staff: { role: { any: ['clerk', 'admin'] } },
  'staff-writer': { policy: 'staff', scope: 'api.write' },
  self: ({ principal, request }) => principal.subject === (request.params as { id?: string }).id,
  'small-amount': ({ request }) => (request.body as { amount: number }).amount < 100,
  'order-owner': ({ principal, resource }: PolicyContext) => principal.subject === (resource as Order | undefined)?.owner,
  slow: async ({ principal }) => principal.subject === 'alice',
  broken: () => { throw new Error('the database at 10.0.0.1 is away') },
  rejecting: () => Promise.reject(new Error('away')),
  truthy: () => 'yes' as unknown as boolean
}

t.test('rules: each shape, each key, all keys together', async t => {
  const configs: Readonly<Record<string, FastifyContextConfig>> = {
    scope: { scope: 'a' },
    all: { scope: { all: ['a', 'b'] } },
    any: { scope: { any: ['a', 'b'] } },
    role: { role: 'admin' },
    both: { scope: 'a', role: 'admin' },
    policy: { policy: 'staff' },
    nested: { policy: 'staff-writer' },
    authenticated: { authenticated: true },
    public: { public: true },
    nothing: {}
  }
  const { app } = await secured(t, issuer, {
    suite: { authorization: { policies } },
    routes: app => { for (const [name, config] of Object.entries(configs)) app.get(`/${name}`, { config }, async () => '') }
  })
  const allowed = async (claims: Claims) => {
    const names = Object.keys(configs)
    const answers = await answersOf(app, ...names.map(name => as(claims, `/${name}`)))
    return names.filter((_, index) => answers[index] === 200)
  }
  t.strictSame(await allowed({}), ['authenticated', 'public'])
  t.strictSame(await allowed({ scope: 'a' }), ['scope', 'any', 'authenticated', 'public'])
  t.strictSame(await allowed({ scope: 'b a' }), ['scope', 'all', 'any', 'authenticated', 'public'])
  t.strictSame(await allowed({ scope: 'ab A aa' }), ['authenticated', 'public'])
  t.strictSame(await allowed({ roles: ['admin'] }), ['role', 'policy', 'authenticated', 'public'])
  t.strictSame(await allowed({ scope: 'a api.write', roles: ['admin'] }),
    ['scope', 'any', 'role', 'both', 'policy', 'nested', 'authenticated', 'public'])
  const without = await answersOf(app, ...Object.keys(configs).map(name => ({ url: `/${name}` })))
  t.strictSame(without, Object.keys(configs).map(name => name === 'public' ? 200 : stranger))
})

t.test('15 B1: the 403 names scopes that would do, and not all of a choice as if all were needed', async t => {
  const { app } = await secured(t, issuer, {
    routes: app => {
      app.get('/any', { config: { scope: { any: ['api.read', 'api.write'] } } }, async () => '')
      app.get('/all', { config: { scope: { all: ['api.read', 'api.write'] } } }, async () => '')
      app.get('/role', { config: { role: 'admin' } }, async () => '')
    }
  })
  const [any, all, role] = await Promise.all(['/any', '/all', '/role'].map(url => app.inject(as({}, url))))
  const challenge = 'Bearer error="insufficient_scope", error_description="The credential does not permit this."'
  t.equal(any?.headers['www-authenticate'], `${challenge}, scope="api.read"`)
  t.equal(all?.headers['www-authenticate'], `${challenge}, scope="api.read api.write"`)
  t.equal(role?.headers['www-authenticate'], challenge)
  const { required, present, ...document } = JSON.parse(any?.body ?? '')
  t.strictSame([required, present], [{ scope: { any: ['api.read', 'api.write'] } }, { scopes: [], roles: [] }])
  t.strictSame(document, {
    type: 'about:blank',
    title: 'Forbidden',
    status: 403,
    detail: 'The credential does not permit this.',
    code: 'SECURE_API_FORBIDDEN'
  })
})

t.test('a route without a rule: closed and named at start, or open to whoever is authenticated', async t => {
  const log = new PassThrough()
  const lines: string[] = []
  log.on('data', chunk => lines.push(String(chunk)))
  const routes = (app: FastifyInstance) => { app.get('/orders', async () => '') }
  const closed = await secured(t, issuer, { routes, fastify: { logger: { level: 'warn', stream: log } } })
  t.strictSame(await answersOf(closed.app, { url: '/orders' }, as({ scope: 'everything' }, '/orders')), [stranger, forbidden])
  t.match(lines.join(''), /route GET \/orders/)
  const open = await secured(t, issuer, { routes, suite: { authorization: { default: 'authenticated' } } })
  t.strictSame(await answersOf(open.app, { url: '/orders' }, as({}, '/orders')), [stranger, 200])
})

t.test('policies see params, body and nothing they say but true lets anybody in', async t => {
  const post = (app: FastifyInstance, url: string, policy: string) => { app.post(url, { config: { policy } }, async () => '') }
  const { app } = await secured(t, issuer, {
    suite: { authorization: { policies }, rateLimit: { policies: { write: { limit: 1000, window: '1 minute' } } } },
    routes: app => {
      post(app, '/people/:id', 'self')
      for (const name of ['small-amount', 'slow', 'broken', 'rejecting', 'truthy']) post(app, `/${name}`, name)
    }
  })
  const send = (url: string, payload: object = { amount: 1 }) => as({ sub: 'alice' }, url, { method: 'POST', payload })
  t.strictSame(await answersOf(app, send('/people/alice'), send('/people/bob')), [200, forbidden])
  t.strictSame(await answersOf(app, send('/small-amount', { amount: 99 }), send('/small-amount', { amount: 100 })), [200, forbidden])
  t.strictSame(await answersOf(app, send('/slow'), as({ sub: 'bob' }, '/slow', { method: 'POST', payload: {} })), [200, forbidden])
  t.strictSame(await answersOf(app, send('/broken'), send('/rejecting'), send('/truthy')), [forbidden, forbidden, forbidden])
  t.strictSame(await answersOf(app, as({}, '/small-amount', { method: 'POST' })), [forbidden], 'a policy that fails on a missing body')
})

t.test('phase onRequest refuses before the body is read; policies that are functions wait for it', async t => {
  const { app } = await secured(t, issuer, {
    suite: { authorization: { policies } },
    routes: app => {
      app.post('/late', { config: { scope: 'a' } }, async () => '')
      app.post('/early', { config: { scope: 'a', authorization: { phase: 'onRequest' } } }, async () => '')
      app.post('/both', { config: { scope: 'a', policy: 'small-amount', authorization: { phase: 'onRequest' } } }, async () => '')
    }
  })
  const garbage = (url: string, scope: string): InjectOptions =>
    ({ method: 'POST', url, headers: { ...bearer(issuer, { scope }), 'content-type': 'application/json' }, payload: '{"amount":' })
  t.strictSame(await answersOf(app, garbage('/late', 'b'), garbage('/early', 'b'), garbage('/both', 'b'), garbage('/both', 'a')),
    [unreadable, forbidden, forbidden, unreadable])
  const amount = (amount: number) => as({ scope: 'a' }, '/both', { method: 'POST', payload: { amount } })
  t.strictSame(await answersOf(app, amount(1), amount(1000)), [200, forbidden])
  const whole = await secured(t, issuer, {
    suite: { authorization: { phase: 'onRequest' } },
    routes: app => {
      app.post('/early', { config: { scope: 'a' } }, async () => '')
      app.post('/late', { config: { scope: 'a', authorization: { phase: 'preHandler' } } }, async () => '')
    }
  })
  t.strictSame(await answersOf(whole.app, garbage('/early', 'b'), garbage('/late', 'b')), [forbidden, unreadable])
})

/** Guards used by hand, in the scope of the suite and in a child with an error handler of its own. */
function guarded (app: FastifyInstance): void {
  const authenticateCallers: typeof app.authenticate = (request, reply, done) => request.headers.authorization === undefined
    ? done()
    : app.authenticate(request, reply, done)
  const config = { authenticated: true } as const
  app.get('/scope', { config, preHandler: app.requireScope('a') }, async () => '')
  app.get('/role', { config, preHandler: app.requireRole({ any: ['admin'] }) }, async () => '')
  app.get('/policy/:id', { config, preHandler: app.requirePolicy('self') }, async () => '')
  app.get('/strangers', { config: { public: true }, preHandler: app.requireScope('a') }, async () => '')
  app.get('/by-hand', { config: { public: true }, onRequest: app.authenticate, preHandler: app.requireScope('a') }, async () => '')
  app.get<{ Params: { id: string } }>('/resource/:id', { config: { public: true }, onRequest: authenticateCallers },
    async request => {
      await request.authorize('order-owner', { owner: request.params.id })
      return ''
    })
}

const byHand = (prefix: string): InjectOptions[] => [
  as({ scope: 'a' }, `${prefix}/scope`), as({}, `${prefix}/scope`), { url: `${prefix}/scope` },
  as({ roles: ['admin'] }, `${prefix}/role`), as({}, `${prefix}/role`),
  as({ sub: 'alice' }, `${prefix}/policy/alice`), as({ sub: 'alice' }, `${prefix}/policy/bob`),
  as({ scope: 'a' }, `${prefix}/strangers`), { url: `${prefix}/by-hand` }, as({ scope: 'a' }, `${prefix}/by-hand`),
  as({ sub: 'alice' }, `${prefix}/resource/alice`), as({ sub: 'alice' }, `${prefix}/resource/bob`), { url: `${prefix}/resource/alice` }
]
const byHandAnswers = [200, forbidden, stranger, 200, forbidden, 200, forbidden, stranger, stranger, 200, 200, forbidden, stranger]

t.test('guards by hand answer as those of the routes do, in an encapsulated child with its own error handler too', async t => {
  const { app, events } = await secured(t, issuer, {
    suite: { authorization: { policies } },
    routes: async app => {
      guarded(app)
      await app.register(async scope => {
        scope.setErrorHandler(async (error, _request, reply) => reply.code(418).send({ own: String(error) }))
        guarded(scope)
        scope.get('/fails', { config: { public: true } }, async () => { throw new Error('own') })
      }, { prefix: '/child' })
    }
  })
  t.strictSame(await answersOf(app, ...byHand('')), byHandAnswers)
  t.strictSame(await answersOf(app, ...byHand('/child')), byHandAnswers)
  t.strictSame(await answersOf(app, { url: '/child/fails' }), [418], "the child's errors stay its own")
  const refused = await app.inject(as({}, '/scope'))
  t.match(refused.headers['www-authenticate'], /error="insufficient_scope".*scope="a"/)
  t.strictSame(missingHeaders(refused.headers), [])
  t.match(events.at(-1), { outcome: 'denied', reason: 'SECURE_API_FORBIDDEN', principal: { subject: 'test-user' } })
})

t.test("errors: 'throw' hands every refusal to the application's error handler", async t => {
  const seen: unknown[] = []
  const { app, events } = await secured(t, issuer, {
    suite: { authorization: { policies }, errors: 'throw' },
    routes: app => {
      app.setErrorHandler(async (error, _request, reply) => {
        seen.push(error)
        const { statusCode, code } = error as RefusalError
        return reply.code(statusCode).type('text/plain').send(`own ${code}`)
      })
      guarded(app)
      app.get('/orders', { config: { scope: 'a' } }, async () => '')
    }
  })
  const requests = [{ url: '/orders' }, as({}, '/orders'), as({}, '/scope'), as({ sub: 'alice' }, '/resource/bob')]
  const bodies = []
  for (const request of requests) {
    const { statusCode, body, headers } = await app.inject(request)
    bodies.push([statusCode, body])
    t.strictSame(missingHeaders(headers), [])
  }
  const own = [403, 'own SECURE_API_FORBIDDEN']
  t.strictSame(bodies, [[401, 'own SECURE_API_UNAUTHENTICATED'], own, own, own])
  t.ok(seen.length === 4 && seen.every(error => error instanceof RefusalError))
  t.strictSame(events.map(({ reason }) => reason), ['SECURE_API_UNAUTHENTICATED', ...Array(3).fill('SECURE_API_FORBIDDEN')])
})

t.test("errors: 'throw' keeps status and challenge where the application has no error handler", async t => {
  const { app } = await secured(t, issuer, {
    suite: { errors: 'throw' },
    routes: app => { app.get('/orders', { config: { scope: 'a' } }, async () => '') }
  })
  const { statusCode, headers } = await app.inject({ url: '/orders' })
  t.strictSame([statusCode, headers['www-authenticate'], headers['cache-control']], [401, 'Bearer realm="api"', 'no-store'])
})

t.test('a guard by hand is checked when it is made; an unknown policy refuses', async t => {
  const app = startFastify(t)
  await app.register(authentication, { issuer: issuer.issuer, audience: issuer.audience, environment: 'development' })
  await app.register(authorization, { policies })
  const made = (make: () => unknown) => mistakesOf(async () => make())
  t.strictSame(await made(() => app.requireScope('')), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(await made(() => app.requireRole({ all: [] })), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(await made(() => app.requireScope(['a', 'b'] as unknown as string)), ['SECURE_API_ROUTE_SCOPE_BARE_ARRAY'])
  t.strictSame(await made(() => app.requirePolicy('owner')), ['SECURE_API_ROUTE_POLICY_UNKNOWN'])
  app.get('/orders', { config: { authenticated: true } }, async request => { await request.authorize('owner') })
  const { statusCode, body } = await app.inject(as({}, '/orders'))
  t.equal(statusCode, 500, 'a mistake of the application')
  t.equal(codeOf({ headers: {}, body }), undefined)
})

t.test('15 C1: a 403 says what was required and what the caller has: in the trail, in a debug line, in development in the answer',
  async t => {
    const lines: string[] = []
    const stream = new PassThrough().on('data', chunk => lines.push(...String(chunk).split('\n').filter(line => line !== '')))
    const routes = (app: FastifyInstance) => {
      app.get('/orders', { config: { scope: { all: ['api.read', 'api.write'] }, role: 'admin' } }, async () => '')
      app.get('/closed', async () => '')
      app.get('/self/:id', { config: { policy: 'self' } }, async () => '')
      app.get('/asks', { config: { authenticated: true } }, async request => { await request.authorize('staff'); return '' })
    }
    const caller = { scope: 'api.read', roles: ['clerk', 'x'.repeat(200)], email: 'alice@example.com' }
    const present = { scopes: ['api.read'], roles: ['clerk', `${'x'.repeat(64)}…`] }
    const denials: Record<string, unknown> = {
      '/orders': { required: { scope: { all: ['api.read', 'api.write'] }, role: 'admin' }, present },
      '/closed': { required: 'none', present },
      '/self/17': { required: { policy: 'self' }, present }
    }
    const { app, events } = await secured(t, issuer,
      { suite: { authorization: { policies } }, fastify: { logger: { level: 'debug', stream } }, routes })
    for (const [url, denial] of Object.entries(denials)) {
      t.match((await app.inject(as(caller, url))).json(), { code: 'SECURE_API_FORBIDDEN', status: 403, ...denial as object }, url)
      t.strictSame(events.at(-1)?.denial, denial, url)
      t.match(lines.map(line => JSON.parse(line)).filter(({ level, msg }) => level === 20 && String(msg).includes('403')).at(-1),
        denial as object, url)
    }
    t.equal((await app.inject(as({ roles: ['guest'] }, '/asks'))).statusCode, 403)
    t.match(events.at(-1)?.denial, { required: { policy: 'staff' }, present: { roles: ['guest'] } })
    const many = await app.inject(as({ scope: Array.from({ length: 50 }, (_, index) => `s${index}`).join(' ') }, '/orders'))
    t.equal(many.json().present.scopes.at(-1), '… and 30 more')
    t.notMatch(JSON.stringify(events) + lines.join(), 'alice@example.com')
    const production = await secured(t, issuer, {
      suite: {
        authorization: { policies },
        auth: { issuer: 'https://login.example.com', audience: issuer.audience, jwks: issuer.jwks },
        environment: 'production'
      },
      routes
    })
    const token = bearer(issuer, { ...caller, iss: 'https://login.example.com' })
    t.strictSame(Object.keys((await production.app.inject({ url: '/orders', headers: token })).json()),
      ['type', 'title', 'status', 'detail', 'code'])
    t.match(production.events.at(-1)?.denial, denials['/orders'] as object, 'the trail has it in production too')
  })

t.test('14 A9: a pattern holds for every spelling that reaches the route, for HEAD too, and for the `/` of a prefix', async t => {
  const routers = [
    [{}, '/x', '/admin/*'],
    [{ ignoreTrailingSlash: true }, '/x', '/admin/*'],
    [{ caseSensitive: false }, '/X', '/ADMIN/*'],
    [{ ignoreDuplicateSlashes: true }, '//x', '//admin/*']
  ] as const
  const spellings = ['/admin', '/admin/', '/Admin/x', '/admin/X', '//admin//x', '/admin/x/', '/%61dmin/x']
  for (const [routerOptions, path, pattern] of routers) {
    for (const early of [true, false]) {
      const app = startFastify(t, { routerOptions })
      const add = () => app.register(async scope => {
        scope.get('/', async () => 'secret')
        scope.get(path, async () => 'secret')
      }, { prefix: '/admin' })
      if (early) await add()
      await app.register(secureApi, {
        auth: { issuer: issuer.issuer, audience: issuer.audience },
        authorization: { default: 'authenticated', routes: { [pattern]: { role: 'admin' } } },
        environment: 'development'
      })
      if (!early) await add()
      for (const url of spellings) {
        for (const method of ['HEAD', 'GET'] as const) {
          const { statusCode } = await app.inject({ method, url, headers: bearer(issuer) })
          t.ok([403, 404].includes(statusCode),
            `${method} ${url} ${statusCode} ${JSON.stringify(routerOptions)} ${early ? 'before' : 'after'} the suite`)
        }
      }
    }
  }
})
