import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import cors from '@fastify/cors'
import type { FastifyContextConfig, FastifyInstance, HTTPMethods, InjectOptions, LightMyRequestResponse, RouteHandlerMethod } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { secureApiCommand } from '../../cli/secure-api.ts'
import secureApi, { secureServer, type AuditEvent, type SecureApiOptions } from '../../plugins/index.ts'
import type { TestIssuer } from '../../testing/index.ts'
import { fakeTerminal } from '../cli/terminal.ts'
import { startRedis } from '../helpers/redis.ts'
import { bearer, codeOf, mistakesOf, missingHeaders, secured, startFastify, startIssuer, until } from '../helpers/server.ts'

/** Runs the advice of one row. `says`: words of its last cell, so that advice that changes brings its test along. */
interface Check {
  readonly says: string
  readonly run: (t: Test) => Promise<void>
}

type Checks = Readonly<Record<string, Check>>
type Handler = RouteHandlerMethod
type Claims = Parameters<TestIssuer['sign']>[0]

const issuer = await startIssuer(t)
const redis = await startRedis()
t.teardown(() => redis.close())
const origin = 'https://app.example.com'
const open = { public: true } as const
const closed = { authenticated: true } as const
const once = { limit: 1, window: '1 minute' } as const
const wanted = 'SECURE_API_RATE_LIMITED'
const nothing: Handler = async () => ({})
const keyOf = (type: 'ec' | 'rsa') => (type === 'ec'
  ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
  : generateKeyPairSync('rsa', { modulusLength: 2048 }))
  .privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const route = (method: HTTPMethods, url: string, config: FastifyContextConfig, handler: Handler = nothing) =>
  (app: FastifyInstance): void => { app.route({ method, url, config, handler }) }

/** The suite in front of `GET /`. */
async function api (t: Test, config: object, { handler = nothing, suite, server, more }: {
  handler?: Handler, suite?: SecureApiOptions, server?: { trustProxy?: string[], bodyLimit?: number }, more?: (app: FastifyInstance) => void
} = {}): Promise<{ app: FastifyInstance, events: AuditEvent[] }> {
  return await secured(t, issuer, {
    ...(suite === undefined ? {} : { suite }),
    ...(server === undefined ? {} : { fastify: server }),
    routes: app => {
      app.get('/', { config: config as FastifyContextConfig }, handler)
      more?.(app)
    }
  })
}

const stopped = (t: Test, config: object, suite?: SecureApiOptions) =>
  mistakesOf(() => api(t, config, suite === undefined ? {} : { suite }))
const by = (claims?: Claims, url = '/'): InjectOptions => ({ url, headers: bearer(issuer, claims) })
const preflight = (method: string, from = origin, url = '/'): InjectOptions =>
  ({ method: 'OPTIONS', url, headers: { origin: from, 'access-control-request-method': method } })

/** Status of each answer, one after the other. */
async function statuses (app: FastifyInstance, ...requests: InjectOptions[]): Promise<number[]> {
  const found: number[] = []
  for (const request of requests) found.push((await app.inject(request)).statusCode)
  return found
}

/** The three answers of a rule: to a stranger, to whoever lacks what it asks for, to whoever has it. */
async function guards (t: Test, config: object, lacking: Claims, having: Claims, suite?: SecureApiOptions): Promise<void> {
  const { app } = await api(t, config, suite === undefined ? {} : { suite })
  t.strictSame(await statuses(app, { url: '/' }, by(lacking), by(having)), [401, 403, 200])
}

/** A token is needed, and enough. */
async function authenticates (t: Test, suite?: SecureApiOptions): Promise<void> {
  const { app } = await api(t, closed, suite === undefined ? {} : { suite })
  t.strictSame(await statuses(app, { url: '/' }, { url: '/', headers: { authorization: 'Bearer e30.e30.' } }, by()), [401, 401, 200])
}

async function limitedBy (t: Test, suite: SecureApiOptions, config: object = open): Promise<LightMyRequestResponse> {
  const { app } = await api(t, config, { suite })
  t.equal((await app.inject(by())).statusCode, 200)
  const refused = await app.inject(by())
  t.strictSame([refused.statusCode, codeOf(refused)], [429, wanted])
  return refused
}

let prefixes = 0

/** Two processes with one Redis share a count. On a machine so busy that it misses its 50 ms each counts for itself: that says nothing. */
async function sharesCounts (t: Test): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const suite: SecureApiOptions = { rateLimit: { redis: redis.url, keyPrefix: `shared-${++prefixes}:`, policies: { read: once } } }
    const apps = [await api(t, open, { suite }), await api(t, open, { suite })]
    const answers: number[] = []
    for (const { app } of apps) answers.push(...await statuses(app, { url: '/' }))
    if (apps.some(({ app }) => app.rateLimits.status().failures > 0)) continue
    t.strictSame(answers, [200, 429])
    return
  }
  t.fail('Redis was late in every round')
}

async function ownHandler (t: Test): Promise<void> {
  const mine = (app: FastifyInstance) => {
    app.setErrorHandler((error: { statusCode?: number }, _request, reply) => reply.code(error.statusCode ?? 500).send({ mine: true }))
  }
  const { app } = await secured(t, issuer, {
    suite: { errors: 'throw' },
    routes: app => { mine(app); app.get('/', { config: closed }, nothing) }
  })
  const response = await app.inject('/')
  t.match([response.statusCode, response.json(), response.headers['www-authenticate']], [401, { mine: true }, /^Bearer/])
}

async function problems (t: Test): Promise<void> {
  const { app } = await api(t, closed, { handler: async () => { throw new Error('of the handler') } })
  for (const request of [{ url: '/' }, { url: '/nowhere' }, by()]) {
    t.match((await app.inject(request)).headers['content-type'], /^application\/problem\+json/, JSON.stringify(request.url))
  }
}

/** The suite beside the provider's tokens accepts those that this key signs. */
const withOwn = (privateKey: string): SecureApiOptions =>
  ({ auth: { ...issuer.auth, ownTokens: { issuer: 'https://api.example.com', audience: 'api://orders', privateKey } } })

async function signsOwn (t: Test): Promise<void> {
  for (const type of ['rsa', 'ec'] as const) {
    const { app } = await api(t, { scope: 'a' }, { suite: withOwn(keyOf(type)) })
    const send = (scope: string) => ({ url: '/', headers: { authorization: `Bearer ${app.jwt.sign({ sub: 'alice', scope })}` } })
    t.strictSame(await statuses(app, send('a'), send('b'), by({ scope: 'a' })), [200, 403, 200],
      `${type}: beside the tokens of the provider`)
  }
}

async function signsShared (t: Test): Promise<void> {
  const secret = randomBytes(32).toString('hex')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: 'alice' })}`
  const token = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  const send = (given: string) => ({ url: '/', headers: { authorization: `Bearer ${given}` } })
  const ownTokens = { issuer: 'https://api.example.com', audience: 'api://orders', secret }
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  const { app } = await api(t, closed, { suite: { auth: { ownTokens } } })
  t.strictSame(await statuses(app, send(app.jwt.sign({ sub: 'alice' })), send(token)), [200, 401])
  const { app: moving } = await api(t, closed, { suite: { auth: { ownTokens: { ...ownTokens, legacy: { until: tomorrow } } } } })
  t.strictSame(await statuses(moving, send(token)), [200])
}

async function byHand (t: Test): Promise<void> {
  const { app } = await api(t, open, {
    more: app => {
      const check = app.createRateLimit({ max: 1, timeWindow: '1 minute' })
      const shared = { max: 1, timeWindow: '1 minute', policy: 'shared' }
      app.get('/asked', { config: open }, request => check(request))
      for (const url of ['/one', '/other']) {
        app.get(url, { config: open, preHandler: app.rateLimit({ max: 1, timeWindow: '1 minute' }) },
          nothing)
      }
      for (const url of ['/left', '/right']) app.get(url, { config: open, preHandler: app.rateLimit(shared) }, nothing)
    }
  })
  const asked = [await app.inject('/asked'), await app.inject('/asked')]
  t.match(asked.map(({ body }) => JSON.parse(body)), [{ isExceeded: false }, { isExceeded: true }])
  t.strictSame(await statuses(app, { url: '/one' }, { url: '/one' }, { url: '/other' }), [200, 429, 200],
    'each call has a budget of its own')
  t.strictSame(await statuses(app, { url: '/left' }, { url: '/right' }), [200, 429], 'one name is one budget')
}

/** As `app.auth([a, b], { relation: 'and' })` of @fastify/auth calls its functions. */
async function afterAnother (t: Test): Promise<void> {
  const { app } = await api(t, open, {
    more: app => {
      const [first, second] = [app.authenticate, app.requireScope('x')]
      app.get('/both', {
        config: open,
        preHandler: (request, reply, done) => {
          first.call(app, request, reply, error => {
            if (error === undefined) second.call(app, request, reply, done)
            else done(error as Error)
          })
        }
      }, nothing)
    }
  })
  t.strictSame(await statuses(app, { url: '/both' }, by({ scope: 'y' }, '/both'), by({ scope: 'x' }, '/both')), [401, 403, 200])
}

async function trusts (t: Test): Promise<void> {
  const { app } = await api(t, open, {
    server: secureServer({ trustProxy: ['10.0.0.0/8'] }) as object,
    handler: async ({ ip }) => ({ ip })
  })
  const from = async (remoteAddress: string) => (await app.inject({
    url: '/',
    remoteAddress,
    headers: { 'x-forwarded-for': '192.0.2.7' }
  })).json()
  t.strictSame([await from('10.1.2.3'), await from('203.0.113.9')], [{ ip: '192.0.2.7' }, { ip: '203.0.113.9' }])
}

const handMade: Checks = {
  '`@fastify/helmet`': {
    says: "`config: { headers: { profile: 'html', ... } }`",
    run: async t => {
      const { app } = await api(t, open, { more: route('GET', '/page', { ...open, headers: { profile: 'html' } }) })
      const [plain, page] = [await app.inject('/'), await app.inject('/page')]
      t.strictSame([missingHeaders(plain.headers), missingHeaders(page.headers)], [[], []])
      t.match([plain.headers['content-security-policy'], page.headers['content-security-policy']],
        [/default-src 'none'/, /default-src 'self'/])
    }
  },
  '`helmet: false` at a route': {
    says: 'the header set to `false`',
    run: async t => {
      const { app } = await api(t, { ...open, headers: { crossOriginOpenerPolicy: false, referrerPolicy: false } },
        { more: route('GET', '/other', open) })
      const names = ['cross-origin-opener-policy', 'referrer-policy'] as const
      const sent = async (url: string) => { const { headers } = await app.inject(url); return names.map(name => name in headers) }
      t.strictSame([await sent('/'), await sent('/other')], [[false, false], [true, true]])
    }
  },
  '`reply.cspNonce`': {
    says: '`nonces: true`',
    run: async t => {
      const nonce: Handler = async (_request, reply) => ({ nonce: reply.cspNonce })
      const config = { ...open, headers: { profile: 'html', contentSecurityPolicy: { nonces: true } } }
      const { app } = await api(t, config, { handler: nonce, more: route('GET', '/without', open, nonce) })
      const page = await app.inject('/')
      t.ok(String(page.headers['content-security-policy']).includes(`'nonce-${page.json().nonce.script}'`))
      t.strictSame((await app.inject('/without')).json(), { nonce: null })
    }
  },
  '`@fastify/cors`, `origin: true`, a regular expression or a function': {
    says: '`https://*.example.com`',
    run: async t => {
      const { app } = await api(t, open, { suite: { cors: { origins: [origin, 'https://*.preview.example.com'] } } })
      const asked = [origin, 'https://a.preview.example.com', 'https://evil.example'].map(from => preflight('GET', from))
      t.strictSame(await statuses(app, ...asked), [204, 204, 403])
      for (const origins of [true, [/example/], () => true]) {
        t.not((await stopped(t, open, { cors: { origins } as object as { origins: string[] } })).length, 0, String(origins))
      }
    }
  },
  '`allowedHeaders`, `exposedHeaders`, `maxAge: 600`': {
    says: '`methods` is announced as you write it',
    run: async t => {
      const [requestHeaders, responseHeaders, methods] = [['authorization', 'x-mine'], ['location'], ['GET', 'PUT']]
      const { app } = await api(t, open, {
        suite: {
          cors: {
            origins: [origin],
            requestHeaders,
            responseHeaders,
            maxAge: '10 minutes',
            methods
          }
        }
      })
      const asked = preflight('GET')
      const { headers } = await app.inject({
        ...asked,
        headers: { ...asked.headers, 'access-control-request-headers': 'authorization,x-mine' }
      })
      t.equal(headers['access-control-max-age'], '600')
      t.match(headers['access-control-allow-headers'], /x-mine/)
      t.match((await app.inject({ url: '/', headers: { origin } })).headers['access-control-expose-headers'], /location/i)
      t.strictSame(String(headers['access-control-allow-methods']).split(', '), ['GET', 'PUT'], 'HEAD is not added by itself')
    }
  },
  '`@fastify/rate-limit`, `max`, `timeWindow`': {
    says: '`config.rateLimit` at a route has this shape too',
    run: async t => {
      await limitedBy(t, { rateLimit: { policies: { read: once } } })
      await limitedBy(t, {}, { ...open, rateLimit: once })
      t.not((await stopped(t, { ...open, rateLimit: { max: 1, timeWindow: '1 minute' } })).length, 0, 'the old shape stops the boot')
    }
  },
  '`keyGenerator`': {
    says: '`by`',
    run: async t => {
      const { app } = await api(t, {
        ...open,
        rateLimit: {
          ...once,
          by: ({ headers }: { headers: Record<string, string> }) => headers['x-team']
        }
      })
      const team = (name: string) => ({ url: '/', headers: { 'x-team': name } })
      t.strictSame(await statuses(app, team('a'), team('a'), team('b')), [200, 429, 200])
    }
  },
  '`allowList`': {
    says: '`config: { rateLimit: false }`',
    run: async t => {
      const policies = { read: { limit: 1, window: '1 minute', plans: { partner: { limit: 3 } }, plan: 'plan' } } as const
      const { app } = await api(t, open, {
        suite: { rateLimit: { policies } },
        more: app => { route('GET', '/free', { ...open, rateLimit: false })(app); route('GET', '/planned', closed)(app) }
      })
      const free = { url: '/free' }
      t.strictSame(await statuses(app, { url: '/' }, { url: '/' }, free, free, free), [200, 429, 200, 200, 200])
      const partner = by({ plan: 'partner' }, '/planned')
      t.strictSame(await statuses(app, partner, partner, partner, partner), [200, 200, 200, 429])
    }
  },
  '`skipOnError: true`': {
    says: "`onStoreFailure: 'allow'`",
    run: async t => {
      const suite = (more: object): SecureApiOptions => ({ rateLimit: { redis: 'redis://127.0.0.1:1', policies: { read: once }, ...more } })
      const [allowing, counting] = [await api(t, open, { suite: suite({ onStoreFailure: 'allow' }) }),
        await api(t, open, { suite: suite({}) })]
      t.strictSame(await statuses(allowing.app, { url: '/' }, { url: '/' }), [200, 200])
      t.strictSame(await statuses(counting.app, { url: '/' }, { url: '/' }), [200, 429])
    }
  },
  '`nameSpace`, `redis`': {
    says: '`app.redis` of `@fastify/redis` is used by itself',
    run: async t => {
      const client = new Redis(redis.url)
      t.teardown(() => client.disconnect())
      for (const [keyPrefix, given] of [['given:', { redis: redis.url }], ['found:', {}]] as const) {
        const app = startFastify(t)
        if (!('redis' in given)) app.decorate('redis', client)
        await app.register(secureApi, { auth: issuer.auth, environment: 'development', rateLimit: { ...given, keyPrefix } })
        app.get('/', { config: open }, nothing)
        t.equal((await app.inject('/')).statusCode, 200)
        // Redis may have been late.
        await until(async () => { await app.inject('/'); return (await client.keys(`${keyPrefix}*`)).length > 0 }, keyPrefix)
      }
    }
  },
  '`app.createRateLimit()`, `app.rateLimit({ max, timeWindow })`': {
    says: "`policy: 'name'` makes several calls share one budget",
    run: byHand
  },
  '`@fastify/jwt` with `get-jwks`, or `fastify-jwt-jwks`': { says: '`auth: { issuer, audience }`', run: t => authenticates(t) },
  '`request.jwtVerify()` in a hook': {
    says: 'routes need a token unless `public: true`',
    run: async t => {
      const { app } = await api(t, closed, { more: route('GET', '/open', open) })
      t.strictSame(await statuses(app, { url: '/' }, by(), { url: '/open' }), [401, 200, 200])
    }
  },
  '`request.user`': {
    says: '`request.auth`',
    run: async t => {
      const { app } = await api(t, closed, { handler: async ({ user, auth }) => ({ user, subject: auth.subject }) })
      const claims = { sub: 'alice', department: 'sales' }
      t.match((await app.inject(by(claims))).json(), { user: { ...claims, iss: issuer.issuer }, subject: 'alice' })
    }
  },
  '`app.jwt.sign()` with an RSA or EC key': { says: '`auth.ownTokens: { issuer, audience, privateKey }`', run: signsOwn },
  '`app.jwt.sign()` with a shared secret (HS256)': { says: '`legacy`', run: signsShared },
  '`fastify-guard`, `fastify-jwt-authz`, a `preHandler` of your own': {
    says: '`config.scope`, `config.role`, `config.policy`',
    run: async t => {
      await guards(t, { scope: 'a' }, { scope: 'b' }, { scope: 'a b' })
      await guards(t, { role: 'admin' }, { roles: ['clerk'] }, { roles: ['admin'] })
      await guards(t, { policy: 'sales' }, { department: 'x' }, { department: 'sales' }, {
        authorization: { policies: { sales: ({ principal }) => principal.claims['department'] === 'sales' } }
      })
    }
  },
  '`@fastify/auth`': { says: "`app.requireScope('x')`", run: afterAnother },
  'a forged token, unknown `kid`, wrong algorithm': {
    says: '401 with `WWW-Authenticate`',
    run: async t => {
      const { app } = await api(t, closed)
      const forged = `${issuer.sign().slice(0, -10)}AAAAAAAAAA`
      const others = [{ kid: 'none' }, { alg: 'HS256' }, { alg: 'none' }].map(header => issuer.sign({}, { header }))
      for (const token of [forged, ...others]) {
        const { statusCode, headers } = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
        t.match([statusCode, headers['www-authenticate']], [401, /^Bearer .*error="invalid_token"/])
      }
    }
  },
  'the provider is down and there are no keys': {
    says: '503 with `Retry-After`',
    run: async t => {
      const away = await startIssuer(t)
      away.down()
      const { app } = await secured(t, away, { routes: route('GET', '/', closed) })
      const { statusCode, headers } = await app.inject({ url: '/', headers: bearer(away) })
      t.match([statusCode, headers['retry-after']], [503, /^\d+$/])
    }
  },
  'missing scope': {
    says: '`insufficient_scope` and the scope',
    run: async t => {
      const { app } = await api(t, { scope: 'api.read' })
      const { statusCode, headers } = await app.inject(by({ scope: 'b' }))
      t.match([statusCode, headers['www-authenticate']], [403, /error="insufficient_scope".*scope="api\.read"/])
    }
  },
  'errors of the suite': { says: "`errors: 'throw'`", run: async t => { await problems(t); await ownHandler(t) } },
  limits: {
    says: '`legacyHeaders: true`',
    run: async t => {
      const { headers } = await limitedBy(t, { rateLimit: { policies: { read: once }, legacyHeaders: true } })
      for (const name of ['ratelimit', 'ratelimit-policy', 'x-ratelimit-limit', 'x-ratelimit-remaining',
        'x-ratelimit-reset']) t.ok(name in headers, name)
      t.notOk('x-ratelimit-limit' in (await limitedBy(t, { rateLimit: { policies: { read: once } } })).headers)
    }
  },
  'a wrong method on a known path': {
    says: '`methodNotAllowed: false` keeps 404',
    run: async t => {
      const [strict, old] = [await api(t, open), await api(t, open, { suite: { methodNotAllowed: false } })]
      const response = await strict.app.inject({ method: 'DELETE', url: '/' })
      t.match([response.statusCode, response.headers.allow], [405, /GET/])
      t.strictSame(await statuses(old.app, { method: 'DELETE', url: '/' }), [404])
    }
  },
  'a preflight that must fail': {
    says: '403',
    run: async t => {
      const { app } = await api(t, open, { suite: { cors: { origins: [origin] } } })
      t.strictSame(await statuses(app, preflight('GET', 'https://evil.example'), preflight('DELETE')), [403, 403])
    }
  },
  404: {
    says: 'both',
    run: async t => {
      const { app } = await api(t, open, {
        suite: { rateLimit: { perAddress: once } },
        more: app => { app.register(async child => route('GET', '/', open)(child), { prefix: '/child' }) }
      })
      const [first, second] = [await app.inject('/child/nowhere'), await app.inject('/child/nowhere')]
      t.strictSame([first.statusCode, second.statusCode, missingHeaders(first.headers)], [404, 429, []])
    }
  }
}

const express: Checks = {
  '`auth({ issuerBaseURL, audience })`': {
    says: 'the issuer with its slash',
    run: async t => {
      const auth0 = await startIssuer(t, { path: '/', preset: 'auth0' })
      t.match(auth0.issuer, /\/$/)
      const { app } = await secured(t, auth0, { suite: { auth: auth0.auth }, routes: route('GET', '/', { scope: 'read:orders' }) })
      t.strictSame(await statuses(app, { url: '/', ...auth0.asUser({ scopes: ['read:orders'] }) }, { url: '/', ...auth0.asUser() }),
        [200, 403])
      t.strictSame(await stopped(t, closed, { auth: { issuer: 'https://tenant.eu.auth0.com', audience: 'a', preset: 'auth0' } }),
        ['SECURE_API_ISSUER_FORM'])
    }
  },
  '`auth({ strict: true })`': {
    says: "`profile: 'at+jwt'`",
    run: async t => {
      const { app } = await api(t, closed, { suite: { auth: { ...issuer.auth, profile: 'at+jwt' } } })
      const typed = (typ: string) => ({ url: '/', headers: { authorization: `Bearer ${issuer.sign({}, { typ })}` } })
      t.strictSame(await statuses(app, typed('at+jwt'), typed('JWT')), [200, 401])
    }
  },
  '`tokenSigningAlg`': {
    says: 'asymmetric ones only',
    run: async t => {
      const of = (algorithms: string[]): SecureApiOptions =>
        ({ auth: { ...issuer.auth, algorithms } as object as NonNullable<SecureApiOptions['auth']> })
      await authenticates(t, of(['RS256']))
      const { app } = await api(t, closed, { suite: of(['ES256']) })
      t.strictSame(await statuses(app, by()), [401])
      t.not((await stopped(t, closed, of(['HS256']))).length, 0)
    }
  },
  '`jwksUri`, `issuer`': {
    says: '`jwksUri`, `issuer`',
    run: async t => {
      const hidden = await startIssuer(t, { discovery: false })
      const { app } = await secured(t, hidden, {
        suite: { auth: { ...hidden.auth, jwksUri: hidden.jwksUri } },
        routes: route('GET', '/', closed)
      })
      t.strictSame(await statuses(app, { url: '/', headers: bearer(hidden) }), [200])
      t.equal(hidden.hits.discovery, 0)
    }
  },
  "`requiredScopes('a b')`": {
    says: "`config: { scope: { all: ['a', 'b'] } }`",
    run: t => guards(t, { scope: { all: ['a', 'b'] } }, { scope: 'a' }, { scope: 'b a' })
  },
  "`scopeIncludesAny('a b')`": {
    says: "`config: { scope: { any: ['a', 'b'] } }`",
    run: t => guards(t, { scope: { any: ['a', 'b'] } }, { scope: 'c' }, { scope: 'b' })
  },
  '`claimEquals`, `claimIncludes`, `claimCheck`': {
    says: '`principal.claims`',
    run: t => guards(t, { policy: 'team' }, { team: ['x'] }, { team: ['x', 'y'] }, {
      authorization: { policies: { team: ({ principal: { claims } }) => Array.isArray(claims['team']) && claims['team'].includes('y') } }
    })
  },
  '`authRequired: false`': {
    says: "`public: true, authentication: 'optional'`",
    run: async t => {
      const handler: Handler = async ({ auth }) => ({ kind: auth.kind })
      const { app } = await api(t, { ...open, authentication: 'optional' }, { handler, more: route('GET', '/open', open, handler) })
      const bad = { url: '/', headers: { authorization: 'Bearer e30.e30.' } }
      t.strictSame([(await app.inject('/')).json(), (await app.inject(by())).json()], [{ kind: 'anonymous' }, { kind: 'user' }])
      t.strictSame(await statuses(app, bad), [401])
      t.strictSame((await app.inject(by({}, '/open'))).json(), { kind: 'anonymous' }, 'with `public` alone a token is not looked at')
    }
  },
  '`req.auth.payload`, `req.auth.header`': {
    says: 'the header is not kept',
    run: async t => {
      const { app } = await api(t, closed, { handler: async ({ auth, user }) => ({ claims: auth.claims, user, header: 'header' in auth }) })
      t.match((await app.inject(by({ sub: 'alice' }))).json(), { claims: { sub: 'alice' }, user: { sub: 'alice' }, header: false })
    }
  },
  '`helmet({ contentSecurityPolicy: ... })`': {
    says: 'the API profile as the start',
    run: async t => {
      const { app } = await api(t, open, { suite: { headers: { contentSecurityPolicy: { directives: { 'img-src': ["'self'"] } } } } })
      t.match((await app.inject('/')).headers['content-security-policy'], /default-src 'none'.*img-src 'self'/)
    }
  },
  '`cors({ origin, exposedHeaders })`': {
    says: '`cors: { origins, responseHeaders }`',
    run: async t => {
      const { app } = await api(t, open, { suite: { cors: { origins: [origin], responseHeaders: ['location'] } } })
      const { headers } = await app.inject({ url: '/', headers: { origin } })
      t.match([headers['access-control-allow-origin'], headers['access-control-expose-headers']], [origin, /location/i])
    }
  },
  '`rateLimit({ windowMs, limit, keyGenerator, skip, store })`': {
    says: '`config.rateLimit: false`',
    run: async t => {
      await limitedBy(t, { rateLimit: { policies: { read: { ...once, by: () => 'all' } } } })
      const { app } = await api(t, { ...open, rateLimit: false }, { suite: { rateLimit: { policies: { read: once } } } })
      t.strictSame(await statuses(app, { url: '/' }, { url: '/' }), [200, 200])
      await sharesCounts(t)
    }
  },
  '`skipSuccessfulRequests` for logins': {
    says: '`app.loginGuard`',
    run: async t => {
      const { app } = await api(t, open, {
        more: app => {
          const guard = app.loginGuard()
          app.post<{ Body: { password: string } }>('/login', { config: { ...open, rateLimit: false } }, async (request, reply) => {
            const account = await guard(request, 'alice', async () => request.body.password === 'right' ? {} : undefined)
            return account ?? reply.code(401).send()
          })
        }
      })
      const attempt = (password: string): InjectOptions => ({ method: 'POST', url: '/login', payload: { password } })
      t.strictSame(await statuses(app, ...Array.from({ length: 8 }, () => attempt('right'))), Array(8).fill(200), 'successes do not count')
      t.strictSame(await statuses(app, ...Array.from({ length: 6 }, () => attempt('wrong'))), [401, 401, 401, 401, 401, 429])
    }
  },
  "`app.set('trust proxy', 1)`": {
    says: 'A number stops the boot',
    run: async t => {
      await trusts(t)
      t.strictSame(await mistakesOf(async () => secureServer({ trustProxy: 1 as unknown as string[] })), ['SECURE_API_SERVER_TRUST_PROXY'])
    }
  },
  '`express.json({ limit })`': {
    says: '`bodyLimit`',
    run: t => bodyLimited(t, { bodyLimit: 100 })
  },
  '`app.use((err, req, res, next) => ...)`': { says: '`setErrorHandler`', run: async t => { await ownHandler(t); await problems(t) } }
}

async function bodyLimited (t: Test, server: Parameters<typeof secureServer>[0]): Promise<void> {
  const { app } = await api(t, open, {
    server: secureServer({ environment: 'development', ...server } as object) as object,
    more: route('POST', '/', open)
  })
  const post = (length: number): InjectOptions => ({ method: 'POST', url: '/', payload: { text: 'a'.repeat(length) } })
  t.strictSame(await statuses(app, post(10), post(200)), [200, 413])
}

const aspnet: Checks = {
  'Validate tokens': { says: '`auth: { issuer, audience }`', run: t => authenticates(t) },
  'Entra ID': {
    says: "`preset: 'entra'`",
    run: async t => {
      const entra = await startIssuer(t, { preset: 'entra' })
      const { app } = await secured(t, entra, {
        suite: { auth: { ...entra.auth, preset: 'entra' } },
        routes: route('GET', '/', { scope: 'a', role: 'r' })
      })
      const user = (...roles: string[]) => ({ url: '/', ...entra.asUser({ scopes: ['a'], roles }) })
      t.strictSame(await statuses(app, user('r'), user()), [200, 403])
    }
  },
  'Several providers': {
    says: '`auth.issuers`',
    run: async t => {
      const other = await startIssuer(t)
      const { app } = await api(t, closed, { suite: { auth: { issuers: [issuer.auth, other.auth] } } })
      const stranger = await startIssuer(t)
      t.strictSame(await statuses(app, by(), { url: '/', headers: bearer(other) }, { url: '/', headers: bearer(stranger) }),
        [200, 200, 401])
    }
  },
  'Clock skew': {
    says: '60 seconds',
    run: async t => {
      const ended = (seconds: number) => by({ exp: Math.floor(Date.now() / 1000) - seconds })
      const [usual, exact] = [await api(t, closed), await api(t, closed, { suite: { auth: { ...issuer.auth, clockTolerance: 0 } } })]
      t.strictSame(await statuses(usual.app, ended(20), ended(100)), [200, 401])
      t.strictSame(await statuses(exact.app, ended(20)), [401])
    }
  },
  Scopes: {
    says: "`config: { scope: 'api.write' }`",
    run: t => guards(t, { scope: 'api.write' }, { scope: 'api.read' }, { scope: 'api.read api.write' })
  },
  Roles: {
    says: "`config: { role: { any: ['a', 'b'] } }`",
    run: t => guards(t, { role: { any: ['a', 'b'] } }, { roles: ['c'] }, { roles: ['b'] })
  },
  Policies: {
    says: 'rules or functions',
    run: async t => {
      await guards(t, { policy: { all: ['writer', 'alice'] } }, { scope: 'api.write', sub: 'bob' }, { scope: 'api.write', sub: 'alice' }, {
        authorization: { policies: { writer: { scope: 'api.write' }, alice: ({ principal }) => principal.subject === 'alice' } }
      })
    }
  },
  'Resource-based': {
    says: "`await request.authorize('owner', order)`, which throws the 403",
    run: async t => {
      const { app } = await api(t, closed, {
        suite: {
          authorization: {
            policies: {
              owner: ({ principal, resource }) =>
                (resource as { owner: string }).owner === principal.subject
            }
          }
        },
        handler: async request => { await request.authorize('owner', { owner: 'alice' }); return {} }
      })
      t.strictSame(await statuses(app, by({ sub: 'alice' }), by({ sub: 'bob' })), [200, 403])
    }
  },
  'Closed by default': {
    says: 'a route without a rule refuses everybody',
    run: async t => {
      const { app } = await api(t, {})
      t.strictSame(await statuses(app, { url: '/' }, by({ scope: 'a', roles: ['admin'] })), [401, 403])
    }
  },
  'Open endpoint': {
    says: '`public: true`',
    run: async t => { t.strictSame(await statuses((await api(t, open)).app, { url: '/' }), [200]) }
  },
  'Who calls': {
    says: '`request.auth`',
    run: async t => {
      const { app } = await api(t, closed, {
        handler: async ({ auth }) =>
          ({ subject: auth.subject, issuer: auth.issuer, roles: [...auth.roles] })
      })
      t.match((await app.inject(by({ sub: 'alice', roles: ['admin'] }))).json(),
        { subject: 'alice', issuer: issuer.issuer, roles: ['admin'] })
    }
  },
  Limits: {
    says: '100 reads and 10 writes a minute for each caller',
    run: async t => {
      const { app } = await api(t, closed, { more: route('POST', '/', closed) })
      const answers = async (method: 'GET' | 'POST', sub: string, times: number) => {
        const found = await statuses(app, ...Array.from({ length: times }, () => ({ ...by({ sub }), method })))
        return found.filter(status => status === 200).length
      }
      t.strictSame([await answers('GET', 'alice', 102), await answers('POST', 'alice', 12), await answers('POST', 'bob', 12)],
        [100, 10, 10])
    }
  },
  'Over the limit': {
    says: '429 with `Retry-After`, `RateLimit`, `RateLimit-Policy`',
    run: async t => {
      const { headers } = await limitedBy(t, { rateLimit: { policies: { read: once } } })
      t.match(headers, { 'retry-after': /^\d+$/, ratelimit: /^"read";r=0/, 'ratelimit-policy': '"read";q=1;w=60' })
    }
  },
  'Limits over several servers': { says: '`rateLimit.redis`', run: sharesCounts },
  'Security headers': {
    says: 'on every answer',
    run: async t => {
      const { app } = await api(t, closed, { more: app => { app.get('/fails', { config: open }, async () => { throw new Error('no') }) } })
      for (const request of [{ url: '/' }, by(), { url: '/nowhere' }, { url: '/fails' }]) {
        t.strictSame(missingHeaders((await app.inject(request)).headers), [], JSON.stringify(request.url))
      }
    }
  },
  HSTS: {
    says: 'in production over TLS or a trusted proxy',
    run: async t => {
      const auth = { issuer: 'https://login.example.com', audience: 'api://orders', jwks: issuer.jwks }
      const cases = [['production', '127.0.0.1', true], ['production', '10.0.0.0/8', false], ['development', '127.0.0.1', false]] as const
      for (const [environment, trustProxy, sent] of cases) {
        const { app } = await api(t, open, {
          suite: { auth, environment },
          server: secureServer({ trustProxy: [trustProxy], environment }) as object
        })
        const { headers } = await app.inject({ url: '/', headers: { 'x-forwarded-proto': 'https' } })
        t.equal('strict-transport-security' in headers, sent, `${environment} ${trustProxy}`)
      }
    }
  },
  HTTPS: {
    says: '`secureServer()` stops the boot',
    run: async t => {
      t.strictSame(await mistakesOf(async () => secureServer({ environment: 'production' })), ['SECURE_API_SERVER_PLAINTEXT'])
      t.doesNotThrow(() => secureServer({ environment: 'production', trustProxy: ['10.0.0.0/8'] }))
    }
  },
  CORS: {
    says: '`config.cors` for a route; its preflight follows',
    run: async t => {
      const partner = 'https://partner.example'
      const { app } = await api(t, open, {
        suite: { cors: { origins: [origin] } },
        more: route('PUT', '/partner', { ...open, cors: { origins: [partner] } })
      })
      const asked = [preflight('GET'), preflight('PUT', partner, '/partner'), preflight('PUT', origin, '/partner'),
        preflight('GET', partner)]
      t.strictSame(await statuses(app, ...asked), [204, 204, 403, 403])
    }
  },
  'Forwarded headers': { says: "`secureServer({ trustProxy: ['10.0.0.0/8'] })`", run: trusts },
  'Kestrel limits': {
    says: '`bodyLimit`, `headersTimeout`, … of `secureServer()`',
    run: async t => {
      await bodyLimited(t, { bodyLimit: 100 })
      const app = startFastify(t, secureServer({ environment: 'development', headersTimeout: '5 seconds', requestTimeout: '20 seconds' }))
      t.strictSame([app.server.headersTimeout, app.server.requestTimeout], [5000, 20_000])
    }
  },
  Errors: { says: 'problem documents', run: problems },
  Health: {
    says: 'a route that asks `app.secureApi.status()`',
    run: async t => {
      const { app } = await api(t, open, { more: app => { app.get('/health', { config: open }, async () => app.secureApi.status()) } })
      t.match((await app.inject('/health')).json(), { issuers: [{ state: 'fresh' }], audit: { failing: false } })
    }
  },
  Audit: {
    says: 'on by default',
    run: async t => {
      const lines: string[] = []
      const app = startFastify(t, { logger: { level: 'info', stream: { write: (line: string) => { lines.push(line) } } } })
      await app.register(secureApi, { auth: issuer.auth, environment: 'development' })
      app.get('/', { config: closed }, nothing)
      t.strictSame(await statuses(app, { url: '/' }), [401])
      t.ok(lines.some(line => JSON.parse(line).audit?.event === 'authn_fail'))
    }
  },
  Secrets: {
    says: 'environment, `…_FILE`',
    run: async t => {
      const folder = t.testdir({ issuer: `${issuer.issuer}\n` })
      const given = { NODE_ENV: 'test', SECURE_API_ISSUER_FILE: `${folder}/issuer`, SECURE_API_AUDIENCE: String(issuer.audience) }
      t.intercept(process, 'env', { value: { ...process.env, ...given } })
      const app = startFastify(t)
      await app.register(secureApi)
      app.get('/', { config: closed }, nothing)
      t.strictSame(await statuses(app, { url: '/' }, by()), [401, 200])
    }
  },
  'Tokens for development': {
    says: '`secure-api token`',
    run: async t => {
      const { terminal, stdout } = fakeTerminal({ cwd: t.testdir({}) })
      t.equal(await secureApiCommand(['token', '--scope', 'api.read'], terminal), 0)
      t.match(stdout(), /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    }
  },
  Tests: { says: 'real tokens of a test issuer', run: t => guards(t, { scope: 'a' }, { scope: 'b' }, { scope: 'a' }) }
}

const pages: Readonly<Record<string, Checks>> = { 'hand-made': handMade, 'express-auth0': express, 'aspnet-core': aspnet }

interface Row { readonly name: string, readonly advice: string }

/** The rows of all tables of a page, by first and last cell; headings are not among them. */
function rowsOf (text: string): Row[] {
  const lines = text.replaceAll(/^```.*?^```$/gms, '').split('\n')
  const isRule = (line = '') => line.startsWith('| ---')
  return lines.filter((line, index) => line.startsWith('|') && !isRule(line) && !isRule(lines[index + 1])).map(line => {
    const cells = line.slice(1, -1).split('|').map(cell => cell.trim())
    return { name: cells[0] ?? '', advice: cells.at(-1) ?? '' }
  })
}

const read = (page: string) => readFileSync(new URL(`../../docs/migration/${page}.md`, import.meta.url), 'utf8')

for (const [page, checks] of Object.entries(pages)) {
  const rows = rowsOf(read(page))

  t.test(`15 C8: every row of ${page}.md has a test, and every test a row`, async t => {
    t.strictSame(rows.map(({ name }) => name).sort(), Object.keys(checks).sort())
  })

  for (const { name, advice } of rows) {
    const check = checks[name]
    if (check === undefined) continue
    t.test(`15 C8: ${page}: ${name}`, async t => {
      t.ok(advice.includes(check.says), `the row says ${check.says}`, { advice })
      await check.run(t)
    })
  }
}

t.test('15 C8: a row without a test is seen', async t => {
  const two = '| before | after |\n| --- | --- |\n| `a` | `b` |\n'
  const three = '| x | y | z |\n| --- | --- | --- |\n| c | d | e |\n'
  const rows = rowsOf(`${two}\n\`\`\`js\n| no | row |\n\`\`\`\n${three}`)
  t.strictSame(rows, [{ name: '`a`', advice: '`b`' }, { name: 'c', advice: 'e' }])
})

/** The program that a page shows for this suite, with the keys of the test issuer and without a port of its own. */
async function programOf (t: Test, page: string): Promise<FastifyInstance> {
  const shown = [...read(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)
  t.equal(shown.length, 1)
  const code = ts.transpileModule(shown.join(''),
    { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext } }).outputText
    .replace("'fastify-secure-api'", `'${new URL('../../plugins/index.ts', import.meta.url)}'`)
    .replace('auth: { ', `auth: { jwks: ${JSON.stringify(issuer.jwks)}, `)
    .replace('logger: true', 'logger: { stream: { write () {} } }')
    .replace(/^await server\.listen\(.*$/m, '')
  const folder = t.testdir({ 'program.mjs': `${code}\nasync function ownerOf () { return 'alice' }\nexport { server }\n` })
  const { server }: { server: FastifyInstance } = await import(`${folder}/program.mjs`)
  t.teardown(() => server.close())
  return server
}

/** Requests to such a program, by what comes of them. */
interface Program {
  readonly iss: string
  readonly aud: string
  readonly asked: ReadonlyArray<readonly [request: InjectOptions, claims: Claims | undefined, status: number]>
}

const programs: Readonly<Record<string, Program>> = {
  'hand-made': {
    iss: 'https://login.example.com',
    aud: 'api://orders',
    asked: [[{ url: '/orders' }, undefined, 401], [{ url: '/orders' }, { scope: 'b' }, 403],
      [{ url: '/orders' }, { scope: 'api.read' }, 200]]
  },
  'express-auth0': {
    iss: 'https://tenant.eu.auth0.com/',
    aud: 'https://api.example.com/orders',
    asked: [
      [{ url: '/health' }, undefined, 200],
      [{ url: '/orders' }, undefined, 401],
      [{ url: '/orders' }, { scope: 'read:orders' }, 200],
      [{ url: '/orders', method: 'POST' }, { scope: 'read:orders' }, 403],
      [{ url: '/orders', method: 'POST' }, { scope: 'create:orders' }, 201]
    ]
  },
  'aspnet-core': {
    iss: 'https://login.example.com',
    aud: 'api://orders',
    asked: [
      [{ url: '/health' }, undefined, 200],
      [{ url: '/orders', method: 'POST' }, { scope: 'api.read' }, 403],
      [{ url: '/orders', method: 'POST' }, { scope: 'api.read api.write' }, 201],
      [{ url: '/orders/1' }, { sub: 'alice' }, 200],
      [{ url: '/orders/1' }, { sub: 'bob' }, 403]
    ]
  }
}

for (const [page, { iss, aud, asked }] of Object.entries(programs)) {
  t.test(`15 C8: the program of ${page}.md answers as the one before it`, async t => {
    const server = await programOf(t, page)
    for (const [request, claims, status] of asked) {
      const response = await server.inject({
        ...request,
        ...(claims === undefined ? {} : { headers: bearer(issuer, { iss, aud, ...claims }) })
      })
      t.equal(response.statusCode, status, JSON.stringify([request, claims]))
    }
    t.strictSame(await statuses(server, preflight('GET', origin, page === 'aspnet-core' ? '/orders/1' : '/orders')), [204])
  })
}

t.test('15 C8: a hook of the group gives its routes the rule, as aspnet-core.md says of [Authorize] on a class', async t => {
  t.match(read('aspnet-core'), /give the rule in an `onRoute` hook of the group, or by path in `authorization\.routes`/)
  const groups: Readonly<Record<string, Parameters<typeof secured>[2]>> = {
    hook: {
      routes: app => {
        app.register(async admin => {
          admin.addHook('onRoute', route => { route.config = { ...route.config, role: 'admin' } })
          admin.delete('/users/:id', async () => 'deleted')
        }, { prefix: '/admin' })
      }
    },
    path: {
      suite: { authorization: { routes: { '/admin/*': { role: 'admin' } } } },
      routes: app => { app.register(async admin => { admin.delete('/users/:id', async () => 'deleted') }, { prefix: '/admin' }) }
    }
  }
  const remove: InjectOptions = { method: 'DELETE', url: '/admin/users/1' }
  for (const [name, group] of Object.entries(groups)) {
    const { app } = await secured(t, issuer, group)
    const asked = [remove, { ...remove, ...by({ roles: ['clerk'] }, remove.url as string) },
      { ...remove, ...by({ roles: ['admin'] }, remove.url as string) }]
    t.strictSame(await statuses(app, ...asked), [401, 403, 200], name)
  }
})

t.test('15 C8: the steps of hand-made.md: what is left registered stops the boot, then routes without a rule, then limits that only count',
  async t => {
    const beside = startFastify(t)
    t.strictSame(await mistakesOf(async () => {
      await beside.register(cors, { origin: [origin] })
      await beside.register(secureApi, { auth: issuer.auth, environment: 'development', cors: { origins: [origin] } })
      await beside.ready()
    }), ['SECURE_API_CORS_DUPLICATE'])
    const { app } = await api(t, {}, {
      suite: {
        authorization: { default: 'authenticated' },
        rateLimit: { policies: { read: { ...once, dryRun: true } } }
      }
    })
    t.strictSame(await statuses(app, { url: '/' }, by(), by(), by()), [401, 200, 200, 200])
    t.match(app.secureApi.routes(), [{ url: '/', access: 'none', accessByDefault: 'authenticated' }],
      'the list tells which routes have none')
  })

t.test('15 C8: what differs from Express: tokens elsewhere, DPoP, and the names on `request`', async t => {
  const page = read('express-auth0')
  const told = ['Here only `Authorization` counts', 'Here they are refused', '`req.params`, `req.query`, `req.body` are the same names']
  for (const said of told) t.ok(page.includes(said), said)
  const { app } = await api(t, closed, {
    more: app => { app.post('/orders/:id', { config: open }, async ({ params, query, body }) => ({ params, query, body })) }
  })
  const elsewhere: InjectOptions[] = [
    { url: `/?access_token=${issuer.sign()}` },
    { url: '/', headers: { authorization: `DPoP ${issuer.sign()}`, dpop: 'e30.e30.' } },
    by({ cnf: { jkt: 'thumbprint' } }),
    by({ cnf: { 'x5t#S256': 'thumbprint' } })
  ]
  t.strictSame(await statuses(app, ...elsewhere), [401, 401, 401, 401])
  const answer = await app.inject({ method: 'POST', url: '/orders/7?page=2', payload: { text: 'a' } })
  t.strictSame(answer.json(), { params: { id: '7' }, query: { page: '2' }, body: { text: 'a' } })
})
