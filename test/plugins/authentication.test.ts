import { randomUUID } from 'node:crypto'
import http from 'node:http'
import { rootCertificates } from 'node:tls'
import type { FastifyContextConfig, FastifyInstance, InjectOptions } from 'fastify'
import buildGetJwks from 'get-jwks'
import t from 'tap'
import { bearerChallenge, answers, type AnswerCode } from '../../lib/http/index.ts'
import { authentication, authorization, type AuthenticationOptions, type Principal } from '../../plugins/index.ts'
import type { TestIssuer } from '../../testing/index.ts'
import { attacks, goodToken } from '../fixtures/attacks.ts'
import { createSigningKey } from '../fixtures/forge.ts'
import {
  answersOf, bearer, codeOf, listen, missingHeaders, mistakesOf, secured, sendLines, startFastify, startIssuer,
  until
} from '../helpers/server.ts'

const issuer = await startIssuer(t)
const unlimited = { perAddress: false, failures: false, policies: { read: { limit: 100_000, window: '1 minute' } } } as const

const routes = (app: FastifyInstance) => { app.get('/orders', { config: { authenticated: true } }, async request => request.auth.subject) }
const authOf = ({ issuer, audience }: TestIssuer, options: Partial<AuthenticationOptions> = {}) => ({ issuer, audience, ...options })
const get = (authorization: string, more: InjectOptions = {}): InjectOptions => ({ url: '/orders', headers: { authorization }, ...more })
const getWith = (issuer: TestIssuer, ...parts: Parameters<TestIssuer['sign']>) => get(bearer(issuer, ...parts).authorization)

function challengeOf (code: AnswerCode): string {
  const { detail, ...answer } = answers[code]
  return 'challenge' in answer && answer.challenge !== 'ApiKey' ? bearerChallenge(answer.challenge, detail) : ''
}

t.test('no forged token passes, none causes a 5xx, and the answer tells only what the closed list holds', async t => {
  const key = createSigningKey('key-of-the-issuer')
  const target = await startIssuer(t)
  target.publish({ keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, alg: 'RS256', use: 'sig' }] })
  const { app, events } = await secured(t, target,
    { suite: { auth: authOf(target, { audience: 'api://orders' }), rateLimit: unlimited }, routes })
  const url = await listen(app)
  const environment = {
    issuer: target.issuer,
    audience: 'api://orders',
    kid: key.kid,
    privateKey: key.privateKey,
    publicKey: key.publicKey,
    now: Date.now()
  }
  const good = await sendLines(`${url}/orders`, ['Authorization', `Bearer ${goodToken(environment)}`])
  t.equal(good.statusCode, 200)
  t.equal(good.headers['www-authenticate'], undefined)
  for (const { name, authorization, query, expected } of attacks(environment)) {
    const { statusCode, headers, body } = await sendLines(`${url}/orders${query}`, authorization.flatMap(value => ['Authorization', value]))
    const { code }: { code: AnswerCode } = JSON.parse(body)
    const { status, title, detail } = answers[code]
    t.ok(expected.includes(code) && status < 500, `${name}: ${code}`, { expected })
    t.strictSame(
      [statusCode, JSON.parse(body), headers['www-authenticate'], missingHeaders(headers)],
      [status, { type: 'about:blank', title, status, detail, code }, challengeOf(code), []], name)
  }
  const trail = JSON.stringify(events)
  t.notOk(/eyJ|access_token|Bearer/.test(trail), 'no credential in the trail')
})

t.test('request.auth is the frozen principal, request.user its claims', async t => {
  const seen: { auth: Principal, user: unknown }[] = []
  const look = (app: FastifyInstance) => {
    app.get('/orders', { config: { authenticated: true } },
      async ({ auth, user }: { auth: Principal, user?: unknown }) => { seen.push({ auth, user }) })
    app.get('/health', { config: { public: true } },
      async ({ auth, user }: { auth: Principal, user?: unknown }) => { seen.push({ auth, user }) })
  }
  const { app } = await secured(t, issuer, { routes: look })
  const request = getWith(issuer, { sub: 'alice', client_id: 'app', scope: 'a b', roles: ['admin'] })
  await answersOf(app, request, request, { ...request, url: '/health' })
  const [first, second, third] = seen
  t.match(first?.auth, { kind: 'user', subject: 'alice', client: 'app', issuer: issuer.issuer, claims: { sub: 'alice' } })
  t.strictSame([[...first?.auth.scopes ?? []], [...first?.auth.roles ?? []]], [['a', 'b'], ['admin']])
  t.equal(first?.user, first?.auth.claims)
  t.equal(second?.auth, first?.auth, 'a token seen before is looked up')
  t.throws(() => Object.assign(first?.auth ?? {}, { subject: 'eve' }), TypeError)
  t.throws(() => Object.assign(first?.auth.claims ?? {}, { sub: 'eve' }), TypeError)
  t.equal(third?.auth.kind, 'anonymous', 'a public route asks for nothing')
  t.equal(third?.user ?? undefined, undefined)
})

t.test('failures use up the budget of their address; tokens in the cache pass all the same', async t => {
  const { app } = await secured(t, issuer, { suite: { rateLimit: { failures: { limit: 3, window: '1 minute' } } }, routes })
  const known = getWith(issuer)
  const forged = () => getWith(issuer, {}, { header: { kid: randomUUID() } })
  t.strictSame(await answersOf(app, known, forged(), { url: '/orders', headers: { authorization: 'Bearer' } },
    getWith(issuer, { aud: 'api://other' })),
  [200, [401, 'SECURE_API_TOKEN_KEY'], [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS'], [401, 'SECURE_API_TOKEN_AUDIENCE']])
  const refused = await app.inject(forged())
  t.equal(codeOf(refused), 'SECURE_API_RATE_LIMITED')
  t.match(refused.headers, { 'retry-after': /^[1-9]\d*$/, 'ratelimit-policy': '"failures";q=3;w=60' })
  t.strictSame(missingHeaders(refused.headers), [])
  t.strictSame(await answersOf(app, known), [200])
  t.strictSame(await answersOf(app, getWith(issuer)), [[429, 'SECURE_API_RATE_LIMITED']], 'a new token would cost cryptography')
  t.strictSame(await answersOf(app, { url: '/orders' }), [[401, 'SECURE_API_UNAUTHENTICATED']], 'no credential is no failure')
  t.strictSame(await answersOf(app, { ...getWith(issuer), remoteAddress: '192.0.2.7' }), [200], 'another address')
})

t.test('a burst of forged tokens cannot overrun the budget, and a burst of good ones passes', async t => {
  const { app } = await secured(t, issuer, {
    suite: {
      rateLimit: {
        failures: { limit: 20, window: '1 minute' },
        policies: { read: { limit: 1000, window: '1 minute' } }
      }
    },
    routes
  })
  const good = await Promise.all(Array.from({ length: 100 }, (_, i) => app.inject(getWith(issuer, { jti: `good-${i}` }))))
  t.ok(good.every(({ statusCode }) => statusCode === 200), 'new tokens of many users behind one address')
  const forged = await Promise.all(Array.from({ length: 200 },
    (_, i) => app.inject(getWith(issuer, { jti: `forged-${i}` }, { header: { kid: randomUUID() } }))))
  const verified = forged.filter(({ statusCode }) => statusCode === 401).length
  t.ok(verified >= 20 && verified <= 40, `${verified} of 200 were verified under a limit of 20`)
  t.equal(forged.filter(({ statusCode }) => statusCode === 429).length, 200 - verified)
})

t.test('callers who leave while their token is checked are counted, and keep no place', async t => {
  const target = await startIssuer(t)
  const { app, events } = await secured(t, target, { suite: { rateLimit: { failures: { limit: 3, window: '1 hour' } } }, routes })
  const url = new URL(await listen(app))
  let arrived = 0
  app.server.on('request', () => { arrived++ })
  target.slow(1000)
  const callers = Array.from({ length: 3 }, () => http.get({
    host: url.hostname,
    port: url.port,
    path: '/orders',
    agent: false,
    headers: bearer(target, {}, { header: { kid: randomUUID() } })
  }).on('error', () => {}))
  await until(() => arrived === 3, 'the three')
  for (const caller of callers) caller.destroy()
  await until(() => events.length === 3, 'the events of those who have left')
  target.slow(0)
  // It waits until the tokens of the three are checked.
  const forged = await fetch(`${url.origin}/orders`,
    { headers: bearer(target, {}, { header: { kid: randomUUID() } }), signal: AbortSignal.timeout(60_000) })
  t.equal(forged.status, 429, 'their failures count against their address')
})

t.test('without keys protected routes answer 503, public ones go on, and keys that come later help', async t => {
  const target = await startIssuer(t)
  target.down()
  const { app } = await secured(t, target, {
    suite: { auth: { issuers: [{ issuer: target.issuer, audience: target.audience, keys: { cooldown: 30, timeout: 1000 } }] } },
    routes: app => { routes(app); app.get('/health', { config: { public: true } }, async () => '') }
  })
  const request = getWith(target)
  const refused = await app.inject(request)
  t.equal(refused.statusCode, 503)
  t.equal(codeOf(refused), 'SECURE_API_KEYS_UNAVAILABLE')
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
  t.equal(refused.headers['www-authenticate'], undefined)
  t.strictSame(missingHeaders(refused.headers), [])
  t.notMatch(refused.body, /127\.0\.0\.1|ECONN|fetch/)
  t.strictSame(await answersOf(app, { url: '/health' }, { url: '/orders' }), [200, [401, 'SECURE_API_UNAUTHENTICATED']])
  target.up()
  await until(async () => (await app.inject(request)).statusCode === 200, 'the key set')
})

t.test('known keys keep working while the issuer is down', async t => {
  const target = await startIssuer(t)
  const { app } = await secured(t, target, { routes })
  const known = getWith(target)
  t.strictSame(await answersOf(app, known), [200])
  target.down()
  t.strictSame(await answersOf(app, known, getWith(target), getWith(target)), [200, 200, 200])
  t.match(app.secureApi.status(), { issuers: [{ state: 'fresh' }] })
})

t.test('a key that the issuer removed ends with the next refresh, in the cache too', async t => {
  const target = await startIssuer(t)
  const keys = { refresh: 100, cooldown: 50 }
  const { app } = await secured(t, target, {
    suite: { auth: { issuers: [{ issuer: target.issuer, audience: target.audience, keys }] } },
    routes
  })
  const old = getWith(target)
  t.strictSame(await answersOf(app, old, old), [200, 200])
  target.rotate()
  target.remove('key-1')
  const { jwks } = target.hits
  await until(() => target.hits.jwks > jwks, 'a refresh')
  await until(async () => (await app.inject(old)).statusCode === 401, 'the end of the cached token')
  t.strictSame(await answersOf(app, old, getWith(target, {}, { kid: 'key-1' }), getWith(target)),
    [[401, 'SECURE_API_TOKEN_KEY'], [401, 'SECURE_API_TOKEN_KEY'], 200])
})

t.test('a new key is found at once; a flood of unknown ones causes one fetch', async t => {
  const target = await startIssuer(t)
  const { app } = await secured(t, target, { suite: { rateLimit: unlimited }, routes })
  const known = getWith(target)
  t.strictSame(await answersOf(app, known), [200])
  target.rotate()
  t.strictSame(await answersOf(app, getWith(target)), [200])
  const { jwks } = target.hits
  const flood = Array.from({ length: 100 }, () => app.inject(getWith(target, {}, { header: { kid: randomUUID() } })))
  t.strictSame([...new Set((await Promise.all(flood)).map(codeOf))], ['SECURE_API_TOKEN_KEY'])
  t.ok(target.hits.jwks - jwks <= 1, `${target.hits.jwks - jwks} fetches`)
  t.strictSame(await answersOf(app, known), [200])
})

t.test('a revoked token is refused although it is in the cache; when nobody knows, the answer is 503', async t => {
  const revoked = new Set<unknown>()
  let store: 'up' | 'down' = 'up'
  const isRevoked = ({ jti }: { jti?: unknown }) => store === 'up'
    ? Promise.resolve(revoked.has(jti))
    : Promise.reject(new Error('the store at 10.0.0.1 is away'))
  const { app } = await secured(t, issuer, { suite: { auth: authOf(issuer, { isRevoked }) }, routes })
  const request = getWith(issuer, { jti: 'one' })
  t.strictSame(await answersOf(app, request), [200])
  revoked.add('one')
  t.strictSame(await answersOf(app, request), [[401, 'SECURE_API_TOKEN_REVOKED']])
  store = 'down'
  const unknown = await app.inject(request)
  t.strictSame([unknown.statusCode, codeOf(unknown)], [503, 'SECURE_API_REVOCATION_UNAVAILABLE'])
  t.match(unknown.headers['retry-after'], /^[1-9]\d*$/)
  t.notMatch(unknown.body, /10\.0\.0\.1/)
})

t.test('tokens of two issuers, each with its own keys', async t => {
  const other = await startIssuer(t, { alg: 'ES256' })
  const issuers = [issuer, other].map(({ issuer, audience }) => ({ issuer, audience }))
  const { app } = await secured(t, issuer, { suite: { auth: { issuers } }, routes })
  t.strictSame(await answersOf(app, getWith(issuer), getWith(other)), [200, 200])
  t.strictSame(await answersOf(app, getWith(other, { iss: issuer.issuer }), getWith(await startIssuer(t))),
    [[401, 'SECURE_API_TOKEN_KEY'], [401, 'SECURE_API_TOKEN_ISSUER']])
})

t.test('app.authenticate guards by hand, where the plugin is alone too', async t => {
  const app = startFastify(t)
  await app.register(authentication, { ...authOf(issuer), environment: 'development' })
  await app.register(async scope => {
    scope.get('/orders', { config: { public: true }, onRequest: app.authenticate }, async request => request.auth.subject)
  })
  const response = await app.inject({ url: '/orders' })
  t.strictSame([response.statusCode, codeOf(response), response.headers['www-authenticate']],
    [401, 'SECURE_API_UNAUTHENTICATED', 'Bearer realm="api"'])
  t.strictSame(await answersOf(app, getWith(issuer), getWith(issuer, { aud: 'other' })), [200, [401, 'SECURE_API_TOKEN_AUDIENCE']])
})

t.test('14 C4: guards by hand that ask twice at once leave nobody of their address waiting', async t => {
  const { app } = await secured(t, issuer, {
    suite: { rateLimit: { failures: { limit: 4, window: '1 minute' } } },
    routes: app => {
      routes(app)
      app.get('/twice', { config: { public: true } }, async (request, reply) => {
        const asked = () => new Promise(resolve => {
          app.authenticate(request, reply, error => { resolve((error as { code?: string } | undefined)?.code) })
        })
        const together = await Promise.all([asked(), asked()])
        return [...together, await asked()]
      })
    }
  })
  const forged = () => ({ authorization: `${bearer(issuer, { sub: randomUUID() }).authorization.slice(0, -8)}AAAAAAAA` })
  const twice = await app.inject({ url: '/twice', headers: forged() })
  t.strictSame(twice.json(), Array.from({ length: 3 }, () => 'SECURE_API_TOKEN_SIGNATURE'))
  const answers = await answersOf(app, ...Array.from({ length: 3 }, () => get(forged().authorization)))
  // Verified in place, both of those that ask at once count.
  t.match([answers[0], answers[2]], [[401, 'SECURE_API_TOKEN_SIGNATURE'], [429, 'SECURE_API_RATE_LIMITED']])
})

t.test('21: a request that brings one forged token after the other counts each', async t => {
  const { app } = await secured(t, issuer, {
    suite: { rateLimit: { failures: { limit: 3, window: '1 minute' } } },
    routes: app => {
      app.get('/socket', { config: { public: true } }, async (request, reply) => {
        const codes: unknown[] = []
        for (let turn = 0; turn < 5; turn++) {
          const forged = `${bearer(issuer, { sub: randomUUID() }).authorization.slice(0, -8)}AAAAAAAA`
          request.headers.authorization = request.raw.rawHeaders[1] = forged
          await new Promise<void>(resolve => {
            app.authenticate(request, reply, error => { codes.push((error as { code?: string } | undefined)?.code); resolve() })
          })
        }
        return codes
      })
    }
  })
  const answer = await app.inject({ url: '/socket', headers: { authorization: 'Bearer a.b.c' } })
  t.strictSame(answer.json(), [...Array<string>(3).fill('SECURE_API_TOKEN_SIGNATURE'), ...Array<string>(2).fill('SECURE_API_RATE_LIMITED')])
})

t.test('21: a credential that has failed says nothing of the next one in the same request', async t => {
  const { app } = await secured(t, issuer, {
    routes: app => {
      app.get('/again', { config: { public: true } }, async (request, reply) => {
        const asked = () => new Promise(resolve => {
          app.authenticate(request, reply, error => { resolve((error as { code?: string } | undefined)?.code ?? request.auth.subject) })
        })
        const first = await asked()
        request.headers.authorization = request.raw.rawHeaders[1] = bearer(issuer, { sub: 'alice' }).authorization
        return [first, await asked()]
      })
    }
  })
  const answer = await app.inject({ url: '/again', headers: { authorization: 'Bearer a.b.c' } })
  t.strictSame(answer.json(), ['SECURE_API_TOKEN_MALFORMED', 'alice'])
})

t.test('15 A7: 300 tenants with one jwksUri are one fetch, and one entry of the status', async t => {
  const target = await startIssuer(t)
  const tenants = Array.from({ length: 300 }, (_, index) => `tenant-${index}`)
  const { app } = await secured(t, target, {
    suite: { auth: { issuer: `${target.issuer}/{tenantid}`, tenants, jwksUri: target.jwksUri, audience: target.audience } }, routes
  })
  t.equal(target.hits.jwks, 1)
  t.strictSame(await answersOf(app, getWith(target, { iss: `${target.issuer}/tenant-0` }),
    getWith(target, { iss: `${target.issuer}/tenant-299` })), [200, 200])
  t.strictSame(await answersOf(app, getWith(target, { iss: `${target.issuer}/tenant-300` })), [[401, 'SECURE_API_TOKEN_ISSUER']])
  const { issuers } = app.secureApi.status() as { issuers: { issuer: string }[] }
  t.strictSame(issuers.map(({ issuer }) => issuer), [`${target.issuer}/{tenantid}`])
})

t.test('15 A7: entries share keys only where they are fetched and used in the same way', async t => {
  const target = await startIssuer(t)
  const entry = (name: string, more: object = {}) =>
    ({ issuer: `https://${name}.example`, jwksUri: target.jwksUri, audience: 'api', ...more })
  const issuers = [entry('a'), entry('b'), entry('c', { algorithms: ['ES256'] }), entry('d', { keys: { refresh: '1 minute' } }),
    entry('e', { keys: { refresh: '1 minute' } })]
  const { app } = await secured(t, target, { suite: { auth: { issuers } }, routes })
  t.equal(target.hits.jwks, 3, 'a and b, c, d and e')
  const status = app.secureApi.status() as { issuers: { issuer: string }[] }
  t.strictSame(status.issuers.map(({ issuer }) => issuer), issuers.map(({ issuer }) => issuer))
  t.strictSame(await answersOf(app, getWith(target, { iss: 'https://b.example', aud: 'api' }),
    getWith(target, { iss: 'https://c.example', aud: 'api' })),
  [200, [401, 'SECURE_API_TOKEN_ALGORITHM']], 'and the rules stay apart')
})

t.test('15 A8: `maxTokenBytes` lets larger tokens in, and says which limit of the server is in their way', async t => {
  const groups = Array.from({ length: 400 }, (_, index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`)
  const logged: string[] = []
  const start = async (maxTokenBytes: number | undefined, maxHeaderSize: number) => {
    const fastify = { http: { maxHeaderSize }, logger: { level: 'warn', stream: { write: (line: string) => { logged.push(line) } } } }
    const { app } = await secured(t, issuer, {
      fastify,
      suite: { auth: authOf(issuer, maxTokenBytes === undefined ? {} : { maxTokenBytes }) },
      routes
    })
    const url = await listen(app)
    return (await sendLines(`${url}/orders`, ['Authorization', bearer(issuer, { groups }).authorization])).statusCode
  }
  t.ok(issuer.sign({ groups }).length > 16_384)
  t.equal(await start(undefined, 65_536), 401)
  t.equal(await start(32_768, 65_536), 200)
  t.notOk(logged.some(line => line.includes('SECURE_API_TOKEN_HEADER_LIMIT')))
  t.equal(await start(32_768, 16_384), 431)
  t.ok(logged.some(line => line.includes('SECURE_API_TOKEN_HEADER_LIMIT')))
  t.equal(await start(16_384, 65_536), 401, 'over it as before')
  for (const maxTokenBytes of [0, 1023, 65_537, 8192.5]) {
    await t.rejects(secured(t, issuer,
      { suite: { auth: authOf(issuer, { maxTokenBytes }) } }), `${maxTokenBytes}`)
  }
})

const optional = (app: FastifyInstance) => {
  app.get('/orders', { config: { public: true, authentication: 'optional' } },
    async ({ auth }) => ({ kind: auth.kind, subject: auth.subject }))
  app.post('/orders', { config: { public: true, authentication: 'optional' } },
    async ({ auth }) => ({ kind: auth.kind, subject: auth.subject }))
  app.get('/health', { config: { public: true } }, async ({ auth }) => ({ kind: auth.kind }))
}

t.test('15 A9: optional authentication fills request.auth, refuses a bad token, and lets strangers in', async t => {
  const { app } = await secured(t, issuer, { routes: optional })
  const good = getWith(issuer, { sub: 'alice' })
  const read = async (request: InjectOptions) => (await app.inject(request)).json()
  t.strictSame(await read(good), { kind: 'user', subject: 'alice' })
  t.strictSame(await read(good), { kind: 'user', subject: 'alice' }, 'from the cache')
  t.strictSame(await read({ url: '/orders' }), { kind: 'anonymous', subject: '' })
  t.strictSame(await read(get('Basic YTpi')), { kind: 'anonymous', subject: '' }, 'another scheme is no token')
  t.strictSame(await read({ ...good, method: 'POST' }), { kind: 'user', subject: 'alice' })
  t.strictSame(await answersOf(app, getWith(issuer, { aud: 'other' }), get('Bearer'), get('Bearer x'),
    { ...good, url: '/orders?access_token=x' }),
  [[401, 'SECURE_API_TOKEN_AUDIENCE'], [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS'], [401, 'SECURE_API_TOKEN_MALFORMED'],
    [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS']])
  t.strictSame(await answersOf(app, {
    ...good,
    method: 'POST',
    headers: { ...good.headers, 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'access_token=x'
  }),
  [[415, 'SECURE_API_REQUEST_MEDIA_TYPE']])
  t.strictSame(await read({ ...good, url: '/health' }), { kind: 'anonymous' }, '`public` alone stays as it is')
  const caching = async (url: string) => (await app.inject({ url })).headers['cache-control']
  t.strictSame([await caching('/orders'), await caching('/health')], ['no-store, max-age=0', undefined],
    'what differs by caller is stored by nobody')
})

t.test('15 A9: the posture says so, and without `public` it stops the boot', async t => {
  const { app } = await secured(t, issuer, { routes: optional })
  const posture = app.secureApi.routes().filter(({ methods }) => methods.includes('GET')).map(({ url, access, authentication }) =>
    ({ url, access, authentication }))
  t.strictSame(posture, [{ url: '/orders', access: 'public', authentication: 'optional' },
    { url: '/health', access: 'public', authentication: undefined }])
  const starts = (config: object, suite: object = {}) =>
    mistakesOf(() => secured(t, issuer, {
      suite,
      routes: app => { app.get('/orders', { config: config as FastifyContextConfig }, async () => '') }
    }))
  t.strictSame(await starts({ authentication: 'optional' }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await starts({ scope: 'a', authentication: 'optional' }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await starts({ public: true, scope: 'a', authentication: 'optional' }), ['SECURE_API_ROUTE_PUBLIC_WITH_RULE'])
  t.strictSame(await starts({ public: true, authentication: 'required' }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await starts({ public: true, authentification: 'optional' }), [], 'two letters away: somebody else\'s')
  t.strictSame(await starts({ public: true, authenticaton: 'optional' }), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(await starts({ public: true, authentication: 'optional' }, { auth: false }), ['SECURE_API_ROUTE_NOT_AUTHENTICATED'])
  t.strictSame(await starts({ scope: 'a' }, { authorization: { routes: { '/orders': { public: true, authentication: 'optional' } } } }),
    [], 'a rule of its own stands')
})

t.test('15 A9: without keys strangers are let in, and tokens wait', async t => {
  const target = await startIssuer(t)
  target.down()
  const { app } = await secured(t, target, { routes: optional })
  t.strictSame(await answersOf(app, { url: '/orders' }, getWith(target)), [200, [503, 'SECURE_API_KEYS_UNAVAILABLE']])
})

t.test('15 A4: the log says once that a configured claim never matched', async t => {
  const logged: { code?: string, claim?: string }[] = []
  const fastify = { logger: { level: 'warn', stream: { write: (line: string) => { logged.push(JSON.parse(line)) } } } }
  const { app } = await secured(t, issuer, {
    fastify,
    suite: { rateLimit: unlimited, auth: authOf(issuer, { roleClaims: ['example.com.roles', 'groups'] }) },
    routes
  })
  for (let count = 0; count < 15; count++) {
    await app.inject(getWith(issuer,
      { jti: `claims-${count}`, 'example.com.roles': ['a'], groups: ['b'] }))
  }
  t.strictSame(logged.filter(({ code }) => code === 'SECURE_API_ISSUER_CLAIM_UNMATCHED').map(({ claim }) => claim), ['example.com.roles'])
})

t.test('15 A5: a named host is asked over http in development', async t => {
  const target = await startIssuer(t)
  const jwksUri = target.jwksUri.replace('127.0.0.1', '0.0.0.0')
  const start = (keys: object | undefined, environment: 'development' | 'production') =>
    secured(t, target, {
      suite: {
        environment,
        auth: {
          issuer: 'https://sso.example.com',
          jwksUri,
          audience: target.audience,
          ...(keys && { keys })
        }
      },
      routes
    })
  const { app } = await start({ insecureHosts: ['0.0.0.0'] }, 'development')
  t.strictSame(await answersOf(app, getWith(target, { iss: 'https://sso.example.com' })), [200])
  t.strictSame(await mistakesOf(() => start(undefined, 'development')), ['SECURE_API_URL_INSECURE'])
  t.strictSame([...new Set(await mistakesOf(() => start({ insecureHosts: ['0.0.0.0'] },
    'production')))].includes('SECURE_API_URL_INSECURE'), true)
})

t.test('15 C2: a failed key load says which URL, what it answered, which issuer was found, and which command shows more', async t => {
  const wrong: ReadonlyArray<readonly [name: string, prepare: (issuer: TestIssuer) => void, event: object, words: readonly string[]]> = [
    ['redirect', issuer => issuer.fail('redirect', 'jwks'), { reason: 'redirect', url: /\/jwks$/, status: /^30\d$/, found: /./ },
      ['/jwks answered 30']],
    ['status', issuer => issuer.fail({ status: 403 }, 'jwks'), { reason: 'status', url: /\/jwks$/, status: 403 }, ['/jwks answered 403']],
    ['issuer', issuer => issuer.metadata({ issuer: 'https://other.example/\u001b[2J' }),
      { reason: 'issuer', url: /openid-configuration$/, found: 'https://other.example/[2J' }, ['names the issuer https://other.example/']],
    ['jwks_uri', issuer => issuer.metadata({ jwks_uri: 'http://keys.example.com/jwks' }),
      { reason: 'url', found: 'http://keys.example.com/jwks' }, ['names http://keys.example.com/jwks for its keys']],
    ['empty', issuer => issuer.fail('empty-set', 'jwks'), { reason: 'empty', url: /\/jwks$/ }, ['/jwks has no key that may be used']],
    ['down', issuer => issuer.down(), { reason: 'transport', url: /openid-configuration$/, found: /ECONNRESET|ECONNREFUSED/ },
      ['could not be asked (ECONN']],
    ['hang', issuer => issuer.fail('hang', 'discovery'), { reason: 'timeout', url: /openid-configuration$/ }, ['gave no answer in time']]
  ]
  for (const [name, prepare, event, words] of wrong) {
    const target = await startIssuer(t)
    prepare(target)
    const lines: string[] = []
    const auth = authOf(target, name === 'hang' ? { keys: { timeout: 200 } } : {})
    const app = startFastify(t, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
    await app.register(authentication, { ...auth, environment: 'development' })
    await app.ready()
    const logged = lines.map(line => JSON.parse(line)).find(({ type }) => type === 'keys.failed')
    t.match(logged, { issuer: target.issuer, ...event }, name)
    const required = startFastify(t)
    await required.register(authentication, { ...auth, startup: 'required', environment: 'development' })
    const message = await required.ready().then(() => '', (error: Error) => error.message)
    for (const word of [...words, `secure-api doctor issuer ${target.issuer}`]) {
      t.ok(String(logged?.msg).includes(word), `${name}: the log says ${word}`)
      t.ok(message.includes(word), `${name}: startup 'required' says ${word}`)
    }
  }
})

t.test('keys from an instance of get-jwks: known, rotated, removed, unknown and unavailable', async t => {
  const provider = await startIssuer(t)
  const keys = { source: buildGetJwks({ jwksPath: '/jwks' }), refresh: 200, cooldown: 50 }
  const { app } = await secured(t, provider, { suite: { auth: authOf(provider, { keys }), rateLimit: unlimited }, routes })
  t.match(app.secureApi.status(), { issuers: [{ issuer: provider.issuer, state: 'fresh', keys: [] }] })
  const first = getWith(provider)
  t.strictSame(await answersOf(app, first), [200])
  provider.rotate()
  const second = getWith(provider)
  t.strictSame(await answersOf(app, second, first, getWith(provider, {}, { header: { kid: 'stranger' } })),
    [200, 200, [401, 'SECURE_API_TOKEN_KEY']])
  t.match(app.secureApi.status(), { issuers: [{ keys: [{ kid: 'key-1' }, { kid: 'key-2' }] }] })
  provider.remove('key-1')
  await until(async () => (await app.inject(first)).statusCode === 401, 'the refresh ends a verified token of the key too')
  t.strictSame(await answersOf(app, first, second), [[401, 'SECURE_API_TOKEN_KEY'], 200])
})

t.test('a provider behind get-jwks that is down or hangs: 503 with Retry-After', async t => {
  for (const fault of ['down', 'hang'] as const) {
    const provider = await startIssuer(t)
    provider.fail(fault)
    const keys = { source: buildGetJwks({ jwksPath: '/jwks' }), timeout: 200, cooldown: '1 second' } as const
    const { app } = await secured(t, provider, { suite: { auth: authOf(provider, { keys }), rateLimit: unlimited }, routes })
    const answer = await app.inject(getWith(provider))
    t.strictSame([answer.statusCode, codeOf(answer), answer.headers['retry-after']], [503, 'SECURE_API_KEYS_UNAVAILABLE', '1'], fault)
  }
})

t.test('options that contradict a source of keys stop the boot', async t => {
  const source = buildGetJwks()
  const mistakes = async (more: object, keys: object = { source }) => await mistakesOf(() => startFastify(t).register(authentication, {
    issuer: 'https://login.example.com', audience: 'api://orders', keys, ...more
  }))
  t.strictSame(await mistakes({}), [])
  t.strictSame(await mistakes({ discovery: false }), [])
  t.strictSame(await mistakes({ jwksUri: 'https://login.example.com/jwks' }), ['SECURE_API_OPTION_CONFLICT'])
  t.ok((await mistakes({ jwks: issuer.jwks })).includes('SECURE_API_OPTION_CONFLICT'))
  t.strictSame(await mistakes({ discovery: true }), ['SECURE_API_OPTION_CONFLICT'])
  t.strictSame(await mistakes({ startup: 'required' }), ['SECURE_API_OPTION_CONFLICT'])
  for (const more of [{ proxy: false }, { proxy: 'http://proxy.example.com:3128' }, { ca: rootCertificates[0] }]) {
    t.strictSame(await mistakes({}, { source, ...more }), ['SECURE_API_OPTION_CONFLICT'], Object.keys(more).join())
  }
  t.strictSame(await mistakes({ environment: 'development' }, { source, insecureHosts: ['keycloak'] }), ['SECURE_API_OPTION_CONFLICT'])
  for (const wrong of [{}, buildGetJwks, null, 'get-jwks', { getJwk: 'x' }]) {
    t.strictSame(await mistakes({}, { source: wrong }),
      ['SECURE_API_OPTION_TYPE'])
  }
  t.strictSame(await mistakes({ issuer: 'login.example.com' }), ['SECURE_API_URL_INVALID'], 'its address is made of the issuer')
})

t.test('16: without the authorization plugin a rule stops the boot, since every token would fulfil it', async t => {
  const alone = async (config: object, guarded: 'nowhere' | 'around' | 'inside' = 'nowhere') => {
    const app = startFastify(t)
    await app.register(authentication, { ...authOf(issuer), environment: 'development' })
    if (guarded === 'around') await app.register(authorization, {})
    await app.register(async child => {
      if (guarded === 'inside') await child.register(authorization, {})
      child.get('/orders', { config: config as FastifyContextConfig }, async () => 'orders')
    })
    if (guarded === 'inside') app.get('/outside', { config: { authenticated: true } }, async () => 'outside')
    return app
  }
  for (const rule of [{ scope: 'a' }, { role: 'a' }, { policy: 'a' }]) {
    t.strictSame(await mistakesOf(async () => await (await alone(rule)).ready()), ['SECURE_API_ROUTE_OPTION_UNKEPT'])
  }
  t.strictSame(await mistakesOf(async () => await (await alone({ scopes: 'a' })).ready()), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(await answersOf(await alone({ authenticated: true }), getWith(issuer)), [200])
  for (const guarded of ['around', 'inside'] as const) {
    const answers = await answersOf(await alone({ scope: 'a' }, guarded), getWith(issuer), getWith(issuer, { scope: 'a' }))
    t.strictSame(answers, [[403, 'SECURE_API_FORBIDDEN'], 200], guarded)
  }
})
