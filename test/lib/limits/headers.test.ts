import t from 'tap'
import {
  compilePolicy, isUnavailable, legacyHeaders, MemoryStore, rateLimited, rateLimitField, rateLimitPolicyField, rateLimitUnavailable,
  retryAfterSeconds, type Decision, type Limit
} from '../../../lib/limits/index.ts'

let now = 0
const store = new MemoryStore({ now: () => now })
const take = (name: string, limit: Limit, key = 'a'): Decision => store.take(compilePolicy(name, limit), key)

t.test('RateLimit-Policy', async t => {
  const policies = [
    compilePolicy('burst', { limit: 100, window: '1 minute' }),
    compilePolicy('daily', { limit: 1000, window: '1 day', algorithm: 'fixed-window' }),
    compilePolicy('fast', { limit: 3, window: 250 }),
    compilePolicy('odd', { limit: 3, window: 1500 }),
    compilePolicy('uploads', { limit: 2, algorithm: 'concurrency' })
  ]
  t.equal(rateLimitPolicyField(policies.map(policy => ({ policy }))),
    '"burst";q=100;w=60, "daily";q=1000;w=86400, "fast";q=3, "odd";q=3;w=2, "uploads";q=2;qu="concurrent-requests"')
  t.equal(rateLimitPolicyField([{ policy: compilePolicy('GET /a"\\é\n', { limit: 1, window: 1000 }) }]), '"GET /a\\"\\\\??";q=1;w=1')
})

t.test('RateLimit', async t => {
  const limit: Limit = { limit: 2, window: 10_000 }
  t.equal(rateLimitField([take('p', limit)]), '"p";r=1;t=10')
  now += 400
  const [second, other] = [take('p', limit), take('uploads', { limit: 5, algorithm: 'concurrency' })]
  t.equal(rateLimitField([second, other]), '"p";r=0;t=10, "uploads";r=4')
  now += 500
  t.equal(rateLimitField([take('p', limit)]), '"p";r=0;t=10', '9.1 s are 10: never before the window allows')
  now += 8_100
  t.equal(rateLimitField([take('p', limit)]), '"p";r=0;t=1')
})

t.test('the seconds left are never more than the window, whatever the clock adds up to', async t => {
  const limit: Limit = { limit: 1000, window: '1 minute' }
  const before = now
  for (let time = 1; time < 200_000; time += 977.123457) {
    now = before + time
    t.match(rateLimitField([take('window', limit)]), /;t=60$/)
  }
  now = before
})

t.test('15 B5: a token bucket never announces more than its quota', async t => {
  const limit: Limit = { limit: 10, window: '1 minute', algorithm: 'token-bucket', burst: 50 }
  const first = take('bucket', limit)
  t.equal(first.remaining, 49)
  t.match(rateLimitField([first]), /^"bucket";r=10;t=\d+$/)
  t.match(first.policy.header, ';q=10;')
  t.match(legacyHeaders([first]), { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '10' })
  for (let left = 0; left < 45; left++) take('bucket', limit)
  t.match(rateLimitField([take('bucket', limit)]), ';r=3;')
})

t.test('a dry run is not announced', async t => {
  const dry = take('dry', { limit: 1, window: 1000, dryRun: true })
  t.equal(rateLimitField([dry]), '')
  t.equal(rateLimitPolicyField([dry]), '')
  t.equal(rateLimitField([dry, take('real', { limit: 1, window: 1000 })]), '"real";r=0;t=1')
  t.same(legacyHeaders([dry]), {})
})

t.test('Retry-After is a whole number of seconds, at least 1, rounded up', async t => {
  const cases: [number, number][] = [[0, 1], [1, 1], [1000, 1], [1000.001, 2], [59_999, 60], [60_000, 60], [NaN, 1], [Infinity, 1]]
  for (const [ms, seconds] of cases) t.equal(retryAfterSeconds(ms), seconds, String(ms))
})

t.test('429', async t => {
  const limit: Limit = { limit: 1, window: 30_000 }
  take('first', limit)
  const refused = take('first', limit)
  const refusal = rateLimited([refused])
  t.match(refusal, {
    status: 429,
    code: 'SECURE_API_RATE_LIMITED',
    headers: {
      'retry-after': '30',
      ratelimit: '"first";r=0;t=30',
      'ratelimit-policy': '"first";q=1;w=30',
      'cache-control': 'no-store',
      'content-type': 'application/problem+json; charset=utf-8'
    }
  })
  t.match(JSON.parse(refusal.body), {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    status: 429,
    code: 'SECURE_API_RATE_LIMITED',
    'violated-policies': ['first']
  })
  t.notOk('x-ratelimit-limit' in refusal.headers)
  now += 1500
  t.match(rateLimited([take('first', limit)]).headers, { 'retry-after': '29' }, 'prebuilt bodies have headers of their own')
})

t.test('21: a 429 that is kept is the same as one made anew, and few are kept', async t => {
  const [policy, other] = ['kept', 'other'].map(name => compilePolicy(name, { limit: 1, window: '1 hour' }))
  if (policy === undefined || other === undefined) return
  const [first] = [store.take(policy, 'a')]
  t.equal(first?.allowed, true)
  for (let second = 0; second < 300; second++) {
    const decision = store.take(policy, 'a')
    const kept = rateLimited([decision])
    t.equal(rateLimited([{ ...decision, retryAfterMs: decision.retryAfterMs - 0.25 }]), kept, 'in the same second the same answer')
    // Of two policies the answers are not kept.
    t.same(rateLimited([decision, { ...decision, policy: other, allowed: true }]).headers['retry-after'], kept.headers['retry-after'])
    t.equal(kept.headers['retry-after'], String(3600 - second))
    t.equal(kept.headers['ratelimit'], `"kept";r=0;t=${3600 - second}`)
    t.equal(kept.lines?.block, Object.entries(kept.headers).map(([name, value]) => `${name}: ${value}\r\n`).join(''))
    now += 1000
  }
  t.ok(policy.refusals.size <= 60)
  const left = { ...store.take(policy, 'a'), remaining: 3 }
  t.equal(rateLimited([left]).headers['ratelimit']?.startsWith('"kept";r=1;'), true, 'not where something is left')
  t.equal(rateLimited([{ ...left, remaining: 0 }], true).headers['x-ratelimit-limit'], '1', 'nor with older headers')
  t.equal('x-ratelimit-limit' in rateLimited([{ ...left, remaining: 0 }]).headers, false)
})

t.test('429 for several: the longest wait, and only those that refuse are named', async t => {
  const [short, long]: Limit[] = [{ limit: 1, window: 2000 }, { limit: 1, window: 90_000 }]
  if (short === undefined || long === undefined) return
  const decide = () => [take('short', short), take('long', long), take('fine', { limit: 50, window: 1000 }),
    take('shadow', { limit: 1, window: 999_000, dryRun: true })]
  decide()
  const decisions = decide()
  const refusal = rateLimited(decisions, true)
  t.equal(refusal.headers['retry-after'], '90')
  t.same(JSON.parse(refusal.body)['violated-policies'], ['short', 'long'])
  t.match(refusal.headers, { 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' })
})

t.test('X-RateLimit-* tell of the policy that is closest to its limit', async t => {
  const decisions = [take('roomy', { limit: 50, window: 1000 }), take('narrow', { limit: 3, window: 7000 })]
  t.same(legacyHeaders(decisions), { 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '2', 'x-ratelimit-reset': '7' })
})

t.test('503 while the store cannot be asked', async t => {
  const unavailable = { unavailable: true, policy: compilePolicy('login', { limit: 1, window: 1000 }), retryAfterMs: 1200 } as const
  t.equal(isUnavailable(unavailable), true)
  const refusal = rateLimitUnavailable(unavailable)
  t.match(refusal, { status: 503, code: 'SECURE_API_RATE_LIMIT_UNAVAILABLE', headers: { 'retry-after': '2' } })
  t.match(JSON.parse(refusal.body), {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    'violated-policies': ['login']
  })
})
