import auth from '@fastify/auth'
import formbody from '@fastify/formbody'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, {
  authentication, headers, sessionUser, type AuditEvent, type Authenticator, type SecureApiOptions, type SessionUserOptions
} from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, listen, mistakesOf, sendLines, startFastify, startIssuer } from '../helpers/server.ts'
import { loginRoute, pluginNamed, sessionOf, sessionPlugins, signIn, type Sessions } from '../helpers/session.ts'
import { upgrade } from '../helpers/upgrades.ts'

const issuer = await startIssuer(t)
const official: Sessions = sessionPlugins['@fastify/session'] ?? (() => Promise.reject(new Error('no such plugin')))
const crossSite = [403, 'SECURE_API_CROSS_SITE']

interface Setup {
  readonly sessions?: Sessions
  readonly user?: SessionUserOptions
  readonly suite?: SecureApiOptions
  readonly routes?: (app: FastifyInstance) => void
  readonly userOf?: (name: string) => unknown
  readonly logged?: string[]
}

async function start (t: Test, { sessions = official, user, suite, routes, userOf, logged = [] }: Setup = {}) {
  const events: AuditEvent[] = []
  const app = startFastify(t, { logger: { level: 'warn', stream: { write: (line: string) => { logged.push(line) } } } })
  await sessions(app)
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience, authenticators: [sessionUser(user)] },
    audit: { sink: event => { events.push(event) } },
    environment: 'development',
    ...suite
  })
  loginRoute(app, userOf)
  const me = async ({ auth: { subject, roles, credential }, user }: FastifyRequest) => ({ subject, roles: [...roles], credential, user })
  app.get('/me', { config: { authenticated: true } }, me)
  app.post('/orders', { config: { role: 'reader' } }, me)
  app.post('/optional', { config: { public: true, authentication: 'optional' } }, me)
  app.post('/tokens', { config: { credential: 'jwt' } }, me)
  routes?.(app)
  await app.ready()
  return { app, events, logged }
}

for (const [name, sessions] of Object.entries(sessionPlugins)) {
  t.test(`${name}: its users are callers, and a cookie that is none is nobody`, async t => {
    const { app, events, logged } = await start(t, { sessions })
    const cookie = await signIn(app)
    const { body } = await app.inject({ url: '/me', headers: cookie })
    t.strictSame(JSON.parse(body),
      { subject: 'alice', roles: ['reader'], credential: 'session', user: { id: 'alice', roles: ['reader'] } })
    t.match(events.at(-1), { principal: { kind: 'user', credential: 'session', subject: 'alice', issuer: 'session' } })
    const same = { ...cookie, 'sec-fetch-site': 'same-origin' }
    t.strictSame(await answersOf(app,
      { url: '/me' },
      { url: '/me', headers: { cookie: cookie.cookie.replace('=', '=x') } },
      { url: '/me', headers: { cookie: cookie.cookie.slice(0, -9) } },
      { method: 'POST', url: '/orders', headers: same },
      { method: 'POST', url: '/orders', headers: cookie },
      { method: 'POST', url: '/optional' },
      { method: 'POST', url: '/optional', headers: cookie },
      { method: 'POST', url: '/optional', headers: same },
      { method: 'POST', url: '/tokens', headers: same }
    ), [
      [401, 'SECURE_API_UNAUTHENTICATED'], [401, 'SECURE_API_UNAUTHENTICATED'], [401, 'SECURE_API_UNAUTHENTICATED'], 200, crossSite,
      200, crossSite, 200, [403, 'SECURE_API_FORBIDDEN']
    ])
    t.strictSame(logged, [], 'its hooks run before the suite, as they must')
  })

  t.test(`${name}: registered first, awaited or not, it works; in any other order the boot stops`, async t => {
    const suite = (app: FastifyInstance) =>
      app.register(secureApi, { auth: { authenticators: [sessionUser()] }, audit: { sink () {} } })
    const orders: Readonly<Record<string, (app: FastifyInstance) => unknown>> = {
      first: app => { sessions(app); suite(app) },
      'after the suite': app => { suite(app); sessions(app) },
      'after the suite, awaited': async app => { await suite(app); await sessions(app) },
      'in a child': app => { app.register(async child => { await sessions(child) }); suite(app) },
      'between single plugins': app => {
        app.register(headers)
        sessions(app)
        app.register(authentication, { authenticators: [sessionUser()] })
      },
      'another property': app => {
        sessions(app)
        app.register(secureApi, { auth: { authenticators: [sessionUser({ property: 'visitor' })] } })
      }
    }
    for (const [order, register] of Object.entries(orders)) {
      const mistakes = await mistakesOf(async () => {
        const app = startFastify(t)
        await register(app)
        await app.ready()
      })
      t.strictSame(mistakes, order === 'first' ? [] : ['SECURE_API_AUTHENTICATOR_ORDER'], order)
    }
  })
}

t.test('a session that nobody filled is 503, never a stranger', async t => {
  const logged: string[] = []
  const sessions: Sessions = async app => { app.decorateRequest('session', null as never) }
  const { app } = await start(t, { sessions, logged })
  t.strictSame(await answersOf(app, { url: '/me' }), [[503, 'SECURE_API_AUTHENTICATOR_UNAVAILABLE']])
  t.match(logged.join(''), /request\.session is not filled: register the plugin/)
})

t.test('18: a signed-in user is let in, whatever others of the address have failed at', async t => {
  const { app } = await start(t, { suite: { rateLimit: { failures: { limit: 2, window: '1 minute', by: 'address' } } } })
  const headers = await signIn(app)
  const forged = { url: '/me', headers: { authorization: 'Bearer forged' } }
  t.strictSame(await answersOf(app, forged, forged, forged, { url: '/me', headers }),
    [[401, 'SECURE_API_TOKEN_MALFORMED'], [401, 'SECURE_API_TOKEN_MALFORMED'], [429, 'SECURE_API_RATE_LIMITED'], 200])
})

t.test('hooks of others before the suite are still warned of', async t => {
  const logged: string[] = []
  await start(t, {
    logged,
    sessions: async app => {
      app.addHook('onRequest', async function early () {})
      await official(app)
    }
  })
  t.match(logged.map(line => JSON.parse(line)), [{ code: 'SECURE_API_HOOK_ORDER', hooks: ['early'] }])
})

t.test('a user of the session in a form that is not clear opens nothing', async t => {
  const forms: ReadonlyArray<readonly [unknown, unknown]> = [
    [{ id: 7 }, '7'],
    [{ sub: 'a', id: 'a' }, 'a'],
    [{ subject: 'a', scopes: ['x'], tenant: 't' }, 'a'],
    [null, 401],
    ['alice', 503],
    [['alice'], 503],
    [{}, 503],
    [{ id: '' }, 503],
    [{ id: null }, 503],
    [{ id: 1.5 }, 503],
    [{ id: { a: 1 } }, 503],
    [{ sub: 'a', id: 7 }, 503],
    [{ id: 7, roles: 'admin' }, 503],
    [{ id: 7, roles: [1] }, 503],
    [{ id: 7, tenant: 1 }, 503]
  ]
  const { app } = await start(t, { userOf: index => forms[Number(index)]?.[0] })
  for (const [index, [user, expected]] of forms.entries()) {
    const { statusCode, body } = await app.inject({ url: '/me', headers: await signIn(app, String(index)) })
    t.equal(statusCode === 200 ? JSON.parse(body).subject : statusCode, expected, JSON.stringify(user))
  }
})

t.test('`user` says who is signed in, of what the application keeps', async t => {
  const { app } = await start(t, {
    user: { name: 'portal', user: session => Reflect.get(session, 'user') === 'root' ? { subject: 'admin' } : undefined },
    userOf: name => name
  })
  t.match(JSON.parse((await app.inject({ url: '/me', headers: await signIn(app, 'root') })).body),
    { subject: 'admin', credential: 'portal', user: {} })
  t.strictSame(await answersOf(app, { url: '/me', headers: await signIn(app, 'mallory') }), [[401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('a page of another site does nothing with the cookie of its visitor, and the trail says so', async t => {
  const { app, events } = await start(t, { suite: { rateLimit: { failures: { limit: 3, window: '1 minute', by: 'address' } } } })
  const cookie = await signIn(app)
  const forged = { ...cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  for (let count = 0; count < 6; count++) {
    const response = await app.inject({ method: 'POST', url: '/orders', headers: forged })
    t.strictSame([response.statusCode, codeOf(response)], crossSite)
    t.equal(response.headers['www-authenticate'], undefined)
  }
  t.match(events.find(({ reason }) => reason === 'SECURE_API_CROSS_SITE'), { outcome: 'denied', status: 403, route: '/orders' })
  t.strictSame(await answersOf(app,
    { url: '/me', headers: forged },
    { method: 'POST', url: '/orders', headers: { ...cookie, 'sec-fetch-site': 'same-origin' } },
    { method: 'POST', url: '/tokens', headers: { ...forged, ...bearer(issuer, { sub: 'alice' }) } }
  ), [200, 200, 200], 'reading is a matter of CORS; the budget of the visitor is untouched; a token is nothing that browsers send')
  const address = await listen(app)
  const lines = ['Cookie', cookie.cookie, 'Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Site', 'cross-site']
  t.equal((await sendLines(`${address}/orders`, lines, 'POST')).statusCode, 403, 'twice is not once')
  const own = ['Cookie', cookie.cookie, 'Origin', address, 'Content-Length', '0']
  t.equal((await sendLines(`${address}/orders`, own, 'POST')).statusCode, 200)
})

t.test('origins of CORS that may use credentials may act, by the policy of the route', async t => {
  const app1 = 'https://app.example.com'
  const { app } = await start(t, {
    suite: { cors: { origins: [app1], credentials: true } },
    routes: app => {
      app.post('/closed', { config: { authenticated: true, cors: false } }, async () => 'closed')
      app.post('/plain', { config: { authenticated: true, cors: { credentials: false } } }, async () => 'plain')
    }
  })
  const cookie = await signIn(app)
  const from = (origin: string, url: string) => ({
    method: 'POST' as const, url, headers: { ...cookie, origin, 'sec-fetch-site': 'same-site' }
  })
  t.strictSame(await answersOf(app,
    from(app1, '/orders'), from('https://app.example.com.evil.example', '/orders'), from('https://blog.example.com', '/orders'),
    from(app1, '/closed'), from(app1, '/plain')
  ), [200, crossSite, crossSite, crossSite, crossSite])
})

t.test('a WebSocket of another site is refused before it opens', async t => {
  const routes = (app: FastifyInstance) => {
    app.register(websocket)
    app.register(async scope => {
      scope.get('/ticker', { websocket: true, config: { authenticated: true } }, socket => { socket.send('hello') })
    })
  }
  const { app, events } = await start(t, { routes, suite: { cors: { origins: ['https://app.example.com'], credentials: true } } })
  const cookie = await signIn(app)
  const url = await listen(app)
  const open = async (given: Record<string, string>, from = url) => {
    const headers = { Host: new URL(from).host, Cookie: cookie.cookie, ...given }
    const { socket, status } = await upgrade(from, { path: '/ticker', headers })
    socket.destroy()
    return status
  }
  t.strictSame([
    await open({ Origin: 'https://evil.example' }), await open({ Origin: 'null' }), await open({}),
    await open({ Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' }),
    await open({ Origin: url }), await open({ Origin: 'https://app.example.com' })
  ], [403, 403, 403, 403, 101, 101])
  t.match(events.find(({ reason }) => reason === 'SECURE_API_CROSS_SITE'), { route: '/ticker', status: 403 })
  const { app: lax } = await start(t, { routes, user: { allowWithoutOrigin: true } })
  const other = await listen(lax)
  cookie.cookie = (await signIn(lax)).cookie
  t.strictSame([await open({}, other), await open({ Origin: 'https://evil.example' }, other)], [101, 403])
})

t.test('a guard by hand does not find the caller that was refused', async t => {
  const { app } = await start(t, {
    sessions: async app => {
      await app.register(auth)
      await official(app)
    },
    routes: app => {
      const preHandler = app.auth([app.authenticate, app.requireRole('reader')])
      app.post('/hand', { config: { public: true }, preHandler }, async () => 'done')
    }
  })
  const cookie = await signIn(app)
  t.strictSame(await answersOf(app,
    { method: 'POST', url: '/hand', headers: { ...cookie, 'sec-fetch-site': 'cross-site' } },
    { method: 'POST', url: '/hand', headers: { ...cookie, 'sec-fetch-site': 'same-origin' } }
  ), [[401, 'SECURE_API_UNAUTHENTICATED'], 200])
})

t.test('an authenticator of the application says that its credential is in a cookie; posture shows it', async t => {
  const alice = { subject: 'alice', roles: ['reader'] }
  const own = (cookie: NonNullable<Authenticator['cookie']>): Authenticator =>
    ({ name: 'own', cookie, authenticate: ({ headers }) => headers.cookie === undefined ? undefined : alice })
  const boot = (authenticators: Authenticator[]) => start(t, {
    suite: { auth: { issuer: issuer.issuer, audience: issuer.audience, authenticators } },
    routes: app => { app.post('/either', { config: { credential: ['own', 'jwt'] } }, async () => 'either') }
  })
  const { app } = await boot([own(true)])
  const post = (headers: Record<string, string>) => ({ method: 'POST' as const, url: '/orders', headers: { cookie: 'id=1', ...headers } })
  t.strictSame(await answersOf(app, post({}), post({ 'sec-fetch-site': 'same-origin' })), [crossSite, 200])
  const shown = (url: string) => app.secureApi.routes().find(route => route.url === url)?.sameOrigin
  t.strictSame(['/orders', '/either', '/tokens', '/optional', '/login/:name'].map(shown), [['own'], ['own'], undefined, ['own'], undefined])
  const { app: lax } = await boot([own({ allowWithoutOrigin: true })])
  t.strictSame(await answersOf(lax, post({}), post({ origin: 'https://evil.example' })), [200, crossSite])
  const { app: free } = await boot([own(false)])
  t.strictSame(await answersOf(free, post({})), [200])
  const header: Authenticator = { name: 'hawk', scheme: 'Hawk', cookie: true, authenticate: () => undefined }
  t.strictSame(await mistakesOf(() => boot([own(true), header])), ['SECURE_API_OPTION_CONFLICT'])
})

t.test('@fastify/csrf-protection: a form is accepted with the token of its session, beside the check of the origin', async t => {
  const csrf = await pluginNamed('@fastify/csrf-protection')
  for (const [sessionPlugin, register] of Object.entries(sessionPlugins)) {
    const { app } = await start(t, {
      sessions: async app => {
        await register(app)
        await app.register(formbody)
        await app.register(csrf, { sessionPlugin })
      },
      routes: app => {
        app.get('/form', { config: { authenticated: true } }, async (_request, reply) =>
          (reply as unknown as { generateCsrf (): string }).generateCsrf())
        const { csrfProtection } = app as unknown as { csrfProtection: (request: FastifyRequest) => void }
        app.post('/form', { config: { authenticated: true }, preHandler: csrfProtection }, async request => sessionOf(request).get('user'))
      }
    })
    const cookie = await signIn(app)
    const form = await app.inject({ url: '/form', headers: cookie })
    const set = form.headers['set-cookie']
    const headers = {
      cookie: set === undefined ? cookie.cookie : String(set).split(';', 1)[0],
      'sec-fetch-site': 'same-origin',
      'content-type': 'application/x-www-form-urlencoded'
    }
    const post = (payload: string) => ({ method: 'POST' as const, url: '/form', headers, payload })
    const answers = await answersOf(app, post(`_csrf=${form.body}`), post('_csrf=guessed'), post('a=b'))
    t.strictSame(answers.map(answer => Array.isArray(answer) ? answer[0] : answer), [200, 403, 403], sessionPlugin)
  }
})
