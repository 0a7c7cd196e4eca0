import { Redis } from 'ioredis'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer as createTls } from 'node:tls'
import t from 'tap'
import {
  compilePolicy, createLimiter, isUnavailable, type Decision, type Limiter, type LimiterEvent, type LimitOutcome, type LimitPolicy
} from '../../../lib/limits/index.ts'
import { ResilientLimiter } from '../../../lib/limits/resilient.ts'
import type { RedisLike } from '../../../lib/redis/index.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { Certificates } from '../server/certificates.ts'

const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
const decided = (outcome: LimitOutcome): Decision | undefined => isUnavailable(outcome) ? undefined : outcome

/** Asks with fresh callers until a decision comes from Redis again. */
async function restored (limiter: Limiter, policy: LimitPolicy): Promise<void> {
  let attempt = 0
  await until(async () => decided(await limiter.take(policy, `probe${++attempt}`))?.source === 'redis', 'a decision of Redis')
}

interface Bench { readonly server: TestRedis, readonly limiter: Limiter, readonly events: LimiterEvent[], readonly client: Redis }

/** So long that a server that is well is never too late. What it refuses, it refuses at once. */
const patient = { deadline: 60_000 }

interface Times { readonly deadline?: number, readonly now?: () => number }

async function bench (t: { teardown: (end: () => Promise<void>) => unknown }, times: Times = {}): Promise<Bench> {
  const server = await startRedis()
  const client = new Redis(server.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 })
  const events: LimiterEvent[] = []
  const limiter = createLimiter({ redis: client, onEvent: event => events.push(event), ...times })
  t.teardown(async () => {
    await limiter.close()
    client.disconnect()
    await server.close()
  })
  await new Promise(resolve => client.once('ready', resolve))
  return { server, limiter, events, client }
}

const wide = compilePolicy('wide', { limit: 100_000, window: 60_000 })
const tight = compilePolicy('tight', { limit: 100, window: 60_000 })
const denying = compilePolicy('denying', { limit: 100, window: 60_000, onStoreFailure: 'deny' })
const allowing = compilePolicy('allowing', { limit: 1, window: 60_000, onStoreFailure: 'allow' })

for (const how of ['freeze', 'kill'] as const) {
  t.test(`${how}: answers stay quick, the limit is kept, each policy fails as it says, and Redis is used again by itself`, async t => {
    const { server, limiter, events } = await bench(t)
    const before = await Promise.all(Array.from({ length: 60 }, () => limiter.take(tight, 'caller')))
    t.ok(before.every(outcome => decided(outcome)?.allowed))

    await server[how]()
    const answers: ReturnType<Limiter['take']>[] = []
    for (let i = 0; i < 20; i++) {
      const round = Array.from({ length: 10 }, () => limiter.take(tight, 'caller'))
      answers.push(...round)
      await Promise.all(round)
    }
    const during = await Promise.all(answers)
    const admitted = during.filter(outcome => decided(outcome)?.allowed).length
    t.equal(admitted, 40, 'the local limiter knows the sixty that were admitted before')
    t.ok(during.every(outcome => decided(outcome)?.source === 'fallback'))
    t.ok(answers.filter(answer => answer instanceof Promise).length <= during.length / 2, 'an open breaker is not waited for')

    t.match(await limiter.take(denying, 'a'), { unavailable: true, policy: denying })
    t.match(await limiter.take(allowing, 'a'), { allowed: true, source: 'open' })
    t.match(await limiter.take(allowing, 'a'), { allowed: true, source: 'open' })
    t.match(await limiter.consume([[tight, 'other'], [denying, 'other']]), { unavailable: true })
    t.match(await limiter.consume([[tight, 'caller'], [allowing, 'caller']]),
      [{ allowed: false, source: 'fallback' }, { allowed: true, source: 'open' }])
    t.equal(limiter.denied(tight, 'caller')?.allowed, false)
    t.match(limiter.status(), { store: 'redis', state: 'unavailable' })
    t.match(events, [{ type: 'store-unavailable', reason: how === 'freeze' ? 'timeout' : 'connection' }])
    t.equal(events.length, 1, 'told once')

    if (how === 'freeze') server.thaw()
    else await server.restart()
    await restored(limiter, wide)
    t.match(limiter.status(), { state: 'available' })
    t.equal(events.length, 2)
    t.match(events[1], { type: 'store-restored', downMs: Number })
  })
}

t.test('a script flush, a read-only replica and a full memory', async t => {
  const { limiter, client, events } = await bench(t, patient)
  await client.script('FLUSH')
  t.match(await limiter.take(wide, 'a'), { source: 'redis', allowed: true }, 'NOSCRIPT is answered with the source')

  await client.config('SET', 'maxmemory', '1')
  for (let i = 0; i < 6; i++) t.match(await limiter.take(wide, 'a'), { source: 'fallback', allowed: true })
  t.same(events.map(event => event.type === 'store-unavailable' && event.reason), ['out-of-memory'])
  await client.config('SET', 'maxmemory', '0')
  await restored(limiter, wide)

  await client.call('REPLICAOF', '127.0.0.1', '1')
  for (let i = 0; i < 6; i++) t.match(await limiter.take(wide, 'a'), { source: 'fallback', allowed: true })
  t.equal(limiter.status().failure, 'read-only')
  await client.call('REPLICAOF', 'NO', 'ONE')
  await restored(limiter, wide)
})

t.test('every key has an expiry, and a caller over the limit is refused without asking', async t => {
  // Its clock stands: no call is late, and no refusal is asked about again.
  const { limiter, client } = await bench(t, { now: () => 0 })
  const policies = [
    compilePolicy('s', { limit: 2, window: 150_000 }), compilePolicy('f', { limit: 2, window: '4 minutes', algorithm: 'fixed-window' }),
    compilePolicy('b', { limit: 2, window: 270_001, algorithm: 'token-bucket' }), compilePolicy('c', { limit: 2, algorithm: 'concurrency' })
  ]
  for (const policy of policies) {
    const first = decided(await limiter.take(policy, 'a'))
    await limiter.take(policy, 'a')
    if (first !== undefined) await limiter.refund(policy, 'a', first)
  }
  const keys = await client.keys('*')
  t.equal(keys.length, 4)
  for (const key of keys) {
    const left = await client.pttl(key)
    t.ok(left > 0 && left <= 300_000, `${key} lives for ${left} ms`)
  }

  const commands = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1])
  const limit = compilePolicy('flooded', { limit: 3, window: 60_000 })
  for (let i = 0; i < 4; i++) await limiter.take(limit, 'abuser')
  const calls = await commands()
  for (let i = 0; i < 200; i++) t.match(limiter.take(limit, 'abuser'), { allowed: false, source: 'deny-cache' })
  t.equal(await commands(), calls)

  await Promise.all(Array.from({ length: 64 }, (_, index) => limiter.take(wide, `caller${index}`)))
  t.equal(await commands(), calls + 1, 'calls of one turn travel together')
})

t.test('permits released, or taken unheard, while Redis hangs are free again when it is back', async t => {
  const { server, limiter, client } = await bench(t)
  const uploads = compilePolicy('uploads', { limit: 2, algorithm: 'concurrency' })
  const held = decided(await limiter.take(uploads, 'a'))
  server.freeze()
  const unheard = await Promise.all(Array.from({ length: 5 }, (_, index) => limiter.take(uploads, `b${index}`)))
  t.ok(unheard.every(outcome => decided(outcome)?.source === 'fallback'))
  if (held !== undefined) await limiter.refund(uploads, 'a', held)
  server.thaw()
  await restored(limiter, wide)
  // What is given back goes with the next answer of Redis, and again if it comes too late.
  await until(async () => {
    await limiter.take(wide, 'after')
    return (await client.keys('*uploads*')).length === 0
  }, 'the permits')
  t.same(await client.keys('*uploads*'), [])
})

/** A client that does as a test says, in the call shape of ioredis. */
function client (evalsha: (...args: unknown[]) => Promise<unknown>): RedisLike {
  return { evalsha, eval: evalsha }
}

t.test('a client that misbehaves is a store that failed', async t => {
  const secret = 'redis://user:hunter2@10.0.0.1'
  const clients: Record<string, RedisLike> = {
    rejects: client(async () => { throw new Error(secret) }),
    throws: client(() => { throw new Error(secret) }),
    'answers nothing': client(async () => undefined),
    'answers too little': client(async () => [1, 2]),
    'answers text': client(async () => [1, 'x', 0, 0, 1]),
    'never answers': client(() => new Promise(() => {}))
  }
  for (const [name, redis] of Object.entries(clients)) {
    const events: LimiterEvent[] = []
    const limiter = createLimiter({ redis, onEvent: event => events.push(event) })
    const runs = await Promise.all(Array.from({ length: 6 }, () => limiter.take(tight, 'a')))
    t.ok(runs.every(outcome => decided(outcome)?.source === 'fallback'), name)
    t.notMatch(JSON.stringify([events, limiter.status()]), /hunter2/)
    await limiter.close()
  }
})

t.test('the deadline goes by the clock of the limiter: not before, and then at once', async t => {
  let now = 0
  let asked = 0
  const limiter = createLimiter({ redis: client(() => { asked++; return new Promise(() => {}) }), now: () => now })
  t.teardown(() => limiter.close())
  let outcome: LimitOutcome | undefined
  const late = Promise.resolve(limiter.take(tight, 'a')).then(given => { outcome = given })
  await until(() => asked === 1, 'the question')
  // Many looks of its timer, however late: by real time the deadline has passed then.
  for (let look = 0; look < 20; look++) await wait(5)
  t.strictSame([asked, outcome], [1, undefined], 'no time has passed')
  now = 50
  await late
  t.match(outcome, { source: 'fallback', allowed: true })
})

t.test('a reply that comes after the deadline is ignored', async t => {
  const replies: ((reply: unknown) => void)[] = []
  const limiter = createLimiter({ redis: client(() => new Promise(resolve => { replies.push(resolve) })) })
  t.teardown(() => limiter.close())
  const outcome = decided(await limiter.take(tight, 'a'))
  t.match(outcome, { source: 'fallback', allowed: true })
  for (const reply of replies) reply([0, 0, 60_000_000, 60_000_000, 1])
  await wait(1)
  t.equal(limiter.denied(tight, 'a'), undefined)
})

t.test('numbers that a client returns as text are understood', async t => {
  const limiter = createLimiter({ redis: client(async () => ['1', '99', '0', '60000000', '1700000000000000']) })
  t.teardown(() => limiter.close())
  t.match(await limiter.take(tight, 'a'), { allowed: true, remaining: 99, resetMs: 60_000, source: 'redis' })
})

t.test('breaker: opens after five failures in a row, then one probe at a time', async t => {
  let now = 0
  let calls = 0
  let up = false
  const runner = {
    cluster: false,
    run: async () => {
      calls++
      if (!up) throw new Error('ECONNREFUSED')
      return [1, 9, 0, 0, 1]
    }
  }
  const events: LimiterEvent[] = []
  const limiter = new ResilientLimiter({ runner, keyPrefix: 'x:', now: () => now, onEvent: event => events.push(event) })
  for (let i = 0; i < 4; i++) await limiter.take(wide, 'a')
  t.equal(limiter.status().state, 'available')
  await limiter.take(wide, 'a')
  t.equal(limiter.status().state, 'unavailable')
  for (let i = 0; i < 50; i++) t.not(limiter.take(wide, 'a') instanceof Promise, true)
  t.equal(calls, 5)
  now += 1000
  await Promise.all(Array.from({ length: 10 }, () => limiter.take(wide, 'a')))
  t.equal(calls, 6, 'one probe')
  up = true
  t.match(await limiter.take(wide, 'a'), { source: 'fallback' }, 'not before the next probe')
  now += 1000
  t.match(await limiter.take(wide, 'a'), { source: 'redis' })
  t.match(events, [{ type: 'store-unavailable', reason: 'connection' }, { type: 'store-restored', downMs: 2000 }])
  await limiter.close()
})

t.test('deny cache: asks again after five seconds, and forgets what is reset or refunded here', async t => {
  let now = 0
  let reply = [0, 0, 60_000_000, 60_000_000, 1]
  let calls = 0
  const runner = { cluster: false, run: async () => { calls++; return reply } }
  const limiter = new ResilientLimiter({ runner, keyPrefix: 'x:', now: () => now })
  t.teardown(() => limiter.close())
  await limiter.take(tight, 'a')
  now = 4999
  t.match(limiter.take(tight, 'a'), { source: 'deny-cache', retryAfterMs: 55_001, allowed: false })
  now = 5001
  t.match(limiter.denied(tight, 'a'), { retryAfterMs: 54_999 }, 'still known as refused')
  reply = [1, 50, 0, 60_000_000, 1]
  t.match(await limiter.take(tight, 'a'), { allowed: true, source: 'redis' }, 'another process may have reset it')
  reply = [0, 0, 60_000_000, 60_000_000, 1]
  await limiter.take(tight, 'a')
  reply = [0, 0, 0, 0, 1]
  await limiter.reset(tight, 'a')
  t.equal(limiter.denied(tight, 'a'), undefined)
  t.equal(calls, 4)
})

t.test('a cluster: budgets of one caller in one call, those of several one after the other and given back', async t => {
  const sent: string[][] = []
  const cluster = {
    isCluster: true,
    evalsha: async (_: string, count: number, ...rest: string[]) => {
      sent.push(rest.slice(0, count))
      const operation = rest[count + 1]
      const refused = rest[0]?.includes('narrow') === true
      return operation === 'take'
        ? Array.from({ length: count }, () => refused ? [0, 0, 1000, 1000] : [1, 5, 0, 1000]).flat().concat(1)
        : [0, 0, 0, 0, 1]
    },
    eval: async () => undefined
  }
  const limiter = createLimiter({ redis: cluster })
  t.teardown(() => limiter.close())
  const narrow = compilePolicy('narrow', { limit: 5, window: 1 })
  await limiter.consume([[wide, 'a'], [tight, 'a']])
  t.same(sent, [['secure-api:{a}sliding-window:wide', 'secure-api:{a}sliding-window:tight']])
  sent.length = 0
  t.match(await limiter.consume([[wide, 'a'], [narrow, 'b']]), [{ allowed: true }, { allowed: false }])
  t.same(sent.map(keys => keys.join()), ['secure-api:{a}sliding-window:wide', 'secure-api:{b}sliding-window:narrow',
    'secure-api:{a}sliding-window:wide'])
})

const redisOptions = { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 } as const

/** What the limiter says after it could not ask, and what the server called it. */
async function failureOf (t: { teardown (end: () => void): unknown }, url: string, keyPrefix?: string): Promise<unknown> {
  const client = new Redis(url, redisOptions)
  const limiter = createLimiter({ redis: client, ...patient, ...(keyPrefix === undefined ? undefined : { keyPrefix }) })
  t.teardown(() => { limiter.close(); client.disconnect() })
  await Promise.race([new Promise(resolve => client.once('ready', resolve)), new Promise(resolve => client.once('error', resolve))])
  for (let i = 0; i < 8; i++) await limiter.take(wide, `caller${i}`)
  const { failure, failureCode } = limiter.status()
  return [failure, failureCode]
}

t.test('15 C5: the reason is the cause, with the code of the server', async t => {
  const server = await startRedis('--requirepass', 'secret', '--user', 'limits', 'on', '>secret', 'resetkeys', '~orders:*', '+@all')
  const node = await startRedis('--cluster-enabled', 'yes')
  t.teardown(async () => { await server.close(); await node.close() })
  const { port } = server
  t.strictSame(await failureOf(t, `redis://:wrong@127.0.0.1:${port}`), ['authentication', 'WRONGPASS'])
  t.strictSame(await failureOf(t, `redis://127.0.0.1:${port}`), ['authentication', 'NOAUTH'])
  t.strictSame(await failureOf(t, `redis://limits:secret@127.0.0.1:${port}`), ['permission', 'NOPERM'])
  t.strictSame(await failureOf(t, `redis://limits:secret@127.0.0.1:${port}`, 'orders:'), [undefined, undefined])
  const { cert, key } = new Certificates(t.testdir({})).issue()
  const encrypted = createTls({ cert, key }).listen(0, '127.0.0.1')
  t.teardown(() => encrypted.close())
  await once(encrypted, 'listening')
  t.match(await failureOf(t, `rediss://:secret@127.0.0.1:${(encrypted.address() as AddressInfo).port}`), ['tls', /SELF_SIGNED_CERT/])
  t.strictSame(await failureOf(t, 'redis://127.0.0.1:1'), ['connection', 'ECONNREFUSED'])
  t.match(await failureOf(t, node.url), [/^cluster$|^loading$/, /^(MOVED|CROSSSLOT|CLUSTERDOWN)$/])
})

t.test('15 C6: a Redis that is well does not count as slow while this process is busy', async t => {
  const busy = (ms: number) => { for (const end = performance.now() + ms; performance.now() < end;); }
  // A machine that is busy itself may really be too slow for Redis, a few times.
  for (let round = 1; ; round++) {
    const { server, limiter, events } = await bench(t)
    // The first call takes two round trips: the server does not know the script. Each finds the process busy for longer than the deadline.
    const outcome = limiter.take(tight, 'caller')
    setImmediate(() => { busy(80); setImmediate(() => busy(80)) })
    const taken = await outcome
    if (limiter.status().failures > 0 && round < 30) continue
    t.match(taken, { source: 'redis', allowed: true })
    t.match(limiter.status(), { state: 'available', failures: 0 })
    server.freeze()
    const frozen = limiter.take(tight, 'caller')
    t.match(await frozen, { source: 'fallback' }, 'a server that hangs still is one that failed')
    server.thaw()
    t.strictSame(events, [])
    return
  }
})
