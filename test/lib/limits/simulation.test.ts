import fc from 'fast-check'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { compilePolicy, createLimiter, MemoryStore, type Decision, type Limit, type LimitPolicy } from '../../../lib/limits/index.ts'
import { RedisStore } from '../../../lib/limits/redis-store.ts'
import type { TestRedis } from '../../helpers/redis.ts'
import { simulatedRedis, simulatedScript } from './simulated.ts'

const schedules = 3000

interface Schedule {
  readonly limit: number
  readonly window: number
  readonly burst: number
  /** Pauses between requests in ms, and what each request costs. */
  readonly steps: readonly (readonly [pause: number, cost: number])[]
}

/** Floods, edges of windows, steady traffic and long pauses. */
const pause = (window: number) => fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: Math.ceil(window / 20) }) },
  { weight: 1, arbitrary: fc.constantFrom(window - 1, window, window + 1, Math.floor(window / 2)) })

const schedule = (limits: fc.Arbitrary<number>): fc.Arbitrary<Schedule> =>
  fc.record({ limit: limits, window: fc.integer({ min: 2, max: 600 }).map(n => n * 100) }).chain(({ limit, window }) => fc.record({
    limit: fc.constant(limit),
    window: fc.constant(window),
    burst: fc.integer({ min: 1, max: limit }),
    steps: fc.array(fc.tuple(pause(window), fc.oneof({ weight: 8, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: Math.min(4, limit) }) })), { minLength: 20, maxLength: 150 })
  }))

interface Admission { readonly at: number, readonly cost: number }
interface Run { readonly verdicts: readonly boolean[], readonly admissions: readonly Admission[], readonly honest: boolean }

/** Plays a schedule, and at each refusal asks a copy of the time: the same request must not fit a moment before `retryAfterMs`. */
function play (limit: Limit, { steps }: Schedule): Run {
  let now = 0
  const store = new MemoryStore({ now: () => now })
  const policy = compilePolicy('simulated', limit)
  const verdicts: boolean[] = []
  const admissions: Admission[] = []
  let honest = true
  for (const [wait, cost] of steps) {
    now += wait
    const { allowed, retryAfterMs, remaining } = store.take(policy, 'caller', cost)
    verdicts.push(allowed)
    if (allowed) admissions.push({ at: now, cost })
    honest &&= allowed ? retryAfterMs === 0 && remaining >= 0 : retryAfterMs > 0
  }
  return { verdicts, admissions, honest }
}

function worstWindow (admissions: readonly Admission[], window: number): number {
  let worst = 0
  let sum = 0
  let oldest = 0
  for (const { at, cost } of admissions) {
    sum += cost
    for (let first = admissions[oldest]; first !== undefined && first.at + window <= at; first = admissions[++oldest]) sum -= first.cost
    worst = Math.max(worst, sum)
  }
  return worst
}

/** The definitions, written for clarity and not for speed. */
const references: Readonly<Record<string, (schedule: Schedule) => boolean[]>> = {
  'sliding-window': ({ limit, window, steps }) => {
    const log: Admission[] = []
    return decide(steps, (now, cost) => {
      const used = log.filter(({ at }) => at > now - window).reduce((sum, entry) => sum + entry.cost, 0)
      const fits = used + cost <= limit
      if (fits) log.push({ at: now, cost })
      return fits
    })
  },
  'fixed-window': ({ limit, window, steps }) => {
    let [start, used] = [-Infinity, 0]
    return decide(steps, (now, cost) => {
      if (now >= start + window) used = 0
      if (used + cost > limit) return false
      if (used === 0) start = now
      used += cost
      return true
    })
  },
  /** In thousandths of a token a millisecond times the window: whole numbers throughout. */
  'token-bucket': ({ limit, window, burst, steps }) => {
    let [tokens, last] = [BigInt(burst) * BigInt(window), 0]
    return decide(steps, (now, cost) => {
      tokens = min(BigInt(burst) * BigInt(window), tokens + BigInt(now - last) * BigInt(limit))
      last = now
      const needed = BigInt(cost) * BigInt(window)
      if (tokens < needed) return false
      tokens -= needed
      return true
    })
  }
}

function decide (steps: Schedule['steps'], admit: (now: number, cost: number) => boolean): boolean[] {
  let now = 0
  return steps.map(([wait, cost]) => {
    now += wait
    return admit(now, cost)
  })
}

function min (a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

const limitOf = (algorithm: 'sliding-window' | 'fixed-window' | 'token-bucket', { limit, window, burst }: Schedule): Limit =>
  algorithm === 'token-bucket' ? { limit, window, algorithm, burst } : { limit, window, algorithm }

const exact = fc.integer({ min: 1, max: 60 })
const bounds = {
  'sliding-window': ({ limit }: Schedule) => limit,
  'fixed-window': ({ limit }: Schedule) => 2 * limit,
  'token-bucket': ({ limit, burst }: Schedule) => limit + burst
} as const

for (const algorithm of ['sliding-window', 'fixed-window', 'token-bucket'] as const) {
  t.test(`${algorithm}: ${schedules} schedules give what the definition gives`, async t => {
    let [worst, share] = [0, 0]
    fc.assert(fc.property(schedule(exact), one => {
      const { verdicts, admissions, honest } = play(limitOf(algorithm, one), one)
      worst = worstWindow(admissions, one.window)
      share = Math.max(share, worst / one.limit)
      const same = references[algorithm]?.(one).every((verdict, index) => verdict === verdicts[index])
      return honest && same === true && worst <= bounds[algorithm](one)
    }), { numRuns: schedules })
    t.comment(`${algorithm}: the fullest window held ${share.toFixed(2)} times the limit`)
    t.ok(share >= 1, 'the schedules reach the limit')
  })
}

t.test('sliding-window above 100: never above the limit in any window, and at most a hundredth of the window late', async t => {
  let share = 0
  fc.assert(fc.property(schedule(fc.integer({ min: 101, max: 400 })), one => {
    const steps = one.steps.map(([wait, cost], index) => [index % 3 === 0 ? wait : 0, cost * 4] as const)
    const { verdicts, admissions } = play(limitOf('sliding-window', one), { ...one, steps })
    share = Math.max(share, worstWindow(admissions, one.window) / one.limit)
    return worstWindow(admissions, one.window) <= one.limit && refusesRightly(verdicts, { ...one, steps, window: one.window * 1.01 })
  }), { numRuns: schedules })
  t.comment(`sliding-window above 100: the fullest window held ${share.toFixed(2)} times the limit`)
  t.ok(share > 0.9)
})

/**
 * Whether nothing was refused that would have fitted. Each refusal is looked at with what was let in before it: two limiters that differ
 * once, each rightly, differ afterwards by any amount.
 */
function refusesRightly (verdicts: readonly boolean[], { limit, window, steps }: Schedule): boolean {
  const log: Admission[] = []
  const rightly = decide(steps, (now, cost) => {
    const used = log.filter(({ at }) => at > now - window).reduce((sum, entry) => sum + entry.cost, 0)
    const admitted = verdicts[log.length] === true
    log.push({ at: now, cost: admitted ? cost : 0 })
    return admitted || used + cost > limit
  })
  return rightly.every(right => right)
}

t.test('whoever waits as long as told is admitted, and not before', async () => {
  for (const algorithm of ['sliding-window', 'fixed-window', 'token-bucket'] as const) {
    fc.assert(fc.property(schedule(exact), one => {
      let now = 0
      const store = new MemoryStore({ now: () => now })
      const policy = compilePolicy('told', limitOf(algorithm, one))
      for (const [wait] of one.steps) {
        now += wait
        const { allowed, retryAfterMs } = store.take(policy, 'caller')
        if (allowed) continue
        const then = now
        now = then + retryAfterMs - 0.01
        const early = store.peek(policy, 'caller').allowed
        now = then + retryAfterMs + 0.000_01
        if (early || !store.peek(policy, 'caller').allowed) return false
      }
      return true
    }), { numRuns: 300 })
  }
})

t.test('the script in Redis decides as memory does', async t => {
  const { client, server } = await simulatedRedis(t)

  let now = 0
  const runner = {
    cluster: false,
    run: (_script: unknown, keys: readonly string[], args: readonly string[]) => client.eval(simulatedScript,
      keys.length, ...keys, ...args, String(now * 1000))
  }
  let names = 0

  const alike = (a: Decision, b: Decision) => a.allowed === b.allowed && a.remaining === b.remaining &&
    Math.abs(a.retryAfterMs - b.retryAfterMs) < 0.01 && Math.abs(a.resetMs - b.resetMs) < 0.01

  async function compare (limit: Limit, steps: readonly (readonly [pause: number, cost: number, refund: boolean])[]): Promise<boolean> {
    now = 1_000_000
    const [memory, redis] = [new MemoryStore({ now: () => now }), new RedisStore({ runner, keyPrefix: `s${names++}:`, now: () => now })]
    const policy = compilePolicy('simulated', limit)
    const taken: (readonly [Decision, Decision])[] = []
    for (const [wait, cost, refund] of steps) {
      now += wait
      const [there] = await redis.take([[policy, 'caller', cost]])
      const here = memory.take(policy, 'caller', cost)
      if (there === undefined || !alike(here, there)) return false
      if (here.allowed) taken.push([here, there])
      const last = refund ? taken.shift() : undefined
      if (last === undefined) continue
      memory.refund(policy, 'caller', last[0])
      await redis.refund(policy, 'caller', last[1])
    }
    return true
  }

  for (const algorithm of ['sliding-window', 'fixed-window', 'token-bucket'] as const) {
    t.test(algorithm, async () => {
      const limits = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(101, 200))
      await fc.assert(fc.asyncProperty(schedule(limits), fc.array(fc.boolean(), { minLength: 150, maxLength: 150 }), (one, refunds) => {
        const factor = one.limit > 100 ? 12 : 1
        const steps = one.steps.map(([wait, cost], index) => [wait, Math.min(one.limit, cost * factor), refunds[index] === true &&
          index % 4 === 0] as const)
        return compare(limitOf(algorithm, one), steps)
      }), { numRuns: 60 })
    })
  }

  t.test('requests of one turn share a call, and those for the same budget an item: decided as one after the other', async t => {
    let calls: (readonly string[])[] = []
    const counted: typeof runner = {
      cluster: false,
      run (script, keys, args) {
        calls.push(keys)
        return runner.run(script, keys, args)
      }
    }
    const turn = fc.record({ wait: fc.integer({ min: 0, max: 400 }), costs: fc.array(fc.constantFrom(1, 1, 1, 3)) })
    const turns = fc.array(turn, { maxLength: 8 })
    for (const algorithm of ['sliding-window', 'fixed-window', 'token-bucket'] as const) {
      await fc.assert(fc.asyncProperty(turns, fc.constantFrom(5, 20, 101), async (turns, limit) => {
        now = 1_000_000
        const redis = new RedisStore({ runner: counted, keyPrefix: `s${names++}:`, now: () => now })
        const memory = new MemoryStore({ now: () => now })
        const policy = compilePolicy('shared', { limit, window: 1000, algorithm })
        for (const { wait, costs } of turns) {
          now += wait
          calls = []
          const sorted = costs.toSorted((a, b) => a - b) // those of one cost share an item, so that they come before the others
          const there = await Promise.all(sorted.map(cost => redis.take([[policy, 'caller', cost]])))
          const here = sorted.map(cost => memory.take(policy, 'caller', cost))
          if (!here.every((decision, index) => there[index]?.[0] !== undefined && alike(decision, there[index][0]))) return false
          if (calls.flat().length !== new Set(costs).size || calls.length > 1) return false
        }
        return true
      }), { numRuns: 60 })
    }
    t.pass('alike')
  })

  t.test('what is taken after a reset of the same turn is decided after it', async t => {
    const redis = new RedisStore({ runner, keyPrefix: `s${names++}:`, now: () => now })
    const policy = compilePolicy('cleared', { limit: 1, window: 1000 })
    const [first, , second] = await Promise.all([
      redis.take([[policy, 'caller']]), redis.reset(policy, 'caller'), redis.take([[policy, 'caller']])
    ])
    t.same([first[0]?.allowed, second[0]?.allowed], [true, true])
  })

  t.test('a refund of the same turn splits the item of its own budget alone', async t => {
    const sent: string[] = []
    const counted: typeof runner = {
      cluster: false,
      run (script, keys, args) {
        sent.push(...keys)
        return runner.run(script, keys, args)
      }
    }
    const redis = new RedisStore({ runner: counted, keyPrefix: `s${names++}:`, now: () => now })
    const policy = compilePolicy('split', { limit: 1, window: 1000 })
    const [taken] = await redis.take([[policy, 'back']])
    if (taken === undefined) throw new Error('nothing was taken')
    sent.length = 0
    const decided = await Promise.all([
      redis.take([[policy, 'busy']]), redis.take([[policy, 'back']]), redis.refund(policy, 'back', taken), redis.take([[policy, 'busy']]),
      redis.take([[policy, 'back']])
    ])
    t.same(decided.flatMap(one => one?.map(({ allowed }) => allowed) ?? []), [true, false, false, true])
    t.equal(sent.filter(key => key.includes('busy')).length, 1)
  })

  t.test('a clock that steps back an hour locks nobody out for longer than a window', async t => {
    const limits: Limit[] = [{ limit: 2, window: 60_000 }, { limit: 2, window: 60_000, algorithm: 'fixed-window' },
      { limit: 2, window: 60_000, algorithm: 'token-bucket' }]
    for (const limit of limits) {
      now = 10_000_000
      const redis = new RedisStore({ runner, keyPrefix: `s${names++}:`, now: () => now })
      const policy: LimitPolicy = compilePolicy('skewed', limit)
      const take = async () => (await redis.take([[policy, 'caller']]))[0]?.allowed
      t.same([await take(), await take(), await take()], [true, true, false])
      now -= 3_600_000
      t.equal(await take(), false)
      now += 60_001
      t.same([await take(), await take(), await take()], [true, true, false], limit.algorithm ?? 'sliding-window')
    }
  })

  await sharedCounts(t, server)
})

async function sharedCounts (t: Test, server: TestRedis): Promise<void> {
  await t.test('two limiters on one Redis: of 300 attempts at once exactly 100 pass', async t => {
    const clients = [new Redis(server.url), new Redis(server.url)]
    await Promise.all(clients.map(client => client.ping()))
    const limiters = clients.map(redis => createLimiter({ redis, deadline: 10_000 }))
    const policy = compilePolicy('shared', { limit: 100, window: 60_000 })
    const outcomes = await Promise.all(Array.from({ length: 300 }, (_, index) => limiters[index % 2]?.take(policy, 'caller')))
    t.equal(outcomes.filter(outcome => outcome !== undefined && 'allowed' in outcome && outcome.allowed).length, 100)
    for (const limiter of limiters) await limiter.close()
    for (const client of clients) client.disconnect()
  })
}
