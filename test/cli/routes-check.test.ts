import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { annotations } from '../../cli/routes/annotations.ts'
import { baselineBefore, judge, readBaseline, writtenBaseline } from '../../cli/routes/baseline.ts'
import { check, type Finding } from '../../cli/routes/check.ts'
import { findingCodes, severities } from '../../cli/routes/codes.ts'
import type { Application, Row } from '../../cli/routes/report.ts'
import { wider } from '../../cli/routes/wider.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tight = { policy: 'write', limit: 10, windowMs: 60_000, algorithm: 'sliding-window', by: 'principal', dryRun: false }
const tidy: Row = {
  methods: ['POST'],
  url: '/orders',
  coverage: 'suite',
  access: { kind: 'rule', rule: { scope: 'api.write' } },
  rateLimit: [tight],
  cors: 'default',
  headers: 'default',
  audit: true,
  steps: [],
  hooks: [],
  handler: ''
}
const application: Application = {
  suites: 1,
  fastify: '5.0.0',
  controls: { authentication: true, 'rate limit': true, headers: true, audit: true },
  addressLimits: ['address', 'failures'],
  cors: { origins: ['https://app.example.com', 'https://*.example.org'], methods: ['GET'] }
}

/** Codes and details that one route, or one application, gives rise to. */
function found (row: Partial<Row>, of: Partial<Application> = {}): string[] {
  return check({ application: { ...application, ...of }, rows: [{ ...tidy, ...row }] }).map(({ code, detail }) =>
    `${code.slice('SECURE_API_POSTURE_'.length)}${detail === '' ? '' : `: ${detail}`}`)
}

const open = { kind: 'public' } as const
const authenticated = { kind: 'authenticated' } as const
const loose = { ...tight, limit: 100 }

const cases: ReadonlyArray<readonly [title: string, Partial<Row>, ...codes: string[]]> = [
  ['a tidy route', {}],
  ['no rule', { access: { kind: 'closed' } }, 'NO_RULE'],
  ['no rule where the default lets callers in', { access: { kind: 'authenticated-by-default' } }, 'AUTHENTICATED_ONLY', 'RULE_BY_DEFAULT'],
  ['a credential is enough to change something', { access: authenticated }, 'AUTHENTICATED_ONLY'],
  ['a credential and a guard by hand', { access: authenticated, hooks: ['guard'] }],
  ['a credential is enough to read', { access: authenticated, methods: ['GET'] }],
  ['public, ten a minute', { access: open }],
  ['public, sixty an hour', { access: open, rateLimit: [{ ...tight, limit: 60, windowMs: 3_600_000 }] }],
  ['public, a hundred an hour, all at once', { access: open, rateLimit: [{ ...tight, limit: 100, windowMs: 3_600_000 }] },
    'PUBLIC_UNSAFE: 100 an hour'],
  ['public, a hundred a minute', { access: open, rateLimit: [loose] }, 'PUBLIC_UNSAFE: 100 a minute'],
  ['public, one of two limits is tight', { access: open, rateLimit: [loose, tight] }],
  ['public, the tight one only counts', { access: open, rateLimit: [loose, { ...tight, dryRun: true }] },
    'PUBLIC_UNSAFE: 100 a minute, 10 a minute (dry run)'],
  ['public, two at once', { access: open, rateLimit: [{ ...tight, limit: 2, algorithm: 'concurrency' }] }, 'PUBLIC_UNSAFE: 2 at once'],
  ['public without a limit', { access: open, rateLimit: false }, 'PUBLIC_UNSAFE: no limit'],
  ['public reads', { access: open, methods: ['GET'], rateLimit: [loose] }],
  ['one of several methods changes something', { access: open, methods: ['GET', 'DELETE'], rateLimit: [loose] },
    'PUBLIC_UNSAFE: 100 a minute'],
  ['nobody is authenticated', { access: { kind: 'open' }, rateLimit: [loose] }, 'PUBLIC_UNSAFE: 100 a minute'],
  ['the collector of browser reports', { access: open, rateLimit: [{ ...tight, limit: 60 }], audit: false, handler: 'collectViolations' }],
  ['a wildcard scope', { access: { kind: 'rule', rule: { scope: { any: ['api.read', 'api.*'] } } } }, 'WILDCARD: api.*'],
  ['a wildcard role beside a scope', { access: { kind: 'rule', rule: { scope: 'a', role: { all: ['*'] } } } }, 'WILDCARD: *'],
  ['outside the suite', { coverage: 'outside', access: { kind: 'outside' } }, 'OUTSIDE'],
  ['declared before the suite', { coverage: 'early', access: { kind: 'unknown' } }, 'EARLY'],
  ['the limit is off', { rateLimit: false }, 'LIMIT_OFF'],
  ['the limit only counts', { rateLimit: [{ ...tight, dryRun: true }] }, 'LIMIT_DRY_RUN'],
  ['wider CORS', { cors: { origins: ['https://evil.example'], credentials: true } },
    'CORS_WIDER: origin https://evil.example, credentials'],
  ['narrower CORS', { cors: { origins: ['https://shop.example.org'], credentials: false } }],
  ['no CORS', { cors: false }],
  ['headers of a page', { headers: { profile: 'html', crossOriginOpenerPolicy: 'same-origin-allow-popups' } }],
  ['no policy for content', { headers: { contentSecurityPolicy: false } }, 'HEADERS_WEAKENED: contentSecurityPolicy: false'],
  ['anybody may frame', { headers: { contentSecurityPolicy: { directives: { 'frame-ancestors': ['*'] } } } },
    'HEADERS_WEAKENED: frame-ancestors *'],
  ['a shared cache may keep it', { methods: ['GET'], headers: { cacheControl: 'max-age=60, S-MaxAge=600' } },
    'SHARED_CACHE: max-age=60, S-MaxAge=600'],
  ['a private cache may keep it', { methods: ['GET'], headers: { cacheControl: 'private, max-age=60, must-revalidate' } }],
  ['a shared cache may keep what is public', { methods: ['GET'], access: open, headers: { cacheControl: 'public, max-age=60' } }],
  ['a change leaves no trace', { audit: false }, 'AUDIT_OFF'],
  ['a read leaves no trace', { audit: false, methods: ['GET'] }],
  ['a public wildcard', { access: open, methods: ['GET'], url: '/files/*' }, 'PUBLIC_WILDCARD']
]

t.test('findings about a route', async t => {
  for (const [title, row, ...codes] of cases) t.strictSame(found(row), codes, title)
})

t.test('findings about the application', async t => {
  t.strictSame(found({ coverage: 'outside', access: { kind: 'outside' } }, { suites: 0 }), ['NO_SUITE'], 'once, not for each route')
  const off = { authentication: false, 'rate limit': false, headers: false, audit: false }
  t.strictSame(found({}, { controls: off, addressLimits: [] }), ['NO_AUTHENTICATION', 'CONTROL_OFF: rate limit, headers, audit'])
  t.strictSame(found({}, { addressLimits: ['address'] }), ['ADDRESS_LIMIT_OFF: failures'])
  t.strictSame(found({}, { cors: { origins: ['*'] } }), ['CORS_ANY_ORIGIN'])
})

t.test('every code can be found, except that of the baseline, which has its own test', async t => {
  const seen = new Set([
    ...cases.flatMap(([, row]) => found(row)),
    ...found({}, {
      suites: 0,
      controls: { authentication: false, 'rate limit': true, headers: false, audit: true },
      addressLimits: [],
      cors: { origins: ['*'] }
    })
  ].map(text => `SECURE_API_POSTURE_${text.split(':', 1)[0]}`))
  t.strictSame(Object.keys(findingCodes).filter(code => !seen.has(code)), ['SECURE_API_POSTURE_BASELINE_STALE'])
})

t.test('the gravest come first', async t => {
  const rows = [{ ...tidy, url: '/files/*', methods: ['GET'], access: open }, { ...tidy, audit: false },
    { ...tidy, access: { kind: 'closed' } as const }]
  t.strictSame(check({ application, rows }).map(({ severity }) => severity), severities)
})

t.test('CORS: what is wider than the application allows', async t => {
  const base = application.cors
  t.strictSame(wider({ origins: ['https://app.example.com', 'https://a.b.example.org'] }, base), [])
  t.strictSame(wider({ origins: ['https://*.app.example.com', '*'] }, base), ['origin https://*.app.example.com', 'origin *'])
  t.strictSame(wider({ methods: ['GET', 'DELETE'] }, base), ['methods DELETE'])
  t.strictSame(wider({ requestHeaders: ['*'] }, base), ['requestHeaders *'])
  t.strictSame(wider({ requestHeaders: ['X-A'] }, { origins: ['*'], requestHeaders: ['x-a'] }), [], 'names of headers know no case')
  t.strictSame(wider({ enforceOrigin: false }, { origins: ['*'], enforceOrigin: true }), ['enforceOrigin off'])
  t.strictSame(wider({ origins: ['https://x.example'] }, undefined), ['origin https://x.example'])
})

const one: Finding = {
  ...findingCodes.SECURE_API_POSTURE_PUBLIC_UNSAFE,
  code: 'SECURE_API_POSTURE_PUBLIC_UNSAFE',
  route: 'POST /login',
  detail: '100 a minute'
}
const two: Finding = { ...findingCodes.SECURE_API_POSTURE_NO_RULE, code: 'SECURE_API_POSTURE_NO_RULE', route: 'GET /a', detail: '' }

t.test('a baseline accepts what was seen, and nothing that changed since', async t => {
  const baseline = [{ code: one.code, route: 'POST /login', detail: '100 a minute', why: 'behind a gateway' }]
  t.match(judge([one, two], baseline), { findings: [two], accepted: [one] })
  const worse = { ...one, detail: '1000 a minute' }
  const { findings, accepted } = judge([worse], baseline)
  t.strictSame(accepted, [])
  t.match(findings, [worse, {
    code: 'SECURE_API_POSTURE_BASELINE_STALE',
    severity: 'warning',
    route: 'POST /login',
    detail: 'SECURE_API_POSTURE_PUBLIC_UNSAFE, 100 a minute'
  }])
})

t.test('an update keeps the reasons that were given, and is the same in any order', async t => {
  const file = join(t.testdir({}), 'baseline.json')
  t.strictSame(baselineBefore(file), [])
  const first = writtenBaseline([one, two], [{ code: one.code, route: 'POST /login', detail: '100 a minute', why: 'behind a gateway' }])
  t.equal(writtenBaseline([two, one], [{ code: one.code, route: 'POST /login', detail: '100 a minute', why: 'behind a gateway' }]), first)
  t.match(JSON.parse(first), {
    version: 1,
    accepted: [{ code: two.code, route: 'GET /a', detail: '', why: '' },
      { code: one.code, why: 'behind a gateway' }]
  })
})

t.test('a broken baseline accepts nothing: it is an error', async t => {
  const broken = ['', 'not json', '[]', '{}', '{"version":2,"accepted":[]}', '{"version":1,"accepted":{}}',
    '{"version":1,"accepted":[null]}', '{"version":1,"accepted":[{"code":"x"}]}', '{"version":1,"accepted":[{"code":"x","detail":1}]}']
  const folder = t.testdir(Object.fromEntries(broken.map((text, index) => [`${index}.json`, text])))
  for (const [index, text] of broken.entries()) t.throws(() => readBaseline(join(folder, `${index}.json`)), Error, text)
})

t.test('annotations name the line, and no text can forge one', async t => {
  const evil: Finding = { ...one, route: 'POST /a\n::error::forged', detail: '100%, a:b', source: { file: '/repo/src/a,b:c.ts', line: 12 } }
  const text = annotations([evil, two], '/repo/dist/app.js', '/repo')
  const [first = '', second = '', ...more] = text.trimEnd().split('\n')
  t.strictSame(more, [])
  t.ok(first.startsWith('::error file=src/a%2Cb%3Ac.ts,line=12,title=SECURE_API_POSTURE_PUBLIC_UNSAFE::POST /a%0A::error::forged: '), first)
  t.match(first, 'Here: 100%25, a:b.')
  t.ok(second.startsWith('::error file=dist/app.js,title=SECURE_API_POSTURE_NO_RULE::GET /a: '), second)
  t.match(annotations([{ ...two, severity: 'note' }], '/repo/a.js', '/repo'), /^::notice /)
})

t.test('docs/command-line.md has every code with its severity, meaning and fix', async t => {
  const page = readFileSync(join(root, 'docs/command-line.md'), 'utf8')
  for (const [code, { severity, meaning, fix }] of Object.entries(findingCodes)) {
    const line = `| \`${code}\` | ${severity} | ${meaning}. | ${fix} |`
    t.ok(page.includes(line), line)
  }
  const named = new Set([...page.matchAll(/SECURE_API_POSTURE_\w+/g)].map(([code]) => code))
  t.strictSame([...named].filter(code => !(code in findingCodes)), [])
})
