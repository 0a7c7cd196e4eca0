import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import secureApi, { type AuditEvent } from '../../plugins/index.ts'
import { bearer, startIssuer } from '../helpers/server.ts'
import { fakeTerminal } from './terminal.ts'

const orders = new URL('./fixtures/orders.ts', import.meta.url).href
const issuer = await startIssuer(t)
/** What must be in no output. */
const canary = 'canary-5f1d'

async function run (args: readonly string[], given: Parameters<typeof fakeTerminal>[0] = {}) {
  const { terminal, stdout, stderr } = fakeTerminal(given)
  const code = await secureApiCommand(['audit', 'report', ...args], terminal)
  return { code, stdout: stdout(), stderr: stderr() }
}

async function findingsOf (args: readonly string[], given?: Parameters<typeof fakeTerminal>[0]): Promise<unknown[]> {
  const { stdout } = await run([...args, '--format', 'json'], given)
  return JSON.parse(stdout).findings.map(({ kind, subject }: Record<string, string>) => [kind, subject])
}

const ok = async () => ''

function shop (app: FastifyInstance): void {
  app.get('/orders', { config: { scope: 'orders.read' } }, ok)
  app.post('/orders', { config: { policy: 'writer' } }, ok)
  app.get('/reports/:id', { config: { scope: { any: ['reports.read', 'reports.all'] } } }, ok)
  app.delete('/orders/:id', { config: { scope: 'orders.read' } }, ok)
  app.get('/users', { config: { scope: { all: ['users.read', 'users.write'] } } }, ok)
  app.get('/owned', { config: { policy: 'owner' } }, ok)
  for (const url of ['/health', '/about', '/docs']) app.get(url, { config: { public: true } }, ok)
  app.get('/quiet', { config: { scope: 'orders.read', audit: false } }, ok)
}

/**
 * A trail with planted scope creep, made by real calls: `web` and `mobile` carry two scopes that nobody uses, `job` is too wide, nobody
 * calls DELETE /orders/:id. The rest is as it should be.
 */
async function plantedTrail (t: Test): Promise<{ file: string, routes: string, app: FastifyInstance, events: AuditEvent[] }> {
  const lines: string[] = []
  const events: AuditEvent[] = []
  const folder = t.testdir({})
  const app = Fastify({ logger: { stream: { write: (line: string) => { lines.push(line.trimEnd()) } } } })
  t.teardown(() => app.close())
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    authorization: { policies: { writer: { scope: 'orders.write' }, owner: ({ principal }) => principal.subject === 'alice' } },
    rateLimit: false,
    audit: { sinks: [{ sink: 'logger' }, { sink: event => { events.push(event) } }], fields: { agent: 'headers.user-agent' } },
    environment: 'development'
  })
  shop(app)
  await app.ready()
  const common = ['legacy.import', 'legacy.export']
  const wide = ['reports.read', 'orders.read', 'orders.write', 'reports.all', 'users.read', 'users.write']
  const callers = {
    web: bearer(issuer, { sub: 'alice', client_id: 'web', scope: ['orders.read', 'orders.write', ...common].join(' ') }),
    mobile: bearer(issuer, { sub: 'bob', client_id: 'mobile', scope: ['orders.read', 'reports.all', ...common].join(' ') }),
    job: bearer(issuer, { sub: 'job', client_id: 'job', scope: wide.join(' ') }),
    admin: bearer(issuer, { sub: 'root', client_id: 'admin', scope: 'users.read users.write' }),
    rare: bearer(issuer, { sub: 'rare', client_id: 'rare', scope: 'orders.read a b c d e' })
  }
  const call = async (who: keyof typeof callers | undefined, url: string, method: 'GET' | 'POST' = 'GET') => {
    await app.inject({ url, method, headers: { ...(who && callers[who]), 'user-agent': canary } })
  }
  for (let turn = 0; turn < 110; turn++) {
    await call('web', '/orders')
    await call('web', '/orders', 'POST')
    await call('mobile', '/orders')
    await call('mobile', '/reports/7?secret=canary-5f1d')
    await call('job', '/reports/7')
    await call('admin', '/users')
    if (turn < 60) for (const url of ['/health', '/about', '/docs']) await call(undefined, url)
    if (turn < 3) await call('rare', '/orders')
    if (turn === 0) await call('web', '/owned')
  }
  lines.splice(3, 0, 'plain text of another program', '{"level":30,"msg":"no event"}', '{"audit":{"outcome":"allowed","time":')
  const file = join(folder, 'audit.log')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const routes = join(folder, 'routes.json')
  const known = app.secureApi.routes().map(({ methods, url, access, audit, policies }) =>
    ({ methods, url, access, audit, policies, coverage: 'suite' }))
  writeFileSync(routes, JSON.stringify({ version: 1, routes: known }))
  return { file, routes, app, events }
}

t.test('issue 19: a trail with planted scope creep: the report finds exactly this', async t => {
  const { file, routes, app, events } = await plantedTrail(t)
  const planted = [
    ['client-wide', 'job'], ['scope-idle', 'legacy.import'], ['scope-idle', 'legacy.export'], ['route-uncalled', 'DELETE /orders/:id']
  ]
  t.strictSame(await findingsOf([file, '--routes', routes]), planted)
  t.strictSame(await findingsOf([file]), [['scopes-unused', 'mobile'], ['client-wide', 'job']],
    'without the routes a policy may need any scope, and nobody knows which routes there are')
  t.match((await run([file])).stdout, /cannot be known from a trail: name the application with --app or --routes/)

  await t.test('usage() says the same of the same calls', async t => {
    const { stdout } = await run([file, '--routes', routes, '--format', 'json'])
    const { clients, scopes, calls, callers, period } = JSON.parse(stdout)
    const usage = app.secureApi.usage()
    t.match({ calls, callers, scopes, since: period.since, until: period.until }, {
      calls: usage?.calls, callers: usage?.callers, scopes: usage?.scopes, since: usage?.since, until: usage?.until
    })
    t.strictSame(clients.map(({ verdict: _, ...client }: { verdict: string }) => client), JSON.parse(JSON.stringify(usage?.clients)))
    t.match(clients, [
      { client: 'web', verdict: 'unused scopes', unread: 1 }, { client: 'mobile', verdict: 'unused scopes' },
      { client: 'job', verdict: 'too wide' }, { client: 'admin', verdict: 'fits' }, { client: 'rare', verdict: 'too few calls to say' }
    ])
    t.equal(usage?.routes.find(({ route }) => route === 'GET /quiet')?.complete, false)
  })

  await t.test('every form of a trail gives the same: logger, bare, with a chain, packed, from standard input', async t => {
    const expected = await findingsOf([file])
    const folder = t.testdir({})
    const chained = events.map((event, seq) => JSON.stringify({ ...event, chain: { seq, hash: 'x'.repeat(43) } }))
    const forms = {
      'bare.log': events.map(event => JSON.stringify(event)).join('\n'),
      'stdout.log': events.map(audit => JSON.stringify({ audit })).join('\r\n'),
      'chain.log': ['{"time":"2026-11-01T00:00:00.000Z","event":"audit_chain","chain":{"seq":0}}', ...chained].join('\n')
    }
    for (const [name, text] of Object.entries(forms)) {
      writeFileSync(join(folder, name), text)
      t.strictSame(await findingsOf([join(folder, name)]), expected, name)
    }
    writeFileSync(join(folder, 'audit.log.gz'), gzipSync(readFileSync(file)))
    t.strictSame(await findingsOf([join(folder, 'audit.log.gz')]), expected, 'packed')
    t.strictSame(await findingsOf([], { stdin: Readable.from([readFileSync(file)]) }), expected, 'standard input')
    t.strictSame(await findingsOf(['-'], { stdin: Readable.from(readFileSync(file).subarray(0)) }), await findingsOf([file]))
  })

  await t.test('a threshold fails: by kind, or by the number of scopes without need', async t => {
    const codes = async (...args: string[]) => (await run([file, '--routes', routes, ...args])).code
    t.equal(await codes(), 0)
    t.equal(await codes('--fail-on', 'client-wide'), 1)
    t.equal(await codes('--fail-on', 'scopes-unused, public-failures'), 0)
    t.equal(await codes('--fail-on', 'any'), 1)
    t.equal(await codes('--max-unused', '7'), 1)
    t.equal(await codes('--max-unused', '8'), 0)
    t.equal(await codes('--fail-on', 'any', '--min-calls', '100000'), 0, 'nothing is said of little')
  })

  await t.test('no output has a token, a field, a URL or a header', async t => {
    for (const format of ['table', 'json', 'markdown', 'html']) {
      const { code, stdout, stderr } = await run([file, '--routes', routes, '--format', format])
      t.strictSame([code, stderr], [0, ''])
      t.ok(stdout.length > 500)
      t.notMatch(stdout, /canary-5f1d|eyJ|Bearer|secret/, format)
    }
  })

  await t.test('lines that are no events are counted, and --since leaves out what is older', async t => {
    const { lines } = JSON.parse((await run([file, '--format', 'json'])).stdout)
    t.match(lines, { events: events.length, unreadable: 1, before: 0 })
    t.ok(lines.other >= 2)
    const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
    const none = await run([file, '--since', later, '--fail-on', 'any'])
    t.match(none, { code: 1, stdout: /The trail holds no event\. Skipped: .* earlier events/ })
    t.strictSame(await findingsOf([file, '--since', '1d']), await findingsOf([file]))
  })
})

/** An event of a client of a name of anybody's choice. */
function event (more: Partial<Record<keyof AuditEvent, unknown>> = {}): string {
  const principal = { kind: 'user', subject: 's', client: 'c', issuer: 'https://login.example.com', scopes: ['a'] }
  return JSON.stringify({
    time: '2026-11-01T00:00:00.000Z',
    event: 'api_access',
    action: 'x',
    outcome: 'allowed',
    status: 200,
    method: 'GET',
    route: '/x',
    rule: 'public',
    principal,
    ...more
  })
}

const trailOf = (t: Test, lines: readonly string[]) => {
  const file = join(t.testdir({}), 'trail.log')
  writeFileSync(file, lines.join('\n'))
  return file
}
const times = (count: number, line: string) => Array.from({ length: count }, () => line)

t.test('public routes with unusual failures, and callers who only get 403', async t => {
  const anonymous = { principal: undefined }
  const denied = { outcome: 'denied', status: 404 }
  const mallory = { kind: 'user', subject: 'mallory', client: 'web', scopes: [] }
  const who = { principal: mallory, outcome: 'denied', status: 403, rule: { scope: 'z' }, route: '/z' }
  const file = trailOf(t, [
    ...times(60, event({ ...anonymous, route: '/good' })), ...times(60, event({ ...anonymous, route: '/fine' })),
    ...times(40, event({ ...anonymous, route: '/bad' })), ...times(20, event({ ...anonymous, ...denied, route: '/bad' })),
    ...times(10, event({ ...anonymous, route: '/rare' })), ...times(30, event({ ...anonymous, ...denied, route: '/rare' })),
    ...times(60, event({ ...anonymous, ...denied, route: '/only-refusals-are-in-the-trail' })),
    event({ ...who, repeats: 25 })
  ])
  t.strictSame(await findingsOf([file]), [
    ['caller-refused', 'mallory (web)'], ['public-failures', 'GET /bad'], ['scope-never-carried', 'z']
  ])
})

t.test('names of anybody: nothing of them is markup, moves a cursor or breaks a table', async t => {
  const hostile = '<img src=x onerror=hit=1>"\'&|`*\n\u001b[31m\u202e'
  const principal = { kind: 'user', subject: hostile, client: hostile, issuer: hostile, scopes: [hostile, 'b', 'c', 'd', 'e'] }
  const file = trailOf(t, [
    ...times(150, event({ principal, route: `/${hostile}`, method: hostile, rule: { scope: { any: [hostile, `${hostile}2`] } } })),
    ...times(30, event({ principal: { ...principal, client: 'x' }, outcome: 'denied', status: 403 }))
  ])
  const html = (await run([file, '--format', 'html'])).stdout
  t.notMatch(html, /<img/)
  t.notOk(html.includes('\u001b') || html.includes('\u202e'))
  t.match(html, /&lt;img src=x onerror=hit=1&gt;/)
  t.match(html, /default-src 'none'; style-src 'sha256-/)
  t.notMatch(html, /<script|https?:\/\/[^ ]*\.(?:js|css)/)
  const markdown = (await run([file, '--format', 'markdown'])).stdout
  t.notOk(markdown.includes('\u001b') || markdown.includes('\u202e'))
  for (const line of markdown.split('\n').filter(line => line.startsWith('|'))) {
    t.ok([4, 5, 6].includes(line.replaceAll(/\\\|/g, '').split('|').length - 2), line)
  }
  const table = (await run([file])).stdout
  t.notOk(table.includes('\u001b') || table.includes('\u202e'))
})

t.test('19: a time that is none is unreadable, and does not spoil the period', async t => {
  const { stdout } = await run([trailOf(t, [event({ time: '2026-99-99T99:99:99.999Z' }), event()]), '--format', 'json'])
  t.match(JSON.parse(stdout), { lines: { events: 1, unreadable: 1 }, period: { days: 0 } })
})

t.test('what cannot be read is counted, and fills no memory', async t => {
  const wrong = [{ time: 1 }, { time: 'x' }, { status: '200' }, { outcome: 'great' }, { repeats: -1 }, { repeats: 1e300 }, { method: null },
    { rule: { scope: 7 } }, { rule: ['a'] }]
  const odd = [{ principal: 'x' }, { principal: { kind: 1 } }, { principal: { kind: 'user', subject: 's', scopes: 'a' } }, { route: {} }]
  const file = trailOf(t, [
    ...[...wrong, ...odd].map(more => event(more)), `${'x'.repeat(3_000_000)}"outcome"`, '{"outcome"', 'null', '', event()
  ])
  const { stdout, code } = await run([file, '--format', 'json'])
  t.equal(code, 0)
  t.match(JSON.parse(stdout).lines, { events: odd.length + 1, unreadable: wrong.length + 2 })
})

t.test('memory does not grow with the trail', async t => {
  async function * endless (): AsyncGenerator<Buffer> {
    for (let chunk = 0; chunk < 300; chunk++) {
      yield Buffer.from(Array.from({ length: 100 }, (_, index) => event({
        route: `/r${chunk}-${index}`,
        principal: { kind: 'user', subject: `s${chunk}-${index}`, client: `c${chunk}-${index}`, scopes: [`a${chunk}-${index}`] }
      })).join('\n') + '\n')
    }
  }
  const { stdout } = await run(['--format', 'json'], { stdin: Readable.from(endless()) })
  const { clients, routes, scopes, beyond, calls } = JSON.parse(stdout)
  t.strictSame([calls, clients.length, routes.length], [30_000, 1000, 2000])
  t.ok(scopes.length <= 20_000 && beyond.scopes)
  t.ok(Math.abs(beyond.clients - 29_000) < 1900, `${beyond.clients}`)
})

t.test('the routes come from the application itself with --app', async t => {
  const file = trailOf(t, times(120, event({ principal: undefined })))
  // JavaScript that imports it: the loader of the tests has kept what it makes of each module, tsx would compile the suite anew.
  const cwd = dirname(file)
  writeFileSync(join(cwd, 'app.mjs'), `export { default, options } from '${orders}'`)
  const { stdout, code, stderr } = await run([file, '--app', 'app.mjs', '--format', 'json'], { cwd })
  t.equal(code, 0, stderr)
  const { routesKnown, findings } = JSON.parse(stdout)
  t.ok(routesKnown)
  t.ok(findings.filter(({ kind }: { kind: string }) => kind === 'route-uncalled').length > 5)
})

t.test('formats: a narrow terminal, a file, and a trail without findings', async t => {
  const file = trailOf(t, times(120, event({ rule: { scope: 'a' } })))
  t.match((await run([file], { columns: 40 })).stdout, /^Clients\n {2}c\n {4}calls 120 · /)
  t.match((await run([file])).stdout, /\nno findings\n$/)
  const folder = dirname(file)
  mkdirSync(join(folder, 'out'))
  t.match(await run([file, '--format', 'markdown', '-o', 'out/review.md'], { cwd: folder }), { code: 0, stdout: '' })
  t.match(readFileSync(join(folder, 'out/review.md'), 'utf8'), /^# Scope review\n\n- 2026-11-01 00:00 UTC to /)
})

t.test('wrong calls say what to write', async t => {
  const file = trailOf(t, [event()])
  const wrong = trailOf(t, ['{}'])
  const cases: ReadonlyArray<readonly [args: string[], says: RegExp]> = [
    [[file, '--format', 'xml'], /--format takes table, json, markdown, html; not "xml"/],
    [[file, '--fail-on', 'wide'], /--fail-on takes scopes-unused|--fail-on takes client-wide/],
    [[file, '--min-calls', '0'], /--min-calls takes a whole number from 1 on/],
    [[file, '--max-unused', ''], /--max-unused takes a whole number from 0 on/],
    [[file, '--since', 'yesterday'], /neither a duration nor a date; write 30d or 2027-01-31/],
    [[file, '--since', '9999999999d'], /neither a duration nor a date/],
    [[file, '--app', 'a.ts', '--routes', 'b.json'], /give one/],
    [[file, '--timeout', '5'], /with --app only/],
    [[file, '--output', ''], /--output is empty/],
    [[file, '--routes', wrong], /holds no routes: write it with/],
    [[file, '--formt', 'json'], /did you mean --format\?/]
  ]
  for (const [args, says] of cases) t.match(await run(args), { code: 2, stdout: '', stderr: says }, args.slice(1).join(' '))
  t.match(await run([join(t.testdir({}), 'none.log')]), { code: 1, stderr: /ENOENT/ })
  t.match(await run([], { interactive: true, stdin: new PassThrough() }), { code: 2, stderr: /name a trail, or pipe one in/ })
  const { terminal, stderr } = fakeTerminal()
  t.equal(await secureApiCommand(['audit', 'reprot'], terminal), 2)
  t.match(stderr(), /did you mean report\?/)
})

t.test('19 attack: a threshold is not kept by a trail without events, in whatever form', async t => {
  const ecs = JSON.stringify({ '@timestamp': '2026-11-01T00:00:00.000Z', event: { outcome: 'success' }, secure_api: {} })
  const folder = t.testdir({ 'empty.log': '', 'ecs.log': `${ecs}\n`, 'torn.log': '{"time":"x","outcome":"allowed"}\n' })
  for (const name of ['empty.log', 'ecs.log', 'torn.log']) {
    const file = join(folder, name)
    const codes = [[], ['--fail-on', 'client-wide'], ['--max-unused', '5']].map(async more => (await run([file, ...more])).code)
    t.strictSame(await Promise.all(codes), [0, 1, 1], name)
  }
})
