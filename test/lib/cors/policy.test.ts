import Fastify, { type FastifyContextConfig } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  actual, compileCors, CorsOptionsSchema, createPreflightEngine, engineOptions, explain, isPreflight, mergeCors, preflight, refuses,
  RouteCorsSchema,
  validateCors, type CorsOptions, type CorsPolicy, type CorsValidationContext, type RouteCors
} from '../../../lib/cors/index.ts'

const exposed = ['RateLimit', 'Retry-After', 'WWW-Authenticate', 'Content-Type']
const origin = 'https://app.example.com'

/** What an allowed preflight must be answered with, written without the engine. */
function preflightHeaders (policy: CorsPolicy, from: string): Array<readonly [name: string, value: string]> {
  return [
    ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ['access-control-allow-origin', policy.anyOrigin ? '*' : from],
    ...policy.credentials ? [['access-control-allow-credentials', 'true'] as const] : [],
    ['access-control-allow-methods', policy.allowMethods],
    ['access-control-allow-headers', policy.allowHeaders],
    ['access-control-max-age', String(policy.maxAge)]
  ]
}

const compile = (options: Partial<CorsOptions> = {}) => compileCors({ origins: [origin], ...options }, { exposed })

function codes (options: unknown, context: CorsValidationContext = { environment: 'production' }): string[] {
  const problems = new Problems()
  check(CorsOptionsSchema, options, 'cors', problems)
  validateCors(options as CorsOptions, 'cors', problems, context)
  for (const { fix, why } of problems.list()) if (fix === '' || why === '') throw new Error('a problem without words')
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

t.test('mistakes stop the boot', async t => {
  const table: Array<[options: object, code: string]> = [
    [{}, 'SECURE_API_OPTION_MISSING cors.origins'],
    [{ origins: [] }, 'SECURE_API_OPTION_EMPTY cors.origins'],
    [{ origins: [''] }, 'SECURE_API_OPTION_EMPTY cors.origins[0]'],
    [{ origins: undefined }, 'SECURE_API_OPTION_UNDEFINED cors.origins'],
    [{ origins: origin }, 'SECURE_API_OPTION_TYPE cors.origins'],
    [{ origins: true }, 'SECURE_API_OPTION_TYPE cors.origins'],
    [{ origins: [origin], allowedOrigins: [] }, 'SECURE_API_OPTION_UNKNOWN cors.allowedOrigins'],
    [{ origins: ['null'] }, 'SECURE_API_CORS_NULL_ORIGIN cors.origins[0]'],
    [{ origins: [origin, 'https://a.example/'] }, 'SECURE_API_CORS_ORIGIN_INVALID cors.origins[1]'],
    [{ origins: ['https://api*.example.com'] }, 'SECURE_API_CORS_ORIGIN_PATTERN cors.origins[0]'],
    [{ origins: ['*'] }, 'SECURE_API_CORS_WILDCARD cors.origins[0]'],
    [{ origins: ['*'], credentials: true, dangerouslyAllowAnyOrigin: true }, 'SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS cors.origins[0]'],
    [{ origins: [origin, '*'], dangerouslyAllowAnyOrigin: true }, 'SECURE_API_CORS_WILDCARD_MIXED cors.origins[1]'],
    [{ origins: ['*'], dangerouslyAllowAnyOrigin: true, enforceOrigin: true }, 'SECURE_API_OPTION_CONFLICT cors.enforceOrigin'],
    [{ origins: ['http://app.example.com'], credentials: true }, 'SECURE_API_CORS_ORIGIN_INSECURE cors.origins[0]'],
    [{ origins: ['http://localhost:3000'] }, 'SECURE_API_CORS_ORIGIN_LOCALHOST cors.origins[0]'],
    [{ origins: ['http://[::1]:*'] }, 'SECURE_API_CORS_ORIGIN_LOCALHOST cors.origins[0]'],
    [{ origins: ['https://*.com'], credentials: true }, 'SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX cors.origins[0]'],
    [{ origins: ['https://*.github.io'], credentials: true }, 'SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX cors.origins[0]'],
    [{ origins: [origin], methods: [] }, 'SECURE_API_OPTION_EMPTY cors.methods'],
    [{ origins: [origin], methods: ['put'] }, 'SECURE_API_CORS_METHOD_CASE cors.methods[0]'],
    [{ origins: [origin], methods: ['GET', 'trace'] }, 'SECURE_API_CORS_METHOD_FORBIDDEN cors.methods[1]'],
    [{ origins: [origin], methods: ['*'] }, 'SECURE_API_CORS_METHOD_INVALID cors.methods[0]'],
    [{ origins: [origin], methods: ['GET, PUT'] }, 'SECURE_API_CORS_METHOD_INVALID cors.methods[0]'],
    [{ origins: [origin], requestHeaders: ['x y'] }, 'SECURE_API_CORS_REQUEST_HEADER_INVALID cors.requestHeaders[0]'],
    [{ origins: [origin], requestHeaders: ['Cookie'] }, 'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN cors.requestHeaders[0]'],
    [{ origins: [origin], requestHeaders: ['sec-fetch-site'] }, 'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN cors.requestHeaders[0]'],
    [{ origins: [origin], requestHeaders: ['Access-Control-Allow-Origin'] },
      'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN cors.requestHeaders[0]'],
    [{ origins: [origin], requestHeaders: ['*'] }, 'SECURE_API_CORS_REQUEST_HEADER_AUTHORIZATION cors.requestHeaders'],
    [{ origins: [origin], requestHeaders: ['*', 'authorization'], credentials: true },
      'SECURE_API_CORS_REQUEST_HEADER_WILDCARD cors.requestHeaders[0]'],
    [{ origins: [origin], responseHeaders: ['x:y'] }, 'SECURE_API_CORS_RESPONSE_HEADER_INVALID cors.responseHeaders[0]'],
    [{ origins: [origin], responseHeaders: ['Set-Cookie'] }, 'SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN cors.responseHeaders[0]'],
    [{ origins: [origin], responseHeaders: ['Access-Control-Allow-Origin'] },
      'SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN cors.responseHeaders[0]'],
    [{ origins: [origin], responseHeaders: ['*'], credentials: true }, 'SECURE_API_CORS_RESPONSE_HEADER_WILDCARD cors.responseHeaders[0]'],
    [{ origins: [origin], maxAge: 600 }, 'SECURE_API_CORS_MAX_AGE cors.maxAge'],
    [{ origins: [origin], maxAge: '25 hours' }, 'SECURE_API_CORS_MAX_AGE cors.maxAge'],
    [{ origins: [origin], maxAge: 'abc' }, 'SECURE_API_OPTION_VALUE cors.maxAge'],
    [{ origins: [origin], maxAge: -5 }, 'SECURE_API_OPTION_RANGE cors.maxAge']
  ]
  for (const [options, code] of table) t.same(codes(options), [code], JSON.stringify(options))
})

t.test('a regular expression is named as such', async t => {
  t.ok(codes({ origins: [/example\.com$/] }).includes('SECURE_API_CORS_ORIGIN_REGEXP cors.origins[0]'))
})

t.test('all mistakes are told at once', async t => {
  t.equal(codes({ origins: ['null', 'https://a.example/'], methods: ['put'], maxAge: 1 }).length, 4)
})

t.test('what is sound passes', async t => {
  const development: CorsValidationContext = { environment: 'development' }
  const table: Array<[options: object, context?: CorsValidationContext]> = [
    [{ origins: [origin] }],
    [{ origins: ['https://*.example.com'] }],
    [{
      origins: [origin],
      credentials: true,
      methods: ['GET', 'PUT'],
      requestHeaders: ['Authorization'],
      responseHeaders: ['ETag'],
      maxAge: '1 hour',
      enforceOrigin: true,
      debug: true
    }],
    [{ origins: ['http://app.example.com'] }],
    [{ origins: ['http://app.example.com'], credentials: true, dangerouslyAllowInsecureOrigins: true }],
    [{ origins: ['http://localhost:*'], credentials: true }, development],
    [{ origins: ['http://localhost:*'], dangerouslyAllowInsecureOrigins: true }],
    [{ origins: ['https://localhost', 'capacitor://localhost'] }],
    [{ origins: ['*'], dangerouslyAllowAnyOrigin: true }],
    [{ origins: ['*'], dangerouslyAllowAnyOrigin: true, requestHeaders: ['*'] }],
    [{ origins: [origin], requestHeaders: ['*', 'Authorization'] }],
    [{ origins: ['https://*.example.com'], credentials: true, dangerouslyAllowPublicSuffixes: true }],
    [{ origins: ['https://*.example.com'], credentials: true },
      { environment: 'production', isPublicSuffix: domain => domain === 'github.io' }],
    [{ origins: [origin], maxAge: 0 }],
    [{ origins: [origin], maxAge: '24 hours' }]
  ]
  for (const [options, context] of table) t.same(codes(options, context), [], JSON.stringify(options))
  t.same(codes({ origins: ['https://*.github.io'], credentials: true },
    { environment: 'production', isPublicSuffix: domain => domain === 'github.io' }),
  ['SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX cors.origins[0]'])
})

t.test('actual answers', async t => {
  const policy = compile({ credentials: true, responseHeaders: ['ETag', 'retry-after'] })
  t.same(actual(policy, origin).pairs, [
    ['access-control-allow-origin', origin],
    ['access-control-allow-credentials', 'true'],
    ['access-control-expose-headers', 'RateLimit, retry-after, WWW-Authenticate, ETag'],
    ['vary', 'Origin']
  ], 'names the headers of the suite and of the application once, without the safelisted ones')
  t.equal(actual(policy, origin), actual(policy, origin), 'prepared at boot')
  for (const foreign of ['https://evil.example', 'null', '', `${origin}.evil.example`, origin.toUpperCase()]) {
    t.same(actual(policy,
      foreign).pairs, [['vary', 'Origin']], foreign)
  }
  t.same(actual(policy, undefined).pairs, [['vary', 'Origin']])

  t.same(actual(compile({ origins: ['https://*.example.com'] }), origin).pairs[0], ['access-control-allow-origin', origin])
  const open = compile({ origins: ['*'] })
  for (const any of ['https://any.example', undefined]) {
    t.same(actual(open, any).pairs,
      [['access-control-allow-origin', '*'], ['access-control-expose-headers', 'RateLimit, Retry-After, WWW-Authenticate']])
  }
  t.throws(() => compile({ origins: ['*'], credentials: true }))
  t.throws(() => compile({ origins: ['null'] }))
})

t.test('what a preflight is', async t => {
  const headers = { origin, 'access-control-request-method': 'PUT' }
  t.ok(isPreflight('OPTIONS', headers))
  t.notOk(isPreflight('GET', headers))
  t.notOk(isPreflight('OPTIONS', { origin }))
  t.notOk(isPreflight('OPTIONS', { 'access-control-request-method': 'PUT' }))
})

t.test('preflight decisions', async t => {
  const policy = compile({ methods: ['PUT', 'PATCH'], requestHeaders: ['Authorization', 'X-Trace'] })
  const any = compile({ requestHeaders: ['*'] })
  const table: Array<[policy: CorsPolicy, method: string, headers: string | undefined, from: string, outcome: string]> = [
    [policy, 'PUT', undefined, origin, 'allowed'],
    [policy, 'GET', undefined, origin, 'allowed'],
    [policy, 'HEAD', undefined, origin, 'allowed'],
    [policy, 'POST', 'authorization,x-trace', origin, 'allowed'],
    [policy, 'PUT', ' Authorization ,\tX-TRACE,,', origin, 'allowed'],
    [policy, 'PUT', '', origin, 'allowed'],
    [policy, 'DELETE', undefined, origin, 'method'],
    [policy, 'put', undefined, origin, 'method'],
    [policy, '', undefined, origin, 'method'],
    [policy, '__proto__', undefined, origin, 'method'],
    [policy, 'PUT', 'cookie', origin, 'headers'],
    [policy, 'PUT', 'authorization,x-other', origin, 'headers'],
    [policy, 'PUT', ','.repeat(100), origin, 'malformed'],
    [policy, 'PUT', 'x-trace,'.repeat(100).slice(0, -1), origin, 'allowed'],
    [policy, 'PUT', 'x-trace,'.repeat(101).slice(0, -1), origin, 'malformed'],
    [policy, 'PUT', `x-trace,${'x'.repeat(5000)}`, origin, 'malformed'],
    [policy, 'PUT', undefined, 'https://evil.example', 'origin'],
    [policy, 'DELETE', 'cookie', 'https://evil.example', 'origin'],
    [policy, 'PUT', undefined, 'null', 'origin'],
    [any, 'PUT', 'x-anything', origin, 'allowed'],
    [any, 'PUT', 'x-anything,authorization', origin, 'headers'],
    [compile({ requestHeaders: ['*', 'authorization'] }), 'PUT', 'x-anything,authorization', origin, 'allowed']
  ]
  for (const [under, method, headers, from, outcome] of table) {
    const request = { origin: from, method, headers }
    const decision = preflight(under, request)
    t.equal(decision.allowed ? 'allowed' : decision.reason, outcome, JSON.stringify(request))
    if (!decision.allowed) t.ok(explain(decision.reason, under, request).length > 10)
  }
})

t.test('enforced origins', async t => {
  const policy = compile({ enforceOrigin: true })
  const request = { method: 'POST', origin: 'https://evil.example', host: 'api.example.com', fetchSite: undefined, upgrade: false }
  const table: Array<[change: object, refused: boolean]> = [
    [{}, true],
    [{ method: 'GET' }, false],
    [{ method: 'GET', upgrade: true }, true],
    [{ origin }, false],
    [{ origin, upgrade: true }, false],
    [{ origin, fetchSite: 'same-site' }, false],
    [{ origin: 'null' }, true],
    [{ origin: undefined }, false],
    [{ origin: undefined, fetchSite: 'cross-site' }, true],
    [{ origin: undefined, fetchSite: 'same-origin' }, false],
    [{ origin: 'https://api.example.com' }, false],
    [{ origin: 'https://api.example.com', fetchSite: 'cross-site' }, true],
    [{ origin: 'https://api.example.com', fetchSite: 'same-origin' }, false],
    [{ origin: 'https://evil.example', host: undefined }, true]
  ]
  for (const [change, refused] of table) t.equal(refuses(policy, { ...request, ...change }), refused, JSON.stringify(change))
  t.equal(refuses(compile(), request), false, 'only where it is asked for')
})

t.test('a route over the application', async t => {
  const merge = (base: CorsOptions | undefined, route: Exclude<RouteCors, false>) => {
    const problems = new Problems()
    check(RouteCorsSchema, route, 'route', problems)
    const merged = mergeCors(base, route, 'route', problems, { environment: 'production' })
    return { merged, codes: problems.list().map(({ code, path }) => `${code} ${path}`) }
  }
  const base: CorsOptions = { origins: [origin], credentials: true, methods: ['GET'] }
  t.same(merge(base, { maxAge: '1 hour' }), { merged: { ...base, maxAge: '1 hour' }, codes: [] })
  t.same(merge(base, { origins: [origin] }).codes, [])
  t.same(merge(base, { origins: ['https://b.example'], credentials: true }).codes, [])
  t.same(merge(base, { origins: ['https://b.example'], credentials: false }).codes, [])
  t.same(merge({ ...base, origins: ['https://*.example.com'], dangerouslyAllowPublicSuffixes: true },
    { origins: ['https://x.example.com'] }).codes, [], 'narrower')
  t.same(merge(base, { origins: ['https://b.example'] }).codes, ['SECURE_API_CORS_ROUTE_OVERRIDE route.origins'])
  t.ok(merge(base, {
    origins: ['*'],
    dangerouslyAllowAnyOrigin: true
  }).codes.includes('SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS route.origins[0]'))
  t.same(merge({ origins: ['http://a.example'] }, { credentials: true }).codes, ['SECURE_API_CORS_ORIGIN_INSECURE route.origins[0]'])
  t.same(merge(undefined, { maxAge: '1 hour' }).codes, ['SECURE_API_OPTION_MISSING route.origins'])
  t.same(merge(undefined, { origins: [origin] }).codes, [])
})

t.test('@fastify/cors writes exactly what the policy decided', async t => {
  const policies: CorsPolicy[] = [
    compile(), compile({ credentials: true, methods: ['PUT'], requestHeaders: ['authorization'], maxAge: 0 }),
    compile({ origins: ['https://*.example.com'] }), compile({ origins: ['*'] })
  ]
  for (const policy of policies) {
    const engine = createPreflightEngine(({ headers }) => engineOptions(policy, String(headers['origin'])))
    const app = Fastify()
    app.addHook('onRequest', (request, reply, done) => { engine(request, reply, done) })
    // A route's own `config.cors` has our shape, and must not reach the engine's options.
    app.options('/own', { config: { cors: { origins: ['*'], methods: ['BAD'], credentials: true } } as FastifyContextConfig },
      async () => 'never')
    for (const url of ['/own', '/unknown']) {
      const response = await app.inject({
        method: 'OPTIONS',
        url,
        headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' }
      })
      const decision = preflight(policy, { origin, method: 'PUT', headers: 'authorization' })
      if (!decision.allowed) throw new Error('expected a permission')
      t.equal(response.statusCode, 204)
      t.equal(response.body, '')
      const { date, connection, 'content-length': length, ...headers } = response.headers
      t.equal(length, '0')
      t.same(headers, Object.fromEntries(preflightHeaders(policy, origin)))
    }
    await app.close()
  }
})

t.test('the engine keeps a Vary that is there', async t => {
  const engine = createPreflightEngine(() => engineOptions(compile(), origin))
  const app = Fastify()
  app.addHook('onRequest', (request, reply, done) => { engine(request, reply.header('vary', 'Accept-Encoding'), done) })
  const response = await app.inject({ method: 'OPTIONS', url: '/', headers: { origin, 'access-control-request-method': 'PUT' } })
  t.equal(response.headers['vary'], 'Accept-Encoding, Origin, Access-Control-Request-Method, Access-Control-Request-Headers')
  await app.close()
})

t.test('properties of whatever passes validation', async t => {
  const anything = fc.string({ unit: 'binary', maxLength: 20 })
  const mostly = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>) => fc.oneof({ arbitrary: good, weight: 9 }, { arbitrary: bad, weight: 1 })
  const originLike = mostly(
    fc.constantFrom('*', origin, 'https://*.example.com', 'http://a.example', 'https://b.example:8443'),
    fc.oneof(fc.constantFrom('null', 'https://*.com', 'https://a.example/', 'https://a.example:443'), anything,
      anything.map(text => `https://${text}`), fc.webUrl())
  )
  const token = (...good: string[]) => fc.array(mostly(fc.constantFrom(...good),
    fc.oneof(fc.constantFrom('put', 'TRACE', '*', 'cookie', 'Set-Cookie'), anything)), { minLength: 1, maxLength: 2 })
  const options = fc.record({
    origins: fc.array(originLike, { maxLength: 3 }),
    credentials: fc.boolean(),
    methods: token('GET', 'PUT'),
    requestHeaders: token('X-Trace', 'authorization'),
    responseHeaders: token('ETag', 'Link'),
    maxAge: mostly<number | string>(fc.constantFrom('1 hour', 5000), fc.oneof(fc.integer(), fc.constant('2 days'))),
    dangerouslyAllowAnyOrigin: fc.boolean(),
    dangerouslyAllowInsecureOrigins: fc.boolean(),
    dangerouslyAllowPublicSuffixes: fc.boolean()
  }, { requiredKeys: ['origins'] })
  let accepted = 0
  t.doesNotThrow(() => fc.assert(fc.property(options, originLike, (candidate, caller) => {
    if (codes(candidate).length > 0) return true
    accepted++
    const policy = compileCors(candidate, { exposed })
    const decision = preflight(policy, { origin: caller, method: 'GET', headers: undefined })
    const answers = [
      ...actual(policy, caller).pairs.filter(([name]) => name !== 'vary'), ...decision.allowed ? preflightHeaders(policy, caller) : []
    ]
    const values = new Map(answers)
    const listed = candidate.origins.includes(caller) || candidate.origins.some(text => text.includes('*'))
    return answers.every(([name, value]) => /^[\t\x20-\x7e]*$/.test(name + value)) &&
      !(values.get('access-control-allow-origin') === '*' && values.has('access-control-allow-credentials')) &&
      (listed || answers.length === 0)
  }), { numRuns: 5000 }), 'never * with credentials, never an unlisted origin, never a line break')
  t.ok(accepted > 200, `${accepted} configurations were accepted`)
})
