import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { LimitMessage } from '../../lib/limits/index.ts'
import { RefusalError } from '../../lib/pipeline/index.ts'
import { rateLimit, type LoginGuardOptions, type RateLimitOptions } from '../../plugins/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { codeOf, codesOf, listen, startFastify, until } from '../helpers/server.ts'
import { stillClock } from '../helpers/still-clock.ts'

const redis = await startRedis()
t.teardown(() => redis.close())
/** It waits for Redis where a connection of the suite would go on without. */
const client = new Redis(redis.url)
t.teardown(() => { client.disconnect() })

interface Site {
  readonly app: FastifyInstance
  /** How often a password was looked at. */
  readonly checks: () => number
  /** Statuses or codes of attempts made at once. */
  readonly attempt: (user: string, password: string, times?: number, address?: string) => Promise<unknown[]>
}

async function site (t: Test, options: LoginGuardOptions, limits: RateLimitOptions = {}): Promise<Site> {
  let checks = 0
  const app = startFastify(t)
  await app.register(rateLimit, limits)
  const guard = app.loginGuard(options)
  app.post('/login', { config: { rateLimit: false } }, async (request, reply) => {
    const { user, password } = request.body as { user: string, password: string }
    const account = await guard(request, user, async () => {
      checks++
      if (password === 'broken') throw new Error('the database is away')
      return password === 'right' ? { user } : undefined
    })
    return account ?? reply.code(401).send()
  })
  const once = async (user: string, password: string, remoteAddress: string) => {
    const response = await app.inject({ method: 'POST', url: '/login', payload: { user, password }, remoteAddress })
    return codeOf(response) ?? response.statusCode
  }
  const attempt: Site['attempt'] = (user, password, times = 1, address = '192.0.2.1') =>
    Promise.all(Array.from({ length: times }, () => once(user, password, address)))
  return { app, checks: () => checks, attempt }
}

const limited = 'SECURE_API_RATE_LIMITED'
const stores: Readonly<Record<string, RateLimitOptions>> = { memory: {}, redis: { redis: client, keyPrefix: 'login:' } }
let names = 0
const fresh = (): { name: string } => ({ name: `guard-${++names}` })

for (const [store, limits] of Object.entries(stores)) {
  t.test(`200 wrong passwords at once: 5 are checked: ${store}`, async t => {
    stillClock(t)
    const { attempt, checks } = await site(t, fresh(), limits)
    const answers = await attempt('alice', 'wrong', 200)
    t.equal(checks(), 5)
    t.equal(answers.filter(answer => answer === 401).length, 5)
    t.equal(answers.filter(answer => answer === limited).length, 195)
    t.strictSame(await attempt('alice', 'right'), [limited], 'the right password does not open what is shut')
    t.strictSame(await attempt('bob', 'right'), [200], 'another user of that address can sign in')
    t.strictSame(await attempt('alice', 'right', 1, '192.0.2.2'), [200], 'the user can, from elsewhere')
    t.strictSame(await attempt(' ALICE ', 'wrong'), [limited], 'another spelling is no other user')
  })

  t.test(`a success clears user and address only: ${store}`, async t => {
    stillClock(t)
    const { attempt } = await site(t, { ...fresh(), perAddress: { attempts: 6, window: '1 hour' } }, limits)
    t.strictSame(await attempt('alice', 'wrong', 4), Array(4).fill(401))
    t.strictSame(await attempt('alice', 'right'), [200])
    t.strictSame((await attempt('bob', 'right', 1)), [200], 'successes do not use the address up')
    t.strictSame((await attempt('alice', 'wrong', 3)).sort(), [401, 401, limited], 'the four failures still count for the address')
  })

  t.test(`strangers cannot shut a user out, and are slowed down: ${store}`, async t => {
    stillClock(t)
    const asked: string[] = []
    let human = false
    const { attempt, checks } = await site(t, {
      ...fresh(),
      perUser: { attempts: 6, window: '1 hour' },
      challenge: (_request, user) => { asked.push(user); return human }
    }, limits)
    for (let stranger = 1; stranger <= 6; stranger++) await attempt('alice', 'wrong', 1, `198.51.100.${stranger}`)
    t.equal(checks(), 6)
    t.strictSame(await attempt('alice', 'right', 1, '203.0.113.5'), ['SECURE_API_CHALLENGE_REQUIRED'])
    t.equal(checks(), 6, 'nothing is checked before the challenge is passed')
    human = true
    t.strictSame(await attempt('alice', 'right', 1, '203.0.113.5'), [200])
    t.strictSame(asked, ['alice', 'alice'])
  })
}

t.test('without a challenge an attempt above the budget of the user waits', async t => {
  const { attempt, checks } = await site(t, { ...fresh(), perUser: { attempts: 1, window: '1 hour' }, delay: 150 })
  await attempt('alice', 'wrong', 1, '198.51.100.1')
  t.equal(checks(), 1)
  const waiting = holdTimer(t, 150)
  const late = attempt('alice', 'right')
  const release = await waiting
  t.equal(checks(), 1, 'nothing is checked before the time is over')
  release()
  t.strictSame(await late, [200])
})

t.test('14 C2: a caller who leaves while waiting holds no place, and no password is checked', async t => {
  const app = startFastify(t)
  await app.register(rateLimit, {})
  const guard = app.loginGuard({ ...fresh(), perUser: { attempts: 1, window: '1 hour' }, delay: '10 seconds' })
  const ended: unknown[] = []
  let checks = 0
  app.post('/login', { config: { rateLimit: false } }, async request => {
    await guard(request, 'alice', () => { checks++ }).catch((error: unknown) => { ended.push(error instanceof RefusalError && error.code) })
  })
  const url = await listen(app)
  await fetch(`${url}/login`, { method: 'POST' })
  t.equal(checks, 1)
  let waiting = 0
  const count = (message: unknown) => { if ((message as LimitMessage).result === 'shadow') waiting++ }
  subscribe('secure-api:rate-limit', count)
  t.teardown(() => { unsubscribe('secure-api:rate-limit', count) })
  // Nobody is there for longer than ten seconds because the machine is slow.
  const held = holdTimer(t, 10_000)
  const callers = Array.from({ length: 3 }, () => new AbortController())
  const left = callers.map(({ signal }) => fetch(`${url}/login`, { method: 'POST', signal }).catch(() => 'left'))
  await held
  await until(() => waiting === 3, 'three that wait')
  for (const caller of callers) caller.abort()
  t.strictSame(await Promise.all(left), ['left', 'left', 'left'])
  await until(() => ended.length === 3, 'the end of all three')
  t.strictSame(new Set(ended), new Set(['SECURE_API_RATE_LIMIT_UNAVAILABLE']), 'given up, not waited for')
  t.equal(checks, 1)
})

t.test('14 C1: a name is bounded before it is normalised, and what is none shares one budget', async t => {
  const { app, attempt, checks } = await site(t, fresh())
  const { normalize } = String.prototype
  const calls = t.capture(String.prototype, 'normalize', normalize)
  const lengths = () => calls().map(({ receiver }) => String(receiver).length)
  const marks = 'a' + '\u0315\u0300'.repeat(60_000)
  t.strictSame(await attempt(marks, 'wrong', 3), [401, 401, 401])
  t.strictSame(lengths(), [], 'not normalised at all')
  const others = [`${marks}b`, `a${'\u0300'.repeat(31)}`, `${' '.repeat(300)}alice`, 'x'.repeat(257)]
  t.strictSame(await Promise.all(others.map(async user => (await attempt(user, 'wrong'))[0])), [401, 401, limited, limited],
    'five attempts in all')
  t.strictSame(lengths(), [])
  t.strictSame(await attempt('a'.repeat(250) + '\u0300'.repeat(6), 'right'), [200], 'a long name is a name')
  t.strictSame(lengths(), [256])

  const users = ['{"toString":1}', '['.repeat(50_000) + ']'.repeat(50_000), 'null', '7']
  const answers = await Promise.all(users.map(user => app.inject({
    method: 'POST',
    url: '/login',
    headers: { 'content-type': 'application/json' },
    payload: `{"password":"wrong","user":${user}}`,
    remoteAddress: '192.0.2.9'
  })))
  t.strictSame(answers.map(({ statusCode }) => statusCode), [401, 401, 401, 401], 'no text, no 500')
  t.equal(checks(), 10)
})

/** Keeps the timer of the delay, and hands it over; every other timer runs. */
function holdTimer (t: Test, delay: number): Promise<() => void> {
  const { setTimeout } = globalThis
  t.teardown(() => { globalThis.setTimeout = setTimeout })
  return new Promise(resolve => {
    globalThis.setTimeout = Object.assign((call: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
      if (ms !== delay) return setTimeout(call, ms, ...given)
      resolve(call)
      return setTimeout(() => {}, 0)
    }, setTimeout)
  })
}

t.test('blocks grow by steps, and end within 24 hours', async t => {
  const clock = stillClock(t)
  const { app, attempt } = await site(t, {
    ...fresh(),
    perUserAndAddress: [{ attempts: 2, window: '1 second' }, { attempts: 3, window: '1 minute' }]
  })
  t.strictSame(await attempt('alice', 'wrong', 2), [401, 401])
  clock.pass(1050)
  t.strictSame((await attempt('alice', 'wrong', 2)).sort(), [401, limited])
  const { headers } = await app.inject({
    method: 'POST',
    url: '/login',
    payload: { user: 'alice', password: 'wrong' },
    remoteAddress: '192.0.2.1'
  })
  t.equal(headers['retry-after'], '59')
})

t.test('a check that fails counts, a challenge that fails refuses, sign-ups count always', async t => {
  const broken = await site(t, fresh())
  t.strictSame((await broken.attempt('alice', 'broken', 6)).sort(), [500, 500, 500, 500, 500, limited])
  const throwing = await site(t, {
    ...fresh(),
    perUser: { attempts: 1, window: '1 hour' },
    challenge: () => { throw new Error('captcha service is away') }
  })
  await throwing.attempt('alice', 'wrong')
  t.strictSame(await throwing.attempt('alice', 'right'), ['SECURE_API_CHALLENGE_REQUIRED'])
  const signUp = await site(t, { ...fresh(), count: 'all', perAddress: { attempts: 3, window: '1 hour' } })
  const made: unknown[] = []
  for (const user of ['a', 'b', 'c', 'd']) made.push(...await signUp.attempt(user, 'right'))
  t.strictSame(made, [200, 200, 200, limited])
})

t.test('Redis is away: `deny` answers 503, `local` goes on counting', async t => {
  const own = await startRedis()
  t.teardown(() => own.close())
  const [denying, local] = [await site(t, { ...fresh(), onStoreFailure: 'deny' }, { redis: own.url }),
    await site(t, fresh(), { redis: own.url })]
  await own.kill()
  t.strictSame(await denying.attempt('alice', 'right'), ['SECURE_API_RATE_LIMIT_UNAVAILABLE'])
  t.strictSame((await local.attempt('alice', 'wrong', 20)).filter(answer => answer === 401).length, 5)
})

t.test('no name of a user stands in Redis', async t => {
  const { attempt } = await site(t, fresh(), { redis: redis.url, keyPrefix: 'private:' })
  await attempt('alice.liddell@example.com', 'wrong')
  // On a busy machine an answer does not wait for Redis, and the next one counts there.
  await until(async () => {
    await attempt('alice.liddell@example.com', 'wrong')
    return (await client.keys('private:*')).length === 6
  }, 'five budgets of the guard, and that of the address')
  const keys = await client.keys('private:*')
  t.notMatch(keys.join('\n'), /alice/i)
})

t.test('options that would open or lock everything', async t => {
  const app = startFastify(t)
  await app.register(rateLimit, {})
  const mistakes = (options: object): string[] => {
    try {
      app.loginGuard({ ...fresh(), ...options })
      return []
    } catch (error) {
      return codesOf(error)
    }
  }
  t.strictSame(mistakes({ perUser: false }), ['SECURE_API_OPTION_TYPE'])
  t.strictSame(mistakes({ perUserAndAddress: [] }), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(mistakes({ perUserAndAddress: [{ attempts: 5, window: '25 hours' }] }), ['SECURE_API_OPTION_RANGE'])
  t.strictSame(mistakes({ perUserAndAddress: [{ attempts: 5, window: '1 hour' }, { attempts: 5, window: '2 hours' }] }),
    ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(mistakes({ delay: '1 minute' }), ['SECURE_API_OPTION_RANGE'])
  t.strictSame(mistakes({ delay: 1000, challenge: () => true }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(mistakes({ name: 'read' }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(mistakes({ name: 'x y' }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(mistakes({}), [])
})
