import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { UsageError } from '../../cli/command.ts'
import { displayWidth, padEnd, printable, truncate, wrap } from '../../cli/display.ts'
import { readArguments } from '../../cli/routes/arguments.ts'
import { check } from '../../cli/routes/check.ts'
import { takeInventory } from '../../cli/routes/inventory.ts'
import { loadApplication } from '../../cli/routes/load.ts'
import { markdown } from '../../cli/routes/markdown.ts'
import { recordRoutes, sourceOf } from '../../cli/routes/record.ts'
import { postureOf, type Posture, type Row } from '../../cli/routes/report.ts'
import { readRouter } from '../../cli/routes/router.ts'
import { findingsText, tableText } from '../../cli/routes/text.ts'
import { spoken } from '../../cli/routes/words.ts'

const suite = new URL('../../plugins/index.ts', import.meta.url).href
recordRoutes()

let modules = 0

/** What `routes` would show of a module that is written for the occasion. */
async function postureFrom (t: Test, source: string, { name = 'app.mjs', options = true } = {}): Promise<Posture> {
  // A module is loaded once for each path.
  const file = join(t.testdir({}), `${modules++}-${name}`)
  writeFileSync(file, source)
  const app = await loadApplication({ file, options })
  t.teardown(() => app.close())
  await app.ready()
  return postureOf(takeInventory(app))
}

const auth = "{ issuer: 'https://login.invalid', audience: 'api://x', startup: 'lazy' }"
const register = `await app.register(suite, { auth: ${auth}, audit: { sink () {} } })`
const plugin = (body: string, head = '') =>
  `import suite from '${suite}'\n${head}\nexport default async function plugin (app, options) {\n${body}\n}\n`
const told = ({ rows }: Posture) => rows.map(({ methods, url, coverage, access }) => [`${methods.join()} ${url}`, coverage, access.kind])
const skip = 'export const options = { skipOverride: true, bodyLimit: 1024 }'
const orders = "app.get('/orders', { config: { scope: 'a' } }, async () => 1)"

t.test('a plugin is hosted as fastify start -o does: with its options, at the root', async t => {
  const posture = await postureFrom(t, plugin(`${register}\n${orders}`, skip))
  t.strictSame(told(posture), [['GET /orders', 'suite', 'rule']])
  t.match(posture.rows[0]?.source, { line: 5 })
  t.strictSame(check(posture), [])
})

t.test('CommonJS, plain and compiled from ESM; a server; functions that make one', async t => {
  const commonjs = (head: string) =>
    `const app = async (app, options) => { const { default: suite } = await import('${suite}')\n${register}\n${orders} }\n${head}`
  const made = `import Fastify from 'fastify'\nimport suite from '${suite}'\n`
  const modules: ReadonlyArray<readonly [name: string, source: string]> = [
    ['app.cjs', commonjs('module.exports = app')],
    ['options.cjs', commonjs('module.exports = app\nmodule.exports.options = { skipOverride: true }')],
    ['compiled.cjs', commonjs("Object.defineProperty(exports, '__esModule', { value: true })\nexports.default = app")],
    ['server.mjs', `${made}const app = Fastify()\n${register}\n${orders}\nexport default app`],
    ['factory.mjs', `${made}export default async function build (options = {}) {
const app = Fastify(options)\n${register}\n${orders}\nreturn app\n}`]
  ]
  for (const [name, source] of modules) {
    t.strictSame(told(await postureFrom(t, source, { name })), [['GET /orders', 'suite', 'rule']], name)
  }
})

t.test('a module that exports nothing of use is refused', async t => {
  const cases = ['export const app = 1', 'export default {}', 'export default () => ({})', 'export default 1']
  for (const source of cases) await t.rejects(postureFrom(t, source), /exports/, source)
  await t.rejects(postureFrom(t, 'throw new Error("broken")'), /broken/)
  await t.rejects(loadApplication({ file: join(t.testdir({}), 'none.js'), options: true }), /there is no file/)
})

t.test('a suite in a child scope is found; what lies beside it is outside', async t => {
  const encapsulated = plugin(`${register}\n${orders}`, skip)
  t.strictSame(told(await postureFrom(t, encapsulated, { options: false })), [['GET /orders', 'suite', 'rule']])
  const beside = await postureFrom(t,
    plugin(`await app.register(async app => {\n${register}\n${orders}\n})\napp.post('/beside', async () => 1)`))
  t.strictSame(told(beside), [['POST /beside', 'outside', 'outside'], ['GET /orders', 'suite', 'rule']])
  t.match(check(beside), [{ code: 'SECURE_API_POSTURE_OUTSIDE', route: 'POST /beside' }])
})

t.test('routes that were declared before the suite: guarded or not, they are told', async t => {
  const first = "app.get('/early', async () => 1)\nawait app.register(async app => { app.get('/before/:id', async () => 1) })"
  const early = await postureFrom(t, plugin(`${first}\n${register}\n${orders}`, skip))
  const coverage = Object.fromEntries(early.rows.map(({ url, coverage }) => [url, coverage]))
  t.match(coverage, { '/orders': 'suite' })
  t.not(coverage['/early'], 'outside', 'the instance hooks guard it')
  t.ok('/before/:id' in coverage, 'no route is left out')
})

t.test('no suite at all', async t => {
  const posture = await postureFrom(t, "export default async function plugin (app, options) { app.get('/a', async () => 1) }")
  t.match(check(posture), [{ code: 'SECURE_API_POSTURE_NO_SUITE', severity: 'error' }])
})

t.test('a server from before the watch is read from its router', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const entries = [['GET', '/'], ['POST', '/orders'], ['GET', '/orders/:id'], ['DELETE', '/orders/:id/lines/:line'], ['GET', '/ordersx/*'],
    ['GET', '/a b'], ['GET', '/v/:n(^\\d+$)']] as const
  app.addHook('onRequest', async function one () {})
  for (const [method, url] of entries) app.route({ method, url, exposeHeadRoute: false, handler: async () => 1 })
  app.get('/host', { constraints: { host: 'x (GET)' }, exposeHeadRoute: false, onRequest: async function two () {} }, async () => 1)
  app.all('*', async () => 1)
  await app.ready()
  const read = readRouter(app.printRoutes({ includeHooks: true }))
  const names = read.map(({ methods, url }) => methods.length > 1 ? `any ${url}` : `${methods.join()} ${url}`)
  t.strictSame(names.sort(), [...entries.map(entry => entry.join(' ')), 'GET /host', 'any *'].sort())
  t.strictSame(read.find(({ url }) => url === '/host')?.onRequest, ['one', 'two'])
  t.strictSame(readRouter(''), [])
})

t.test('HEAD follows GET, and is told where it differs', async t => {
  const own = [
    "app.head('/own', { config: { public: true } }, async () => 1)",
    "app.get('/own', { exposeHeadRoute: false, config: { scope: 'a' } }, async () => 1)"
  ].join('\n')
  const posture = await postureFrom(t, plugin(`${register}\n${orders}\n${own}`, skip))
  t.strictSame(told(posture).map(([name]) => name), ['GET /orders', 'GET /own', 'HEAD /own'])
})

t.test('issue 17.6: HEAD follows GET for the root of a prefix too, whose HEAD Fastify declares with a slash', async t => {
  const prefixed = "await app.register(async app => { app.get('/', { config: { scope: 'a' } }, async () => 1) }, { prefix: '/orders' })"
  const differs = "app.head('/own/', { config: { public: true } }, async () => 1)\n" +
    "app.get('/own', { exposeHeadRoute: false, config: { scope: 'a' } }, async () => 1)"
  const posture = await postureFrom(t, plugin(`${register}\n${prefixed}\n${differs}`, skip))
  t.strictSame(told(posture).map(([name]) => name), ['GET /orders', 'GET /own', 'HEAD /own/'])
})

t.test('the place of a declaration is the first frame that people wrote', async t => {
  const stack = ['Error', 'at recordRoute (file:///p/cli/routes/record.js:1:1)',
    'at Object.route (/p/node_modules/fastify/lib/route.js:3:1)', 'at file:///p/src/a%20b.ts:12:5', 'at x (/p/other.js:1:1)'].join('\n    ')
  t.strictSame(sourceOf(stack), { file: '/p/src/a b.ts', line: 12 })
  t.equal(sourceOf('Error\n    at node:internal/x:1:1'), undefined)
})

t.test('arguments: every mistake is named', async t => {
  t.match(readArguments(['app.js']), {
    file: 'app.js',
    format: 'text',
    failOn: undefined,
    options: true,
    timeoutMs: 60_000,
    updateBaseline: false
  })
  t.match(readArguments(['app.js', '--html', '-o', 'x.html', '--check', '--fail-on', 'note', '--timeout=5', '--no-options']),
    { format: 'html', output: 'x.html', failOn: 'note', timeoutMs: 5000, options: false })
  const wrong = [
    [], ['a.js', 'b.js'], ['a.js', '--json', '--html'], ['a.js', '--fail-on', 'error'], ['a.js', '--check', '--fail-on', 'all'],
    ['a.js', '--update-baseline'],
    ['a.js', '--timeout', '0'], ['a.js', '--timeout', 'x'], ['a.js', '--output='], ['a.js', '--baseline='], ['a.js', '--env='],
    ['a.js', '--what']
  ]
  for (const args of wrong) t.throws(() => readArguments(args), UsageError, args.join(' '))
})

const row = (given: Partial<Row>): Row => ({
  methods: ['GET'],
  url: '/orders',
  coverage: 'suite',
  access: { kind: 'rule', rule: { scope: 'api.read' } },
  cors: 'default',
  headers: 'default',
  audit: true,
  rateLimit: [{ policy: 'read', limit: 100, windowMs: 60_000, algorithm: 'sliding-window', by: 'principal', dryRun: false }],
  steps: [],
  hooks: [],
  handler: '',
  ...given
})
const report = (...rows: Row[]) => ({
  file: 'app.js',
  application: { suites: 1, fastify: '5.0.0', addressLimits: [] },
  rows,
  findings: [],
  accepted: []
})
const look = (columns: number, colour = false) => ({ columns, colour, cwd: '/p' })

t.test('the table fits every width, and keeps its columns in line', async t => {
  const wide = report(row({}), row({
    url: '/日本語/한국어/👩‍👩‍👧',
    access: { kind: 'rule', rule: { scope: { all: ['one.very.long.scope', 'another.very.long.scope'] } } },
    cors: false
  }),
  row({ methods: ['DELETE'], audit: 'orders.delete' }))
  for (const columns of [30, 40, 60, 80, 100, 200]) {
    const lines = tableText(wide, look(columns)).split('\n')
    const body = lines.slice(0, lines.indexOf(''))
    t.ok(body.every(line => displayWidth(line) <= Math.max(columns, 45)), `${columns}: ${body.map(displayWidth)}`)
  }
  const [head = '', ...lines] = tableText(wide, look(200)).split('\n').slice(0, 4)
  const limit = head.indexOf('Limit')
  t.strictSame(lines.map(line => displayWidth(line.slice(0, line.indexOf('100 a minute')))), [limit, limit, limit])
  t.notMatch(head, /Headers/, 'a column that says the same everywhere is left out')
})

t.test('colour is an addition; names cannot bring their own', async t => {
  const hostile = report(row({ url: '/\u001b[31mred\u202egnp', access: { kind: 'public' } }))
  const escape = '\u001b'
  t.notOk(tableText(hostile, look(100)).includes(escape))
  t.ok(tableText(hostile, look(100, true)).includes(escape))
  t.match(tableText(hostile, look(100)), '/\\u{1b}[31mred\\u{202e}gnp')
  const finding = {
    code: 'SECURE_API_POSTURE_NO_RULE',
    severity: 'error',
    route: 'GET /\u001b[2J',
    detail: '\u0007',
    meaning: 'm',
    fix: 'f'
  } as const
  const text = findingsText({ ...hostile, findings: [finding] }, look(100))
  t.notOk(text.includes(escape) || text.includes('\u0007'))
})

t.test('markdown: no name leaves its cell', async t => {
  const text = markdown(report(row({ url: '/a|b`c', access: { kind: 'rule', rule: { scope: '<b>|x*' } } })))
  const [, line = ''] = text.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| -'))
  t.equal(line.replaceAll('\\|', '').split('|').length, 9)
  t.match(line, '`` /a\\|b`c ``')
  t.match(line, 'scope \\<b\\>\\|x\\*')
})

t.test('words for limits', async t => {
  const limit = { policy: 'x', limit: 5, windowMs: 60_000, algorithm: 'sliding-window', by: 'principal', dryRun: false }
  const cases: ReadonlyArray<readonly [Partial<typeof limit>, string]> = [
    [{}, '5 a minute'], [{ windowMs: 3_600_000 }, '5 an hour'], [{ windowMs: 600_000 }, '5 in 10 minutes'],
    [{ windowMs: 86_400_000 }, '5 a day'],
    [{ windowMs: 1500 }, '5 in 1500 ms'], [{ algorithm: 'concurrency' }, '5 at once'], [{ dryRun: true }, '5 a minute (dry run)']
  ]
  for (const [given, text] of cases) t.equal(spoken({ ...limit, ...given }), text)
})

t.test('text is measured as terminals show it', async t => {
  t.strictSame(['abc', '日本', '👩‍👩‍👧', 'e\u0301', ''].map(displayWidth), [3, 4, 2, 1, 0])
  t.equal(padEnd('日', 4), '日  ')
  t.strictSame([truncate('日本語', 4), truncate('abc', 3), truncate('abcd', 3), truncate('abc', 0)], ['日…', 'abc', 'ab…', ''])
  t.strictSame(wrap('one two three', 7), ['one two', 'three'])
  t.equal(printable('a\tb\u200b'), 'a\\u{9}b\\u{200b}')
})
