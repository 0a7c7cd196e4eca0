import { mock } from 'node:test'
import fc from 'fast-check'
import t from 'tap'
import { compilePolicy, isUnavailable, type Decision, type Limit, type LimitOutcome, type LimitPolicy } from '../../../lib/limits/index.ts'
import { Leases } from '../../../lib/limits/leases.ts'
import { ResilientLimiter } from '../../../lib/limits/resilient.ts'
import { simulatedRedis, simulatedScript } from './simulated.ts'

const { client } = await simulatedRedis(t)

let now = 1_000_000
let calls = 0
let fails = false
const runner = {
  cluster: false,
  async run (_script: unknown, keys: readonly string[], args: readonly string[]) {
    calls++
    if (fails) throw new Error('ECONNREFUSED')
    return client.eval(simulatedScript, keys.length, ...keys, ...args, String(now * 1000))
  }
}

let names = 0

/** The limiter of one process. Those of one prefix share their counts. */
function processOf (keyPrefix: string): ResilientLimiter {
  return new ResilientLimiter({ runner, keyPrefix, now: () => now, deadline: 10_000 })
}

const prefix = (): string => `l${names++}:`

function decided (outcome: LimitOutcome): Decision {
  if (isUnavailable(outcome)) throw new Error('the store was unavailable')
  return outcome
}

async function take (limiter: ResilientLimiter, policy: LimitPolicy, times: number = 1): Promise<Decision[]> {
  const decisions: Decision[] = []
  for (let i = 0; i < times; i++) decisions.push(decided(await limiter.take(policy, 'caller')))
  return decisions
}

const sources = (decisions: readonly Decision[]): string[] => decisions.map(({ source }) => source)
const minute: Limit = { limit: 100, window: 60_000, leased: 0.1 }

t.test('a caller who comes again is admitted from a lease, and headers count it', async t => {
  const limiter = processOf(prefix())
  const decisions = await take(limiter, compilePolicy('often', minute), 13)
  t.same(sources(decisions), ['redis', 'redis', ...Array.from({ length: 10 }, () => 'lease'), 'redis'])
  t.same(decisions.map(({ remaining }) => remaining), Array.from({ length: 13 }, (_, index) => 99 - index))
  await limiter.close()
})

t.test('leases of several processes: never more than the bound, and what is left over comes back', async () => {
  const wait = fc.constantFrom(0, 0, 0, 1, 20, 90, 150, 400, 1000)
  const step = fc.record({ wait, who: fc.nat(2), takes: fc.integer({ min: 1, max: 15 }) })
  const most = { 'sliding-window': 1, 'fixed-window': 2, 'token-bucket': 2 }
  for (const algorithm of ['sliding-window', 'fixed-window', 'token-bucket'] as const) {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const shared = prefix()
      const limiters = [processOf(shared), processOf(shared), processOf(shared)]
      const policy = compilePolicy('shared', { limit: 40, window: 1000, algorithm, leased: 0.2 })
      const admissions: number[] = []
      for (const { wait, who, takes } of steps) {
        now += wait
        const outcomes = await Promise.all(Array.from({ length: takes }, () => limiters[who]?.take(policy, 'caller')))
        for (const outcome of outcomes) if (outcome !== undefined && decided(outcome).allowed) admissions.push(now)
      }
      for (const limiter of limiters) await limiter.close()
      const fullest = Math.max(0, ...admissions.map(from => admissions.filter(at => at >= from && at < from + 1000).length))
      if (fullest > 40 * most[algorithm] + 3 * policy.leaseSize) return false
      // What was not used has come back: nothing counts but what was admitted, since its lease at most 100 ms before.
      const next = processOf(shared)
      const counted = 40 - decided(await next.peek(policy, 'caller')).remaining
      await next.close()
      const [since, surely] = [1000, 900].map(span => admissions.filter(at => at > now - span).length)
      return algorithm !== 'sliding-window' || (counted <= (since ?? 0) && counted >= (surely ?? 0))
    }), { numRuns: 40 })
  }
})

t.test('one lease at a time: those who come while Redis is asked are counted one by one', async t => {
  const shared = prefix()
  const limiter = processOf(shared)
  const policy = compilePolicy('crowd', minute)
  await take(limiter, policy)
  const crowd = await Promise.all(Array.from({ length: 5 }, () => limiter.take(policy, 'caller')))
  t.same(sources(crowd.map(decided)), ['redis', 'redis', 'redis', 'redis', 'redis'])
  const [other] = await take(limiter, policy)
  t.match(other, { source: 'lease', remaining: 93 })
  await limiter.close()
  const later = processOf(shared)
  t.equal(decided(await later.peek(policy, 'caller')).remaining, 93, 'closing gives the rest back')
  await later.close()
})

t.test('near the limit a lease is what is left, and others wait for it two seconds at most', async t => {
  const shared = prefix()
  const [limiter, other] = [processOf(shared), processOf(shared)]
  const policy = compilePolicy('tight', { limit: 8, window: 60_000, leased: 0.25 })
  t.same(sources(await take(limiter, policy, 5)), ['redis', 'redis', 'lease', 'lease', 'redis'])
  t.same((await take(other, policy, 3)).map(({ allowed }) => allowed), [true, false, false], 'two are leased')
  await limiter.close()
  now += 500
  t.same((await take(other, policy, 3)).map(({ allowed }) => allowed), [true, true, false])
  await other.close()
})

t.test('a lease ends after a second, or a tenth of a shorter window, and its units come back', async t => {
  for (const [window, life] of [[60_000, 1000], [500, 50]] as const) {
    const shared = prefix()
    const [limiter, other] = [processOf(shared), processOf(shared)]
    const policy = compilePolicy('ends', { ...minute, window })
    await take(limiter, policy, 2)
    now += life
    const [late] = await take(limiter, policy)
    t.equal(late?.source, 'redis')
    t.equal((await take(other, policy))[0]?.remaining, 86, `after ${life} ms ten came back, and ten are leased again`)
    await Promise.all([limiter.close(), other.close()])
  }
})

t.test('a caller whose lease was swept gets the next one at once, and is forgotten after as long again', t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const returned: number[] = []
  const leases = new Leases(() => now, (_policy, _key, { cost }) => { returned.push(cost) })
  const policy = compilePolicy('swept', minute)
  const pass = (ms: number) => {
    now += ms
    mock.timers.tick(500)
  }
  t.equal(leases.wanted(policy, 'caller'), 0, 'the first request of a caller')
  t.equal(leases.wanted(policy, 'caller'), 10)
  const times = { retryAfterMs: 0, resetMs: 60_000, at: now, stamp: now }
  leases.granted(policy, 'caller', 10, { allowed: true, policy, remaining: 80, ...times, source: 'redis', cost: 1, lease: 0 })
  t.match(leases.spend(policy, 'caller'), { remaining: 89, source: 'lease' })
  pass(1000)
  t.same(returned, [9])
  t.equal(leases.spend(policy, 'caller'), undefined)
  t.equal(leases.wanted(policy, 'caller'), 10, 'remembered')
  leases.granted(policy, 'caller', 10, { allowed: true, policy, remaining: 80, ...times, source: 'redis', cost: 1, lease: 0 })
  pass(1000)
  pass(1000)
  t.same(returned, [9, 10], 'once each')
  t.equal(leases.wanted(policy, 'caller'), 0, 'forgotten')
  leases.close()
  t.end()
})

t.test('another policy of that name starts without leases, and a reset forgets them', async t => {
  const limiter = processOf(prefix())
  const [before, after] = [compilePolicy('changed', minute), compilePolicy('changed', { ...minute, limit: 5 })]
  await take(limiter, before, 3)
  t.match(await take(limiter, after), [{ source: 'redis', allowed: false }])
  await limiter.reset(before, 'caller')
  t.match(await take(limiter, before), [{ source: 'redis', remaining: 99 }])
  await limiter.close()
})

t.test('without Redis a lease is used up, or not where the policy denies; memory counts all of it as used', async t => {
  const limiter = processOf(prefix())
  const [local, denying] = [compilePolicy('local', { ...minute, limit: 20, leased: 0.25 }), compilePolicy('denying', minute, 'deny')]
  await take(limiter, local, 2)
  await take(limiter, denying, 2)
  fails = true
  const exact = compilePolicy('exact', { limit: 5, window: 60_000 })
  for (let i = 0; i < 5; i++) await limiter.take(exact, `c${i}`)
  t.equal(limiter.status().state, 'unavailable')
  calls = 0
  t.same(sources(await take(limiter, local, 5)), Array.from({ length: 5 }, () => 'lease'))
  t.match(await limiter.take(denying, 'caller'), { unavailable: true })
  const alone = await take(limiter, local, 20)
  t.equal(alone.filter(({ allowed }) => allowed).length, 13)
  t.equal(calls, 0)
  fails = false
  await limiter.close()
})

t.test('a refund of a leased unit goes to Redis', async t => {
  const shared = prefix()
  const [limiter, other] = [processOf(shared), processOf(shared)]
  const policy = compilePolicy('refund', minute)
  const [, , third] = await take(limiter, policy, 3)
  if (third !== undefined) await limiter.refund(policy, 'caller', third)
  t.equal((await take(other, policy))[0]?.remaining, 88)
  await limiter.close()
  t.equal((await take(other, policy))[0]?.remaining, 96, 'closing gave nine back')
  await other.close()
})
