import fc from 'fast-check'
import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  compileHeaders, headSets, compileNonceTable, createNonceSource, HeadersOptionsSchema, mergeHeaders, RouteHeadersSchema, validateHeaders,
  validateRouteHeaders,
  type EffectiveHeaders, type HeadersContext, type HeadersOptions, type RouteHeaders
} from '../../../lib/headers/index.ts'

const production: HeadersContext = { environment: 'production', secure: true }

function compile (options: EffectiveHeaders = {}, context = production): Record<string, string> {
  return Object.fromEntries(compileHeaders(options, context).headers)
}

function codes (options: unknown, context = production): string[] {
  const problems = new Problems()
  check(HeadersOptionsSchema, options, 'headers', problems)
  if (!problems.any) validateHeaders(options as HeadersOptions, 'headers', problems, context)
  for (const { fix, why } of problems.list()) if (fix === '' || why === '') throw new Error('a problem without words')
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

function routeCodes (base: HeadersOptions, route: unknown): string[] {
  const problems = new Problems()
  check(RouteHeadersSchema, route, 'route', problems)
  if (!problems.any) validateRouteHeaders(base, route as RouteHeaders, 'route', problems, production)
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

t.test('the API profile is the one that outside judges pass', async t => {
  const { headers, hsts, nonces, remove } = compileHeaders({}, production)
  const { 'permissions-policy': permissions, ...others } = Object.fromEntries(headers)
  t.same(others, {
    'content-security-policy': "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'x-frame-options': 'DENY',
    'x-permitted-cross-domain-policies': 'none'
  })
  t.equal(permissions?.split(', ').length, 29)
  t.match(permissions, /(^|, )geolocation=\(\)(,|$)/)
  t.match(permissions, /(^|, )sync-xhr=\(self\)(,|$)/)
  t.same(hsts, ['strict-transport-security', 'max-age=31536000; includeSubDomains'])
  t.same(nonces, [])
  t.same(remove, ['x-powered-by', 'server'])
})

t.test('HSTS is for production over TLS', async t => {
  t.equal(compileHeaders({}, { environment: 'development', secure: true }).hsts, undefined)
  t.equal(compileHeaders({}, { environment: 'production', secure: false }).hsts, undefined)
  t.equal(compileHeaders({ hsts: false }, production).hsts, undefined)
  t.same(compileHeaders({ hsts: { maxAge: '730 days', preload: true } }, production).hsts?.[1],
    'max-age=63072000; includeSubDomains; preload')
  t.same(compileHeaders({ hsts: { maxAge: '5 minutes', includeSubDomains: false } }, production).hsts?.[1], 'max-age=300')
})

t.test('each header can be changed and left out', async t => {
  const table: Array<[options: EffectiveHeaders, name: string, value: string | undefined]> = [
    [{ contentSecurityPolicy: false }, 'content-security-policy', undefined],
    [{
      contentSecurityPolicy: {
        directives: {
          imgSrc: "'self' https://cdn.example.com",
          'form-action': false,
          'upgrade-insecure-requests': true
        }
      }
    }, 'content-security-policy',
    "default-src 'none';frame-ancestors 'none';base-uri 'none';img-src 'self' https://cdn.example.com;upgrade-insecure-requests"],
    [{ frameOptions: false }, 'x-frame-options', undefined],
    [{ frameOptions: 'sameorigin' }, 'x-frame-options', 'SAMEORIGIN'],
    [{ contentTypeOptions: false }, 'x-content-type-options', undefined],
    [{ referrerPolicy: 'same-origin' }, 'referrer-policy', 'same-origin'],
    [{ referrerPolicy: false }, 'referrer-policy', undefined],
    [{ permissionsPolicy: false }, 'permissions-policy', undefined],
    [{ crossOriginOpenerPolicy: 'unsafe-none' }, 'cross-origin-opener-policy', 'unsafe-none'],
    [{ crossOriginOpenerPolicy: false }, 'cross-origin-opener-policy', undefined],
    [{ crossOriginEmbedderPolicy: 'credentialless' }, 'cross-origin-embedder-policy', 'credentialless'],
    [{ crossOriginEmbedderPolicy: false }, 'cross-origin-embedder-policy', undefined],
    [{ crossOriginResourcePolicy: 'cross-origin' }, 'cross-origin-resource-policy', 'cross-origin'],
    [{ crossOriginResourcePolicy: false }, 'cross-origin-resource-policy', undefined],
    [{ permittedCrossDomainPolicies: 'master-only' }, 'x-permitted-cross-domain-policies', 'master-only'],
    [{ permittedCrossDomainPolicies: false }, 'x-permitted-cross-domain-policies', undefined],
    [{ dnsPrefetchControl: 'on' }, 'x-dns-prefetch-control', 'on'],
    [{ dnsPrefetchControl: false }, 'x-dns-prefetch-control', undefined],
    [{ originAgentCluster: true }, 'origin-agent-cluster', '?1'],
    [{ profile: 'html' }, 'origin-agent-cluster', '?1'],
    [{ reportingEndpoints: { csp: 'https://r.example/a', other: '/reports' } }, 'reporting-endpoints',
      'csp="https://r.example/a", other="/reports"'],
    [{ reportingEndpoints: false }, 'reporting-endpoints', undefined],
    [{ clearSiteData: true }, 'clear-site-data', '"cache","cookies","storage"'],
    [{ clearSiteData: ['*'] }, 'clear-site-data', '"*"'],
    [{ clearSiteData: false }, 'clear-site-data', undefined]
  ]
  for (const [options, name, value] of table) t.equal(compile(options)[name], value, JSON.stringify(options))
  t.same(compileHeaders({ remove: ['Via'] }, production).remove, ['via'])
})

t.test('permissions are laid over the default', async t => {
  const policy = compile({
    permissionsPolicy: {
      geolocation: ['self', 'https://maps.example.com'],
      camera: ['*'],
      'interest-cohort': false,
      'new-feature': []
    }
  })['permissions-policy'] ?? ''
  const features = policy.split(', ')
  t.ok(features.includes('geolocation=(self "https://maps.example.com")'))
  t.ok(features.includes('camera=*'))
  t.ok(features.includes('new-feature=()'))
  t.ok(features.includes('microphone=()'))
  t.notOk(policy.includes('interest-cohort'))
})

t.test('X-Frame-Options and frame-ancestors say the same', async t => {
  const ancestors = (value: string[]) => ({ contentSecurityPolicy: { directives: { 'frame-ancestors': value } } })
  t.equal(compile(ancestors(["'self'"]))['x-frame-options'], 'SAMEORIGIN')
  t.equal(compile(ancestors(['https://portal.example.com']))['x-frame-options'], undefined, 'it has no words for that')
  t.match(compile({ frameOptions: 'sameorigin' })['content-security-policy'], /frame-ancestors 'self'(;|$)/)
  t.equal(compile({ contentSecurityPolicy: false })['x-frame-options'], 'DENY')
  t.same(codes({ frameOptions: 'sameorigin' }), [])
  t.same(codes({ frameOptions: 'deny', ...ancestors(["'self'"]) }), ['SECURE_API_HEADERS_CONFLICT headers.frameOptions'])
  t.same(codes({ frameOptions: 'sameorigin', ...ancestors(["'none'"]) }), ['SECURE_API_HEADERS_CONFLICT headers.frameOptions'])
})

t.test('an enforced policy and a candidate side by side', async t => {
  const headers = compile({
    reportingEndpoints: { csp: '/csp' },
    contentSecurityPolicyReportOnly: { directives: { 'img-src': ["'self'"], 'form-action': false, 'report-to': 'csp' } }
  })
  t.equal(headers['content-security-policy'], "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'")
  t.equal(headers['content-security-policy-report-only'],
    "default-src 'none';frame-ancestors 'none';base-uri 'none';img-src 'self';report-to csp")
})

t.test('Cache-Control', async t => {
  const outcome = (options: EffectiveHeaders) => {
    const table = compileHeaders(options, production)
    const plan = (isPublic: boolean, isRoute = true) => headSets(table, { isPublic, isRoute }).http
    return [plan(false).success, plan(true).success, plan(true).error, plan(false).error,
      plan(true, false).success].map(({ pairs }) => pairs[0]?.[1])
  }
  const noStore = 'no-store, max-age=0'
  t.same(outcome({}), [noStore, undefined, noStore, noStore, noStore])
  t.same(outcome({ cacheControl: 'private, max-age=5' }), ['private, max-age=5', undefined, noStore, noStore, noStore])
  t.same(outcome(mergeHeaders({}, { cacheControl: 'public, max-age=60' })),
    ['public, max-age=60', 'public, max-age=60', noStore, noStore, noStore])
  t.same(outcome({ cacheControl: false }), [undefined, undefined, undefined, undefined, undefined])
})

t.test('a route is laid over the application, one statement at a time', async t => {
  const base: HeadersOptions = {
    contentSecurityPolicy: { directives: { 'connect-src': ["'self'"] } },
    permissionsPolicy: { camera: ['self'] },
    referrerPolicy: 'origin'
  }
  const headers = compile(mergeHeaders(base, {
    contentSecurityPolicy: { directives: { imgSrc: ["'self'"] } },
    permissionsPolicy: { microphone: ['self'] }
  }))
  t.equal(headers['content-security-policy'],
    "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none';connect-src 'self';img-src 'self'",
    'helmetjs/helmet#487: a directive of the route does not drop the others')
  t.match(headers['permissions-policy'], /camera=\(self\)/)
  t.match(headers['permissions-policy'], /microphone=\(self\)/)
  t.equal(headers['referrer-policy'], 'origin')

  const page = compile(mergeHeaders(base, { profile: 'html' }))
  t.match(page['content-security-policy'], /default-src 'self'.*connect-src 'self'/)
  t.equal(compile(mergeHeaders(base, { contentSecurityPolicy: false }))['content-security-policy'], undefined)
  t.match(compile(mergeHeaders({ contentSecurityPolicy: false }, { contentSecurityPolicy: {} }))['content-security-policy'],
    /default-src 'none'/)
  t.match(compile(mergeHeaders({ contentSecurityPolicy: { directives: { 'img-src': 'https://a.example' } } },
    { contentSecurityPolicy: { directives: { imgSrc: 'https://b.example' } } }))['content-security-policy'],
  /img-src https:\/\/b\.example$/)
})

t.test('nonces', async t => {
  const options: EffectiveHeaders = {
    profile: 'html',
    contentSecurityPolicy: { nonces: true },
    reportingEndpoints: { csp: '/csp' },
    contentSecurityPolicyReportOnly: { directives: { 'style-src': ["'none'"], 'report-to': 'csp' } }
  }
  t.same(codes(options), [])
  const table = compileHeaders(options, production)
  t.notOk(table.headers.some(([name]) => name.startsWith('content-security-policy')), 'no policy goes out without its nonce')
  const next = compileNonceTable(table)
  const first = next()
  t.match(first.nonce, /^[A-Za-z0-9+/]{22}==$/)
  t.same(first.headers.map(([name]) => name), ['content-security-policy', 'content-security-policy-report-only'])
  const [policy, candidate] = first.headers.map(([, value]) => value)
  t.match(policy, `script-src 'self' 'nonce-${first.nonce}'`)
  t.match(policy, `style-src 'self' 'nonce-${first.nonce}'`)
  t.match(candidate, `style-src 'nonce-${first.nonce}'`)

  const api = compileNonceTable(compileHeaders({ contentSecurityPolicy: { nonces: true } }, production), () => 'N')()
  t.match(api.headers[0]?.[1], /script-src 'nonce-N';style-src 'nonce-N'/, "'none' beside a nonce would void it")
})

t.test('nonces do not repeat, also across the pool', async t => {
  const next = createNonceSource()
  const seen = new Set(Array.from({ length: 1000 }, next))
  t.equal(seen.size, 1000)
})

t.test('tables cannot be changed', async t => {
  const table = compileHeaders({}, production)
  t.throws(() => { (table.headers as unknown[]).push(['x', 'y']) })
  t.throws(() => { (table.headers[0] as unknown as string[])[1] = 'x' })
  t.throws(() => { Object.assign(table, { hsts: undefined }) })
})

const csp = (directives: object, rest: object = {}) => ({ contentSecurityPolicy: { directives }, ...rest })
const at = (name: string) => `headers.contentSecurityPolicy.directives.${name}`

t.test('mistakes stop the boot', async t => {
  const table: Array<[options: object, code: string, context?: HeadersContext]> = [
    [csp({ 'default-src': ['self'] }), `SECURE_API_HEADERS_CSP_INVALID ${at('default-src')}`],
    [csp({ 'img-src': 'none' }), `SECURE_API_HEADERS_CSP_INVALID ${at('img-src')}`],
    [csp({ 'script-src': ['nonce-abc'] }), `SECURE_API_HEADERS_CSP_INVALID ${at('script-src')}`],
    [csp({ imgsrc: ["'self'"] }), `SECURE_API_HEADERS_CSP_INVALID ${at('imgsrc')}`],
    [csp({ 'img-src': ["'self'; script-src *"] }), `SECURE_API_HEADERS_CSP_INVALID ${at('img-src')}`],
    [csp({ 'img-src': ["'self'"], imgSrc: ["'none'"] }), 'SECURE_API_HEADERS_CSP_DUPLICATE headers.contentSecurityPolicy.directives'],
    [csp({ 'default-src': false }), 'SECURE_API_HEADERS_CSP_NO_DEFAULT headers.contentSecurityPolicy'],
    [csp({ 'script-src': ["'unsafe-inline'"] }), 'SECURE_API_HEADERS_CSP_UNSAFE headers.contentSecurityPolicy'],
    [csp({ 'script-src': ["'self'", "'unsafe-eval'"] }), 'SECURE_API_HEADERS_CSP_UNSAFE headers.contentSecurityPolicy'],
    [csp({ 'script-src': ['https:'] }), 'SECURE_API_HEADERS_CSP_UNSAFE headers.contentSecurityPolicy'],
    [csp({ 'default-src': ['*'] }), 'SECURE_API_HEADERS_CSP_UNSAFE headers.contentSecurityPolicy'],
    [csp({ 'report-to': 'csp' }), `SECURE_API_HEADERS_REPORTING_ENDPOINT ${at('report-to')}`],
    [csp({ 'img-src': [] }, { contentSecurityPolicy: { directives: { 'img-src': [''] } } }), `SECURE_API_OPTION_EMPTY ${at('img-src')}[0]`],
    [{ contentSecurityPolicyReportOnly: { directives: { 'img-src': ["'self'"] } } },
      'SECURE_API_HEADERS_CSP_REPORT_ONLY_WITHOUT_ENDPOINT headers.contentSecurityPolicyReportOnly'],
    [{ contentSecurityPolicyReportOnly: {} }, 'SECURE_API_OPTION_MISSING headers.contentSecurityPolicyReportOnly.directives'],
    [{ reportingEndpoints: { csp: 'http://r.example' } }, 'SECURE_API_HEADERS_REPORTING_ENDPOINT headers.reportingEndpoints.csp'],
    [{ reportingEndpoints: { csp: '//r.example' } }, 'SECURE_API_HEADERS_REPORTING_ENDPOINT headers.reportingEndpoints.csp'],
    [{ reportingEndpoints: { csp: 'https://r.example/"x' } }, 'SECURE_API_HEADERS_REPORTING_ENDPOINT headers.reportingEndpoints.csp'],
    [{ reportingEndpoints: { CSP: 'https://r.example' } }, 'SECURE_API_HEADERS_REPORTING_ENDPOINT headers.reportingEndpoints.CSP'],
    [{ hsts: { maxAge: 31_536_000 } }, 'SECURE_API_HEADERS_HSTS_MAX_AGE headers.hsts.maxAge'],
    [{ hsts: { maxAge: '5 ms' } }, 'SECURE_API_HEADERS_HSTS_MAX_AGE headers.hsts.maxAge'],
    [{ hsts: { maxAge: '1 year' } }, 'SECURE_API_OPTION_VALUE headers.hsts.maxAge'],
    [{ hsts: { maxAge: '30 days', preload: true } }, 'SECURE_API_HEADERS_HSTS_PRELOAD headers.hsts.preload'],
    [{ hsts: { includeSubDomains: false, preload: true } }, 'SECURE_API_HEADERS_HSTS_PRELOAD headers.hsts.preload'],
    [{ hsts: {} }, 'SECURE_API_HEADERS_HSTS_NO_TLS headers.hsts', { environment: 'production', secure: false }],
    [{ hsts: {}, strictTransportSecurity: {} }, 'SECURE_API_OPTION_UNKNOWN headers.strictTransportSecurity'],
    [{ frameOptions: 'allow' }, 'SECURE_API_OPTION_VALUE headers.frameOptions'],
    [{ frameoptions: 'deny' }, 'SECURE_API_OPTION_UNKNOWN headers.frameoptions'],
    [{ referrerPolicy: 'none' }, 'SECURE_API_OPTION_VALUE headers.referrerPolicy'],
    [{ permissionsPolicy: { Camera: [] } }, 'SECURE_API_HEADERS_PERMISSIONS_POLICY headers.permissionsPolicy.Camera'],
    [{ permissionsPolicy: { camera: ["'self'"] } }, 'SECURE_API_HEADERS_PERMISSIONS_POLICY headers.permissionsPolicy.camera'],
    [{ permissionsPolicy: { camera: ['https://a.example", x=("'] } },
      'SECURE_API_HEADERS_PERMISSIONS_POLICY headers.permissionsPolicy.camera'],
    [{ cacheControl: 'nostore' }, 'SECURE_API_HEADERS_CACHE_CONTROL headers.cacheControl'],
    [{ cacheControl: 'no-store\r\nset-cookie: a=b' }, 'SECURE_API_HEADERS_VALUE_CHARS headers'],
    [csp({ 'img-src': ['https://a.example\r\nx: y'] }), 'SECURE_API_HEADERS_VALUE_CHARS headers'],
    [csp({ 'img-src': ['https://bücher.example'] }), 'SECURE_API_HEADERS_VALUE_CHARS headers'],
    [{ remove: ['x y'] }, 'SECURE_API_OPTION_VALUE headers.remove[0]']
  ]
  for (const [options, code, context] of table) t.same(codes(options, context), [code], JSON.stringify(options))
})

t.test('all mistakes are told at once', async t => {
  t.equal(codes({ cacheControl: 'x', permissionsPolicy: { camera: ['x'] }, hsts: { maxAge: 1 } }).length, 3)
})

t.test('what is sound passes', async t => {
  const table: Array<[options: object, context?: HeadersContext]> = [
    [{}], [{ profile: 'html' }], [{ hsts: false }, { environment: 'production', secure: false }],
    [{}, { environment: 'production', secure: false }],
    [{ hsts: { maxAge: '5 minutes' } }], [{ hsts: { maxAge: 0 } }], [{ hsts: { maxAge: 31_536_000_000, preload: true } }],
    [{ hsts: {} }, { environment: 'development', secure: false }],
    [{ reportingEndpoints: { csp: 'http://127.0.0.1:3000/csp' } }, { environment: 'development', secure: false }],
    [csp({ 'report-to': 'csp', 'report-uri': '/csp', sandbox: ['allow-scripts'], 'require-trusted-types-for': ["'script'"] },
      { reportingEndpoints: { csp: '/csp' } })],
    [csp({ 'script-src': ["'unsafe-inline'"] }, { dangerouslyAllowUnsafeScripts: true })],
    [csp({ 'script-src': ["'unsafe-inline'", "'nonce-abc'"] })], [csp({ 'style-src': ["'unsafe-inline'"] })],
    [{ contentSecurityPolicy: { directives: { 'script-src': ["'unsafe-inline'"] }, nonces: true } }],
    [{ cacheControl: 'public, max-age=60, stale-while-revalidate=30' }]
  ]
  for (const [options, context] of table) t.same(codes(options, context), [], JSON.stringify(options))
})

t.test('routes', async t => {
  t.same(routeCodes({}, { profile: 'html', clearSiteData: true, cacheControl: 'no-cache' }), [])
  t.same(routeCodes({}, { hsts: false }), ['SECURE_API_OPTION_UNKNOWN route.hsts'], 'it holds for the host, not for a route')
  t.same(routeCodes({}, null), ['SECURE_API_OPTION_TYPE route'])
  t.same(routeCodes({}, { clearSiteData: [] }), ['SECURE_API_OPTION_EMPTY route.clearSiteData'])
  t.same(routeCodes({}, { contentSecurityPolicy: { directives: { imgSrc: [], 'img-src': [] } } }),
    ['SECURE_API_HEADERS_CSP_DUPLICATE route.contentSecurityPolicy.directives'])
  t.same(routeCodes({ frameOptions: 'deny' }, { contentSecurityPolicy: { directives: { frameAncestors: ["'self'"] } } }),
    ['SECURE_API_HEADERS_CONFLICT route.frameOptions'])
})

t.test('properties of whatever passes validation', async t => {
  const text = fc.oneof(
    { arbitrary: fc.constantFrom("'self'", "'none'", 'https://a.example', 'data:', 'no-store', 'self', '*', 'csp', '/csp'), weight: 8 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 12 }), weight: 1 }, { arbitrary: fc.constantFrom('a\r\nb: c', 'a\nb'), weight: 1 }
  )
  const directives = fc.dictionary(fc.constantFrom('img-src', 'default-src', 'connectSrc', 'report-to', 'frame-ancestors', 'x'),
    fc.oneof(fc.boolean(), text, fc.array(text, { maxLength: 2 })), { maxKeys: 2 })
  const options = fc.record({
    profile: fc.constantFrom('api', 'html'),
    contentSecurityPolicy: fc.oneof(fc.constant(false), fc.record({ directives, nonces: fc.boolean() })),
    contentSecurityPolicyReportOnly: fc.oneof(fc.constant(false), fc.record({ directives })),
    permissionsPolicy: fc.dictionary(fc.oneof(fc.constantFrom('camera', 'usb'), text), fc.array(text, { maxLength: 2 }), { maxKeys: 2 }),
    reportingEndpoints: fc.dictionary(fc.oneof(fc.constant('csp'), text), text, { maxKeys: 1 }),
    cacheControl: text
  }, { requiredKeys: [] })
  let accepted = 0
  t.doesNotThrow(() => fc.assert(fc.property(options, candidate => {
    if (codes(candidate).length > 0) return true
    accepted++
    const table = compileHeaders(candidate as HeadersOptions, production)
    const pairs = [...table.headers, table.hsts, ...Object.values({ ...table.cache }), ...compileNonceTable(table)().headers]
    return pairs.every(pair => pair === undefined || /^[\t\x20-\x7e]*$/.test(pair[0] + pair[1]))
  }), { numRuns: 5000 }), 'no header holds a line break')
  t.ok(accepted > 50, `${accepted} configurations were accepted`)
  t.throws(() => compileHeaders({ cacheControl: 'a\r\nb: c' }, production), 'not even without validation')
})
