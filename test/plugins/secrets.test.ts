import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import https from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Writable, type Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { chainVerifier, verifyChain } from '../../lib/audit/index.ts'
import { movedClock, moveTime } from '../../lib/config/index.ts'
import { createServerOptions } from '../../lib/server/index.ts'
import secureApi, { type AuditEvent, type SecretProvider, type SecureApiOptions } from '../../plugins/index.ts'
import { createTestClock, type TestClock } from '../../testing/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'
import { listen, listenBare, mistakesOf, startFastify, startIssuer, until } from '../helpers/server.ts'

const CANARY = 'cAnArY7x'
const hidden = /canary7x/i
const fresh = () => `${CANARY}${randomBytes(30).toString('base64url')}`
const own = { issuer: 'https://api.example.com', audience: 'api://orders' }
const pemOf = (key: ReturnType<typeof generateKeyPairSync>['privateKey']) => key.export({ type: 'pkcs8', format: 'pem' }).toString()

/** A file that is replaced as secret stores do: whole, by a rename. */
function secretFile (t: Test, first: string) {
  const folder = t.testdir({})
  const path = join(folder, 'secret')
  const put = (value: string) => {
    writeFileSync(join(folder, 'next'), `${value}\n`, { mode: 0o600 })
    renameSync(join(folder, 'next'), path)
  }
  put(first)
  return { path, put }
}

function vault (first: string) {
  const provider = { name: 'vault', value: first, read: async () => ({ value: provider.value, version: String(provider.value.length) }) }
  return provider satisfies SecretProvider
}

interface Started {
  readonly url: string
  readonly app: ReturnType<typeof startFastify>
  readonly clock: TestClock
  /** Everything that the application has said. */
  said (): string
  readonly events: AuditEvent[]
}

async function start (t: Test, suite: SecureApiOptions, prepare = () => {}): Promise<Started> {
  const clock = createTestClock()
  t.teardown(() => clock.close())
  prepare()
  let log = ''
  const stream = new Writable({ write (chunk, _, done) { log += String(chunk); done() } })
  const events: AuditEvent[] = []
  const app = startFastify(t, { logger: { level: 'debug', stream } })
  await app.register(secureApi, {
    environment: 'development', audit: { sink: event => { events.push(event) } }, ...suite
  })
  if (suite.auth !== false) {
    app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject)
    app.get('/verify', { config: { public: true } }, async request => await request.jwtVerify({ allowedAud: own.audience }))
  }
  app.get('/counted', { config: { public: true } }, async () => 'ok')
  const url = await listen(app)
  return { url, app, clock, events, said: () => log + JSON.stringify([app.secureApi.status(), app.secureApi.routes(), events]) }
}

const get = (url: string, token: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } })

/** Requests without a pause, until it is told to stop; then the statuses that were not 200. */
function load (send: () => Promise<Response>, workers = 4): () => Promise<{ sent: number, failed: number[] }> {
  const found = { sent: 0, failed: [] as number[], isOver: false }
  const work = async () => {
    while (!found.isOver) {
      const response = await send()
      await response.text()
      found.sent++
      if (response.status !== 200) found.failed.push(response.status)
    }
  }
  const running = Promise.all(Array.from({ length: workers }, work))
  return async () => {
    found.isOver = true
    await running
    return found
  }
}

const signedBy = (token: string, secret: string) => {
  const [header, payload, signature] = token.split('.')
  return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature
}

/** A look may have begun before the file was written, and its next one comes later. */
async function untilFailing (app: FastifyInstance, option: string): Promise<object | undefined> {
  const find = () => (app.secureApi.status()['secrets'] as { option: string, state: string }[]).find(one => one.option === option)
  await until(() => find()?.state === 'failing', `the failure of ${option}`)
  return find()
}

t.test('own tokens, a secret in a file: replaced under load, no request fails, and the old one ends with the overlap', async t => {
  const [first, second] = [fresh(), fresh()]
  const file = secretFile(t, first)
  const place = { file: file.path, refresh: '1 second', overlap: '5 minutes', owner: 'team-a' } as const
  const { app, url, clock, said } = await start(t, { auth: { ownTokens: { ...own, secret: place } }, rateLimit: false })
  const old = app.jwt.sign({ sub: 'old' })
  t.ok(signedBy(old, first))
  let turn = 0
  const stop = load(() => {
    turn++
    return get(`${url}${turn % 3 === 0 ? '/verify' : '/me'}`, turn % 2 === 0 ? old : app.jwt.sign({ sub: `user-${turn}` }))
  })
  await clock.advance('2 seconds')
  file.put(second)
  await clock.advance('2 seconds')
  await until(() => turn > 50, 'load')
  await until(async () => {
    await clock.advance('2 seconds')
    return signedBy(app.jwt.sign({ sub: 'new' }), second)
  }, 'the new one signs once every instance can know it')
  t.equal(app.jwt.verify<{ sub: string }>(old).sub, 'old', 'app.jwt.verify() knows both')
  const before = turn
  await until(() => turn > before + 50, 'more load')
  const { sent, failed } = await stop()
  t.strictSame(failed, [], `${sent} requests`)
  const [status] = app.secureApi.status()['secrets'] as [object]
  t.match(status, { option: 'auth.ownTokens.secret', source: `file ${file.path}`, owner: 'team-a', overlapUntil: String })
  await clock.advance('6 minutes')
  t.equal((await get(`${url}/me`, old)).status, 401, 'a cached token ends with its key')
  t.equal((await get(`${url}/verify`, old)).status, 401)
  t.throws(() => app.jwt.verify(old))
  t.equal((await get(`${url}/me`, app.jwt.sign({ sub: 'a' }))).status, 200)
  t.notMatch(said(), hidden)
  t.match(said(), 'auth.ownTokens.secret has a new value')
})

t.test('own tokens of an old form end with the secret that has signed them', async t => {
  const [first, second, third] = [fresh(), fresh(), fresh()]
  const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)
  const legacyBy = (secret: string) => {
    const input = [{ alg: 'HS256', typ: 'JWT' }, { sub: 'old', iat: Math.floor(Date.now() / 1000) }]
      .map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const provider = vault(first)
  const place = { provider, name: 'x', refresh: '1 second', overlap: '5 minutes' } as const
  const shared = await start(t, { auth: { ownTokens: { ...own, secret: place, legacy: { until } } }, rateLimit: false })
  const statusOf = async ({ url }: Started, secret: string) => (await get(`${url}/me`, legacyBy(secret))).status
  t.equal(await statusOf(shared, first), 200)
  provider.value = second
  await shared.clock.advance('4 seconds')
  t.equal(await statusOf(shared, first), 200, 'within the overlap')
  await shared.clock.advance('6 minutes')
  t.equal(await statusOf(shared, first), 401, 'a leaked secret signs nothing, in a cache neither')
  const former = vault(second)
  const apart = await start(t, {
    auth: { ownTokens: { ...own, secret: first, legacy: { until, secret: { provider: former, name: 'x', refresh: '1 second' } } } },
    rateLimit: false
  })
  t.strictSame([await statusOf(apart, second), await statusOf(apart, first)], [200, 401])
  former.value = third
  await apart.clock.advance('2 seconds')
  t.strictSame([await statusOf(apart, second), await statusOf(apart, third)], [401, 200], 'the new value is used')
})

t.test('own tokens, a private key of a provider: the kid changes, another algorithm is refused', async t => {
  const keys = [1, 2].map(() => pemOf(generateKeyPairSync('ed25519').privateKey))
  const provider = vault(keys[0] ?? '')
  const privateKey = { provider, name: 'signing', refresh: '1 second', lead: 0, overlap: '2 minutes' } as const
  const { app, url, clock, said } = await start(t, { auth: { ownTokens: { ...own, privateKey } }, rateLimit: false })
  const kidOf = (token: string) => app.jwt.decode<{ header: { kid: string } }>(token, { complete: true })?.header.kid
  const old = app.jwt.sign({ sub: 'old' })
  let turn = 0
  const stop = load(() => {
    turn++
    return get(`${url}${turn % 2 === 0 ? '/verify' : '/me'}`, turn % 5 === 0 ? old : app.jwt.sign({ sub: `user-${turn}` }))
  })
  provider.value = keys[1] ?? ''
  await clock.advance('2 seconds')
  t.not(kidOf(app.jwt.sign({ sub: 'new' })), kidOf(old), 'at once, as `lead: 0` says')
  provider.value = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  await clock.advance('2 seconds')
  t.match(app.secureApi.status()['secrets'], [{ state: 'failing', why: /^it signs with ES256, and this process with EdDSA/ }])
  provider.value = 'no key'
  await clock.advance('10 seconds')
  t.match(app.secureApi.status()['secrets'], [{ state: 'failing', why: /not a private key/ }])
  await until(() => turn > 100, 'load')
  t.strictSame((await stop()).failed, [])
  t.equal((await get(`${url}/me`, old)).status, 200)
  await clock.advance('3 minutes')
  t.equal((await get(`${url}/me`, old)).status, 401)
  t.equal((await get(`${url}/me`, app.jwt.sign({ sub: 'a' }))).status, 200)
  t.match(said(), 'SECURE_API_SECRET_REFUSED')
  t.notMatch(said(), /PRIVATE KEY/)
})

t.test('the client of an introspection endpoint: whichever secret the issuer knows, no request fails', async t => {
  const [first, second] = [fresh(), fresh()]
  const issuer = await startIssuer(t)
  const server = { accepts: [first], asked: 0, refused: 0 }
  const endpoint = createServer((request, response) => {
    text(request).then(() => {
      const basic = Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64').toString()
      const isKnown = server.accepts.some(secret => basic === `orders:${secret}`)
      server.asked++
      if (!isKnown) server.refused++
      const exp = Math.floor(Date.now() / 1000) + 3600
      const good = { active: true, iss: issuer.issuer, aud: issuer.audience, sub: 'alice', client_id: 'shop', exp }
      const answer = isKnown ? good : { error: 'invalid_client' }
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    }, () => response.destroy())
  })
  const file = secretFile(t, first)
  const introspection = {
    endpoint: `http://127.0.0.1:${await listenBare(t, endpoint)}/`,
    client: { id: 'orders', secret: { file: file.path, refresh: '1 second' } },
    timeout: '30 seconds'
  } as const
  const { url, clock, said, app } = await start(t, { auth: { ...issuer.auth, introspection }, rateLimit: false })
  const stop = load(() => get(`${url}/me`, randomBytes(16).toString('base64url')))
  await until(() => server.asked > 20, 'load')
  file.put(second)
  await clock.advance('2 seconds')
  await until(() => server.refused > 0, 'the new one')
  const { asked } = server
  await until(() => server.asked > asked + 20, 'more load')
  t.ok(server.refused < 12, 'what works goes first afterwards')
  server.accepts = [second]
  await until(() => server.asked > asked + 60, 'more load')
  const { sent, failed } = await stop()
  t.strictSame(failed, [], `${sent} requests`)
  file.put('short')
  await clock.advance('2 seconds')
  await untilFailing(app, 'auth.introspection.client.secret')
  t.match(app.secureApi.status()['secrets'], [{ option: 'auth.introspection.client.secret', why: /fewer than 16/ }])
  t.equal((await get(`${url}/me`, randomBytes(16).toString('base64url'))).status, 200)
  t.notMatch(said(), hidden)
})

t.test('the proxy to an issuer: whichever password it knows, no request fails', async t => {
  const certificates = new Certificates(t.testdir({}))
  const company = certificates.issue({ name: 'Company CA', extensions: authority })
  const { cert, key } = certificates.issue({
    name: 'login.example.test', issuer: company, extensions: ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:login.example.test']
  })
  const exp = Math.floor(Date.now() / 1000) + 3600
  const answer = JSON.stringify({ active: true, iss: 'https://login.example.test', aud: 'a', sub: 'alice', client_id: 'shop', exp })
  const upstream = await listenBare(t, https.createServer({ cert, key }, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
  }))
  const [first, second] = [fresh(), fresh()]
  const proxy = { accepts: [first], asked: 0, refused: 0 }
  const server = createServer()
  server.on('connect', ({ headers }, client: Duplex) => {
    const [, basic = ''] = headers['proxy-authorization']?.split(' ') ?? []
    const isKnown = proxy.accepts.some(password => Buffer.from(basic, 'base64').toString() === `orders:${password}`)
    proxy.asked++
    client.on('error', () => {})
    if (!isKnown) proxy.refused++
    if (!isKnown) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const target = connect(upstream, '127.0.0.1')
    target.on('error', () => client.destroy())
    client.on('close', () => target.destroy())
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    client.pipe(target).pipe(client)
  })
  const port = await listenBare(t, server)
  const file = secretFile(t, `http://orders:${first}@127.0.0.1:${port}`)
  const { url, clock, said, app } = await start(t, {
    auth: {
      issuer: 'https://login.example.test',
      audience: 'a',
      discovery: false,
      introspection: { endpoint: 'https://login.example.test/introspect', client: { id: 'orders', secret: fresh() }, timeout: '30 seconds' },
      keys: { proxy: { file: file.path, refresh: '1 second' }, ca: company.cert }
    },
    rateLimit: false
  })
  const stop = load(() => get(`${url}/me`, randomBytes(16).toString('base64url')), 2)
  await until(() => proxy.asked > 5, 'load')
  file.put(`http://orders:${second}@127.0.0.1:${port}`)
  await clock.advance('2 seconds')
  await until(() => proxy.refused > 0, 'the new one')
  proxy.accepts = [second]
  const { asked } = proxy
  await until(() => proxy.asked > asked + 5, 'more load')
  const { sent, failed } = await stop()
  t.strictSame(failed, [], `${sent} requests`)
  file.put('socks5://127.0.0.1')
  await clock.advance('2 seconds')
  const status = await untilFailing(app, 'auth.keys.proxy')
  t.match(status, { why: 'it is not the address of a proxy' })
  t.notMatch(said(), hidden)
})

/** By the clock of the test no answer of Redis is late: what is counted has to be counted there, however slow the machine is. */
function withoutDeadlines (): void {
  const clock = movedClock()
  if (clock !== undefined) moveTime({ now: clock.now, elapsed: () => 0, schedule: clock.schedule })
}

t.test('Redis: a new password under load loses no count, and one that is refused keeps the connection', async t => {
  const [first, second] = [fresh(), fresh()]
  const redis = await startRedis('--requirepass', first)
  t.teardown(() => redis.close())
  const urlOf = (password: string) => redis.url.replace('//', `//:${password}@`)
  const file = secretFile(t, urlOf(first))
  const { url, clock, said, app } = await start(t, {
    auth: false,
    rateLimit: {
      redis: { file: file.path, refresh: '1 second', owner: 'platform' },
      policies: { read: { limit: 50_000, window: '1 hour', algorithm: 'fixed-window' } },
      perAddress: false
    }
  }, withoutDeadlines)
  const remaining = async () => Number(/r=(\d+)/.exec((await fetch(`${url}/counted`)).headers.get('ratelimit') ?? '')?.[1])
  const admin = new Redis(urlOf(first))
  t.teardown(() => admin.disconnect())
  const self = `id=${String(await admin.client('ID'))}`
  const clients = async () => (String(await admin.client('LIST')).match(/^id=\d+/gm) ?? []).filter(id => id !== self)
  await until(async () => (await clients()).length === 1, 'the connection')
  const old = await clients()
  let before = 0
  await until(async () => {
    before = await remaining()
    return (await admin.keys('*fixed-window*')).length > 0
  }, 'what Redis counts')
  const stop = load(() => fetch(`${url}/counted`))
  file.put(urlOf(second))
  await clock.advance('2 seconds')
  await until(() => said().includes('the new rateLimit.redis is not usable'), 'the refusal')
  t.match(app.secureApi.status()['rateLimit'], { state: 'available' }, 'the old connection stays')
  await admin.config('SET', 'requirepass', second)
  await until(async () => {
    await clock.advance('6 seconds')
    const ids = await clients()
    return ids.length === 1 && !ids.includes(String(old))
  }, 'the new connection, and the end of the old one')
  const { sent, failed } = await stop()
  t.strictSame(failed, [], `${sent} requests`)
  const after = await remaining()
  t.equal(before - after, sent + 1, 'each request was counted once, in Redis')
  t.match(app.secureApi.status()['rateLimit'], { state: 'available' })
  t.match(app.secureApi.status()['secrets'], [{ option: 'rateLimit.redis', source: `file ${file.path}`, owner: 'platform' }])
  t.notMatch(said(), hidden)
  t.notMatch(said(), 'store-unavailable')
})

t.test('the key of the audit chain: a new one signs, and the chain is whole with both', async t => {
  const pair = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    return { pem: pemOf(privateKey), verifier: chainVerifier(publicKey) as NonNullable<ReturnType<typeof chainVerifier>> }
  }
  const [first, second] = [pair(), pair()]
  const folder = t.testdir({})
  const file = secretFile(t, first.pem)
  const trail = join(folder, 'audit.jsonl')
  const key = { file: file.path, refresh: '1 second' } as const
  const { url, clock, app, said } = await start(t, { auth: false, audit: { file: trail, chain: { key, every: 5 } } })
  const stop = load(() => fetch(`${url}/counted`), 1)
  const lines = () => readFileSync(trail, 'utf8')
  await until(() => lines().includes('"checkpoint"'), 'a checkpoint')
  file.put(second.pem)
  await clock.advance('2 seconds')
  await until(() => lines().includes(second.verifier.kid), 'a checkpoint with the new key')
  file.put('no key')
  await clock.advance('2 seconds')
  await untilFailing(app, 'audit.chain.key')
  await stop()
  await app.close()
  const chunks = async function * () { yield readFileSync(trail) }
  const verify = (keys: (typeof first.verifier)[]) => verifyChain([{ name: trail, chunks: chunks() }], { keys })
  t.strictSame((await verify([first.verifier, second.verifier])).findings, [])
  t.ok((await verify([first.verifier])).findings.some(({ kind }) => kind === 'wrong-key'), 'with one of them it is not')
  t.notMatch(said(), /PRIVATE KEY/)
})

t.test('TLS: another pair, its key under another passphrase: replaced under load, no request fails', async t => {
  const folder = t.testdir({ made: {} })
  const certificates = new Certificates(join(folder, 'made'))
  const at = (name: string) => join(folder, name)
  /** One file after the other: in between, key, certificate and passphrase do not belong together. */
  const put = async (between: () => Promise<void>) => {
    const [{ cert, key, certFile }, passphrase] = [certificates.issue(), fresh()]
    const encrypted = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    for (const [name, text] of [['passphrase', passphrase], ['key.pem', String(encrypted)], ['cert.pem', cert]] as const) {
      writeFileSync(at('next'), text, { mode: 0o600 })
      renameSync(at('next'), at(name))
      await between()
    }
    return new X509Certificate(readFileSync(certFile)).fingerprint256
  }
  const first = await put(async () => {})
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  let log = ''
  const stream = new Writable({ write (chunk, _, done) { log += String(chunk); done() } })
  const app = startFastify(t, {
    ...createServerOptions({
      tls: { cert: at('cert.pem'), key: at('key.pem'), passphrase: { file: at('passphrase') }, reload: '1 second' },
      environment: 'development'
    }, () => clock.now()),
    logger: { level: 'trace', stream }
  } as object)
  await app.register(secureApi, { auth: false, rateLimit: false, environment: 'development', audit: { sink () {} } })
  app.get('/', { config: { public: true } }, async () => 'ok')
  await listen(app)
  const { port } = app.server.address() as AddressInfo
  const served = new Set<string>()
  const send = async () => await new Promise<Response>((resolve, reject) => {
    https.get({ port, host: '127.0.0.1', agent: false, rejectUnauthorized: false }, response => {
      served.add((response.socket as TLSSocket).getPeerCertificate().fingerprint256)
      resolve(new Response(null, { status: response.resume().statusCode ?? 0 }))
    }).on('error', reject)
  })
  const stop = load(send, 2)
  await until(() => served.has(first), 'the first pair')
  const second = await put(async () => { await clock.advance('2 seconds') })
  // A pair that was refused is looked at again within a minute.
  await until(async () => { await clock.advance('30 seconds'); return served.has(second) }, 'the second pair')
  const { sent, failed } = await stop()
  t.strictSame(failed, [], `${sent} requests`)
  t.strictSame([...served], [first, second])
  t.notMatch(log + JSON.stringify([app.secureApi.status(), app.secureApi.routes()]), hidden)
})

t.test('reminders, readiness and status of a secret that ends', async t => {
  const clock = createTestClock()
  const day = (days: number) => new Date(clock.now() + days * 86_400_000).toISOString()
  clock.close()
  const secret = fresh()
  const provider = { name: 'vault', read: async () => ({ value: secret, created: day(-59), expires: day(31) }) }
  const { app, clock: time, said, url } = await start(t, {
    auth: { ownTokens: { ...own, secret: { provider, name: 'signing', owner: 'team-a', refresh: '1 day' } } }, health: {}, rateLimit: false
  })
  t.match(app.secureApi.status()['secrets'], [{ dueInDays: 30, ageDays: 59, state: 'good' }])
  t.notMatch(said(), 'SECURE_API_SECRET_DUE')
  await time.advance('2 days')
  t.match(said(), 'SECURE_API_SECRET_DUE')
  t.match(app.secureApi.status()['secrets'], [{ state: 'due' }])
  t.equal((await fetch(`${url}/health/ready`)).status, 200)
  await time.advance('30 days')
  t.match(app.secureApi.status()['secrets'], [{ state: 'overdue' }])
  t.equal(said().split('SECURE_API_SECRET_DUE').length - 1 >= 5, true, 'at 30, 14, 7 and 1 days, and at the end')
  await time.advance('30 seconds')
  await fetch(`${url}/health/ready`)
  await time.advance('30 seconds')
  t.equal((await fetch(`${url}/health/ready`)).status, 503)
  t.notMatch(said(), hidden)
})

t.test('SECURE_API_REDIS_URL_FILE is a secret as any other', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.close())
  const issuer = await startIssuer(t)
  const file = secretFile(t, redis.url)
  const variables = {
    SECURE_API_ISSUER: issuer.issuer, SECURE_API_AUDIENCE: 'a', SECURE_API_REDIS_URL_FILE: file.path, NODE_ENV: 'development'
  }
  const before = Object.fromEntries(Object.keys(variables).map(name => [name, process.env[name]]))
  Object.assign(process.env, variables)
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name]
    Object.assign(process.env, Object.fromEntries(Object.entries(before).filter(([, value]) => value !== undefined)))
  })
  const app = startFastify(t)
  await app.register(secureApi)
  await app.ready()
  t.match(app.secureApi.status()['secrets'], [{ option: 'rateLimit.redis', source: `file ${file.path}`, state: 'good' }])
})

t.test('in production a literal, a weak client secret and a provider that fails stop the boot, all at once', async t => {
  const provider = { name: 'vault', read: async () => { throw new Error(CANARY) } }
  const codes = await mistakesOf(() => startFastify(t, { logger: { level: 'silent' } }).register(secureApi, {
    environment: 'production',
    auth: {
      issuer: 'https://login.example.com',
      audience: 'a',
      introspection: { endpoint: 'https://login.example.com/introspect', client: { id: 'a', secret: 'short' } },
      ownTokens: { ...own, privateKey: { provider, name: 'signing' } }
    },
    rateLimit: { redis: 'redis://:literal-password@redis.internal' }
  }))
  t.strictSame(codes, ['SECURE_API_SECRET_LITERAL', 'SECURE_API_SECRET_LITERAL', 'SECURE_API_SECRET_UNAVAILABLE', 'SECURE_API_SECRET_WEAK'])
})
