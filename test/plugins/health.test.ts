import https from 'node:https'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import { windowMs } from '../../lib/audit/index.ts'
import secureApi, { health, secureServer, type AuditEvent, type HealthOptions } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { startRedis } from '../helpers/redis.ts'
import { bearer, listen, mistakesOf, missingHeaders, secured, startFastify, startIssuer, until } from '../helpers/server.ts'
import { muteTimers, stillClock } from '../helpers/still-clock.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'

const issuer = await startIssuer(t)
const certificates = new Certificates(t.testdir({}))

async function ready (app: FastifyInstance, url = '/health/ready', headers: Readonly<Record<string, string>> = {}) {
  const { statusCode, body } = await app.inject({ url, headers })
  return [statusCode, JSON.parse(body)]
}

const [yes, no] = [[200, { status: 'pass' }], [503, { status: 'fail' }]]

t.test('without the option there are no routes; with it, two that say one word', async t => {
  const { app: without } = await secured(t, issuer)
  t.equal((await without.inject('/health/live')).statusCode, 404)
  const { app, events } = await secured(t, issuer, { suite: { health: {} } })
  for (const url of ['/health/live', '/health/ready']) {
    const answer = await app.inject(url)
    t.strictSame([answer.statusCode, answer.body], [200, '{"status":"pass"}'], url)
    t.match(answer.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    t.strictSame(missingHeaders(answer.headers), [])
    const head = await app.inject({ method: 'HEAD', url })
    t.strictSame([head.statusCode, head.body], [200, ''])
    t.equal((await app.inject({ method: 'POST', url })).statusCode, 405)
  }
  t.strictSame(events.map(({ status }) => status), [405, 405], 'probes that pass leave no event')
  t.match(app.secureApi.routes().filter(({ url }) => url.startsWith('/health')).map(({ access }) => access), ['public', 'public'])
  const { app: moved } = await secured(t, issuer, { suite: { health: { live: '/livez', ready: '/readyz' } } })
  t.strictSame(await ready(moved, '/readyz'), yes)
})

t.test('a provider that is away: not ready without keys, ready with known ones, not ready when they are too old', async t => {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const provider = await startIssuer(t)
  provider.down()
  const suite = { auth: provider.auth, health: {} }
  const { app } = await secured(t, provider, { suite })
  t.strictSame(await ready(app), no)
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.match((await app.inject('/health/ready')).headers, { 'retry-after': '1' })
  provider.up()
  await clock.advance('1 minute')
  t.strictSame(await ready(app), yes)
  provider.down()
  await clock.advance('20 hours')
  t.match(app.secureApi.status(), { issuers: [{ state: 'stale' }] })
  t.strictSame(await ready(app), yes, 'cached keys are good')
  await clock.advance('5 hours')
  t.match(app.secureApi.status(), { issuers: [{ state: 'empty' }] })
  t.strictSame(await ready(app), yes, 'not at once')
  await clock.advance('10 seconds')
  t.strictSame(await ready(app), no)
  provider.up()
  await clock.advance('1 hour')
  t.strictSame(await ready(app), yes)
})

t.test('lazy keys wait for their first caller, who comes only to an instance that is ready', async t => {
  const provider = await startIssuer(t)
  const { app } = await secured(t, provider, { suite: { auth: { ...provider.auth, startup: 'lazy' }, health: {} } })
  t.strictSame(await ready(app), yes)
})

t.test('details are for callers with the scope; nobody else sees more than pass or fail', async t => {
  stillClock(t)
  const lost = 'https://lost.internal.example'
  const issuers = [issuer.auth, { issuer: 'http://127.0.0.1:1', audience: 'api' }]
  let asked = 0
  const suite = {
    auth: { issuers },
    rateLimit: { perAddress: { limit: 6, window: '1 minute' } },
    health: { scope: 'ops.read', checks: { db: () => { asked++; throw new Error(`no route to ${lost}`) } } }
  }
  const { app } = await secured(t, issuer, { suite })
  const verbose = '/health/ready?verbose'
  t.strictSame(await ready(app, verbose), no)
  t.strictSame(await ready(app, verbose, bearer(issuer, { scope: 'other' })), no)
  t.strictSame(await ready(app, '/health/ready', bearer(issuer, { scope: 'ops.read' })), no)
  const [status, report] = await ready(app, verbose, bearer(issuer, { scope: 'ops.read' }))
  t.equal(status, 503)
  t.match(report, {
    status: 'fail',
    checks: {
      [`keys ${issuer.issuer}`]: { status: 'pass', since: /^\d{4}-.*Z$/ },
      'keys http://127.0.0.1:1': { status: 'fail', why: 'no keys: transport' },
      db: { status: 'fail', why: 'it failed' }
    }
  })
  t.notMatch(JSON.stringify(report), /lost/)
  t.equal((await app.inject({ url: verbose, headers: { authorization: 'Bearer nonsense' } })).statusCode, 401)
  t.equal(asked, 1)
  t.match(app.secureApi.status(), { health: { status: 'fail' } })
  const { app: closed } = await secured(t, issuer, { suite: { health: { checks: { db: () => false } } } })
  t.strictSame(await ready(closed, verbose, bearer(issuer, { scope: 'ops.read' })), no, 'without `scope` nobody sees them')
})

t.test('a flood does not turn the probes of the same address into 429', async t => {
  const { app } = await secured(t, issuer, { suite: { rateLimit: { perAddress: { limit: 1, window: '1 minute' } }, health: {} } })
  for (let round = 0; round < 3; round++) await app.inject('/elsewhere')
  t.equal((await app.inject('/elsewhere')).statusCode, 429)
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.strictSame(await ready(app), yes)
})

t.test('a sink that has to have every event: live goes on, ready waits for it, and probes alone find that it works again', async t => {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  let broken = false
  const events: AuditEvent[] = []
  const sink = (event: AuditEvent) => {
    if (broken) throw new Error('disk full')
    events.push(event)
  }
  const suite = { audit: { sink, onSinkFailure: 'deny' as const }, health: { failAfter: '1 hour' as const } }
  const { app } = await secured(t, issuer, { suite })
  t.strictSame(await ready(app), yes)
  broken = true
  await app.inject('/nothing')
  t.equal((await app.inject('/nothing')).statusCode, 503)
  t.strictSame(await ready(app), yes)
  await clock.advance('1 second')
  t.strictSame(await ready(app), yes)
  await clock.advance('1 hour')
  t.strictSame(await ready(app), no)
  t.equal((await app.inject('/health/live')).statusCode, 200)
  broken = false
  await clock.advance('1 second')
  t.strictSame(await ready(app), no, 'its own event is the first that is written again')
  await clock.advance('1 second')
  t.strictSame(await ready(app), yes)
  t.match(events.at(-1), { reason: 'SECURE_API_NOT_READY', outcome: 'failed' })
})

t.test('a flood of probes while not ready does not fill the trail', async t => {
  muteTimers(t, windowMs)
  const { app, events } = await secured(t, issuer, { suite: { health: { checks: { db: () => false } } } })
  for (let round = 0; round < 2000; round++) await app.inject('/health/ready')
  t.ok(events.length < 500, `${events.length} events`)
})

t.test('Redis: only where every request would be refused; the check itself finds that it is back', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.close())
  const policies = { read: { limit: 1000, window: '1 minute' }, write: { limit: 1000, window: '1 minute' } }
  const deny = { onStoreFailure: 'deny' as const }
  const each = {
    local: {},
    one: { policies: { login: { limit: 5, window: '1 minute', ...deny } } },
    address: { perAddress: { limit: 1000, window: '1 minute', ...deny } },
    both: { perAddress: false as const, policies: { read: { ...policies.read, ...deny }, write: { ...policies.write, ...deny } } }
  }
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const apps = await Promise.all(Object.entries(each).map(async ([name, options]) => {
    const suite = { rateLimit: { redis: redis.url, keyPrefix: `${name}:`, ...options }, health: { failAfter: '1 hour' as const } }
    return (await secured(t, issuer, { suite })).app
  }))
  const statuses = async () => await Promise.all(apps.map(async app => (await app.inject('/health/ready')).statusCode))
  const untilReady = async () => {
    await until(async () => {
      await clock.advance('1 second')
      return String(await statuses()) === '200,200,200,200'
    }, 'Redis')
  }
  await untilReady()
  await redis.kill()
  await clock.advance('1 second')
  t.strictSame(await statuses(), [200, 200, 200, 200])
  await clock.advance('1 hour')
  t.strictSame(await statuses(), [200, 200, 503, 503])
  await redis.restart()
  await untilReady()
})

t.test('own checks: what is not true fails; advisory ones never count', async t => {
  const of = async (options: HealthOptions) => await ready((await secured(t, issuer, { suite: { health: options } })).app)
  t.strictSame(await of({ checks: { db: async () => true } }), yes)
  for (const value of [false, undefined, 1, 'true', {}]) t.strictSame(await of({ checks: { db: () => value as boolean } }), no)
  t.strictSame(await of({ checks: { db: async () => { throw new Error('away') } } }), no)
  t.strictSame(await of({ checks: { db: () => new Promise(() => {}) }, timeout: 20 }), no)
  t.strictSame(await of({ checks: { mail: () => false }, advisory: ['mail'] }), yes)
  t.strictSame(await of({ checks: Object.fromEntries([['constructor', () => false]]) }), no)
})

t.test('mistakes stop the boot', async t => {
  const mistakes = async (options: object, auth: object | false = issuer.auth) => await mistakesOf(async () => {
    const app = startFastify(t)
    await app.register(secureApi, { auth, health: options, audit: { sink: () => {} }, environment: 'development' } as object)
    await app.ready()
  })
  t.strictSame(await mistakes({ live: '/x', ready: '/x' }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await mistakes({ ready: 'x' }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ drane: 1 }), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(await mistakes({ checks: { db: true } }), ['SECURE_API_OPTION_TYPE'])
  t.strictSame(await mistakes({ scope: 'ops.read' }, false), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await mistakes({ advisory: ['dbb'], checks: { db: () => true } }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ checks: { closing: () => true } }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await mistakes({ checks: { [`keys ${issuer.issuer}`]: () => true } }), ['SECURE_API_OPTION_CONFLICT'])
})

t.test('health and telemetry alone read the rest from the environment', async t => {
  const before = { ...process.env }
  t.teardown(() => { for (const name of Object.keys(issuer.env)) Object.assign(process.env, { [name]: before[name] ?? '' }) })
  Object.assign(process.env, issuer.env)
  const app = startFastify(t)
  await app.register(secureApi, { health: {}, telemetry: {} })
  await app.ready()
  t.strictSame(await ready(app), yes)
  t.match(app.secureApi.status(), { issuers: [{ issuer: issuer.issuer, state: 'fresh' }] })
})

t.test('alone, without authentication and trail', async t => {
  const app = startFastify(t)
  await app.register(health, { checks: { db: () => true } })
  await app.ready()
  t.strictSame(await ready(app), yes)
  const open = startFastify(t)
  await open.register(secureApi, { auth: false, rateLimit: false, audit: false, headers: false, health: {} })
  await open.ready()
  t.strictSame(await ready(open), yes)
})

t.test('the end of certificates: server, client authority, provider, Redis; each threshold once, with a code', async t => {
  const ca = certificates.issue({ name: 'clients', days: 20, extensions: authority })
  const own = certificates.issue({ name: 'api', days: 90 })
  const theirs = certificates.issue({ name: 'login', days: 5 })
  const store = certificates.issue({ name: 'store', days: 10 })
  const provider = https.createServer({ cert: theirs.cert, key: theirs.key }, (_request, response) => {
    response.end(JSON.stringify(issuer.jwks))
  })
  await new Promise<void>(resolve => { provider.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => provider.close())
  const jwksUri = `https://127.0.0.1:${(provider.address() as AddressInfo).port}/keys`
  const port = String(await freePort())
  const redis = await startRedis('--tls-port', port, '--tls-cert-file', store.certFile, '--tls-key-file', store.keyFile,
    '--tls-ca-cert-file', store.certFile, '--tls-auth-clients', 'no')
  t.teardown(() => redis.close())
  const client = new Redis({ host: '127.0.0.1', port: Number(port), tls: { ca: store.cert } })
  await new Promise(resolve => client.once('ready', resolve))
  t.teardown(() => { client.disconnect() })
  const lines: Array<Record<string, unknown>> = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const app: FastifyInstance = Fastify({
    ...secureServer({ tls: { cert: own.certFile, key: own.keyFile, clientCertificates: { ca: ca.cert, required: false } } }), logger
  } as object)
  t.teardown(() => app.close())
  await app.register(secureApi, {
    auth: { issuer: 'https://login.example.com', audience: 'api', jwksUri, keys: { ca: theirs.cert, refresh: '12 hours' } },
    rateLimit: { redis: client },
    health: {},
    environment: 'development'
  })
  await app.ready()
  t.match(app.secureApi.status().certificates, [
    { name: 'issuer https://login.example.com', subject: 'CN=login', daysLeft: 4, expires: /Z$/ },
    { name: 'redis', subject: 'CN=store', daysLeft: 9 },
    { name: 'client-ca', subject: 'CN=clients', daysLeft: 19 },
    { name: 'server', subject: 'CN=api', daysLeft: 89 }
  ])
  const told = () => lines.splice(0).filter(({ code }) => code === 'SECURE_API_CERTIFICATE_EXPIRING')
    .map(({ certificate }) => certificate as Record<string, string>).map(({ name, stage }) => `${name?.split(' ')[0]} ${stage}`)
  await clock.advance('1 day')
  t.strictSame(told(), [])
  // Of the five days that it is valid a third, and a sixth.
  await clock.advance('3 days')
  t.strictSame(told(), ['issuer renew'])
  await clock.advance('8 hours')
  t.strictSame(told(), ['issuer soon'])
  await clock.advance('3 days')
  t.strictSame(told(), ['issuer urgent', 'issuer last-day', 'issuer expired', 'redis renew'])
})

t.test('a drain that nobody waits for: no server listens', async t => {
  const { app } = await secured(t, issuer, { suite: { health: { drain: '1 hour' } } })
  await app.close()
  const { app: listening } = await secured(t, issuer, { suite: { health: {} } })
  await listen(listening)
  await listening.close()
  t.pass()
})
