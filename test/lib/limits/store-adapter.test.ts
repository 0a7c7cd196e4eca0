import { createRequire } from 'node:module'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { checkEngineOptions, createLimiter, engineStore, MemoryStore } from '../../../lib/limits/index.ts'
import type { RedisLike } from '../../../lib/redis/index.ts'

/** Loaded without its types, which would declare `config.rateLimit` a second time. */
const rateLimit: FastifyPluginAsync<{
  global: boolean,
  store: ReturnType<typeof engineStore>
}> = createRequire(import.meta.url)('@fastify/rate-limit')

type Engine = (options?: object) => (request: unknown, options?: object) => Promise<Record<string, unknown>>

async function server (limiter: Parameters<typeof engineStore>[0] = new MemoryStore()): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(rateLimit, { global: false, store: engineStore(limiter) })
  return app
}

async function statuses (app: FastifyInstance, url: string, times: number): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: times }, () => app.inject(url)))
  return answers.map(({ statusCode }) => statusCode)
}

const config = (limit: object) => ({ config: { rateLimit: limit } }) as object

t.test('101 at once under a limit of 100: exactly 100', async t => {
  const app = await server()
  app.get('/', config({ max: 100, timeWindow: '1 minute' }), async () => 'ok')
  const codes = await statuses(app, '/', 101)
  t.equal(codes.filter(code => code === 200).length, 100)
  t.equal(codes.filter(code => code === 429).length, 1)
})

t.test('150 at once with a plan that is looked up meanwhile: exactly 100', async t => {
  const app = await server()
  const max = async (): Promise<number> => await new Promise(resolve => setTimeout(resolve, 5, 100))
  app.get('/', config({ max, timeWindow: '1 minute' }), async () => 'ok')
  const codes = await statuses(app, '/', 150)
  t.equal(codes.filter(code => code === 200).length, 100)
})

t.test('headers of @fastify/rate-limit tell the truth', async t => {
  const app = await server()
  app.get('/', config({ max: 2, timeWindow: 30_000 }), async () => 'ok')
  const [first, , third] = [await app.inject('/'), await app.inject('/'), await app.inject('/')]
  t.match(first?.headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' })
  t.equal(third?.statusCode, 429)
  t.ok(Number(third?.headers['retry-after']) >= 1 && Number(third?.headers['retry-after']) <= 30)
})

t.test('a named budget is shared, unnamed routes are apart', async t => {
  const app = await server()
  for (const url of ['/a', '/b']) app.get(url, config({ max: 2, timeWindow: 60_000, policy: 'both' }), async () => 'ok')
  for (const url of ['/c', '/d']) app.get(url, config({ max: 2, timeWindow: 60_000 }), async () => 'ok')
  t.same(await statuses(app, '/a', 2), [200, 200])
  t.same(await statuses(app, '/b', 1), [429])
  t.same(await statuses(app, '/c', 3), [200, 200, 429])
  t.same(await statuses(app, '/d', 3), [200, 200, 429])
})

t.test('the algorithm and burst of a route', async t => {
  const app = await server()
  app.get('/', config({ max: 10, timeWindow: 3_600_000, algorithm: 'token-bucket', burst: 3 }), async () => 'ok')
  t.same(await statuses(app, '/', 4), [200, 200, 200, 429])
})

t.test('what @fastify/rate-limit takes for 1000 or for no limit stops the boot', async t => {
  const app = await server()
  for (const bad of [{ max: '10' }, { max: NaN }, { max: -5 }, { max: 0 }, { timeWindow: '60' }, { timeWindow: 0 }, { algorithm: 'leaky' },
    { algorithm: 'concurrency' }, { max: 5, burst: 2 }]) {
    t.throws(() => app.get(`/${Math.random()}`, config({ max: 5, timeWindow: 1000, ...bad }), async () => 'ok'),
      { name: 'ConfigurationError' }, JSON.stringify(bad))
  }
})

t.test('a limiter made by hand needs a name', async t => {
  const app = await server()
  const createRateLimit = app.createRateLimit as unknown as Engine
  t.throws(() => createRateLimit({ max: 3 }), { code: 'SECURE_API_OPTION_MISSING' })
  const [login, otp] = [createRateLimit({ max: 1, timeWindow: 60_000, policy: 'login' }),
    createRateLimit({ max: 1, timeWindow: 60_000, policy: 'otp' })]
  app.get('/', async request => [(await login(request)).isExceeded, (await otp(request)).isExceeded,
    (await login(request, { increment: false })).isExceeded])
  t.same((await app.inject('/')).json(), [false, false, true])
  t.same((await app.inject('/')).json(), [true, true, true])
  t.throws(() => checkEngineOptions({ max: '3', policy: 'x' }), { code: 'SECURE_API_OPTION_TYPE' })
  t.doesNotThrow(() => checkEngineOptions({ max: () => 3, timeWindow: '5 minutes', groupId: 'x' }))
})

t.test('plans: a function decides; what it must not return refuses', async t => {
  const app = await server()
  const plans: Record<string, unknown> = { free: 1, paid: 3, broken: 'many', half: 1.5 }
  const max = async (request: { query: unknown }) => plans[(request.query as { plan: string }).plan]
  app.get('/', config({ max, timeWindow: 60_000, keyGenerator: (request: { query: { plan: string } }) => request.query.plan }),
    async () => 'ok')
  t.same(await statuses(app, '/?plan=free', 2), [200, 429])
  t.same(await statuses(app, '/?plan=paid', 4), [200, 200, 200, 429])
  for (const plan of ['unknown', 'broken', 'half']) t.same(await statuses(app, `/?plan=${plan}`, 2), [503, 503])
})

t.test('a key that a caller chose meets no other budget', async t => {
  const limiter = new MemoryStore()
  const app = await server(limiter)
  app.get('/login', config({ max: 3, timeWindow: 60_000, policy: 'login' }), async () => 'ok')
  app.get('/', config({
    max: 100,
    timeWindow: 60_000,
    keyGenerator: (request: { headers: Record<string, string> }) => request.headers['x-api-key']
  }), async () => 'ok')
  for (const key of ['login-127.0.0.1', 'e:127.0.0.1', 'GET/login-127.0.0.1', 'sliding-window:login', '']) {
    for (let i = 0; i < 6; i++) await app.inject({ url: '/', headers: { 'x-api-key': key } })
  }
  t.same(await statuses(app, '/login', 1), [200])
})

t.test('a store that cannot be asked is replaced by memory, and nothing is told of it', async t => {
  const redis: RedisLike = { evalsha: async () => { throw new Error('redis://user:hunter2@host') }, eval: async () => undefined }
  const limiter = createLimiter({ redis })
  t.teardown(() => limiter.close())
  const app = await server(limiter)
  app.get('/', config({ max: 1, timeWindow: 60_000 }), async () => 'ok')
  t.same(await statuses(app, '/', 2), [200, 429], 'the local limiter steps in')
  t.notMatch((await app.inject('/')).body, /hunter2/)
})
