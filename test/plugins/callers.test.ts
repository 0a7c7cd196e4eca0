import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { createApiKey, type Authenticator, type CallerAnswer, type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, listen, mistakesOf, secured, sendLines, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)

/** A session of the application, by its cookie; what the test looks at last. */
const sessions: Record<string, CallerAnswer> = {
  alice: { subject: 'alice', scopes: ['orders.read'], roles: ['admin'], claims: { plan: 'gold' } },
  robot: { kind: 'service', subject: 'robot', client: 'robots' },
  late: { subject: 'late', expiresAt: new Date(0) },
  stolen: false
}
const session: Authenticator = {
  name: 'session',
  authenticate: async ({ headers: { cookie } }) => cookie === undefined ? undefined : sessions[cookie.replace('sid=', '')] ?? false
}
const cookie = (value: string) => ({ cookie: `sid=${value}` })

function routes (app: FastifyInstance, names: readonly string[]): void {
  const me = async ({ auth }: FastifyRequest) => ({ ...auth, scopes: [...auth.scopes], roles: [...auth.roles] })
  app.get('/me', { config: { authenticated: true } }, me)
  app.get('/orders', { config: { scope: 'orders.read' } }, me)
  app.get('/sync', { config: { caller: 'service' } }, me)
  app.get('/token', { config: { credential: 'jwt' } }, me)
  if (names.includes('session')) app.get('/either', { config: { credential: ['session', 'jwt'], caller: ['user', 'service'] } }, me)
  app.get('/greeting', { config: { public: true, authentication: 'optional' } }, me)
}

async function start (authenticators: readonly Authenticator[] = [session], suite: SecureApiOptions = {}) {
  const { issuer: name, audience } = issuer
  const auth = { issuer: name, audience, authenticators: [...authenticators] }
  const names = authenticators.map(({ name }) => name)
  return await secured(t, issuer, { routes: app => routes(app, names), suite: { auth, ...suite } })
}

t.test('an authenticator of the application says who calls, and rules hold for its callers', async t => {
  const { app, events } = await start()
  const { statusCode, body } = await app.inject({ url: '/me', headers: cookie('alice') })
  t.equal(statusCode, 200)
  t.match(JSON.parse(body), {
    kind: 'user',
    credential: 'session',
    subject: 'alice',
    issuer: 'session',
    scopes: ['orders.read'],
    roles: ['admin'],
    claims: { plan: 'gold' }
  })
  t.match(events.at(-1), { principal: { kind: 'user', credential: 'session', subject: 'alice' } })
  t.strictSame(await answersOf(app,
    { url: '/orders', headers: cookie('alice') },
    { url: '/orders', headers: cookie('robot') },
    { url: '/me', headers: cookie('late') },
    { url: '/me', headers: cookie('stolen') },
    { url: '/me' },
    { url: '/greeting' },
    { url: '/greeting', headers: cookie('stolen') }
  ), [
    200, [403, 'SECURE_API_FORBIDDEN'], [401, 'SECURE_API_CREDENTIAL_INVALID'], [401, 'SECURE_API_CREDENTIAL_INVALID'],
    [401, 'SECURE_API_UNAUTHENTICATED'], 200, [401, 'SECURE_API_CREDENTIAL_INVALID']
  ])
})

t.test('a route says which callers and credentials it takes; others are 403 with the reason in the trail', async t => {
  const { app, events } = await start()
  const token = bearer(issuer, { sub: 'alice' })
  const service = bearer(issuer, { sub: 'app', client_id: 'app' })
  const forbidden = [403, 'SECURE_API_FORBIDDEN']
  t.strictSame(await answersOf(app,
    { url: '/sync', headers: cookie('robot') },
    { url: '/sync', headers: service },
    { url: '/sync', headers: token },
    { url: '/token', headers: token },
    { url: '/token', headers: cookie('alice') },
    { url: '/either', headers: token },
    { url: '/either', headers: cookie('robot') }
  ), [200, 200, forbidden, 200, forbidden, 200, 200])
  t.match(events.filter(({ status }) => status === 403).map(({ denial }) => denial), [
    { required: { caller: 'service' }, present: { caller: 'user' } },
    { required: { credential: 'jwt' }, present: { credential: 'session' } }
  ])
  const refused = await app.inject({ url: '/token', headers: cookie('alice') })
  t.equal(refused.headers['www-authenticate'], undefined, 'no token would be asked of a session')
  t.match(app.secureApi.routes().find(({ url }) => url === '/either'),
    { access: { credential: ['session', 'jwt'], caller: ['user', 'service'] } })
})

t.test('a token that is sent counts, whatever the cookie says', async t => {
  const { app } = await start()
  const { body } = await app.inject({ url: '/me', headers: { ...bearer(issuer, { sub: 'bob' }), ...cookie('alice') } })
  t.match(JSON.parse(body), { subject: 'bob', credential: 'jwt' })
  t.strictSame(await answersOf(app, { url: '/me', headers: { authorization: 'Bearer forged', ...cookie('alice') } }),
    [[401, 'SECURE_API_TOKEN_MALFORMED']])
})

t.test('an authenticator for a scheme of the Authorization header: its challenge, and two credentials are refused', async t => {
  const authenticate: Authenticator['authenticate'] = ({ headers }) => headers.authorization === 'hawk good' && { subject: 'h' }
  const hawk: Authenticator = { name: 'hawk', scheme: 'Hawk', authenticate }
  const { app } = await start([hawk])
  t.strictSame(await answersOf(app,
    { url: '/me', headers: { authorization: 'hawk good' } },
    { url: '/me', headers: { authorization: 'Hawk bad' } },
    { url: '/me', headers: { authorization: 'Hawkeye good' } }
  ), [200, [401, 'SECURE_API_CREDENTIAL_INVALID'], [401, 'SECURE_API_UNAUTHENTICATED']])
  const challenge = async (url: string) => (await app.inject({ url })).headers['www-authenticate']
  t.equal(await challenge('/me'), 'Bearer realm="api", Hawk realm="api"')
  t.equal(await challenge('/token'), 'Bearer realm="api"', 'what the route does not take is not asked for')
})

t.test('two Authorization headers, or one that is written a little wrong, never make room for another credential', async t => {
  const asked: unknown[] = []
  const hawk: Authenticator = {
    name: 'hawk', scheme: 'Hawk', authenticate: ({ headers }) => { asked.push(headers.authorization); return { subject: 'h' } }
  }
  const { key, id, hash } = createApiKey('shop')
  const apiKeys = { prefix: 'shop', keys: [{ id, secrets: [{ hash }] }] }
  const auth = { authenticators: [hawk, session], apiKeys }
  const suites = [auth, { authenticators: [hawk] }, { apiKeys }, { authenticators: [session] }]
  for (const auth of suites) {
    const { app } = await secured(t, issuer, {
      suite: { auth }, routes: app => { app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject) }
    })
    const url = await listen(app)
    const pairs = [['Hawk a', 'Hawk b'], ['Hawk a', `ApiKey ${key}`], ['', `ApiKey ${key}`], ['Basic a', 'Hawk a']] as const
    for (const [first, second] of pairs) {
      const { statusCode } = await sendLines(`${url}/me`,
        ['authorization', first, 'Authorization', second, 'x-api-key', key, 'cookie', 'sid=alice'])
      t.equal(statusCode, 400, `${first}, ${second}`)
    }
  }
  t.strictSame(asked, [])
  const { app } = await secured(t, issuer, {
    suite: { auth: { ...auth, authenticators: [{ ...hawk, authenticate: () => false }, session] } },
    routes: app => { app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject) }
  })
  const wrong = ['Hawk\ta', 'Hawk,a', 'hawk:a', `ApiKey:${key}`, `apikey,${key}`]
  t.strictSame((await answersOf(app, ...wrong.map(authorization => ({ url: '/me', headers: { authorization, ...cookie('alice') } }))))
    .map(answer => [answer].flat()[0]), [401, 401, 401, 401, 401], 'the session beside it does not count')
})

t.test('an authenticator that throws, hangs or answers something else opens nothing', async t => {
  const wrong: [string, () => unknown][] = [
    ['throws', () => { throw new Error('secret text') }],
    ['rejects', () => Promise.reject(new Error('secret text'))],
    ['hangs', () => new Promise(() => {})],
    ['true', () => true],
    ['no subject', () => ({ scopes: ['orders.read'] })],
    ['empty subject', () => ({ subject: '' })],
    ['scopes as text', () => ({ subject: 'a', scopes: 'orders.read' })],
    ['roles of objects', () => ({ subject: 'a', roles: [{}] })],
    ['an unknown kind', () => ({ subject: 'a', kind: 'admin' })],
    ['no time', () => ({ subject: 'a', expiresAt: NaN })],
    ['claims that cannot be copied', () => ({ subject: 'a', claims: { f () {} } })]
  ]
  for (const [name, answer] of wrong) {
    const { app } = await start([{ name: 'own', timeout: 20, authenticate: answer as Authenticator['authenticate'] }])
    const response = await app.inject({ url: '/me' })
    t.strictSame([response.statusCode, codeOf(response), response.headers['retry-after']],
      [503, 'SECURE_API_AUTHENTICATOR_UNAVAILABLE', '1'], name)
    t.notMatch(response.body, /secret text/, name)
  }
})

t.test('authenticators are asked one after the other, until one knows the caller', async t => {
  const asked: string[] = []
  const of = (name: string, answer: CallerAnswer): Authenticator => ({ name, authenticate: () => { asked.push(name); return answer } })
  const { app } = await start([of('first', undefined), of('second', { subject: 's' }), of('third', { subject: 't' })])
  const { body } = await app.inject({ url: '/me' })
  t.match(JSON.parse(body), { credential: 'second', subject: 's' })
  t.strictSame(asked, ['first', 'second'])
  const { app: none } = await start([of('first', undefined), of('second', undefined)])
  t.strictSame(await answersOf(none, { url: '/me' }), [[401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('guesses use up the failure budget of their address, and are refused before they are looked at', async t => {
  let asked = 0
  const guessed: Authenticator = { name: 'own', authenticate: () => { asked++; return Promise.resolve(false) } }
  const { app } = await start([guessed], { rateLimit: { failures: { limit: 3, window: '1 minute', by: 'address' } } })
  const answers = await answersOf(app, ...Array.from({ length: 6 }, () => ({ url: '/me' })))
  t.strictSame(answers.slice(3), Array(3).fill([429, 'SECURE_API_RATE_LIMITED']))
  t.equal(asked, 3)
})

t.test('18: one unit of the failure budget is enough for any number of good callers whose authenticator answers at once', async t => {
  const known: Authenticator = { name: 'own', authenticate: ({ headers }) => headers.cookie === 'good' && { subject: 'alice' } }
  const { app } = await start([known], { rateLimit: { failures: { limit: 1, window: '1 minute', by: 'address' } } })
  const good = Array.from({ length: 5 }, () => ({ url: '/me', headers: { cookie: 'good' } }))
  t.strictSame(await answersOf(app, ...good, { url: '/me' }, { url: '/me' }),
    [200, 200, 200, 200, 200, [401, 'SECURE_API_CREDENTIAL_INVALID'], [429, 'SECURE_API_RATE_LIMITED']])
})

t.test('18: an authenticator that asks for the verdict on its own request is 503, and holds no unit of the budget', async t => {
  const circular: Authenticator = {
    name: 'own',
    authenticate: async request => {
      await new Promise<void>((resolve, reject) => {
        request.server.authenticate(request, {} as FastifyReply, error => { error === undefined ? resolve() : reject(error) })
      })
      return { subject: 'alice' }
    }
  }
  const { app } = await start([circular], { rateLimit: { failures: { limit: 1, window: '1 minute', by: 'address' } } })
  const unavailable = [503, 'SECURE_API_AUTHENTICATOR_UNAVAILABLE']
  t.strictSame(await answersOf(app, { url: '/me' }, { url: '/me' }), [unavailable, unavailable])
})

t.test('an application whose callers are its own alone needs no issuer', async t => {
  const { app } = await secured(t, issuer, {
    suite: { auth: { authenticators: [session] } },
    routes: app => { app.get('/me', { config: { scope: 'orders.read' } }, async ({ auth }) => auth.subject) }
  })
  t.strictSame(await answersOf(app, { url: '/me', headers: cookie('alice') }, { url: '/me' }), [200, [401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('what no caller could fulfil, and names that are taken, stop the boot', async t => {
  const boot = (authenticators: Authenticator[], config: object, policies = {}) => mistakesOf(async () => {
    const { app } = await secured(t, issuer, {
      suite: { auth: { issuer: issuer.issuer, audience: issuer.audience, authenticators }, authorization: { policies } },
      routes: app => { app.get('/x', { config: config as FastifyContextConfig }, async () => 'x') }
    })
    await app.ready()
  })
  const authenticate = () => undefined
  t.strictSame(await boot([session], { credential: 'sesion' }), ['SECURE_API_ROUTE_CREDENTIAL_UNKNOWN'])
  t.strictSame(await boot([session], { credential: ['jwt', 'api-key'] }), ['SECURE_API_ROUTE_CREDENTIAL_UNKNOWN'])
  t.strictSame(await boot([session], { policy: 'a' }, { a: { credential: 'opaque' } }), ['SECURE_API_ROUTE_CREDENTIAL_UNKNOWN'])
  t.strictSame(await boot([session], { caller: 'human' }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await boot([session], { caller: [] }), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(await boot([session, session], { public: true }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await boot([{ name: 'jwt', authenticate }], { public: true }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await boot([{ name: 'client-certificate', authenticate }], { public: true }), ['SECURE_API_OPTION_CONFLICT'],
    'limits would count its callers as those of certificates')
  t.strictSame(await boot([{ name: 'own', scheme: 'bearer', authenticate }], { public: true }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await boot([{ name: 'Own Name', authenticate }], { public: true }), ['SECURE_API_OPTION_VALUE'])
})
