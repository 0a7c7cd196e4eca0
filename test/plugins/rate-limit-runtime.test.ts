import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { request } from 'node:http'
import { connect, constants } from 'node:http2'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Redis } from 'ioredis'
import type { Server } from 'node:http'
import t, { type Test } from 'tap'
import { addressOf } from '../../lib/http/index.ts'
import { compilePolicy, createLimiter } from '../../lib/limits/index.ts'
import type { RedisLike } from '../../lib/redis/index.ts'
import { rateLimit, type Limit, type LimitChange, type LimitMessage, type RateLimitOptions } from '../../plugins/index.ts'
import { routeHandler } from '../../plugins/rate-limit-handlers.ts'
import { startRedis } from '../helpers/redis.ts'
import { answersOf, bearer, codesOf, mistakesOf, secured, startFastify, startIssuer, until } from '../helpers/server.ts'
import { stillClock } from '../helpers/still-clock.ts'

const issuer = await startIssuer(t)
const redis = await startRedis()
t.teardown(() => redis.close())
/** It waits for Redis where a connection of the suite would go on without. */
const client = new Redis(redis.url)
t.teardown(() => { client.disconnect() })
const minute = '1 minute'
const limited = [429, 'SECURE_API_RATE_LIMITED']

async function alone (t: Test, options: RateLimitOptions, fastify: FastifyServerOptions<Server> = {}): Promise<FastifyInstance> {
  const app = startFastify(t, fastify)
  await app.register(rateLimit, options)
  app.get('/read', async () => '')
  app.get('/inline', { config: { rateLimit: { limit: 1, window: minute } } }, async () => '')
  app.get('/both', { config: { rateLimit: ['read', 'write'] } }, async () => '')
  await app.ready()
  return app
}

t.test('plans: the claim decides, and what is not known is refused', async t => {
  stillClock(t)
  const plans = { free: { limit: 1 }, pro: { limit: 3, window: '5 minutes' } }
  const stores: Readonly<Record<string, RateLimitOptions>> = { memory: {}, redis: { redis: client, keyPrefix: 'plans:' } }
  for (const [store, options] of Object.entries(stores)) {
    const { app } = await secured(t, issuer, {
      suite: {
        rateLimit: {
          ...options,
          policies: {
            read: { limit: 2, window: minute, plans, plan: 'account.plan' },
            uploads: { limit: 2, algorithm: 'concurrency', plans: { pro: { limit: 1 } }, plan: () => 'nonsense' },
            trial: { limit: 1, window: minute, plans, plan: () => { throw new Error('no plan') }, dryRun: true }
          }
        }
      },
      routes: app => {
        app.get('/read', { config: { authenticated: true } }, async () => '')
        app.get('/public', { config: { public: true } }, async () => '')
        app.get('/uploads', { config: { authenticated: true, rateLimit: ['trial', 'uploads'] } }, async () => '')
        app.get('/trial', { config: { authenticated: true, rateLimit: ['trial'] } }, async () => '')
      }
    })
    const as = (sub: string, account: unknown, url = '/read') => ({ url, headers: bearer(issuer, { sub, account }) })
    t.strictSame(await answersOf(app, as('alice', { plan: 'free' }), as('alice', { plan: 'free' })), [200, limited], store)
    t.strictSame(await answersOf(app, ...Array(4).fill(as('bob', { plan: 'pro' }))), [200, 200, 200, limited])
    t.strictSame(await answersOf(app, as('alice', { plan: 'pro' })), [200], 'an upgrade counts anew')
    for (const plan of ['gold', undefined, 7, '__proto__', 'constructor', ['free']]) {
      t.strictSame(await answersOf(app,
        as('carol', { plan })), [limited], String(plan))
    }
    t.strictSame(await answersOf(app, as('dave', 'free')), [limited])
    t.strictSame(await answersOf(app, ...Array(3).fill({ url: '/public' })), [200, 200, limited], 'without a credential')
    t.strictSame(await answersOf(app, as('erin', {}, '/uploads')), [limited], 'permits too')
    t.strictSame(await answersOf(app, as('erin', {}, '/trial'), as('erin', {}, '/trial')), [200, 200], 'a dry run refuses nobody')
    const { headers } = await app.inject(as('frank', { plan: 'pro' }))
    t.match(headers, { 'ratelimit-policy': '"read";q=3;w=300', ratelimit: '"read";r=2;t=300' })
  }
})

t.test('plans that contradict themselves do not start', async t => {
  const mistakes = (limit: Limit) => mistakesOf(() => startFastify(t).register(rateLimit, { policies: { read: limit } }))
  t.strictSame(await mistakes({ limit: 1, window: minute, plan: 'plan' }), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await mistakes({ limit: 1, window: minute, plans: { free: { limit: 1 } } }), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await mistakes({ limit: 1, window: minute, plan: 'plan', plans: {} }), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(await mistakes({ limit: 1, window: minute, plan: 'plan', plans: { 'a@b': { limit: 1 } } }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ limit: 1, window: minute, plan: 'plan', plans: { free: { limit: 1, burst: 2 } } }),
    ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await mistakesOf(() => startFastify(t).register(rateLimit,
    { perAddress: { limit: 1, window: minute, plan: 'plan', plans: { free: { limit: 1 } } } })), ['SECURE_API_OPTION_CONFLICT'])
})

t.test('a policy is changed, made a dry run, switched off and restored while the server runs', async t => {
  const app = await alone(t, { policies: { read: { limit: 2, window: minute } } })
  const ask = (times: number, url = '/read') => answersOf(app, ...Array(times).fill({ url }))
  t.strictSame(await ask(3), [200, 200, limited])
  t.match(app.rateLimits.change('read', { limit: 4 }), { name: 'read', limit: 4, changed: true })
  t.strictSame(await ask(3), [200, 200, limited], 'counts go on')
  app.rateLimits.change('read', { dryRun: true })
  t.strictSame(await ask(2), [200, 200])
  app.rateLimits.change('read', { disabled: true })
  t.equal((await app.inject('/read')).headers['ratelimit'], undefined)
  t.match(app.rateLimits.status(), { changed: ['read'] })
  app.rateLimits.change('write', { limit: 1 })
  t.strictSame(await ask(2, '/both'), [200, limited], 'of several the others stay')
  t.match(app.rateLimits.restore('read'), { limit: 2, disabled: false, changed: false })
  t.strictSame(await ask(1), [limited])
  app.rateLimits.change('GET_/inline', { limit: 2 })
  t.strictSame(await ask(3, '/inline'), [200, 200, limited])
  t.strictSame((await answersOf(app, { method: 'HEAD', url: '/inline' })), [429], 'HEAD of a limit written at the route counts as its GET')
  app.rateLimits.change('address', { limit: 1, burst: 1 })
  t.strictSame(await ask(1, '/nowhere'), [limited])
  app.rateLimits.change('address', { disabled: true })
  t.strictSame(await ask(1, '/nowhere'), [404])
})

t.test('a change that would be refused at boot changes nothing', async t => {
  const app = await alone(t, {})
  const before = app.rateLimits.list()
  const mistakes = (name: string, change: LimitChange) => {
    try {
      return [app.rateLimits.change(name, change).name]
    } catch (error) {
      return codesOf(error)
    }
  }
  t.strictSame(mistakes('raed', { limit: 1 }), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(mistakes('read', { limit: 0 }), ['SECURE_API_OPTION_RANGE'])
  t.strictSame(mistakes('read', { burst: 3 }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(mistakes('read', { by: 'address' }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(mistakes('read', JSON.parse('{ "max": 5 }')), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(mistakes('read', JSON.parse('{ "disabled": "yes" }')), ['SECURE_API_OPTION_TYPE'])
  t.strictSame(app.rateLimits.list(), before)
})

t.test('decisions are published to whoever subscribes', async t => {
  // The bucket of an address gets seventeen requests a second back.
  stillClock(t)
  const app = await alone(t, { policies: { read: { limit: 1, window: minute }, write: { limit: 1, window: minute, dryRun: true } } })
  const messages: LimitMessage[] = []
  const listen = (message: unknown) => { messages.push(message as LimitMessage) }
  subscribe('secure-api:rate-limit', listen)
  await answersOf(app, { url: '/both' }, { url: '/both' })
  app.rateLimits.change('read', { disabled: true })
  await app.inject('/both')
  unsubscribe('secure-api:rate-limit', listen)
  await app.inject('/both')
  t.strictSame(messages.map(({ policy, result, remaining, source }) => [policy, result, remaining, source]), [
    ['address', 'allowed', 999, 'memory'], ['read', 'allowed', 0, 'memory'], ['write', 'allowed', 0, 'memory'],
    ['address', 'allowed', 998, 'memory'], ['read', 'denied', 0, 'memory'], ['write', 'shadow', 0, 'memory'],
    ['address', 'allowed', 997, 'memory'], ['write', 'shadow', 0, 'memory']
  ])
  t.ok(messages.every(message => message.request.id !== undefined))
})

t.test('the audit trail says which limit decided, and what is left', async t => {
  const { app, events } = await secured(t, issuer, {
    suite: {
      rateLimit: {
        perAddress: { limit: 4, window: minute },
        policies: { read: { limit: 2, window: minute }, wide: { limit: 9, window: minute } }
      }
    },
    routes: app => { app.get('/read', { config: { public: true, rateLimit: ['wide', 'read'] } }, async () => '') }
  })
  for (let i = 0; i < 5; i++) await app.inject('/read')
  t.strictSame(events.map(({ limit }) => limit), [
    { policy: 'read', remaining: 1 }, { policy: 'read', remaining: 0 }, { policy: 'read', remaining: 0 },
    { policy: 'address', remaining: 0 }
  ])
})

t.test('a proxy that trustProxy does not name is noticed and told once', async t => {
  const behind = async (fastify: FastifyServerOptions<Server>, peer: string, headers: Record<string, string>) => {
    const lines: string[] = []
    const app = await alone(t, { perAddress: { limit: 100_000, window: minute } },
      { ...fastify, logger: { level: 'warn', stream: { write: line => { lines.push(line) } } } })
    for (let i = 0; i < 1100; i++) await app.inject({ url: '/nowhere', remoteAddress: peer, headers })
    return { told: lines.map(line => JSON.parse(line).finding), addresses: app.rateLimits.status().addresses }
  }
  const forwarded = { 'x-forwarded-for': '203.0.113.9' }
  t.strictSame(await behind({}, '127.0.0.1', forwarded), { told: ['forwarded-ignored'], addresses: ['forwarded-ignored'] })
  t.strictSame(await behind({}, '10.1.2.3', {}), { told: ['shared-address'], addresses: ['shared-address'] })
  t.strictSame(await behind({ trustProxy: ['10.1.2.3'] }, '10.1.2.3', forwarded), { told: [], addresses: undefined }, 'configured')
  t.strictSame(await behind({}, '203.0.113.1', forwarded), { told: [], addresses: undefined }, 'a stranger who makes it up')
  t.strictSame(await behind({}, '127.0.0.1', {}), { told: [], addresses: undefined }, 'a developer')
})

t.test('a Unix socket, and forwarded headers that are garbage, are no reason for a 500', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'secure-api-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const app = await alone(t, { policies: { read: { limit: 2, window: minute } } })
  const socketPath = join(folder, 'socket')
  await app.listen({ path: socketPath })
  const ask = async () => {
    const [response] = await once(request({ socketPath, path: '/read' }).end(), 'response')
    response.resume()
    return response.statusCode
  }
  t.strictSame([await ask(), await ask(), await ask()], [200, 200, 429])
  const trusting = await alone(t, { policies: { read: { limit: 1000, window: minute } } }, { trustProxy: '127.0.0.1' })
  for (const garbage of ['unknown', '1.2.3.4:4444', '', ',,,', '::::', 'x'.repeat(5000), '_hidden, 127.0.0.1', '[::1]:80']) {
    t.equal((await trusting.inject({ url: '/read', headers: { 'x-forwarded-for': garbage } })).statusCode, 200, garbage.slice(0, 20))
  }
})

t.test('routes declared before the limiter, or beside an un-awaited register, are limited', async t => {
  const app = startFastify(t)
  app.get('/early', async () => '')
  app.register(rateLimit, { policies: { read: { limit: 1, window: minute } } })
  app.get('/beside', async () => '')
  t.strictSame(await answersOf(app, { url: '/early' }, { url: '/beside' }, { url: '/early' }), [200, limited, limited])
})

t.test('trustProxy: a number stops the boot, true is warned of, addresses are right', async t => {
  const start = async (trustProxy: unknown) => {
    const lines: string[] = []
    const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } }
    const app = startFastify(t, { logger, trustProxy } as FastifyServerOptions<Server>)
    await app.register(rateLimit, {})
    await app.ready()
    return lines.filter(line => line.includes('SECURE_API_SERVER_TRUST_PROXY')).length
  }
  t.strictSame(await mistakesOf(() => start(1)), ['SECURE_API_SERVER_TRUST_PROXY'])
  t.equal(await start(true), 1)
  t.equal(await start(['10.0.0.0/8']), 0)
  t.equal(await start(false), 0)
})

/** Redis as a client sees it from afar: it answers when a test lets it. */
function farRedis (): { redis: RedisLike, asked: () => number, answer: () => void, taken: () => number } {
  const waiting: (() => void)[] = []
  let [asked, taken] = [0, 0]
  const run = async (_script: string, count: number, ...rest: string[]): Promise<number[]> => {
    asked += count
    await new Promise<void>(resolve => { waiting.push(resolve) })
    // The arguments of the script: seven for each shape, then one for each item, which starts with the number of its shape.
    const args = rest.slice(count)
    const shapeOf = (index: number) => Number.parseInt(args[1 + Number(args[0]) * 7 + index] ?? '', 10)
    const operations = Array.from({ length: count }, (_, index) => args[1 + (shapeOf(index) - 1) * 7])
    for (const operation of operations) taken += operation === 'take' ? 1 : -1
    return [...operations.flatMap(() => [1, 5, 0, 0]), 1]
  }
  return {
    redis: { evalsha: run, eval: run },
    asked: () => asked,
    taken: () => taken,
    answer: () => { for (const go of waiting.splice(0)) go() }
  }
}

t.test('14 C2: streams of HTTP/2 that are reset while Redis is asked keep no permit', async t => {
  const far = farRedis()
  let now = 0
  const limiter = createLimiter({ redis: far.redis, now: () => now, deadline: 10_000 })
  const app = Fastify({ http2: true })
  t.teardown(async () => { now = 1e9; await limiter.close(); await app.close() })
  const policy = compilePolicy('five', { limit: 5, algorithm: 'concurrency', by: 'address' })
  const verdict = routeHandler(limiter, () => [policy], false)
  app.addHook('onRequest', async (request, reply) => { await verdict(request as never, reply as never) })
  app.get('/', async () => '')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connect(url)
  t.teardown(() => session.destroy())
  const streams = Array.from({ length: 12 }, () => session.request({ ':path': '/' }).on('error', () => {}))
  await until(() => far.asked() === 12, 'the twelve')
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
  await Promise.all(streams.map(stream => stream.closed && stream.destroyed ? undefined : once(stream, 'close')))
  await new Promise<void>((resolve, reject) => session.ping(error => error === null ? resolve() : reject(error)))
  far.answer()
  await until(() => { far.answer(); return far.asked() === 24 && far.taken() === 0 }, 'twelve permits taken, and twelve given back')
  session.request({ ':path': '/' }).on('error', () => {}).resume()
  await until(() => { far.answer(); return far.asked() === 26 && far.taken() === 0 }, 'one that is answered gives its own back')
})

t.test('a permit of `app.inject()` comes back', async t => {
  const app = startFastify(t)
  await app.register(rateLimit, { policies: { one: { limit: 1, algorithm: 'concurrency', by: 'address' } } })
  app.get('/one', { config: { rateLimit: 'one' } }, async () => '')
  t.strictSame(await answersOf(app, { url: '/one' }, { url: '/one' }, { url: '/one' }), [200, 200, 200])
})

t.test('14 C3: a port in X-Forwarded-For: each caller has a budget, and what is no address is told once', async t => {
  const lines: string[] = []
  const app = startFastify(t, {
    trustProxy: '127.0.0.1',
    logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } }
  })
  await app.register(rateLimit, { perAddress: { limit: 1, window: '1 minute' } })
  app.get('/', { config: { rateLimit: false } }, async request => addressOf(request) ?? 'none')
  const from = (forwarded: string) => ({ url: '/', headers: { 'x-forwarded-for': forwarded } })
  t.strictSame(await answersOf(app, from('192.0.2.1:5000'), from('192.0.2.2:5000'), from('[2001:db8::1]:443'), from('192.0.2.1:5001'),
    from('[2001:db8::2]')),
  [200, 200, 200, [429, 'SECURE_API_RATE_LIMITED'], [429, 'SECURE_API_RATE_LIMITED']])
  t.equal((await app.inject(from('192.0.2.3:80'))).body, '192.0.2.3')
  t.equal(app.rateLimits.status().addresses, undefined)
  const long = 'x'.repeat(5000)
  t.strictSame(await answersOf(app, from('unknown'), from(long)), [200, [429, 'SECURE_API_RATE_LIMITED']])
  t.strictSame(app.rateLimits.status().addresses, ['unreadable'])
  const told = lines.map(line => JSON.parse(line)).filter(({ finding }) => finding !== undefined)
  t.match(told, [{ finding: 'unreadable', msg: /X-Forwarded-For/ }])
  t.equal(told.length, 1)
})

t.test('14 C3: behind a proxy that another one names with its port, each caller has a budget', async t => {
  for (const trustProxy of [['127.0.0.1', '198.51.100.0/24', '2001:db8:ffff::/48'],
    (address: string) => /^(127|198\.51\.100)\.[\d.]+$|^2001:db8:ffff:[\da-f:]+$/.test(address)]) {
    const app = startFastify(t, { trustProxy })
    await app.register(rateLimit, { perAddress: { limit: 1, window: '1 minute' } })
    app.get('/', { config: { rateLimit: false } }, async request => addressOf(request) ?? 'none')
    const behind = async (forwarded: string) => {
      const { statusCode, body } = await app.inject({ url: '/', headers: { 'x-forwarded-for': forwarded } })
      return statusCode === 200 ? body : statusCode
    }
    t.equal(await behind('192.0.2.1:99, 198.51.100.5:4711'), '192.0.2.1')
    t.equal(await behind('192.0.2.2, 198.51.100.5:4712'), '192.0.2.2')
    t.equal(await behind('192.0.2.3, [2001:db8:ffff::5]:443, 198.51.100.5:4713'), '192.0.2.3')
    t.equal(await behind('192.0.2.1:98, 198.51.100.6:4714'), 429)
    t.equal(await behind('192.0.2.9, 203.0.113.5:4715'), '203.0.113.5', 'what a stranger says of others counts for nothing')
    t.equal(await behind('192.0.2.8, 203.0.113.5:4716'), 429)
  }
})

t.test('14 C3: the address of a request that has no socket', async t => {
  const request = { get ip (): string { throw new TypeError("Cannot read properties of undefined (reading 'remoteAddress')") } }
  t.equal(addressOf(request), undefined)
  t.equal(addressOf({ ip: 'x'.repeat(5000) })?.length, 100)
  let reads = 0
  const counted = { get ip (): string { reads++; return '192.0.2.1' } }
  t.strictSame([addressOf(counted), addressOf(counted), reads], ['192.0.2.1', '192.0.2.1', 1],
    'Fastify reads the whole of X-Forwarded-For each time')
})
