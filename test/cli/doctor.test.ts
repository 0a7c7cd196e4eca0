import { readFileSync } from 'node:fs'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps, type ServerOptions } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { Terminal } from '../../cli/command.ts'
import { checks, Findings, type Examination, type Finding } from '../../cli/doctor/finding.ts'
import { presetOf } from '../../cli/doctor/issuer.ts'
import { examineTls } from '../../cli/doctor/tls.ts'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { startProvider } from '../../examples/orders/provider.ts'
import secureApi, { secureServer } from '../../plugins/index.ts'
import { presets, type PresetName } from '../../lib/tokens/index.ts'
import { presetSamples } from '../fixtures/preset-samples.ts'
import { startRedis } from '../helpers/redis.ts'
import { reaches } from '../helpers/redis-sentinel.ts'
import { listen, startFastify, startIssuer } from '../helpers/server.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'
import { fakeTerminal } from './terminal.ts'

type Given = Partial<Terminal> & { readonly input?: string }

async function runOnce (args: readonly string[], { input, ...given }: Given = {}) {
  const { terminal, stdout, stderr } = fakeTerminal({ ...input === undefined ? {} : { stdin: Readable.from([input]) }, ...given })
  const exit = await secureApiCommand(['doctor', ...args], terminal)
  return { exit, stdout: stdout(), stderr: stderr() }
}

/** What it says of an issuer that takes a second, and of a Redis that takes 10 or 50 ms. */
const slow = /took\s+\d+\s+ms;\s+after|Every\s+limited\s+request\s+waits|A\s+request\s+waits/

/** A busy machine is slow to answer, of which the command complains. Then it is called again. */
async function run (args: readonly string[], given?: Given) {
  let ended = await runOnce(args, given)
  for (let more = 20; more > 0 && slow.test(ended.stdout); more--) ended = await runOnce(args, given)
  return ended
}

/** The findings as `CODE level`, with the subject in between where there is one. */
async function examine (args: readonly string[], given: Given = {}, command = run) {
  const { exit, stdout, stderr } = await command([...args, '--json'], given)
  if (stdout === '') throw new Error(stderr)
  const { examinations, errors } = JSON.parse(stdout) as { examinations: Examination[], errors: number }
  const findings: readonly Finding[] = examinations.flatMap(({ findings }) => findings)
  const told = findings.map(({ code, subject, level }) => [code, subject, level].filter(part => part !== undefined).join(' '))
  const bad = findings.filter(({ level }) => level === 'error' || level === 'warning')
  return {
    exit,
    errors,
    examinations,
    told,
    bad: bad.map(({ code, subject }) => subject === undefined ? code : `${code} ${subject}`),
    findings,
    stdout
  }
}

async function serve (t: Test, listener: RequestListener, options?: ServerOptions): Promise<string> {
  const server: Server = options === undefined ? createHttp(listener) : createHttps(options, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  const { port } = server.address() as AddressInfo
  return options === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`
}

t.test('issuer: one that is well, and what to configure for it', async t => {
  const issuer = await startIssuer(t)
  issuer.rotate({ alg: 'ES256' })
  const { exit, told, bad, examinations } = await examine(['issuer', issuer.issuer, '--audience', 'api://orders'])
  t.equal(exit, 0)
  t.strictSame(bad, ['ISSUER_URL'], 'http on this machine is warned of')
  for (const code of ['ISSUER_DISCOVERY ok', 'ISSUER_MATCH ok', 'ISSUER_CLOCK ok', 'ISSUER_KEYS ok', 'ISSUER_KEY key-1 ok',
    'ISSUER_KEY key-2 ok']) t.ok(told.includes(code), code)
  t.match(examinations[0]?.details, { Configuration: { auth: { issuer: issuer.issuer, audience: ['api://orders'] } } })
})

t.test('issuer: a real OpenID provider', async t => {
  const provider = await startProvider({ audience: 'api://orders' })
  t.teardown(() => provider.close())
  const { bad, told } = await examine(['issuer', provider.issuer])
  t.strictSame(bad, ['ISSUER_URL'])
  t.ok(told.includes('ISSUER_ALGORITHMS ok'))
})

t.test('issuer: RFC 8414 metadata, and none', async t => {
  const oauth = await startIssuer(t, { discovery: 'oauth-authorization-server', path: '/tenant' })
  t.strictSame((await examine(['issuer', oauth.issuer])).bad, ['ISSUER_URL'])
  const none = await startIssuer(t, { discovery: false })
  t.match(await examine(['issuer', none.issuer]), { exit: 1, bad: ['ISSUER_URL', 'ISSUER_DISCOVERY'] })
  oauth.fail({ status: 500 }, 'discovery')
  t.match(await examine(['issuer', oauth.issuer]), { exit: 1 })
})

t.test('issuer: each thing that is wrong is named', async t => {
  const issuer = await startIssuer(t)
  const bad = async (url = issuer.issuer, command = run) =>
    (await examine(['issuer', url], {}, command)).bad.filter(code => code !== 'ISSUER_URL')
  t.strictSame(await bad(`${issuer.issuer}/`), ['ISSUER_MATCH'], 'a slash too many')
  issuer.metadata({ issuer: 'https://other.example' })
  t.strictSame(await bad(), ['ISSUER_MATCH'])
  issuer.metadata({ id_token_signing_alg_values_supported: ['HS256', 'none'] })
  t.strictSame(await bad(), ['ISSUER_ALGORITHMS'])
  issuer.metadata({ jwks_uri: undefined })
  t.strictSame(await bad(), ['ISSUER_KEYS'])
  issuer.metadata({ jwks_uri: 'http://keys.example.com/jwks' })
  t.strictSame(await bad(), ['ISSUER_KEYS'], 'keys over http')
  issuer.metadata({})
  issuer.fail('html', 'jwks')
  t.strictSame(await bad(), ['ISSUER_KEYS'])
  issuer.fail('empty-set', 'jwks')
  t.strictSame(await bad(), ['ISSUER_KEYS'])
  issuer.up()
  const [key = {}] = issuer.jwks.keys
  issuer.publish({
    keys: [key, { ...key, kid: 'private', d: 'AA' }, { kty: 'oct', kid: 'secret', k: 'AA' },
      { ...key, kid: 'enc', use: 'enc' }, { ...key, kid: 'short', n: 'AQAB' }, { ...key, kid: undefined }]
  })
  t.strictSame((await bad()).sort(), ['ISSUER_KEY', 'ISSUER_KEY private', 'ISSUER_KEY secret', 'ISSUER_KEY short'])
  issuer.slow(1100)
  t.strictSame([...new Set(await bad(issuer.issuer, runOnce))].sort(),
    ['ISSUER_KEY', 'ISSUER_KEY private', 'ISSUER_KEY secret', 'ISSUER_KEY short', 'ISSUER_LATENCY'])
  issuer.up()
  issuer.down()
  t.strictSame(await bad(), ['ISSUER_DISCOVERY'])
  for (const url of ['nonsense', 'http://login.example.com', 'https://u:secret@login.example.com', 'https://login.example.com?x']) {
    t.strictSame((await examine(['issuer', url])).bad, ['ISSUER_URL'], url)
  }
})

t.test('issuer: clocks that differ', async t => {
  let date = () => new Date()
  const url = await serve(t, (request, response) => {
    response.setHeader('date', date().toUTCString())
    response.end(JSON.stringify({ issuer: `http://${request.headers.host}`, jwks_uri: `http://${request.headers.host}/jwks`, keys: [] }))
  })
  const level = async () => (await examine(['issuer', url])).told.find(line => line.startsWith('ISSUER_CLOCK'))
  t.equal(await level(), 'ISSUER_CLOCK ok')
  date = () => new Date(Date.now() + 20_000)
  t.equal(await level(), 'ISSUER_CLOCK warning')
  date = () => new Date(Date.now() - 300_000)
  t.equal(await level(), 'ISSUER_CLOCK error')
})

t.test('issuer: the provider is known by its address', t => {
  for (const { preset, issuer, name } of presetSamples.filter(({ preset }) => preset !== 'okta')) t.equal(presetOf(issuer), preset, name)
  t.equal(presetOf('https://dev-1.okta.com/oauth2/default'), 'okta')
  t.equal(presetOf('https://login.example.com'), undefined)
  const named: PresetName[] = ['entra', 'auth0', 'keycloak', 'okta', 'cognito', 'google']
  t.strictSame(Object.keys(presets).sort(), named.sort(), 'a new preset needs an address above')
  t.end()
})

t.test('redis: a server that is well, and the password is nowhere', async t => {
  const redis = await startRedis('--requirepass', 'a-real-secret', '--maxmemory', '50mb', '--maxmemory-policy', 'volatile-ttl')
  t.teardown(() => redis.close())
  const url = `redis://:a-real-secret@127.0.0.1:${redis.port}`
  for (const found of [await examine(['redis', url]), await examine(['redis'], { env: { SECURE_API_REDIS_URL: url } })]) {
    t.match(found, { exit: 0 })
    for (const code of ['REDIS_CONNECT ok', 'REDIS_SCRIPT ok', 'REDIS_ROLE ok', 'REDIS_MODE ok', 'REDIS_EVICTION ok',
      'REDIS_CLOCK ok']) t.ok(found.told.includes(code), code)
    t.notMatch(found.stdout, 'a-real-secret')
  }
  for (const other of [`redis://:wrong-secret@127.0.0.1:${redis.port}`, `redis://127.0.0.1:${redis.port}`]) {
    const found = await examine(['redis', other])
    t.match(found, { exit: 1, bad: ['REDIS_CONNECT'] })
    t.notMatch(found.stdout, 'wrong-secret')
  }
})

t.test('redis: a replica, a full server, a cluster node, a user without rights, nobody at all', async t => {
  const primary = await startRedis()
  t.teardown(() => primary.close())
  const replica = await startRedis('--replicaof', `127.0.0.1 ${primary.port}`, '--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru')
  t.teardown(() => replica.close())
  await reaches(replica, 'INFO replication', /master_link_status:up/)
  t.match((await examine(['redis', replica.url])).bad.sort(), ['REDIS_EVICTION', 'REDIS_ROLE', 'REDIS_SCRIPT'])
  t.strictSame((await examine(['redis', primary.url])).bad, ['REDIS_EVICTION'], 'without maxmemory')
  const cluster = await startRedis('--cluster-enabled', 'yes')
  t.teardown(() => cluster.close())
  const inCluster = (await examine(['redis', cluster.url])).bad
  for (const code of ['REDIS_MODE', 'REDIS_SCRIPT']) t.ok(inCluster.includes(code), code)
  const strict = await startRedis('--user', 'default', 'on', 'nopass', '~*', '+@all', '-eval', '-evalsha', '--maxmemory', '50mb',
    '--maxmemory-policy', 'noeviction')
  t.teardown(() => strict.close())
  t.strictSame((await examine(['redis', strict.url])).bad.sort(), ['REDIS_EVICTION', 'REDIS_SCRIPT'])
  t.strictSame((await examine(['redis', 'redis://127.0.0.1:1'])).bad, ['REDIS_CONNECT'])
  t.strictSame((await examine(['redis', 'rediss://:x@127.0.0.1:1'])).bad, ['TLS_PROTOCOL', 'REDIS_CONNECT'])
  for (const url of ['nonsense', 'https://redis.example.com']) t.strictSame((await examine(['redis', url])).bad, ['REDIS_URL'], url)
})

async function suite (t: Test): Promise<string> {
  const issuer = await startIssuer(t)
  const app = Fastify(secureServer({ environment: 'development' }))
  t.teardown(() => app.close())
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    cors: { origins: ['https://app.example.com'] },
    audit: false,
    environment: 'development'
  })
  app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  app.get('/open', { config: { public: true } }, async () => [])
  return await listen(app)
}

t.test('api: one with the suite has nothing to mend', async t => {
  const origin = await suite(t)
  const { exit, bad, told } = await examine(['api', `${origin}/orders`, '--origin', 'https://app.example.com'])
  t.strictSame(bad, [])
  t.equal(exit, 0)
  for (const code of ['API_CHALLENGE ok', 'API_FORGED ok', 'API_HEADERS bad URL ok', 'API_HEADERS 404 ok',
    'API_CORS_ORIGIN https://app.example.com ok', 'API_METHOD ok', 'API_BANNER ok', 'API_LEAK ok']) t.ok(told.includes(code), code)
  const open = await examine(['api', `${origin}/open`, '--origin', 'https://other.example.com'])
  t.strictSame(open.bad, ['API_CORS_ORIGIN https://other.example.com'])
  t.ok(open.told.includes('API_CHALLENGE note'))
  t.ok(open.told.includes('API_RATE_LIMIT ok'))
})

t.test('api: a bare Fastify', async t => {
  const app = startFastify(t)
  app.get('/', async () => [])
  const { exit, bad } = await examine(['api', await listen(app)])
  t.equal(exit, 1)
  t.strictSame(bad, ['API_HEADERS GET /', 'API_HEADERS 404', 'API_HEADERS bad URL', 'API_BANNER', 'API_RATE_LIMIT'])
})

t.test('api: one where everything is wrong, over TLS that nobody trusts', async t => {
  const folder = t.testdir({})
  const { cert, key } = new Certificates(folder).issue()
  const url = await serve(t, (request, response) => {
    const { origin = '*', authorization } = request.headers
    response.setHeader('access-control-allow-origin', origin).setHeader('access-control-allow-credentials', 'true').setHeader('server',
      'nginx/1.2.3')
    response.statusCode = request.method === 'TRACE' ? 200 : authorization === undefined ? 401 : 500
    response.end('TypeError: x\n    at verify (/srv/app/auth.js:10:20)')
  }, { cert, key, minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' })
  const { exit, bad, told } = await examine(['api', `${url}/orders`])
  t.equal(exit, 1)
  for (const code of ['TLS_CHAIN', 'TLS_FLOOR', 'API_HEADERS GET /orders', 'API_BANNER', 'API_CHALLENGE', 'API_FORGED', 'API_LEAK',
    'API_CORS_FOREIGN https://stranger.invalid', 'API_CORS_FOREIGN null', 'API_METHOD']) t.ok(bad.includes(code), code)
  t.ok(told.includes('TLS_PROTOCOL ok'))
})

t.test('tls: how near the end of a certificate is', async t => {
  const { cert, key } = new Certificates(t.testdir({})).issue({ days: 90 })
  const { hostname: host, port } = new URL(await serve(t, (_request, response) => response.end(), { cert, key }))
  const told = async (days: number) => {
    const findings = new Findings()
    await examineTls({ host, port: Number(port) }, findings, Date.now() + days * 86_400_000)
    return findings.list.filter(({ code }) => code === 'TLS_EXPIRY' ||
      code === 'TLS_CERTIFICATE').map(({ code, level }) => `${code} ${level}`)
  }
  t.strictSame(await told(1), ['TLS_CERTIFICATE ok', 'TLS_EXPIRY ok'])
  t.strictSame(await told(65), ['TLS_CERTIFICATE ok', 'TLS_EXPIRY warning'])
  t.strictSame(await told(85), ['TLS_CERTIFICATE ok', 'TLS_EXPIRY error'])
  t.strictSame(await told(91), ['TLS_CERTIFICATE error', 'TLS_EXPIRY error'])
})

t.test('tls: a certificate for another name, and a chain that is not whole', async t => {
  const folder = t.testdir({})
  const certificates = new Certificates(folder)
  const other = certificates.issue({ extensions: ['subjectAltName=DNS:other.example'] })
  const root = certificates.issue({ name: 'root', extensions: authority })
  const between = certificates.issue({ name: 'between', extensions: authority, issuer: root })
  const leaf = certificates.issue({ issuer: between })
  for (const { cert, key } of [other, leaf]) {
    const { exit, bad } = await examine(['issuer', await serve(t, (_request, response) => response.end(), { cert, key })])
    t.equal(exit, 1)
    t.ok(bad.includes('TLS_CHAIN'))
    t.equal(bad.includes('TLS_CERTIFICATE SECURE_API_TLS_CHAIN_INCOMPLETE'), cert === leaf.cert)
  }
})

t.test('api: an API that accepts a forged token is named as such', async t => {
  const url = await serve(t, (request, response) => {
    response.setHeader('www-authenticate', 'Bearer')
    response.statusCode = request.headers.authorization === undefined ? 401 : 200
    response.end()
  })
  const { findings } = await examine(['api', url])
  t.match(findings.find(({ code }) => code === 'API_FORGED'), { level: 'error' })
})

t.test('api: nobody at home', async t => {
  t.match(await examine(['api', 'http://127.0.0.1:1/']), { exit: 1, bad: ['API_REACHABLE'] })
})

t.test('token: accepted by the keys of a file and of the issuer, and the signature is not shown', async t => {
  const issuer = await startIssuer(t)
  const token = issuer.sign({ scope: 'api.read', roles: ['admin'] })
  const cwd = t.testdir({ 'jwks.json': JSON.stringify(issuer.jwks), 'wrong.json': '[' })
  const expected = ['--issuer', issuer.issuer, '--audience', 'api://test']
  const fetches = issuer.hits.jwks
  for (const input of [token, `Bearer ${token}\n`, `Authorization: Bearer ${token}`, `"${token.slice(0, 50)}\n${token.slice(50)}"`]) {
    const found = await examine(['token', ...expected, '--jwks', 'jwks.json'], { cwd, input })
    t.match(found, { exit: 0, bad: [] })
    t.ok(found.told.includes('TOKEN_VERDICT ok'))
    t.notMatch(found.stdout, token.split('.')[2])
  }
  t.equal(issuer.hits.jwks, fetches, 'nobody was asked')
  t.ok((await examine(['token', ...expected, '--fetch-keys'], { cwd, input: token })).told.includes('TOKEN_VERDICT ok'))
  t.equal(issuer.hits.jwks, fetches + 1)
  t.match(await examine(['token', ...expected], { cwd, input: token }), { exit: 0, bad: ['TOKEN_SIGNATURE'] })
  const env = { SECURE_API_ISSUER: issuer.issuer, SECURE_API_AUDIENCE: 'api://other' }
  t.strictSame((await examine(['token'], { cwd, input: token, env })).bad,
    ['TOKEN_VERDICT SECURE_API_TOKEN_AUDIENCE', 'TOKEN_CHECK SECURE_API_TOKEN_AUDIENCE', 'TOKEN_SIGNATURE'])
  for (const name of ['nothing.json', 'wrong.json']) {
    t.equal((await run(['token', ...expected, '--jwks', name],
      { cwd, input: token })).exit, 2, name)
  }
})

t.test('token: every check that fails is named, the one that an API would name first', async t => {
  const issuer = await startIssuer(t)
  const now = Math.floor(Date.now() / 1000)
  const failing = async (token: string, ...more: string[]) => {
    const { bad } = await examine(['token', '--issuer', issuer.issuer, '--audience', 'api://test', ...more],
      { input: token, cwd: t.testdir({ 'jwks.json': JSON.stringify(issuer.jwks) }) })
    return bad.filter(code => code.startsWith('TOKEN_CHECK')).map(code => code.replace('TOKEN_CHECK SECURE_API_TOKEN_', ''))
  }
  t.strictSame(await failing(issuer.sign()), [])
  t.strictSame(await failing(issuer.sign({ iss: 'https://other.example', aud: 'x', exp: now - 600, nbf: now + 600 }, { typ: 'jwt' }),
    '--algorithms', 'ES256', '--profile', 'at+jwt'),
  ['ALGORITHM', 'ISSUER', 'TYPE', 'EXPIRED', 'NOT_YET_VALID', 'AUDIENCE'])
  t.strictSame(await failing(issuer.sign({ nonce: 'n' }, { typ: 'JWT' })), ['TYPE'])
  t.strictSame(await failing(issuer.sign({ cnf: { jkt: 'x' } })), ['BOUND'])
  t.strictSame(await failing(issuer.sign({ jti: undefined }), '--profile', 'at+jwt'), ['CLAIMS'])
  t.strictSame(await failing(issuer.sign({ exp: 'soon' })), ['CLAIMS'])
  t.strictSame(await failing(issuer.sign({ pad: 'x'.repeat(9000), aud: 'x' })), ['TOO_LARGE', 'AUDIENCE'])
  t.strictSame(await failing(issuer.sign({}, { header: { crit: ['x'] } })), ['CRITICAL'])
  t.strictSame(await failing(issuer.sign({}, { header: { alg: 'HS256' } })), ['ALGORITHM'])
  t.strictSame(await failing(issuer.sign({}, { header: { kid: 'gone' } }), '--jwks', 'jwks.json'), ['KEY'])
  const [header, , signature] = issuer.sign().split('.')
  const changed = `${header}.${issuer.sign({ sub: 'root' }).split('.')[1]}.${signature}`
  t.strictSame(await failing(changed, '--jwks', 'jwks.json'), ['SIGNATURE'])
  issuer.down()
  const { bad } = await examine(['token', '--issuer', issuer.issuer, '--audience', 'api://test', '--fetch-keys'], { input: issuer.sign() })
  t.strictSame(bad, ['TOKEN_VERDICT SECURE_API_KEYS_UNAVAILABLE'])
})

t.test('token: what is no token, and what says too little', async t => {
  for (const input of ['opaque', 'a.b.c.d.e', 'a.b.c', '{}']) {
    t.match(await examine(['token'], { input }),
      { exit: 1, bad: ['TOKEN_FORM'] }, input)
  }
  const issuer = await startIssuer(t)
  t.strictSame((await examine(['token'], { input: issuer.sign({ aud: undefined }) })).bad, ['TOKEN_VERDICT'])
  const long = await examine(['token'], { input: issuer.sign({ exp: Math.floor(Date.now() / 1000) + 8 * 86_400 }) })
  t.ok(long.bad.includes('TOKEN_LIFETIME'))
  t.equal((await run(['token'], { input: ' \n' })).exit, 2)
  t.equal((await run(['token'], { input: 'x'.repeat(70_000) })).exit, 2)
  const hostile = await run(['token'], { input: issuer.sign({ sub: '\u001b[2J', name: '\u202e' }) })
  t.notOk(hostile.stdout.includes('\u001b') || hostile.stdout.includes('\u202e'), 'a claim does not reach the terminal as it is')
})

t.test('token: those of the development issuer are checked with the key beside them', async t => {
  const cwd = t.testdir({})
  const made = fakeTerminal({ cwd })
  t.equal(await secureApiCommand(['token', 'api.read'], made.terminal), 0)
  const input = made.stdout()
  t.match(await examine(['token', '--audience', 'api://development'], { cwd, input }), { exit: 0, bad: [] })
  t.strictSame((await examine(['token'], { cwd: t.testdir({}), input })).bad, ['TOKEN_SIGNATURE'])
})

t.test('everything that the environment names', async t => {
  const issuer = await startIssuer(t)
  const redis = await startRedis('--maxmemory', '50mb', '--maxmemory-policy', 'volatile-ttl')
  t.teardown(() => redis.close())
  const env = {
    SECURE_API_ISSUER: issuer.issuer,
    SECURE_API_AUDIENCE: 'api://test',
    SECURE_API_CORS_ORIGINS: 'https://app.example.com',
    SECURE_API_REDIS_URL: redis.url,
    NODE_ENV: 'development'
  }
  const { exit, examinations, told } = await examine([], { env })
  t.equal(exit, 0)
  t.equal(examinations.length, 3)
  for (const code of ['ENVIRONMENT_NODE_ENV ok', 'ENVIRONMENT_VARIABLES ok', 'ENVIRONMENT_ORIGINS ok', 'ISSUER_KEYS ok',
    'REDIS_SCRIPT ok']) t.ok(told.includes(code), code)
  const wrong = await examine([], { env: { SECURE_API_AUDIENCE: 'x', SECURE_API_CORS_ORIGINS: 'app.example.com', NODE_ENV: 'prod' } })
  t.match(wrong, { exit: 1 })
  t.strictSame(wrong.bad, ['ENVIRONMENT_NODE_ENV', 'ENVIRONMENT_VARIABLES SECURE_API_ENVIRONMENT_MISSING',
    'ENVIRONMENT_ORIGINS SECURE_API_CORS_ORIGIN_INVALID'])
})

t.test('the report: levels, fixes and totals, as wide as the terminal', async t => {
  const issuer = await startIssuer(t)
  const plain = await run(['issuer', `${issuer.issuer}/`], { columns: 60 })
  t.ok(plain.stdout.split('\n').every(line => line.length <= 75), 'only an address is longer')
  t.match(plain.stdout, /ISSUER_MATCH\n[^]*Fix: /)
  t.match(plain.stdout, /1 error, 1 warning\n$/)
  const coloured = await run(['issuer', issuer.issuer], { colour: true })
  t.ok(coloured.stdout.includes('\u001b[32m'))
  t.match(coloured.stdout, /no errors, 1 warning/)
})

t.test('mistakes in the arguments', async t => {
  const wrong = [
    ['tokn'], ['issuer'], ['issuer', 'a', 'b'], ['api'], ['api', 'ftp://x'], ['redis'], ['token', 'eyJ.e.x'],
    ['issuer', 'https://x.example', '--preset', 'none'],
    ['token', '--algorithms', 'HS256'], ['token', '--profile', 'strict'], ['token', '--issuer', 'nonsense'], ['--nonsense'],
    ['token', '--tenants', 'x', '--issuer', 'https://x.example']
  ]
  for (const args of wrong) t.match(await run(args, { input: 'x.y.z' }), { exit: 2, stdout: '' }, args.join(' '))
})

t.test('every check is in the documentation', t => {
  const page = readFileSync(new URL('../../docs/command-line.md', import.meta.url), 'utf8')
  for (const [code, meaning] of Object.entries(checks)) t.ok(page.includes(`| \`${code}\` | ${meaning} |`), code)
  t.end()
})

/** An unsigned token: its form and claims are all that is looked at. */
function tokenOf (claims: object, header: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const usual = { sub: 'alice', client_id: 'web', aud: 'api://orders', iat: now, exp: now + 600 }
  return `${part({ alg: 'RS256', typ: 'at+jwt', kid: 'k', ...header })}.${part({ ...usual, ...claims })}.AA`
}

t.test('15 C3: doctor token says nothing is accepted that a server refuses, and names preset and claim', async t => {
  const issuer = await startIssuer(t)
  const told = async (input: string, ...more: string[]) => await examine(['token', ...more], { input })
  const assumed = await told(issuer.sign(), '--fetch-keys')
  t.match(assumed.findings.find(({ code, level }) => code === 'TOKEN_VERDICT' && level === 'note'),
    { what: /issuer and audience taken from the token/ })
  t.ok(!assumed.told.includes('TOKEN_VERDICT ok'), 'what the API expects is not known')
  for (const iss of ['https://login.microsoftonline.com/common/v2.0', 'https://tenant.eu.auth0.com', 'http://login.example.com']) {
    const found = await told(tokenOf({ iss }))
    t.ok(found.exit === 1 && found.bad.some(code => code.startsWith('TOKEN_VERDICT')), iss)
  }
  const auth0 = { iss: 'https://tenant.eu.auth0.com/', scope: 'a', permissions: ['b'] }
  t.match((await told(tokenOf(auth0))).findings.find(({ code }) => code === 'TOKEN_PRESET'), { level: 'note', what: /preset: 'auth0'/ })
  t.match((await told(tokenOf(auth0), '--issuer', auth0.iss)).findings.find(({ code }) => code === 'TOKEN_PRESET'),
    { level: 'warning', fix: /preset: 'auth0'/ })
  const checkOf = async (claims: object, ...more: string[]) =>
    (await told(tokenOf({ iss: issuer.issuer, ...claims }), '--issuer', issuer.issuer, '--audience', 'api://orders',
      ...more)).findings.find(({ code }) => code === 'TOKEN_CHECK')?.what
  t.match(await checkOf({ jti: 7 }), /^jti is 7\. /)
  t.match(await checkOf({ exp: 'soon', sub: '' }), /^exp is "soon"; sub is ""\. /)
  t.match(await checkOf({}, '--profile', 'at+jwt'), /^jti is absent\. /)
  t.match(await checkOf({ sub: undefined, client_id: undefined }), /^sub is absent\. /)
  const roles = ['--issuer', issuer.issuer, '--audience', 'api://test', '--scope-claims', 'rights', '--role-claims', 'groups,realm.roles',
    '--fetch-keys']
  t.match((await told(issuer.sign({ rights: 'api.read', groups: ['g'], realm: { roles: ['admin'] } }),
    ...roles)).findings.find(({ code }) => code === 'TOKEN_PRINCIPAL'), { what: /scopes: api\.read; roles: g, admin/ })
  const graph = tokenOf({
    iss: 'https://sts.windows.net/2f0d3b9e-1f8b-4c1f-9d4e-7a3a4e1f0b11/',
    aud: '00000003-0000-0000-c000-000000000000',
    scp: 'User.Read'
  }, { typ: 'JWT', nonce: 'n' })
  t.match((await told(graph)).findings.find(({ subject }) => subject === 'Microsoft Graph'), { level: 'error', fix: /api:\/\/<client id>/ })
})

t.test('15 C5: doctor redis takes the key prefix, and passes the rights that our recipe gives', async t => {
  const page = readFileSync(new URL('../../docs/recipes/redis-cluster.md', import.meta.url), 'utf8')
  const [, recipe = ''] = /^redis-cli ACL SETUSER (.+?)^```$/ms.exec(page) ?? []
  const user = recipe.replaceAll(/['\\]/g, '').trim().split(/\s+/)
  t.match(user.slice(0, 3), ['limits', 'on', '>secret'])
  const redis = await startRedis('--maxmemory', '50mb', '--maxmemory-policy', 'volatile-ttl', '--user', ...user)
  t.teardown(() => redis.close())
  const url = `redis://limits:secret@127.0.0.1:${redis.port}`
  t.strictSame((await examine(['redis', url, '--key-prefix', 'orders:'])).bad, [])
  t.match((await examine(['redis', url])).findings.find(({ code }) => code === 'REDIS_SCRIPT'), { level: 'error', fix: /--key-prefix/ })
  t.equal((await run(['redis', url, '--key-prefix', 'a b'])).exit, 2)
})

t.test('15 C5: doctor api knows answers that nginx makes itself', async t => {
  const page = (status: string) => [
    '<html>',
    `<head><title>${status}</title></head>`,
    '<body>',
    `<center><h1>${status}</h1></center>`,
    '<hr><center>nginx</center>',
    '</body>',
    '</html>',
    ''
  ].join('\r\n')
  const app = Fastify(secureServer({ environment: 'development' }))
  t.teardown(() => app.close())
  const issuer = await startIssuer(t)
  await app.register(secureApi, { auth: { issuer: issuer.issuer, audience: issuer.audience }, audit: false, environment: 'development' })
  app.get('/orders', { config: { scope: 'a' } }, async () => [])
  await app.ready()
  const url = await serve(t, async (request, response) => {
    response.setHeader('server', 'nginx')
    if (request.url === '/%zz' || request.method === 'TRACE') {
      response.writeHead(request.method === 'TRACE' ? 405 : 400).end(page('400 Bad Request'))
      return
    }
    const { statusCode, headers, body } = await app.inject({
      url: request.url ?? '/',
      method: request.method as 'GET',
      headers: request.headers as Record<string, string>
    })
    for (const [name, value] of Object.entries(headers)) if (value !== undefined && name !== 'connection') response.setHeader(name, value)
    response.writeHead(statusCode).end(body)
  })
  const { exit, findings, told } = await examine(['api', `${url}/orders`])
  t.equal(exit, 0, 'no error: the API cannot do anything about it')
  t.match(findings.find(({ subject }) => subject === 'bad URL'), { level: 'warning', what: /nginx answers this itself/, fix: /add_header/ })
  t.ok(told.includes('API_METHOD note'))
})

t.test('15 C5: doctor issuer shows and configures the algorithms that the metadata names', async t => {
  const issuer = await startIssuer(t)
  const [{ alg: _alg, ...key } = {}] = issuer.jwks.keys as Array<Record<string, unknown>>
  issuer.publish({ keys: [key] })
  issuer.metadata({ id_token_signing_alg_values_supported: ['RS256', 'HS256'] })
  const { findings, examinations } = await examine(['issuer', issuer.issuer])
  t.match(findings.find(({ code }) => code === 'ISSUER_KEY')?.what, /, RS256$/)
  t.match(examinations[0]?.details, { Configuration: { auth: { algorithms: ['RS256'] } } })
})

t.test('15 C2: doctor issuer is short where the metadata is half a megabyte, and shows no password of an address', async t => {
  const issuer = await startIssuer(t)
  issuer.metadata({ issuer: `https://${'x'.repeat(400_000)}` })
  const { stdout } = await run(['issuer', issuer.issuer])
  t.match(stdout, /names\s+https:\/\/x+,\s+and is refused/)
  t.ok(stdout.length < 10_000, `${stdout.length} characters`)
  t.notMatch(await run(['issuer', 'https://user:secret@login.example.com?state=secret']), /secret/)
})
