import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  compilePolicy, LimitBook, LimitSchema, policyNames, RateLimitOptionsSchema, RouteRateLimitSchema, validateRateLimit,
  validateRouteRateLimit, type RateLimitOptions, type RouteRateLimit
} from '../../../lib/limits/index.ts'

/** Code and path of every mistake, as the plugin finds them: the schema first, then what it cannot say. */
function mistakes (options: unknown): string[] {
  const problems = new Problems()
  check(RateLimitOptionsSchema, options, 'rateLimit', problems)
  if (!problems.any) validateRateLimit(options as RateLimitOptions, 'rateLimit', problems)
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

function routeMistakes (limit: unknown, options: RateLimitOptions = {}): string[] {
  const problems = new Problems()
  check(RouteRateLimitSchema, limit, 'config.rateLimit', problems)
  if (!problems.any) validateRouteRateLimit(limit as RouteRateLimit, 'config.rateLimit', policyNames(options), problems)
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

const one = (limit: unknown) => mistakes({ policies: { p: limit } })

t.test('good options have no mistakes', async t => {
  t.same(mistakes({}), [])
  t.same(mistakes({
    redis: 'rediss://user:secret@redis.example.com:6380/2',
    perAddress: { limit: 500, window: '1 minute', algorithm: 'token-bucket', burst: 50 },
    failures: false,
    onStoreFailure: 'deny',
    keyPrefix: 'orders:',
    legacyHeaders: true,
    policies: {
      read: { limit: 1, window: 1 },
      longest: { limit: 1_000_000_000, window: '31 days', cost: () => 3, by: () => 'x', dryRun: true, onStoreFailure: 'allow' },
      uploads: { limit: 2, algorithm: 'concurrency', lease: '1 hour', by: 'tenant' }
    }
  }), [])
  t.same(mistakes({ redis: { evalsha () {}, eval () {} } }), [])
  t.same(mistakes({ leased: 0.25, policies: { all: { limit: 5, algorithm: 'concurrency', leased: 0 } } }), [])
  t.same(mistakes({ redis: { evalSha () {}, eval () {} } }), [])
})

t.test('values that would open or lock everything', async t => {
  for (const limit of ['10', NaN, -5, 0, 1.5, Infinity, null]) t.strictSame(one({ limit, window: 1000 }).length, 1, String(limit))
  t.same(one({ limit: undefined, window: 1000 }), ['SECURE_API_OPTION_UNDEFINED rateLimit.policies.p.limit'])
  t.same(one({ window: 1000 }), ['SECURE_API_OPTION_MISSING rateLimit.policies.p.limit'])
  t.same(one({ limit: 1 }), ['SECURE_API_OPTION_MISSING rateLimit.policies.p.window'])
  t.same(one({ limit: 1, window: 0 }), ['SECURE_API_OPTION_RANGE rateLimit.policies.p.window'])
  t.same(one({ limit: 1, window: '32 days' }), ['SECURE_API_OPTION_RANGE rateLimit.policies.p.window'])
  t.same(one({ limit: 1, window: '60' }), ['SECURE_API_OPTION_VALUE rateLimit.policies.p.window'])
  t.same(one({ limit: 1, window: '1 minuto' }), ['SECURE_API_OPTION_VALUE rateLimit.policies.p.window'])
  t.same(one({ limit: 1, window: 0.5 }), ['SECURE_API_OPTION_TYPE rateLimit.policies.p.window'])
  t.same(one({ max: 1, window: 1000, limit: 1 }), ['SECURE_API_OPTION_UNKNOWN rateLimit.policies.p.max'])
})

t.test('a lease is a quarter of the limit at most', async t => {
  for (const leased of [-0.1, 0.26, 1, 10]) {
    t.same(one({ limit: 100, window: 1000, leased }).length, 1, String(leased))
    t.same(mistakes({ leased }).length, 1, String(leased))
  }
})

t.test('the default of leases is for limits that can be leased, in whole requests, and two at least', async t => {
  const book = new LimitBook({
    leased: 0.1,
    perAddress: { limit: 1000, window: 1000, algorithm: 'token-bucket', burst: 50 },
    policies: {
      costly: { limit: 100, window: 1000, cost: 3 },
      dynamic: { limit: 100, window: 1000, cost: () => 1 },
      permits: { limit: 100, algorithm: 'concurrency' },
      own: { limit: 100, window: 1000, leased: 0.25 },
      exact: { limit: 100, window: 1000, leased: 0 }
    }
  })
  const size = (name: string) => book.find(name)?.policy.leaseSize
  t.same(['read', 'write', 'costly', 'dynamic', 'permits', 'own', 'exact', 'address', 'failures'].map(size), [10, 0, 3, 0, 0, 25, 0, 5, 0])
  book.change('read', { limit: 50 })
  t.equal(size('read'), 5)
})

t.test('contradictions', async t => {
  t.same(one({ limit: 1, window: 1000, burst: 5 }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.burst'])
  t.same(one({ limit: 1, window: 1000, lease: 5 }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.lease'])
  t.same(one({ limit: 1, window: 1000, algorithm: 'concurrency' }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.window'])
  t.same(one({ limit: 5, algorithm: 'concurrency', cost: 2 }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.cost'])
  t.same(one({ limit: 5, algorithm: 'concurrency', lease: 0 }), ['SECURE_API_OPTION_RANGE rateLimit.policies.p.lease'])
  t.same(one({ limit: 5, window: 1000, cost: 6 }), ['SECURE_API_OPTION_RANGE rateLimit.policies.p.cost'])
  t.same(one({ limit: 5, window: 1000, algorithm: 'token-bucket', burst: 2, cost: 3 }),
    ['SECURE_API_OPTION_RANGE rateLimit.policies.p.cost'])
  t.same(mistakes({ perAddress: { limit: 1, window: 1000, by: 'principal' } }), ['SECURE_API_OPTION_CONFLICT rateLimit.perAddress.by'])
  t.same(one({ limit: 5, algorithm: 'concurrency', leased: 0.1 }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.leased'])
  t.same(one({ limit: 5, window: 1000, cost: () => 1, leased: 0.1 }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.p.leased'])
  t.same(mistakes({ failures: { limit: 5, window: 1000, leased: 0.1 } }), ['SECURE_API_OPTION_CONFLICT rateLimit.failures.leased'])
  t.same(mistakes({ failures: { limit: 1, algorithm: 'concurrency' } }), ['SECURE_API_OPTION_CONFLICT rateLimit.failures.algorithm'])
})

t.test('names that could not stand in a header or a key, or that are taken', async t => {
  for (const name of ['', '__proto__x', '1st', 'a b', 'a"b', 'x'.repeat(65), 'ä']) {
    t.same(mistakes({ policies: { [name]: { limit: 1, window: 1 } } }), [`SECURE_API_OPTION_VALUE rateLimit.policies.${name}`])
  }
  t.same(mistakes({ policies: { address: { limit: 1, window: 1 } } }), ['SECURE_API_OPTION_CONFLICT rateLimit.policies.address'])
})

t.test('a Redis address that is none is refused, and never repeated', async t => {
  const problems = new Problems()
  for (const redis of ['localhost:6379', 'http://user:hunter2@redis', 'redis://', 'hunter2', 'redis://:h@unter2/w#rd@redis',
    'redis://:hunter2/w@redis:6379', 'redis://:hunter2#@redis', 'redis://redis/zero', 'redis://:hunter2@two@redis']) {
    t.same(mistakes({ redis }), ['SECURE_API_OPTION_VALUE rateLimit.redis'], redis)
    validateRateLimit({ redis }, 'rateLimit', problems)
  }
  t.notMatch(JSON.stringify(problems.list()), /hunter2/)
  t.same(mistakes({ redis: { get () {} } }), ['SECURE_API_OPTION_TYPE rateLimit.redis'])
  t.same(mistakes({ redis: '' }), ['SECURE_API_OPTION_EMPTY rateLimit.redis'])
})

t.test('routes', async t => {
  const options: RateLimitOptions = { policies: { login: { limit: 5, window: '15 minutes' } } }
  for (const limit of [false, 'read', 'login', ['write', 'login'], { limit: 1, window: 1000 }]) t.same(routeMistakes(limit, options), [])
  t.same(routeMistakes('logn', options), ['SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN config.rateLimit'])
  t.same(routeMistakes('constructor', options), ['SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN config.rateLimit'])
  t.same(routeMistakes('login'), ['SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN config.rateLimit'])
  t.same(routeMistakes(['read', 'read']), ['SECURE_API_OPTION_CONFLICT config.rateLimit'])
  t.same(routeMistakes([]), ['SECURE_API_OPTION_EMPTY config.rateLimit'])
  t.same(routeMistakes({ limit: 1 }), ['SECURE_API_OPTION_MISSING config.rateLimit.window'])
  t.equal(routeMistakes(true).length, 1)
  t.equal(routeMistakes(100).length, 1)
})

t.test('compiled policies have the defaults of DESIGN §3', async t => {
  const book = new LimitBook({})
  t.match(book.find('read')?.policy, {
    name: 'read',
    limit: 100,
    windowMs: 60_000,
    algorithm: 'sliding-window',
    by: 'principal',
    cost: 1,
    dryRun: false,
    onStoreFailure: 'local'
  })
  t.match(book.find('write')?.policy, { limit: 10, windowMs: 60_000 })
  t.match(book.address?.policy, { name: 'address', algorithm: 'token-bucket', limit: 1000, by: 'address' })
  t.match(book.failures?.policy, { name: 'failures', limit: 20, by: 'address' })
  t.ok(Object.isFrozen(book.find('read')?.policy))
})

t.test('compiled policies take over what the options say', async t => {
  const cost = () => 2
  const book = new LimitBook({
    perAddress: false,
    failures: { limit: 3, window: '1 hour' },
    onStoreFailure: 'deny',
    policies: {
      read: { limit: 7, window: '2 seconds', onStoreFailure: 'allow' },
      search: { limit: 9, window: 1000, cost, algorithm: 'token-bucket', burst: 4 }
    }
  })
  t.equal(book.address, undefined)
  t.match(book.failures?.policy, { limit: 3, windowMs: 3_600_000, by: 'address', onStoreFailure: 'deny' })
  t.match(book.find('read')?.policy, { limit: 7, windowMs: 2000, onStoreFailure: 'allow' })
  t.match(book.find('search')?.policy, { burst: 4, costOf: cost, onStoreFailure: 'deny' })
  t.same(book.list().map(({ name }) => name).toSorted(), ['failures', 'read', 'search', 'write'])
})

t.test('a limit that was not validated does not compile', async t => {
  t.throws(() => compilePolicy('p', { limit: 1 }), TypeError)
})

t.test('every option is described by the schema alone', async t => {
  t.equal(LimitSchema.additionalProperties, false)
  t.equal(RateLimitOptionsSchema.additionalProperties, false)
})
