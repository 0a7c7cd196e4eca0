import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { createClient, createCluster } from 'redis'
import t, { type Test } from 'tap'
import {
  compilePolicy, createLimiter, isUnavailable, MemoryStore, type Charge, type Decision, type Limit, type Limiter, type LimiterEvent,
  type LimitOutcome, type LimitPolicy
} from '../../../lib/limits/index.ts'
import type { RedisLike } from '../../../lib/redis/index.ts'
import { startCluster } from '../../helpers/redis-cluster.ts'
import { startRedis, startValkey } from '../../helpers/redis.ts'

/** The same contract for every store. Names are fresh for each test, so that nothing is left over in a shared one. */
interface Subject {
  readonly limiter: Limiter
  /** Lets time pass: at once where the clock is injected. */
  readonly pass: (ms: number) => Promise<void>
}

const policy = (limit: Limit): LimitPolicy => compilePolicy(`p${randomUUID().slice(0, 8)}`, limit)

function decided (outcome: LimitOutcome): Decision {
  if (isUnavailable(outcome)) throw new Error('the store was unavailable')
  return outcome
}

async function take ({ limiter }: Subject, limit: LimitPolicy, key = 'caller', cost?: number): Promise<Decision> {
  return decided(await limiter.take(limit, key, cost))
}

async function consume ({ limiter }: Subject, charges: readonly Charge[]): Promise<readonly Decision[]> {
  const outcome = await limiter.consume(charges)
  if (isUnavailable(outcome)) throw new Error('the store was unavailable')
  return outcome
}

async function admitted (subject: Subject, limit: LimitPolicy, attempts: number, key = 'caller'): Promise<number> {
  const decisions = await Promise.all(Array.from({ length: attempts }, () => take(subject, limit, key)))
  return decisions.filter(({ allowed }) => allowed).length
}

/** So long that no budget gets anything back while a slow machine drives a test: a bucket of ten a unit in 2.4 hours. */
const day = 86_400_000

const windowed = ['sliding-window', 'fixed-window', 'token-bucket'] as const

function contract (t: Test, subject: Subject): void {
  for (const algorithm of windowed) {
    t.test(`${algorithm}: admits the limit and no more, and says when to come back`, async t => {
      const limit = policy({ limit: 5, window: day, algorithm })
      t.equal(await admitted(subject, limit, 20), 5)
      const refused = await take(subject, limit)
      t.match(refused, { allowed: false, remaining: 0, policy: limit })
      t.match(refused.policy, { limit: 5, dryRun: false })
      t.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= day, `waits ${refused.retryAfterMs}`)
    })

    t.test(`${algorithm}: whoever waits as told is admitted`, async t => {
      const limit = policy({ limit: 5, window: 400, algorithm })
      // At once, which one call decides at one time: a bucket has the next unit after 80 ms.
      const decisions = await Promise.all(Array.from({ length: 6 }, () => take(subject, limit)))
      t.same(decisions.map(({ allowed }) => allowed), [true, true, true, true, true, false])
      const wait = decisions[5]?.retryAfterMs ?? 0
      t.ok(wait > 0 && wait <= 400, `waits ${wait}`)
      await subject.pass(wait + 5)
      t.equal((await take(subject, limit)).allowed, true)
    })

    t.test(`${algorithm}: callers and policies are counted apart`, async t => {
      const [one, other] = [policy({ limit: 1, window: day, algorithm }), policy({ limit: 1, window: day, algorithm })]
      t.equal(await admitted(subject, one, 3, 'a'), 1)
      t.equal(await admitted(subject, one, 3, 'b'), 1)
      t.equal(await admitted(subject, other, 3, 'a'), 1)
    })

    t.test(`${algorithm}: remaining counts down, costs are counted, what does not fit takes nothing`, async t => {
      const limit = policy({ limit: 10, window: day, algorithm })
      t.equal((await take(subject, limit, 'a', 4)).remaining, 6)
      t.match(await take(subject, limit, 'a', 7), { allowed: false, remaining: 6 })
      t.match(await take(subject, limit, 'a', 6), { allowed: true, remaining: 0 })
    })

    t.test(`${algorithm}: a cost that is no whole number of at least 1, or never fits, is refused`, async t => {
      const limit = policy({ limit: 10, window: day, algorithm })
      for (const cost of [0, -1, 1.5, NaN, Infinity, 11]) {
        const { allowed, retryAfterMs } = await take(subject, limit, 'odd', cost)
        t.equal(allowed, false, `cost ${cost}`)
        t.ok(retryAfterMs > 0 && Number.isFinite(retryAfterMs))
      }
      t.equal((await take(subject, limit, 'odd')).remaining, 9, 'and took nothing')
    })

    t.test(`${algorithm}: peek takes nothing`, async t => {
      const limit = policy({ limit: 2, window: day, algorithm })
      t.match(decided(await subject.limiter.peek(limit, 'a')), { allowed: true, remaining: 2 })
      t.equal(await admitted(subject, limit, 2, 'a'), 2)
      t.match(decided(await subject.limiter.peek(limit, 'a')), { allowed: false, remaining: 0 })
    })

    t.test(`${algorithm}: a refund gives back what was taken, a reset everything`, async t => {
      const limit = policy({ limit: 3, window: day, algorithm })
      const first = await take(subject, limit, 'a', 2)
      await take(subject, limit, 'a')
      t.equal((await take(subject, limit, 'a')).allowed, false)
      await subject.limiter.refund(limit, 'a', first)
      t.equal(await admitted(subject, limit, 5, 'a'), 2)
      await subject.limiter.reset(limit, 'a')
      t.equal(await admitted(subject, limit, 5, 'a'), 3)
    })

    t.test(`${algorithm}: a refusal cannot be refunded`, async t => {
      const limit = policy({ limit: 1, window: day, algorithm })
      await take(subject, limit)
      const refused = await take(subject, limit)
      await subject.limiter.refund(limit, 'caller', refused)
      t.equal((await take(subject, limit)).allowed, false)
    })
  }

  t.test('a refund of units that have expired meanwhile gives nothing back', async t => {
    for (const algorithm of ['sliding-window', 'fixed-window'] as const) {
      const limit = policy({ limit: 2, window: 150, algorithm })
      const early = await take(subject, limit)
      await subject.pass(160)
      // In one turn, which one call decides at one time: later these two may have expired as well.
      const taken = [take(subject, limit), take(subject, limit)]
      const refunded = subject.limiter.refund(limit, 'caller', early)
      taken.push(take(subject, limit))
      t.same((await Promise.all(taken)).map(({ allowed }) => allowed), [true, true, false], algorithm)
      await refunded
    }
  })

  t.test('token-bucket: the burst at once, then at the rate', async t => {
    const limit = policy({ limit: 10, window: 1000, algorithm: 'token-bucket', burst: 3 })
    const begun = performance.now()
    t.equal(await admitted(subject, limit, 10), 3)
    await subject.pass(220)
    const more = await admitted(subject, limit, 10)
    // A machine that was busy has let more time pass, in which the third came.
    t.ok(more === 2 || (more === 3 && performance.now() - begun >= 300), `${more} more`)
  })

  t.test('concurrency: permits come back when they are released, once', async t => {
    const limit = policy({ limit: 2, algorithm: 'concurrency' })
    const [first, second, third] = [await take(subject, limit), await take(subject, limit), await take(subject, limit)]
    t.same([first, second, third].map(({ allowed }) => allowed), [true, true, false])
    t.ok(third.retryAfterMs > 0)
    await subject.limiter.refund(limit, 'caller', first)
    await subject.limiter.refund(limit, 'caller', first)
    t.equal(await admitted(subject, limit, 5), 1)
    await subject.limiter.refund(limit, 'caller', second)
    t.equal(await admitted(subject, limit, 5), 1)
  })

  t.test('concurrency: a permit nobody gave back expires', async t => {
    const limit = policy({ limit: 1, algorithm: 'concurrency', lease: 100 })
    t.equal(await admitted(subject, limit, 2), 1)
    await subject.pass(120)
    t.equal(await admitted(subject, limit, 2), 1)
  })

  t.test('concurrency: a dry run releases too', async t => {
    const limit = policy({ limit: 1, algorithm: 'concurrency', dryRun: true })
    const permit = await take(subject, limit)
    await subject.limiter.refund(limit, 'caller', permit)
    t.equal((await take(subject, limit)).allowed, true)
  })

  t.test('several budgets: all are taken from, or none', async t => {
    const [wide, narrow] = [policy({ limit: 10, window: day }), policy({ limit: 1, window: day, algorithm: 'fixed-window' })]
    const charges: Charge[] = [[wide, 'user'], [narrow, 'address']]
    t.same((await consume(subject, charges)).map(({ allowed, remaining }) => [allowed, remaining]), [[true, 9], [true, 0]])
    t.same((await consume(subject, charges)).map(({ allowed }) => allowed), [true, false])
    t.equal(decided(await subject.limiter.peek(wide, 'user')).remaining, 9)
  })

  t.test('several budgets, each with a cost of its own', async t => {
    const [one, other] = [policy({ limit: 10, window: day }), policy({ limit: 10, window: day, cost: 3 })]
    t.same((await consume(subject, [[one, 'a', 2], [other, 'a']])).map(({ remaining }) => remaining), [8, 7])
  })

  t.test('a dry run reports and stops nothing', async t => {
    const [dry, real] = [policy({ limit: 1, window: day, dryRun: true }), policy({ limit: 3, window: day })]
    const runs = []
    for (let i = 0; i < 3; i++) runs.push(await consume(subject, [[dry, 'a'], [real, 'a']]))
    t.same(runs.map(([first, second]) => [first?.allowed, first?.policy.dryRun, second?.remaining]),
      [[true, true, 2], [false, true, 1], [false, true, 0]])
  })

  t.test('a real refusal takes nothing from a dry run beside it', async t => {
    const [dry, real] = [policy({ limit: 5, window: day, dryRun: true }), policy({ limit: 1, window: day })]
    for (let i = 0; i < 3; i++) await consume(subject, [[dry, 'a'], [real, 'a']])
    t.equal(decided(await subject.limiter.peek(dry, 'a')).remaining, 4)
  })

  t.test('101 at once under a limit of 100: exactly 100, and each gets a result of its own', async t => {
    const limit = policy({ limit: 100, window: day })
    const decisions = await Promise.all(Array.from({ length: 101 }, () => take(subject, limit)))
    t.equal(decisions.filter(({ allowed }) => allowed).length, 100)
    t.equal(new Set(decisions).size, 101)
    t.same(decisions.slice(0, 100).map(({ remaining }) => remaining).sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i))
  })

  t.test('a limit of 1000 is counted coarsely, and never exceeded', async t => {
    const limit = policy({ limit: 1000, window: day })
    t.equal(await admitted(subject, limit, 1200), 1000)
  })

  t.test('200 reservations at a limit of 5 give 5, and one success frees its own place', async t => {
    const login = policy({ limit: 5, window: day })
    const tries = await Promise.all(Array.from({ length: 200 }, () => take(subject, login, 'user|address')))
    const first = tries.find(({ allowed }) => allowed)
    t.equal(tries.filter(({ allowed }) => allowed).length, 5)
    t.ok(first)
    if (first !== undefined) await subject.limiter.refund(login, 'user|address', first)
    t.equal(await admitted(subject, login, 10, 'user|address'), 1)
  })

  t.test('keys of any form are counted apart: braces, long ones, ones that look like a hash', async t => {
    const limit = policy({ limit: 1, window: day })
    const long = 'x'.repeat(20_000)
    const keys = ['', '}', '{', '{}', 'a}b', 'a\nb', 'é', long, `${long}y`, '#', 'constructor', '__proto__', 'toString']
    for (const key of keys) t.equal(await admitted(subject, limit, 2, key), 1, JSON.stringify(key.slice(0, 20)))
  })

  t.test('denied() knows a refusal without asking, and nothing of others', async t => {
    const [limit, short] = [policy({ limit: 2, window: day }), policy({ limit: 2, window: 300 })]
    t.equal(subject.limiter.denied(limit, 'a'), undefined)
    await admitted(subject, limit, 3, 'a')
    t.match(subject.limiter.denied(limit, 'a'), { allowed: false, policy: limit })
    t.equal(subject.limiter.denied(limit, 'b'), undefined)
    await admitted(subject, short, 3, 'a')
    await subject.pass(310)
    t.equal(subject.limiter.denied(short, 'a'), undefined, 'when it is over')
  })

  t.test('a policy that was replaced goes on with the counts of its name', async t => {
    const name = `p${randomUUID().slice(0, 8)}`
    const [before, after] = [compilePolicy(name, { limit: 5, window: day }), compilePolicy(name, { limit: 7, window: day })]
    t.equal(await admitted(subject, before, 9), 5)
    t.equal(await admitted(subject, after, 9), 2)
  })
}

t.test('memory', async t => {
  let now = 1000
  contract(t, { limiter: new MemoryStore({ now: () => now }), pass: async ms => { now += ms } })
})

interface Client {
  readonly redis: RedisLike
  readonly end: () => unknown
}

/** Every family of clients, on one server and on a cluster of three. */
const single: Readonly<Record<string, (url: string) => Promise<Client>>> = {
  async ioredis (url) {
    const redis = new Redis(url)
    await redis.ping()
    return { redis, end: () => redis.disconnect() }
  },
  async iovalkey (url) {
    const redis = new Valkey(url)
    await redis.ping()
    return { redis, end: () => redis.disconnect() }
  },
  async 'node-redis' (url) {
    const redis = createClient({ url })
    await redis.connect()
    return { redis, end: () => redis.destroy() }
  }
}

const clustered: Readonly<Record<string, (ports: readonly number[]) => Promise<Client>>> = {
  async 'ioredis Cluster' (ports) {
    const redis = new Cluster(ports.map(port => ({ host: '127.0.0.1', port })))
    await redis.ping()
    return { redis, end: () => redis.disconnect() }
  },
  async 'iovalkey Cluster' (ports) {
    const redis = new ValkeyCluster(ports.map(port => ({ host: '127.0.0.1', port })))
    await redis.ping()
    return { redis, end: () => redis.disconnect() }
  },
  async 'node-redis cluster' (ports) {
    const redis = createCluster({ rootNodes: ports.map(port => ({ url: `redis://127.0.0.1:${port}` })) })
    await redis.connect()
    return { redis, end: () => redis.destroy() }
  }
}

async function overClient (t: Test, { redis, end }: Client): Promise<void> {
  const events: LimiterEvent[] = []
  const limiter = createLimiter({ redis, deadline: 10_000, onEvent: event => events.push(event) })
  t.teardown(async () => {
    await limiter.close()
    await end()
  })
  contract(t, { limiter, pass: ms => new Promise(resolve => setTimeout(resolve, ms)) })
  t.test('nothing failed on the way', async t => {
    t.same(events, [])
    t.match(limiter.status(), { store: 'redis', state: 'available', failures: 0 })
  })
}

t.test('Redis', async t => {
  const server = await startRedis()
  t.teardown(() => server.close())
  for (const [name, connect] of Object.entries(single)) t.test(name, async t => overClient(t, await connect(server.url)))
})

t.test('Valkey', async t => {
  const server = await startValkey()
  if (server === undefined) {
    t.comment('NOT RUN: there is no valkey-server on the PATH; the clients of Valkey were run against Redis')
    return
  }
  t.teardown(() => server.close())
  for (const [name, connect] of Object.entries(single)) t.test(name, async t => overClient(t, await connect(server.url)))
})

t.test('Redis Cluster', async t => {
  const cluster = await startCluster()
  t.teardown(() => cluster.close())
  for (const [name, connect] of Object.entries(clustered)) t.test(name, async t => overClient(t, await connect(cluster.ports)))
})
