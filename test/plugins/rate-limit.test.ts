import { createRequire } from 'node:module'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import { rateLimit, type RateLimitOptions } from '../../plugins/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { answersOf, bearer, codeOf, listen, missingHeaders, secured, startFastify, startIssuer, until } from '../helpers/server.ts'
import { stillClock } from '../helpers/still-clock.ts'

const issuer = await startIssuer(t)
const redis = await startRedis()
t.teardown(() => redis.close())
/** It waits for Redis where a connection of the suite would go on without. */
const client = new Redis(redis.url)
t.teardown(() => { client.disconnect() })

const limited = [429, 'SECURE_API_RATE_LIMITED']
const minute = '1 minute'
const by = (sub: string, url = '/orders', more: InjectOptions = {}): InjectOptions => ({ url, headers: tokens[sub] ?? {}, ...more })
const tokens: Readonly<Record<string, { authorization: string }>> = {
  alice: bearer(issuer, { sub: 'alice' }),
  bob: bearer(issuer, { sub: 'bob' })
}

function orders (app: FastifyInstance): void {
  app.get('/orders', { config: { authenticated: true } }, async () => '')
  app.post('/orders', { config: { authenticated: true } }, async () => '')
  app.get('/health', { config: { public: true } }, async () => '')
}

const limits = (rateLimit: RateLimitOptions, routes: (app: FastifyInstance) => void = orders) => secured(t, issuer,
  { suite: { rateLimit }, routes })

t.test('a client that was closed, or has given up, is told apart from a Redis that is away', async t => {
  const client = new Redis(redis.url)
  await client.ping()
  const { app } = await limits({ redis: client })
  await client.quit()
  await answersOf(app, by('alice'))
  await until(() => (app.secureApi.status().rateLimit as { failure?: string }).failure === 'ended', 'the failure')
  const [answer] = await answersOf(app, by('alice'))
  t.equal(answer, 200, 'the process counts for itself')
})

t.test('a hundred reads and ten writes a minute for each principal, unless said otherwise', async t => {
  const { app } = await limits({})
  const write = (sub: string) => by(sub, '/orders', { method: 'POST' })
  const first = await app.inject(write('alice'))
  t.match(first.headers, { ratelimit: /^"write";r=9;t=\d+$/, 'ratelimit-policy': '"write";q=10;w=60' })
  t.strictSame(await answersOf(app, ...Array(10).fill(write('alice'))), [...Array(9).fill(200), limited])
  t.strictSame(await answersOf(app, write('bob'), by('alice')), [200, 200])
  t.strictSame(app.secureApi.routes().find(({ url, methods }) => url === '/orders' && methods[0] === 'GET')?.rateLimit,
    [{ policy: 'read', limit: 100, windowMs: 60_000, algorithm: 'sliding-window', by: 'principal', dryRun: false }])
  const reads = await Promise.all(Array.from({ length: 110 }, () => app.inject(by('bob'))))
  t.equal(reads.filter(({ statusCode }) => statusCode === 200).length, 100)
})

t.test('the posture says how many requests a lease is good for', async t => {
  const { app } = await limits({ leased: 0.1 })
  const postures = app.secureApi.routes().flatMap(({ rateLimit }) => rateLimit)
  t.match(postures, [{ policy: 'read', leaseSize: 10 }])
  t.strictSame(postures.filter(posture => Object(posture).policy === 'write' && 'leaseSize' in Object(posture)), [], 'one is no lease')
})

t.test('the 429 says when to come back, and which policy it was', async t => {
  const { app } = await limits({ policies: { read: { limit: 1, window: '1 hour' } }, legacyHeaders: true })
  await app.inject(by('alice'))
  const { statusCode, headers, body } = await app.inject(by('alice'))
  t.equal(statusCode, 429)
  const wait = Number(headers['retry-after'])
  t.ok(wait > 3000 && wait <= 3600, `${wait} seconds`)
  t.match(headers, {
    ratelimit: `"read";r=0;t=${wait}`,
    'ratelimit-policy': '"read";q=1;w=3600',
    'x-ratelimit-limit': '1',
    'x-ratelimit-remaining': '0',
    'content-type': /^application\/problem\+json/
  })
  t.strictSame(missingHeaders(headers), [])
  t.match(JSON.parse(body), {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    status: 429,
    code: 'SECURE_API_RATE_LIMITED',
    'violated-policies': ['read']
  })
})

/** The same requests must have the same answers whatever store counts them. */
const stores: Readonly<Record<string, Pick<RateLimitOptions,
  'redis' | 'keyPrefix'>>> = { memory: {}, redis: { redis: client, keyPrefix: 'scenario:' } }

function scenario (app: FastifyInstance): void {
  const get = (url: string, rateLimit: NonNullable<NonNullable<Parameters<FastifyInstance['get']>[1]>['config']>['rateLimit']) =>
    app.get(url, { config: { authenticated: true, ...(rateLimit === undefined ? undefined : { rateLimit }) } }, async () => '')
  get('/one', 'shared')
  get('/two', 'shared')
  get('/inline-1', { limit: 1, window: minute })
  get('/inline-2', { limit: 1, window: minute })
  get('/both', ['wide', 'narrow'])
  get('/wide', 'wide')
  get('/free', false)
  get('/read', undefined)
  get('/costly', { limit: 5, window: minute, cost: ({ query }) => Number((query as { cost?: string }).cost ?? 1) })
  get('/trial', { limit: 1, window: minute, dryRun: true })
  get('/global', { limit: 1, window: minute, by: () => 'everybody' })
}

for (const [store, options] of Object.entries(stores)) {
  t.test(`named, inline, listed, costly, trial and no limits: ${store}`, async t => {
    stillClock(t)
    const { app } = await limits({
      ...options,
      policies: {
        read: { limit: 2, window: minute },
        shared: { limit: 3, window: minute },
        wide: { limit: 4, window: minute },
        narrow: { limit: 1, window: minute }
      }
    }, scenario)
    const ask = (...urls: string[]) => answersOf(app, ...urls.map(url => by('alice', url)))
    t.strictSame(await ask('/one', '/two', '/one', '/two', '/one'), [200, 200, 200, limited, limited], 'one name is one budget')
    t.strictSame(await ask('/inline-1', '/inline-2', '/inline-1'), [200, 200, limited], 'a limit written at a route is its own')
    t.strictSame(await ask('/both', '/both', '/both', '/wide', '/wide', '/wide', '/wide'), [200, limited, limited, 200, 200, 200, limited],
      'a refusal by one counts with none')
    t.strictSame(await ask('/free', '/free', '/free'), [200, 200, 200])
    t.equal((await app.inject(by('alice', '/free'))).headers['ratelimit'], undefined)
    t.strictSame(await ask('/costly?cost=3', '/costly?cost=3', '/costly?cost=2', '/costly?cost=0'), [200, limited, 200, limited])
    t.strictSame(await ask('/trial', '/trial'), [200, 200])
    t.strictSame(await answersOf(app, by('alice', '/global'), by('bob', '/global')), [200, limited])
    t.strictSame(await answersOf(app, by('bob', '/read'), by('bob', '/read', { method: 'HEAD' }), by('bob', '/read', { method: 'HEAD' }),
      by('bob', '/read')), [200, 200, 429, limited], 'HEAD counts as GET')
  })
}

t.test('public routes count by address: IPv4 each, IPv6 by /64', async t => {
  const { app } = await limits({ policies: { read: { limit: 1, window: minute } } })
  const from = (remoteAddress: string) => ({ url: '/health', remoteAddress })
  t.strictSame(await answersOf(app, from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.1'), from('::ffff:192.0.2.2')),
    [200, 200, limited, limited])
  t.strictSame(await answersOf(app, from('2001:db8:0:1::1'), from('2001:db8:0:1:ffff::9'), from('2001:db8:0:2::1')), [200, limited, 200])
  t.strictSame(await answersOf(app, by('alice', '/health', { remoteAddress: '192.0.2.1' })), [limited], 'a token changes nothing')
})

t.test('the address limit counts everything: 404, 401, 400, preflights, and comes before cryptography', async t => {
  const { app, events } = await secured(t, issuer, {
    suite: { rateLimit: { perAddress: { limit: 5, window: minute } }, cors: { origins: ['https://app.example.com'] } },
    routes: orders
  })
  const preflight: InjectOptions = {
    method: 'OPTIONS',
    url: '/orders',
    headers: { origin: 'https://app.example.com', 'access-control-request-method': 'GET' }
  }
  const all = [{ url: '/nowhere' }, { url: '/orders' }, { url: '/orders', headers: { authorization: 'Bearer' } }, preflight, by('alice')]
  t.strictSame(await answersOf(app, ...all), [404, [401, 'SECURE_API_UNAUTHENTICATED'], [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS'], 204, 200])
  t.strictSame(await answersOf(app, ...all, { url: '/health' }), Array(6).fill(limited))
  t.strictSame(await answersOf(app, { ...by('alice'), remoteAddress: '192.0.2.9' }), [200])
  t.match(events[5], { route: undefined, reason: 'SECURE_API_RATE_LIMITED', event: 'excess_rate_limit_exceeded' })
})

t.test('a permit for requests in flight comes back when they end: answered, hijacked, or left by the caller', async t => {
  let hold: (() => void) | undefined
  const { app } = await limits({ policies: { one: { limit: 1, algorithm: 'concurrency' } } }, app => {
    app.get('/slow', { config: { authenticated: true, rateLimit: 'one' } }, () => new Promise(resolve => { hold = () => resolve('done') }))
    app.get('/hijacked', { config: { authenticated: true, rateLimit: 'one' } },
      (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
  })
  const url = await listen(app)
  const ask = async (path: string, signal?: AbortSignal) =>
    (await fetch(url + path, { headers: tokens['alice'] ?? {}, ...(signal && { signal }) })).status
  const first = ask('/slow')
  await until(() => hold !== undefined, 'the first request')
  t.equal(await ask('/hijacked'), 429)
  hold?.()
  t.equal(await first, 200)
  // A caller may know of its answer before the server does.
  await until(async () => await ask('/hijacked') === 200, 'the permit of the first request')
  const caller = new AbortController()
  hold = undefined
  let left: Promise<unknown> | undefined
  await until(async () => {
    left = ask('/slow', caller.signal).catch(() => 'left')
    await Promise.race([left, until(() => hold !== undefined, 'the request that will be left')])
    return hold !== undefined
  }, 'the permit of the hijacked one')
  caller.abort()
  t.equal(await left, 'left')
  await until(async () => await ask('/hijacked') === 200, 'the permit of the caller who left')
  // Node 24 takes the connection behind one that was left for busy, and keeps the closing server open for its idle time.
  app.server.closeAllConnections()
})

t.test('without Redis the limiter counts here, says so, and comes back', async t => {
  const own = await startRedis()
  t.teardown(() => own.close())
  const { app } = await limits({ redis: own.url, policies: { read: { limit: 2, window: minute } } })
  t.strictSame(await answersOf(app, by('alice')), [200])
  await own.kill()
  t.strictSame(await answersOf(app, ...Array(4).fill(by('bob'))), [200, 200, limited, limited])
  t.match(app.secureApi.status(), { rateLimit: { store: 'redis', state: 'unavailable' } })
  await own.restart()
  await until(async () => {
    await app.inject({ url: '/health' })
    return JSON.stringify(app.secureApi.status()).includes('"state":"available"')
  }, 'the return of Redis')
})

t.test("the application's own client is used and left open; so is app.redis", async t => {
  stillClock(t)
  const given = await limits({ redis: client, keyPrefix: 'given:', policies: { read: { limit: 1, window: minute } } })
  t.strictSame(await answersOf(given.app, by('alice'), by('alice')), [200, limited])
  t.not((await client.keys('given:*')).length, 0)
  await given.app.close()
  t.equal(await client.ping(), 'PONG')
  const app = startFastify(t)
  app.decorate('redis', client)
  await app.register(rateLimit, { keyPrefix: 'decorated:' })
  app.get('/orders', async () => '')
  await answersOf(app, { url: '/orders' })
  t.not((await client.keys('decorated:*')).length, 0)
})

t.test('app.rateLimit() and app.createRateLimit() of @fastify/rate-limit count in our engine', async t => {
  const { app } = await limits({}, app => {
    const check = app.createRateLimit({ max: 1, timeWindow: minute, policy: 'asked' })
    app.get('/login', { config: { public: true }, preHandler: app.rateLimit({ max: 2, timeWindow: minute, policy: 'login' }) },
      async () => '')
    app.get('/asked', { config: { public: true } }, request => check(request))
  })
  t.strictSame((await Promise.all(Array.from({ length: 3 }, () => app.inject({ url: '/login' })))).map(({ statusCode }) => statusCode),
    [200, 200, 429])
  const asked = [await app.inject({ url: '/asked' }), await app.inject({ url: '/asked' })].map(({ body }) => JSON.parse(body).isExceeded)
  t.strictSame(asked, [false, true])
  const engine = createRequire(import.meta.url)('@fastify/rate-limit')
  t.type(engine, 'function', 'the engine that offers them')
})

t.test('the plugin alone counts by address', async t => {
  const app = startFastify(t)
  await app.register(rateLimit, { policies: { read: { limit: 1, window: minute } } })
  app.get('/orders', async () => '')
  const [, second] = [await app.inject('/orders'), await app.inject('/orders')]
  t.equal(codeOf(second), 'SECURE_API_RATE_LIMITED')
})

t.test('15 C8: app.rateLimit({ max, timeWindow }) works as the README of @fastify/rate-limit shows it, each call with a budget of its own',
  async t => {
    const { app } = await secured(t, issuer, {
      routes: app => {
        app.get('/one', { config: { public: true, rateLimit: false }, preHandler: app.rateLimit({ max: 1, timeWindow: '1 minute' }) },
          async () => '')
        app.get('/other', { config: { public: true, rateLimit: false }, preHandler: app.rateLimit({ max: 1, timeWindow: 60_000 }) },
          async () => '')
      }
    })
    const statuses = []
    for (const url of ['/one', '/one', '/other', '/other']) statuses.push((await app.inject(url)).statusCode)
    t.strictSame(statuses, [200, 429, 200, 429])
  })
