import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import secureApi, {
  audit, authentication, authorization, cors, headers, health, rateLimit, telemetry, type SecureApiOptions
} from '../../plugins/index.ts'
import { answersOf, bearer, mistakesOf, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const auth = { issuer: issuer.issuer, audience: issuer.audience }
const development = { auth, environment: 'development' } as const satisfies SecureApiOptions

t.test('each mistake in the options stops the boot with its code', async t => {
  const cases: ReadonlyArray<readonly [name: string, options: object, ...codes: string[]]> = [
    ['misspelt section', { ...development, ratelimit: {} }, 'SECURE_API_OPTION_UNKNOWN'],
    ['misspelt option', { ...development, cors: { allowedOrigins: ['https://app.example.com'] } }, 'SECURE_API_OPTION_MISSING',
      'SECURE_API_OPTION_UNKNOWN'],
    ['undefined value', { ...development, rateLimit: { redis: undefined } }, 'SECURE_API_OPTION_UNDEFINED'],
    ['section that is no object', { ...development, headers: true }, 'SECURE_API_OPTION_TYPE'],
    ['authorization switched off', { ...development, authorization: false }, 'SECURE_API_OPTION_TYPE'],
    ['no section for authentication', { environment: 'development' }, 'SECURE_API_OPTION_MISSING'],
    ['no audience', { environment: 'development', auth: { issuer: issuer.issuer } }, 'SECURE_API_OPTION_MISSING'],
    ['any origin with credentials', { ...development, cors: { origins: ['*'], credentials: true } },
      'SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS'],
    ['limit as text', { ...development, rateLimit: { policies: { read: { limit: '10', window: '1 minute' } } } }, 'SECURE_API_OPTION_TYPE'],
    ['empty policy', { ...development, authorization: { policies: { nothing: {} } } }, 'SECURE_API_OPTION_EMPTY'],
    ['rules without authentication', { auth: false, environment: 'development', authorization: { default: 'authenticated' } },
      'SECURE_API_OPTION_CONFLICT'],
    ['policies in a circle', { ...development, authorization: { policies: { a: { policy: 'b' }, b: { policy: 'a' } } } },
      'SECURE_API_OPTION_CONFLICT', 'SECURE_API_OPTION_CONFLICT'],
    ['unknown environment', { auth, environment: 'prod' }, 'SECURE_API_OPTION_VALUE', 'SECURE_API_URL_INSECURE'],
    ['issuer over http in production', { auth, environment: 'production' }, 'SECURE_API_URL_INSECURE']
  ]
  for (const [name, options, ...codes] of cases) {
    const app = startFastify(t)
    t.strictSame(await mistakesOf(() => app.register(secureApi, options as SecureApiOptions)), codes, name)
  }
})

t.test('several mistakes are told at once', async t => {
  const app = startFastify(t)
  const options = {
    auth: { issuer: issuer.issuer },
    cors: { origin: ['https://app.example.com'] },
    audit: { buffer: 0 },
    errors: 'json',
    environment: 'development'
  }
  const error = await app.register(secureApi, options as unknown as SecureApiOptions).then(() => undefined, (error: unknown) => error)
  t.match(error, { name: 'ConfigurationError', code: 'SECURE_API_CONFIGURATION' })
  t.strictSame((error as AggregateError).errors.map(({ path }) => path).sort(),
    ['audit.buffer', 'auth.audience', 'cors.origin', 'cors.origins', 'errors'])
})

t.test('each mistake in a route stops the boot', async t => {
  const cases: ReadonlyArray<readonly [name: string, config: object, ...codes: string[]]> = [
    ['empty scope', { scope: '' }, 'SECURE_API_OPTION_EMPTY'],
    ['no scope', { scope: { all: [] } }, 'SECURE_API_OPTION_EMPTY'],
    ['bare array', { scope: ['a', 'b'] }, 'SECURE_API_ROUTE_SCOPE_BARE_ARRAY'],
    ['unknown policy', { policy: 'owner' }, 'SECURE_API_ROUTE_POLICY_UNKNOWN'],
    ['public beside scope', { public: true, scope: 'a' }, 'SECURE_API_ROUTE_PUBLIC_WITH_RULE'],
    ['public beside authenticated', { public: true, authenticated: true }, 'SECURE_API_ROUTE_PUBLIC_WITH_RULE'],
    ['misspelt rule', { scopes: 'a' }, 'SECURE_API_OPTION_UNKNOWN'],
    ['unknown limit', { public: true, rateLimit: 'bulk' }, 'SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN'],
    ['unknown header option', { public: true, headers: { csp: false } }, 'SECURE_API_OPTION_UNKNOWN'],
    ['origin with a path', { public: true, cors: { origins: ['https://app.example.com/'] } }, 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['action with a space', { public: true, audit: 'create order' }, 'SECURE_API_OPTION_VALUE']
  ]
  for (const [name, config, ...codes] of cases) {
    const app = startFastify(t)
    await app.register(secureApi, { ...development, cors: { origins: ['https://app.example.com'] } })
    app.get('/orders', { config: config as FastifyContextConfig }, async () => '')
    t.strictSame(await mistakesOf(() => app.ready()), codes, name)
  }
})

t.test('without authentication no route may state a rule', async t => {
  const { app } = await secured(t, issuer, { suite: { auth: false } })
  t.strictSame(await answersOf(app, { url: '/nowhere' }), [404])
  const other = startFastify(t)
  await other.register(secureApi, { auth: false, environment: 'development' })
  other.get('/orders', { config: { scope: 'a' } }, async () => '')
  t.strictSame(await mistakesOf(() => other.ready()), ['SECURE_API_ROUTE_NOT_AUTHENTICATED'])
})

t.test('required keys that cannot be had stop the boot', async t => {
  const down = await startIssuer(t)
  down.down()
  const app = startFastify(t)
  await app.register(secureApi, { auth: { issuer: down.issuer, audience: 'api://test', startup: 'required' }, environment: 'development' })
  t.strictSame(await mistakesOf(() => app.ready()), ['SECURE_API_KEYS_REQUIRED'])
})

const child = (plugin: (app: FastifyInstance) => Promise<unknown>): FastifyPluginAsync => async app => { await plugin(app) }
const suite = async (app: FastifyInstance) => { await app.register(secureApi, development) }

t.test('a second registration throws: at the root, in a child of the first, in the parent of the first', async t => {
  const starts: Readonly<Record<string, (app: FastifyInstance) => Promise<unknown>>> = {
    'root twice': async app => { await suite(app); await suite(app) },
    'child after root': async app => { await suite(app); await app.register(child(suite)) },
    'root after child': async app => { await app.register(child(suite)); await suite(app) },
    'grandchild after child': async app => {
      await app.register(child(async scope => { await suite(scope); await scope.register(child(suite)) }))
    }
  }
  for (const [name, start] of Object.entries(starts)) {
    t.strictSame(await mistakesOf(() => start(startFastify(t))), ['SECURE_API_ALREADY_REGISTERED'], name)
  }
  const app = startFastify(t)
  await app.register(child(suite), { prefix: '/a' })
  t.strictSame(await mistakesOf(() => app.register(child(suite), { prefix: '/b' })), [], 'scopes beside each other')
})

t.test('a single plugin twice throws, in the same scope and in a child', async t => {
  const plugins: Readonly<Record<string, (app: FastifyInstance) => PromiseLike<unknown>>> = {
    authentication: app => app.register(authentication, { ...auth, environment: 'development' }),
    authorization: app => app.register(authorization, {}),
    rateLimit: app => app.register(rateLimit, {}),
    headers: app => app.register(headers, {}),
    cors: app => app.register(cors, { origins: ['https://app.example.com'] }),
    audit: app => app.register(audit, { sink: 'stdout' }),
    health: app => app.register(health, {}),
    telemetry: app => app.register(telemetry, {})
  }
  for (const [name, register] of Object.entries(plugins)) {
    const twice = async (second: (app: FastifyInstance) => PromiseLike<unknown>) => {
      const app = startFastify(t)
      await register(app)
      await second(app)
    }
    t.strictSame(await mistakesOf(() => twice(register)), ['SECURE_API_ALREADY_REGISTERED'], name)
    t.strictSame(await mistakesOf(() => twice(app => app.register(async scope => { await register(scope) }))),
      ['SECURE_API_ALREADY_REGISTERED'], `${name} in a child`)
  }
})

const variables = ['SECURE_API_ISSUER', 'SECURE_API_AUDIENCE', 'SECURE_API_CORS_ORIGINS', 'SECURE_API_REDIS_URL']

/** The environment is this, and nothing else of the suite's, while `run` runs. */
async function withEnvironment <T> (values: Readonly<Record<string, string>>, run: () => Promise<T>): Promise<T> {
  const before = { ...process.env }
  for (const name of variables) for (const variable of [name, `${name}_FILE`]) delete process.env[variable]
  Object.assign(process.env, { NODE_ENV: 'development', ...values })
  try {
    return await run()
  } finally {
    process.env = before
  }
}

t.test('registered without options it reads the environment', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'secure-api-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'audience')
  await writeFile(file, 'api://other, api://test\n')
  const origin = 'https://app.example.com'
  const values = { SECURE_API_ISSUER: issuer.issuer, SECURE_API_AUDIENCE_FILE: file, SECURE_API_CORS_ORIGINS: origin }
  await withEnvironment(values, async () => {
    const app = startFastify(t)
    await app.register(secureApi)
    app.get('/orders', { config: { scope: 'api.read' } }, async () => '')
    const response = await app.inject({ url: '/orders', headers: { ...bearer(issuer, { scope: 'api.read' }), origin } })
    t.equal(response.statusCode, 200)
    t.equal(response.headers['access-control-allow-origin'], origin)
  })
})

t.test('without options and without a usable environment it says what is missing', async t => {
  const cases: ReadonlyArray<readonly [name: string, values: Record<string, string>, ...codes: string[]]> = [
    ['nothing', {}, 'SECURE_API_ENVIRONMENT_MISSING', 'SECURE_API_ENVIRONMENT_MISSING'],
    ['empty', { SECURE_API_ISSUER: ' ', SECURE_API_AUDIENCE: 'a' }, 'SECURE_API_OPTION_EMPTY'],
    ['both forms', { SECURE_API_ISSUER: issuer.issuer, SECURE_API_ISSUER_FILE: '/nowhere', SECURE_API_AUDIENCE: 'a' },
      'SECURE_API_ENVIRONMENT_BOTH_SET'],
    ['no such file', { SECURE_API_ISSUER: issuer.issuer, SECURE_API_AUDIENCE_FILE: '/nowhere/audience' }, 'SECURE_API_ENVIRONMENT_FILE'],
    ['wrong origin', { SECURE_API_ISSUER: issuer.issuer, SECURE_API_AUDIENCE: 'a', SECURE_API_CORS_ORIGINS: '*,https://a.example' },
      'SECURE_API_CORS_WILDCARD_MIXED']
  ]
  for (const [name, values, ...codes] of cases) {
    t.strictSame(await withEnvironment(values, () => mistakesOf(() => startFastify(t).register(secureApi))), codes, name)
  }
})

t.test('status tells the state of each part, and no secret', async t => {
  const { app } = await secured(t, issuer, { routes: app => { app.get('/orders', { config: { scope: 'api.read' } }, async () => '') } })
  const { authorization } = bearer(issuer, { scope: 'api.read' })
  t.strictSame(await answersOf(app, { url: '/orders', headers: { authorization } }), [200])
  const status = app.secureApi.status()
  t.match(status, {
    issuers: [{ issuer: issuer.issuer, state: 'fresh' }],
    tokens: { cached: 1 },
    rateLimit: {},
    audit: { recorded: 1, dropped: 0 }
  })
  t.notMatch(JSON.stringify(status), authorization.slice(-40))
})
