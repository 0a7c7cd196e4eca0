import type { InjectOptions } from 'fastify'
import t from 'tap'
import secureApi, { headers, type HeadersOptions } from '../../plugins/index.ts'
import { answersOf, mistakesOf, missingHeaders, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const origin = 'https://app.example.com'
const mediaType = [415, 'SECURE_API_REQUEST_MEDIA_TYPE']
const path = '/csp-reports'
const reports = { path } as const
const kinds = { uri: 'application/csp-report', api: 'application/reports+json' } as const

const post = (type: string | undefined, payload: unknown, headers: Record<string, string> = {}): InjectOptions => ({
  method: 'POST',
  url: path,
  headers: { ...(type === undefined ? undefined : { 'content-type': type }), ...headers },
  payload: typeof payload === 'string' ? payload : JSON.stringify(payload)
})
const bodyOf = (more: object = {}) => ({
  documentURL: 'https://user:secret@app.example.com/orders/17?token=abc#part',
  blockedURL: 'https://evil.example/steal.js?cookie=1',
  effectiveDirective: 'script-src-elem',
  disposition: 'enforce',
  sample: 'fetch("/me")',
  originalPolicy: 'long',
  ...more
})
const sent = (more?: object) => ({ type: 'csp-violation', age: 1, url: 'https://app.example.com/', user_agent: 'x', body: bodyOf(more) })
const expected = {
  directive: 'script-src-elem',
  blocked: 'https://evil.example',
  document: 'https://app.example.com/orders/17',
  disposition: 'enforce'
}
const old = {
  'csp-report': {
    'document-uri': 'https://app.example.com/a?b',
    'violated-directive': "img-src 'self' https://cdn.example.com",
    'blocked-uri': 'data',
    'script-sample': 'x',
    disposition: 'report',
    referrer: 'https://secret.example/'
  }
}

t.test('both media types: 204, and an event with nothing in it that could be a secret', async t => {
  const { app, events } = await secured(t, issuer, { suite: { headers: { reports } } })
  t.strictSame(await answersOf(app, post(kinds.api, [sent()]), post(`${kinds.uri}; charset=utf-8`, old)), [204, 204])
  t.strictSame(events.map(({ event, outcome, violation }) => [event, outcome, violation]), [
    ['malicious_csp_violation', 'denied', expected],
    ['malicious_csp_violation', 'allowed', {
      directive: 'img-src',
      blocked: 'data',
      document: 'https://app.example.com/a',
      disposition: 'report'
    }]
  ])
  t.match(events[0], { route: path, address: '127.0.0.1', method: 'POST' })
  t.notMatch(JSON.stringify(events), /token|secret|cookie|fetch|original|user_agent/)
  t.strictSame(missingHeaders((await app.inject(post(kinds.api, [sent()]))).headers), [])
})

t.test('what is no violation is passed over, what is no report is refused', async t => {
  const { app, events } = await secured(t, issuer, { suite: { headers: { reports } } })
  const passed = [[], [{ type: 'deprecation', body: {} }],
    [null, 1, 'a', [], { type: 'csp-violation' }, { type: 'csp-violation', body: 7 }]]
  t.strictSame(await answersOf(app, ...passed.map(payload => post(kinds.api, payload))), passed.map(() => 204))
  t.strictSame(events, [])
  const others = ['deprecation', 'intervention', 'coep', 'coop', 'network-error', 'permissions-policy-violation', 'deprecation',
    '__proto__', 'x'.repeat(100), 7]
  t.strictSame(await answersOf(app, post(kinds.api, [...others.map(type => ({ type, body: { message: 'secret' } })), sent()])), [204])
  t.strictSame(app.secureApi.status()['reports'],
    {
      'csp-violation': 1,
      deprecation: 3,
      other: 3,
      intervention: 1,
      coep: 1,
      coop: 1,
      'network-error': 1,
      'permissions-policy-violation': 1
    }, 'counted by type, and nothing of them kept')
  t.equal(events.splice(0).length, 1)
  const garbage: ReadonlyArray<readonly [string, unknown]> = [[kinds.api, '{'], [kinds.api, ''], [kinds.api, {}], [kinds.api, 'null'],
    [kinds.uri, []], [kinds.uri, {}], [kinds.uri, { 'csp-report': [] }], [kinds.uri, '\u0000']]
  t.strictSame(await answersOf(app, ...garbage.map(([type, payload]) => post(type, payload))),
    garbage.map(() => [400, 'SECURE_API_REPORT_MALFORMED']))
  t.match(events, garbage.map(() => ({ event: 'input_validation_fail', reason: 'SECURE_API_REPORT_MALFORMED' })))
  t.strictSame(await answersOf(app, post('application/json', old), post('text/plain', 'a'), { url: path },
    post(kinds.api, [{ type: 'csp-violation', body: {} }])),
  [mediaType, mediaType, [405, 'SECURE_API_METHOD_NOT_ALLOWED'], 204])
  t.match(events.at(-1)?.violation, { directive: 'other', blocked: 'other', document: 'other' })
})

t.test('odd values cannot put anything into the trail', async t => {
  const { app, events } = await secured(t, issuer, { suite: { headers: { reports: { ...reports, sample: true } } } })
  const odd = [
    { effectiveDirective: 'x\r\nforged: 1', blockedURL: 'javascript:alert(1)', documentURL: 'data:text/html,secret' },
    { effectiveDirective: '__proto__', blockedURL: 'blob:https://a.example/id', documentURL: `https://a.example/${'x'.repeat(1000)}` },
    { effectiveDirective: 7, blockedURL: {}, documentURL: null, disposition: 'both', sample: `a\r\nb\u001b${'c'.repeat(100)}` },
    { blockedURL: 'trusted-types-sink', documentURL: 'chrome-extension://abc/page.html' }
  ]
  t.strictSame(await answersOf(app, post(kinds.api, odd.map(sent))), [204])
  t.strictSame(events.map(({ violation }) => [violation?.directive, violation?.blocked, violation?.document.length,
    violation?.disposition]), [
    ['other', 'javascript', 5, 'enforce'], ['other', 'https://a.example', 200, 'enforce'], ['other', 'other', 5, 'enforce'],
    ['script-src-elem', 'trusted-types-sink', 5, 'enforce']
  ])
  t.equal(events[2]?.violation?.sample, `a  b ${'c'.repeat(35)}`)
})

t.test('size, number and rate are bounded', async t => {
  const { app, events } = await secured(t, issuer, {
    suite: { headers: { reports: { ...reports, maxBytes: 2048, maxReports: 2, perMinute: 3 } } },
    routes: app => { app.post('/orders', { config: { public: true } }, async () => '') }
  })
  const short = { type: 'csp-violation', body: {} }
  t.strictSame(await answersOf(app, post(kinds.api, [short, short, short, short]), post(kinds.uri, 'x'.repeat(2049))),
    [204, [413, 'SECURE_API_REQUEST_TOO_LARGE']])
  t.equal(events.filter(({ event }) => event === 'malicious_csp_violation').length, 2)
  t.strictSame(await answersOf(app, post(kinds.api, [short]), post(kinds.api, [short]), { method: 'POST', url: '/orders' }),
    [204, [429, 'SECURE_API_RATE_LIMITED'], 200])
})

t.test('14 C1: brackets in the URL of a page do not make its reports malformed, and quotes hide no others', async t => {
  const { app } = await secured(t, issuer, { suite: { headers: { reports: { ...reports, perMinute: 100 } } } })
  const query = Array.from({ length: 40 }, (_, index) => `filter[${index}][field]=x`).join('&')
  const report = sent({ documentURL: `https://app.example.com/orders?${query}`, sample: 'a "quoted" [text\\' })
  t.strictSame(await answersOf(app, post(kinds.api, Array.from({ length: 4 }, () => report)),
    post(kinds.api, `["\\"","\\\\",${'[],'.repeat(1000)}{}]`)), [204, [400, 'SECURE_API_REPORT_MALFORMED']])
  t.strictSame(app.secureApi.status()['reports'], { 'csp-violation': 4 })
})

t.test('14 C1: of a body only so much is read: so many violations, and texts of a bounded length', async t => {
  const { app, events } = await secured(t, issuer,
    { suite: { headers: { reports: { ...reports, maxReports: 3, perMinute: 100, maxBytes: 65_536 } } } })
  t.strictSame(await answersOf(app, post(kinds.api, `[${'{},'.repeat(5)}{}]`)), [204])
  t.strictSame(app.secureApi.status()['reports'], { 'csp-violation': 0, other: 6 }, 'counted, all of them')
  for (const brackets of ['{},'.repeat(5000), `${'['.repeat(5000)}${']'.repeat(5000)},`]) {
    t.strictSame(await answersOf(app, post(kinds.api, `[${brackets}{}]`)), [[400, 'SECURE_API_REPORT_MALFORMED']], 'a text of brackets')
  }
  let parsed = 0
  const { canParse } = URL
  t.intercept(URL, 'canParse', { value: (...args: Parameters<typeof canParse>) => { parsed++; return canParse(...args) } })
  const host = `https://a${'\u0315\u0300'.repeat(1500)}.example/`
  t.strictSame(await answersOf(app, post(kinds.api,
    [sent({ blockedURL: host, documentURL: host, sample: '' }), sent({ blockedURL: `https://b.example/${'x'.repeat(9000)}` })])), [204])
  t.equal(parsed, 0, 'no host is normalised')
  t.match(events.flatMap(({ violation = [] }) => violation), [{ blocked: 'other', document: 'other' }, { blocked: 'https://b.example' }])
})

t.test('14 C1: a body that holds more values than any report is not parsed', async t => {
  const { app, events } = await secured(t, issuer, { suite: { headers: { reports: { ...reports, perMinute: 100 } } } })
  const members = Array.from({ length: 1500 }, (_, index) => `"m${index}":0`).join()
  const bodies = ['0,'.repeat(7000), '"a",'.repeat(3500), `{${members}},`, '{"a":0},'.repeat(1500)]
  const refused = [400, 'SECURE_API_REPORT_MALFORMED']
  t.strictSame(await answersOf(app, ...bodies.map(body => post(kinds.api, `[${body}{}]`))), bodies.map(() => refused))
  // The smallest that a browser sends, of errors of the network: many members, short texts.
  const numbers = { sampling_fraction: 1, status_code: 200, elapsed_time: 1, request_headers: {}, response_headers: {} }
  const body = { ...numbers, referrer: '', server_ip: '', protocol: 'h2', method: 'GET', phase: 'application', type: 'ok' }
  const small = { age: 1, type: 'network-error', url: 'https://app.example.com/', user_agent: 'x'.repeat(110), body }
  const full = [Array<object>(35).fill(small), Array<object>(12).fill(sent())]
  t.strictSame(await answersOf(app, ...full.map(list => post(kinds.api, list))), [204, 204])
  t.strictSame(app.secureApi.status()['reports'], { 'csp-violation': 12, 'network-error': 35 }, 'counts are exact')
  t.equal(events.filter(({ violation }) => violation !== undefined).length, 10, 'of one request not all are events')
})

t.test('no real batch is crowded: errors of the network as Chrome reports them, as many as the body may hold', async t => {
  const { app } = await secured(t, issuer, { suite: { headers: { reports: { ...reports, maxBytes: 65_536 } } } })
  const numbers = { elapsed_time: 0, sampling_fraction: 1, status_code: 0, request_headers: {}, response_headers: {} }
  const body = { ...numbers, method: 'GET', phase: 'dns', protocol: '', referrer: '', server_ip: '', type: 'dns.failed' }
  const report = JSON.stringify({ age: 0, body, type: 'network-error', url: 'https://a.io/', user_agent: 'x'.repeat(110) })
  for (const count of [43, 170]) t.strictSame(await answersOf(app, post(kinds.api, `[${Array(count).fill(report).join()}]`)), [204])
})

t.test('the policy names the collector, in a prefix too, unless it names another place', async t => {
  const told = async (options: HeadersOptions, prefix = '') => {
    const app = startFastify(t)
    await app.register(async scope => {
      await scope.register(headers, { environment: 'development', ...options })
      scope.get('/', { config: { public: true } }, async () => '')
      scope.get('/own', { config: { public: true, headers: { contentSecurityPolicy: { directives: { 'img-src': "'self'" } } } } },
        async () => '')
    }, { prefix })
    const { headers: first } = await app.inject(`${prefix}/`)
    const { headers: second } = await app.inject(`${prefix}/own`)
    return [first['reporting-endpoints'], ...[first['content-security-policy'], second['content-security-policy'],
      first['content-security-policy-report-only']].map(policy =>
      String(policy).split(';').filter(part => part.startsWith('report')).join(';'))]
  }
  const both = `report-to csp;report-uri ${path}`
  t.strictSame(await told({}), [undefined, '', '', ''])
  t.strictSame(await told({ reports }), [`csp="${path}"`, both, both, ''])
  t.strictSame(await told({ reports }, '/api'), [`csp="/api${path}"`, `report-to csp;report-uri /api${path}`,
    `report-to csp;report-uri /api${path}`, ''])
  t.strictSame(await told({ reports, contentSecurityPolicyReportOnly: { directives: { 'script-src': "'none'" } } }),
    [`csp="${path}"`, both, both, both])
  t.strictSame(await told({
    reports,
    contentSecurityPolicy: false,
    contentSecurityPolicyReportOnly: { directives: { 'default-src': "'none'" } }
  }), [`csp="${path}"`, '', both, both])
  t.strictSame((await told({ reports, profile: 'html' }))[0], `csp="${path}", default="${path}"`, 'a page has more to report')
  t.strictSame((await told({ reports, profile: 'html', reportingEndpoints: { default: 'https://reports.example.com/' } }))[0],
    `csp="${path}", default="https://reports.example.com/"`)
  const other = {
    reportingEndpoints: { other: 'https://reports.example.com/' },
    contentSecurityPolicy: { directives: { 'report-to': 'other', 'report-uri': false } }
  } as const
  t.strictSame(await told({ reports, ...other }),
    [`csp="${path}", other="https://reports.example.com/"`, 'report-to other', 'report-to other', ''])
})

t.test('a page of an allowed origin can report; others get no permission', async t => {
  const { app } = await secured(t, issuer, {
    suite: {
      headers: { reports },
      cors: { origins: [origin], credentials: true, methods: ['GET'], requestHeaders: ['authorization'] }
    }
  })
  const preflight = (from: string) => app.inject({
    method: 'OPTIONS',
    url: path,
    headers: { origin: from, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  })
  const { statusCode, headers } = await preflight(origin)
  t.match({ statusCode, headers }, { statusCode: 204, headers: { 'access-control-allow-origin': origin } })
  t.equal(headers['access-control-allow-credentials'], undefined)
  t.equal((await preflight('https://evil.example')).statusCode, 403)
  const answer = await app.inject(post(kinds.api, [sent()], { origin }))
  t.match({ status: answer.statusCode, headers: answer.headers }, { status: 204, headers: { 'access-control-allow-origin': origin } })
  const any = startFastify(t)
  t.strictSame(await mistakesOf(() => any.register(secureApi,
    {
      auth: false,
      audit: false,
      environment: 'development',
      headers: { reports },
      cors: { origins: ['*'], dangerouslyAllowAnyOrigin: true }
    })), [], 'any origin')
})

t.test('without an audit trail the log has it', async t => {
  const lines: string[] = []
  const app = startFastify(t, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  await app.register(headers, { environment: 'development', reports })
  t.strictSame(await answersOf(app, post(kinds.api, [sent()])), [204])
  t.match(lines.map(line => JSON.parse(line)), [{ violation: expected }])
})

t.test('mistakes', async t => {
  const cases: ReadonlyArray<readonly [HeadersOptions, ...string[]]> = [
    [{ reports: { path: 'csp' } }, 'SECURE_API_OPTION_VALUE'],
    [{ reports: { path: '/a"; b' } }, 'SECURE_API_OPTION_VALUE'],
    [{ reports: { path, perMinute: 0 } }, 'SECURE_API_OPTION_RANGE'],
    [{ reports, reportingEndpoints: { csp: 'https://reports.example.com/' } }, 'SECURE_API_OPTION_CONFLICT']
  ]
  for (const [options, ...codes] of cases) {
    t.strictSame(await mistakesOf(() => startFastify(t).register(headers, options)), codes,
      JSON.stringify(options))
  }
})
