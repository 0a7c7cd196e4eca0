import { generateKeyPairSync } from 'node:crypto'
import fastifyCors from '@fastify/cors'
import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import secureApi, { cors, headers, type SecureApiOptions } from '../../plugins/index.ts'
import { codesOf, mistakesOf, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const origin = 'https://app.example.com'
const suite = { auth: false, audit: false, environment: 'development', cors: { origins: [origin] } } as const satisfies SecureApiOptions
const open = { public: true } as const
/** Only the name counts here: @fastify/helmet is no dependency. */
const helmet = fp(async () => {}, { fastify: '5.x', name: '@fastify/helmet' })

t.test('@fastify/cors and @fastify/helmet in the same scope stop the boot, before the suite and after it', async t => {
  const others = [['SECURE_API_CORS_DUPLICATE', (app: FastifyInstance) => app.register(fastifyCors, { origin })],
    ['SECURE_API_HEADERS_DUPLICATE', (app: FastifyInstance) => app.register(helmet)]] as const
  for (const [code, other] of others) {
    const before = startFastify(t)
    await other(before)
    t.strictSame(await mistakesOf(() => before.register(secureApi, suite)), [code], 'before')
    const after = startFastify(t)
    await after.register(secureApi, suite)
    await other(after)
    t.strictSame(codesOf(await after.ready().then(() => undefined, (error: unknown) => error)), [code], 'after')
    const child = startFastify(t)
    await child.register(secureApi, suite)
    await child.register(async scope => { await other(scope) }, { prefix: '/page' })
    t.strictSame(await mistakesOf(() => child.ready()), [], 'in a child')
    const off = startFastify(t)
    await other(off)
    t.strictSame(await mistakesOf(() => off.register(secureApi, { ...suite, cors: false, headers: false })), [],
      'beside a suite without it')
  }
})

t.test('14 A11: @fastify/cors and @fastify/helmet are noticed without their names: behind a promise, a wrapper or a proxy', async t => {
  /** As Nest runs @fastify/cors. */
  const proxied = fp((app: FastifyInstance, _options: object, done: () => void) => {
    fastifyCors(new Proxy(app, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    }), { origin },
    done)
  }, { fastify: '5.x', name: 'nest-like' })
  /** What @fastify/helmet 13 leaves. */
  const wrapped = fp(async (app: FastifyInstance) => { app.decorateReply('helmet', null) }, { fastify: '5.x', name: 'own-headers' })
  const others = [
    ['SECURE_API_CORS_DUPLICATE', (app: FastifyInstance) => app.register(import('@fastify/cors'), { origin })],
    ['SECURE_API_CORS_DUPLICATE', (app: FastifyInstance) => app.register(proxied)],
    ['SECURE_API_HEADERS_DUPLICATE', (app: FastifyInstance) => app.register(wrapped)]
  ] as const
  for (const [index, [code, other]] of others.entries()) {
    const before = startFastify(t)
    other(before)
    t.strictSame(await mistakesOf(() => before.register(secureApi, suite)), [code], `${index} before`)
    const after = startFastify(t)
    after.register(secureApi, suite)
    other(after)
    t.strictSame(await mistakesOf(() => after.ready()), [code], `${index} after`)
    const off = startFastify(t)
    other(off)
    t.strictSame(await mistakesOf(() => off.register(secureApi, { ...suite, cors: false, headers: false })), [], `${index} without ours`)
  }
})

/** The warnings of a start, by code. */
async function warningsOf (start: (app: FastifyInstance) => PromiseLike<unknown>): Promise<object[]> {
  const lines: string[] = []
  const app = startFastify(t, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  await start(app)
  await app.ready()
  return lines.map(line => JSON.parse(line)).filter(({ code }) => code !== undefined).map(({ code, methods, hooks, routes, entries }) =>
    ({ code, ...methods && { methods }, ...hooks && { hooks }, ...routes && { routes }, ...entries && { entries } }))
}

t.test('onRequest hooks that run before the suite are named', async t => {
  const code = 'SECURE_API_HOOK_ORDER'
  t.strictSame(await warningsOf(async app => {
    app.addHook('onRequest', async function jwt () {})
    app.addHook('onRequest', async () => {})
    await app.register(secureApi, suite)
    app.addHook('onRequest', async function later () {})
    app.get('/', { config: open, onRequest: async function own () {} }, async () => '')
  }), [{ code, hooks: ['jwt', 'anonymous'] }])
  t.strictSame(await warningsOf(async app => {
    app.get('/early', { config: open, onRequest: async function own () {} }, async () => '')
    await app.register(secureApi, suite)
    app.addHook('onRequest', async function later () {})
    app.get('/', { config: open }, async () => '')
  }), [])
  t.strictSame(await warningsOf(async app => {
    app.addHook('onRequest', async function jwt () {})
    await app.register(headers)
    app.get('/', async () => '')
  }), [{ code, hooks: ['jwt'] }], 'a single plugin')
})

t.test('methods of CORS that no route has, and methods of routes that CORS does not allow, are named', async t => {
  const code = 'SECURE_API_CORS_METHOD_UNROUTED'
  const routes = (app: FastifyInstance) => {
    app.put('/orders', { config: open }, async () => '')
    app.delete('/internal', { config: { ...open, cors: false } }, async () => '')
    app.options('/tool', { config: open }, async () => '')
    app.get('/', { config: open }, async () => '')
  }
  const started = (methods: string[] | undefined) => warningsOf(async app => {
    app.patch('/early', { config: open }, async () => '')
    await app.register(cors, { origins: [origin], environment: 'development', ...(methods === undefined ? undefined : { methods }) })
    routes(app)
  })
  t.strictSame(await started(undefined), [], 'the default methods need no routes')
  t.strictSame(await started(['PUT', 'PATCH']), [])
  t.strictSame(await started(['PUT', 'QUERY', 'PROPFIND']), [{ code, methods: ['QUERY', 'PROPFIND'] }])
  t.strictSame(await started(['PATCH']), [{ code, routes: ['PUT /orders'] }])
})

t.test('14 A10: each decorator of the suite says whose its name is where it is taken', async t => {
  const auth = {
    issuer: issuer.issuer,
    audience: issuer.audience,
    ownTokens: {
      issuer: 'https://own.example',
      audience: 'own',
      privateKey: generateKeyPairSync('ec', {
        namedCurve: 'P-256',
        privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
        publicKeyEncoding: { format: 'pem', type: 'spki' }
      }).privateKey
    }
  }
  const full = { ...suite, auth } satisfies SecureApiOptions
  const bare = startFastify(t)
  const names = new Set(Object.keys(bare))
  await bare.register(secureApi, full)
  const own = [
    ...Object.keys(bare).filter(name => !names.has(name)).map(name => `app.${name}`),
    ...['request.auth', 'request.authorize', 'request.user', 'request.jwtVerify', 'request.jwtDecode', 'reply.cspNonce', 'reply.jwtSign']
  ].filter(name => name !== 'app.rateLimit')
  t.ok(own.length > 12, 'the list is not empty')
  for (const decorator of own) {
    const [target = '', name = ''] = decorator.split('.')
    const app = startFastify(t)
    if (target === 'app') app.decorate(name, () => {})
    else if (target === 'request') app.decorateRequest(name)
    else app.decorateReply(name)
    const error: unknown = await app.register(secureApi, full).then(() => undefined, (error: unknown) => error)
    t.match(error, { errors: [{ code: 'SECURE_API_DECORATOR_TAKEN', path: decorator, message: /the application, or a plugin/ }] },
      decorator)
  }
  const jwt = startFastify(t)
  await jwt.register(fastifyJwt, { secret: 'a secret of its own' })
  const error: unknown = await jwt.register(secureApi, full).then(() => undefined, (error: unknown) => error)
  t.match(error, { errors: [{ code: 'SECURE_API_DECORATOR_TAKEN', path: 'app.jwt', message: /@fastify\/jwt has added already/ }] })
  const beside = startFastify(t)
  await beside.register(fastifyJwt, { secret: 'a secret of its own' })
  t.strictSame(await mistakesOf(() => beside.register(secureApi,
    { ...suite, auth: { issuer: issuer.issuer, audience: issuer.audience } })), [], 'without own tokens both can be used')
})

t.test('14 A10: hooks that run before the suite are named with their plugins, and can be accepted by name', async t => {
  const code = 'SECURE_API_HOOK_ORDER'
  const unknown = 'SECURE_API_HOOKS_BEFORE_UNKNOWN'
  const session = fp(async (app: FastifyInstance) => { app.addHook('onRequest', async () => {}) },
    { fastify: '5.x', name: '@fastify/session' })
  const started = (hooksBefore: string[] | undefined, others: readonly ['session'?, 'named'?]) => warningsOf(async app => {
    if (others.includes('session')) await app.register(session)
    if (others.includes('named')) app.addHook('onRequest', async function jwt () {})
    await app.register(secureApi, { ...suite, ...(hooksBefore === undefined ? undefined : { hooksBefore }) })
    await app.register(fp(async () => {}, { fastify: '5.x', name: 'later' }))
    app.get('/', { config: open }, async () => '')
  })
  t.strictSame(await started(undefined, ['session', 'named']),
    [{ code, hooks: ['anonymous, one of: @fastify/session, the application', 'jwt'] }])
  t.strictSame(await started(['@fastify/session'], ['session', 'named']), [{ code, hooks: ['jwt'] }])
  t.strictSame(await started(['jwt', '@fastify/session'], ['session', 'named']), [])
  t.strictSame(await started(['anonymous', 'jwt'], ['session', 'named']), [])
  t.strictSame(await started(['jwt', 'later', 'jtw'], ['session', 'named']),
    [{ code, hooks: ['anonymous, one of: @fastify/session, the application'] }, { code: unknown, entries: ['later', 'jtw'] }])
  t.strictSame(await mistakesOf(() => startFastify(t).register(secureApi, { ...suite, hooksBefore: [''] })), ['SECURE_API_OPTION_EMPTY'])
})
