import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { createDenylist, type SecureApiOptions } from '../../plugins/index.ts'
import { createTestClock, createTestIssuer, type TestClock, type TestIssuer, type TestIssuerOptions } from '../../testing/index.ts'
import { loader } from '../helpers/loader.ts'
import { codeOf, listen } from '../helpers/server.ts'

const presets = ['entra', 'auth0', 'keycloak', 'okta', 'cognito', 'google'] as const

async function start (t: Test, options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const issuer = await createTestIssuer({ alg: 'RS256', ...options })
  t.teardown(() => issuer.close())
  return issuer
}

function startClock (t: Test): TestClock {
  const clock = createTestClock()
  t.teardown(() => clock.close())
  return clock
}

/** An application as a user of the package writes it; `/me` says whom it saw. */
async function build (t: Test, options?: SecureApiOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  if (options === undefined) await app.register(secureApi)
  else await app.register(secureApi, { audit: false, environment: 'development', ...options })
  app.get('/me', { config: { authenticated: true } },
    async ({ auth: { kind, subject, client, tenant, scopes, roles } }) =>
      ({ kind, subject, client, tenant, scopes: [...scopes], roles: [...roles] }))
  app.get('/orders', { config: { scope: 'api.read' } }, async () => 'orders')
  app.post('/orders', { config: { scope: 'api.write' } }, async () => 'created')
  app.delete('/orders', { config: { role: 'admin' } }, async () => 'deleted')
  await app.ready()
  return app
}

async function answer (app: FastifyInstance, request: string | InjectOptions) {
  const response = await app.inject(request)
  const code = codeOf(response)
  return code === undefined ? response.statusCode : [response.statusCode, code]
}

t.test('asUser and asService make requests with real tokens, for inject and for fetch', async t => {
  const issuer = await start(t)
  const app = await build(t, { auth: issuer.auth })
  t.strictSame(await answer(app, '/orders'), [401, 'SECURE_API_UNAUTHENTICATED'])
  t.strictSame(await answer(app, { url: '/orders', ...issuer.asUser() }), [403, 'SECURE_API_FORBIDDEN'])
  t.equal(await answer(app, { url: '/orders', ...issuer.asUser({ scopes: ['api.read'] }) }), 200)
  t.equal(await answer(app, { url: '/orders', method: 'DELETE', ...issuer.asUser({ roles: ['admin'] }) }), 200)
  t.equal(await answer(app, { url: '/orders', method: 'POST', ...issuer.asService({ scopes: ['api.write'] }) }), 200)
  const me = async (request: object) => (await app.inject({ url: '/me', ...request })).json()
  t.strictSame(await me(issuer.asUser({ subject: 'alice', client: 'web', scopes: ['a', 'b'], roles: ['admin'] })),
    { kind: 'user', subject: 'alice', client: 'web', scopes: ['a', 'b'], roles: ['admin'] })
  t.match(await me(issuer.asService({ client: 'importer' })), { kind: 'service', subject: 'importer', client: 'importer' })
  t.match(await me(issuer.asUser({ claims: { sub: 'bob' } })), { subject: 'bob' })
  const url = await listen(app)
  t.equal((await fetch(`${url}/orders`, issuer.asUser({ scopes: ['api.read'] }))).status, 200)
  t.equal((await fetch(`${url}/orders`, issuer.asUser())).status, 403)
})

t.test('the claims of the issuer show where a caller says nothing', async t => {
  const issuer = await start(t, { claims: { scope: 'api.read', roles: ['admin'] } })
  const app = await build(t, { auth: issuer.auth })
  t.equal(await answer(app, { url: '/orders', ...issuer.asUser() }), 200)
  t.strictSame(await answer(app, { url: '/orders', ...issuer.asUser({ scopes: ['other'] }) }), [403, 'SECURE_API_FORBIDDEN'])
})

t.test('nobody else\'s token passes, and no claim opens anything', async t => {
  const issuer = await start(t)
  const stranger = await start(t)
  const app = await build(t, { auth: issuer.auth })
  const scopes = ['api.read']
  t.strictSame(await answer(app, { url: '/orders', ...stranger.asUser({ scopes }) }), [401, 'SECURE_API_TOKEN_ISSUER'])
  t.strictSame(await answer(app, { url: '/orders', ...stranger.asUser({ scopes, claims: { iss: issuer.issuer } }) }),
    [401, 'SECURE_API_TOKEN_SIGNATURE'])
  t.strictSame(await answer(app, { url: '/orders', ...issuer.asUser({ scopes, claims: { aud: 'api://other' } }) }),
    [401, 'SECURE_API_TOKEN_AUDIENCE'])
  t.strictSame(await answer(app, { url: '/orders', ...issuer.asUser({ scopes, claims: { exp: undefined } }) }),
    [401, 'SECURE_API_TOKEN_CLAIMS'])
})

t.test('with a preset, tokens are shaped as that provider shapes them', async t => {
  for (const preset of presets) {
    const issuer = await start(t, { preset })
    const app = await build(t, { auth: issuer.auth })
    const me = async (request: object) => (await app.inject({ url: '/me', ...request })).json()
    const named = preset === 'google' ? {} : { scopes: ['api.read', 'openid'], roles: ['admin'] }
    t.match(await me(issuer.asUser({ subject: 'alice', ...named })), { kind: 'user', subject: 'alice', ...named }, `${preset}: a user`)
    t.match(await me(issuer.asUser()), { kind: 'user', scopes: [], roles: [] }, `${preset}: a user without anything`)
    const service = await me(issuer.asService(preset === 'google' ? {} : { roles: ['batch'] }))
    t.match(service, { kind: 'service', ...(preset === 'google' ? {} : { roles: ['batch'] }) }, `${preset}: a service`)
    t.equal(typeof service.client, 'string', `${preset}: its client`)
  }
})

t.test('what a provider cannot say is an error, not a token without it', async t => {
  const entra = await start(t, { preset: 'entra' })
  t.throws(() => entra.asService({ scopes: ['api.read'] }))
  t.match((await (await build(t, { auth: entra.auth })).inject({ url: '/me', ...entra.asUser({ tenant: 'tenant-1' }) })).json(),
    { tenant: 'tenant-1' })
  const google = await start(t, { preset: 'google' })
  t.throws(() => google.asUser({ roles: ['admin'] }))
})

t.test('an application that reads the environment needs only issuer.env', async t => {
  const issuer = await start(t, { audience: ['api://orders', 'api://legacy'] })
  const before = { ...process.env }
  t.teardown(() => { process.env = before })
  Object.assign(process.env, issuer.env)
  const app = await build(t)
  t.equal(await answer(app, { url: '/orders', ...issuer.asUser({ scopes: ['api.read'] }) }), 200)
})

t.test('a limit ends when the clock has passed its window', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  const app = await build(t, { auth: issuer.auth, rateLimit: { policies: { write: { limit: 2, window: '5 minutes' } } } })
  const write = { url: '/orders', method: 'POST', ...issuer.asUser({ scopes: ['api.write'] }) } as const
  t.strictSame([await answer(app, write), await answer(app, write), await answer(app, write)], [200, 200, [429, 'SECURE_API_RATE_LIMITED']])
  await clock.advance('4 minutes')
  const refused = await app.inject(write)
  t.equal(refused.statusCode, 429)
  const wait = Number(refused.headers['retry-after'])
  t.ok(wait > 0 && wait <= 60, `${wait} seconds`)
  await clock.advance('1 minute')
  t.equal(await answer(app, write), 200)
})

t.test('a token expires when the clock has passed it, also one that is in the cache', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  const app = await build(t, { auth: issuer.auth })
  const scopes = ['api.read']
  const early = { url: '/orders', ...issuer.asUser({ scopes }) }
  t.equal(await answer(app, early), 200)
  const unseen = { url: '/orders', ...issuer.asUser({ scopes }) }
  await clock.advance('5 minutes')
  t.equal(await answer(app, early), 200, 'within the tolerance of a minute')
  await clock.advance('1 minute')
  t.strictSame(await answer(app, early), [401, 'SECURE_API_TOKEN_EXPIRED'])
  t.strictSame(await answer(app, unseen), [401, 'SECURE_API_TOKEN_EXPIRED'])
  t.equal(await answer(app, { url: '/orders', ...issuer.asUser({ scopes }) }), 200, 'new tokens are signed by the same clock')
})

t.test('keys are refreshed on the way', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  const app = await build(t, { auth: issuer.auth })
  const stolen = { url: '/me', headers: { authorization: `Bearer ${issuer.sign({ exp: Math.floor(clock.now() / 1000) + 7200 })}` } }
  t.equal(await answer(app, stolen), 200)
  issuer.rotate()
  issuer.remove('key-1')
  t.equal(await answer(app, stolen), 200, 'nobody has looked yet')
  await clock.advance('10 minutes')
  t.equal(issuer.hits.jwks, 2)
  t.strictSame(await answer(app, stolen), [401, 'SECURE_API_TOKEN_KEY'])
  t.equal(await answer(app, { url: '/me', ...issuer.asUser() }), 200)
})

t.test('known keys outlive the provider by a day, and come back with it', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  const app = await build(t, { auth: issuer.auth })
  issuer.down()
  await clock.advance('23 hours')
  t.equal(await answer(app, { url: '/me', ...issuer.asUser() }), 200)
  await clock.advance('2 hours')
  const refused = await app.inject({ url: '/me', ...issuer.asUser() })
  t.equal(codeOf(refused), 'SECURE_API_KEYS_UNAVAILABLE')
  t.ok(Number(refused.headers['retry-after']) > 0)
  issuer.up()
  await clock.advance('5 minutes')
  t.equal(await answer(app, { url: '/me', ...issuer.asUser() }), 200)
})

t.test('the denylist goes by the same clock', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  const denylist = createDenylist()
  const app = await build(t, { auth: { ...issuer.auth, isRevoked: denylist.isRevoked } })
  await clock.advance('1 hour')
  const token = { url: '/me', ...issuer.asUser({ subject: 'alice' }) }
  t.equal(await answer(app, token), 200)
  await clock.advance('1 second')
  await denylist.revoke({ sub: 'alice', issuer: issuer.issuer, until: clock.now() + 600_000 })
  t.strictSame(await answer(app, token), [401, 'SECURE_API_TOKEN_REVOKED'])
})

t.test('a clock that nobody reads, or that is still moving, says so', async t => {
  const clock = startClock(t)
  const issuer = await start(t)
  await t.rejects(clock.advance('1 minute'), 'made, and no application yet')
  await build(t, { auth: issuer.auth })
  const first = clock.advance('10 minutes')
  await t.rejects(clock.advance('10 minutes'))
  await first
  await t.rejects(clock.advance('soon'))
  const now = clock.now()
  await clock.advance(1000)
  t.ok(clock.now() - now >= 1000)
})

t.test('after close, and after another clock, applications read what is there then', async t => {
  const issuer = await start(t)
  const first = startClock(t)
  const old = await build(t, { auth: issuer.auth })
  await first.advance('1 hour')
  const second = startClock(t)
  first.close()
  const app = await build(t, { auth: issuer.auth })
  t.ok(second.now() < first.now() - 3_500_000)
  t.equal(await answer(app, { url: '/me', ...issuer.asUser() }), 200, 'signed by the second clock')
  t.strictSame(await answer(old, { url: '/me', ...issuer.asUser() }), [401, 'SECURE_API_TOKEN_EXPIRED'])
  second[Symbol.dispose]()
  t.equal(await answer(await build(t, { auth: issuer.auth }), { url: '/me', ...issuer.asUser() }), 200)
})

t.test('there is no test clock in production', async t => {
  const issuer = await start(t)
  const auth = { issuer: 'https://login.example.com', audience: 'api://orders', jwks: issuer.jwks }
  const audit = { sink () {} }
  await build(t, { auth, audit, environment: 'production' })
  startClock(t)
  await t.rejects(build(t, { auth, audit, environment: 'production' }), { code: 'SECURE_API_CLOCK_TEST' })
  const before = { ...process.env }
  t.teardown(() => { process.env = before })
  process.env.NODE_ENV = 'production'
  t.throws(() => createTestClock(), { code: 'SECURE_API_CLOCK_TEST' })
  await t.rejects(build(t, { auth: false }), { code: 'SECURE_API_CLOCK_TEST' }, 'the limits alone refuse it too')
})

t.test('works with node:test', async t => {
  const file = fileURLToPath(new URL('node-test.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [...loader, file], { encoding: 'utf8', timeout: 300_000 })
  t.equal(status, 0, stdout + stderr)
  t.match(stdout, /pass 4\b/)
})
