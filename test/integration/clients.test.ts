import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import authHeader from 'auth-header'
import type { FastifyContextConfig, FastifyInstance } from 'fastify'
import { BEARER, parseWWWAuthenticateHeader } from 'http-auth-utils'
import ky from 'ky'
import { allowInsecureRequests, customFetch, protectedResourceRequest, WWWAuthenticateChallengeError } from 'oauth4webapi'
import t, { type Test } from 'tap'
import * as undici6 from 'undici'
import * as undici7 from 'undici7'
import { answers, type AnswerCode } from '../../lib/http/index.ts'
import type { SecureApiOptions } from '../../plugins/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { bearer, listen, secured, startIssuer, until } from '../helpers/server.ts'

/** By how many milliseconds the clocks of this process, that of the wall too, are ahead. */
let ahead = 0
const [wall, monotonic] = [Date.now, performance.now.bind(performance)]
Date.now = () => wall() + ahead
performance.now = () => monotonic() + ahead

type RouteLimit = NonNullable<FastifyContextConfig['rateLimit']>

const issuer = await startIssuer(t)
const { app } = await secured(t, issuer, {
  routes: app => {
    app.get('/orders', { config: { scope: { any: ['api.read', 'api.write'] } } }, async () => [])
    app.get('/all', { config: { scope: { all: ['api.read', 'api.write'] } } }, async () => [])
    app.get('/admin', { config: { role: 'admin' } }, async () => [])
  }
})
const url = await listen(app)

/** What the challenge says, by its parameters. */
const challenges: ReadonlyArray<readonly [name: string, path: string, authorization: string | undefined, status: number,
  parameters: Readonly<Record<string, string>>]> = [
    ['no credential', '/orders', undefined, 401, { realm: 'api' }],
    ['garbage', '/orders', 'Bearer abc', 401, { error: 'invalid_token', error_description: 'The token is malformed.' }],
    ['an expired token', '/orders', bearer(issuer, { exp: 1 }).authorization, 401,
      { error: 'invalid_token', error_description: 'The token has expired.' }],
    ['another audience', '/orders', bearer(issuer, { aud: 'b' }).authorization, 401,
      { error: 'invalid_token', error_description: 'The token is intended for another audience.' }],
    ['the scheme alone', '/orders', 'Bearer', 400, {
      error: 'invalid_request',
      error_description: 'Send exactly one credential; a bearer token belongs in the Authorization header.'
    }],
    ['a scope of several', '/orders', bearer(issuer, {}).authorization, 403,
      { error: 'insufficient_scope', error_description: 'The credential does not permit this.', scope: 'api.read' }],
    ['all scopes', '/all', bearer(issuer, {}).authorization, 403,
      { error: 'insufficient_scope', error_description: 'The credential does not permit this.', scope: 'api.read api.write' }],
    ['a role', '/admin', bearer(issuer, {}).authorization, 403,
      { error: 'insufficient_scope', error_description: 'The credential does not permit this.' }]
  ]

t.test('15 B1: oauth4webapi, http-auth-utils and auth-header read every challenge', async t => {
  for (const [name, path, authorization, status, parameters] of challenges) {
    const response = await fetch(url + path, authorization === undefined ? {} : { headers: { authorization } })
    t.equal(response.status, status, name)
    const text = response.headers.get('www-authenticate') ?? ''
    t.strictSame({ ...parseWWWAuthenticateHeader(text, [BEARER]).data }, parameters, `http-auth-utils: ${name}`)
    const { scheme, params } = authHeader.parse(text)
    t.strictSame([scheme, { ...params }], ['Bearer', parameters], `auth-header: ${name}`)
    t.match(await readByOauth4webapi(response), [{ scheme: 'bearer', parameters }], `oauth4webapi: ${name}`)
  }
})

/** It makes the request itself, with a token of its own: the answer is handed to it. */
async function readByOauth4webapi (response: Response): Promise<unknown> {
  const answered = Object.defineProperty(response, 'url', { value: url })
  try {
    const { status } = await protectedResourceRequest('token', 'GET', new URL(url), undefined, undefined,
      { [allowInsecureRequests]: true, [customFetch]: async () => answered })
    return status
  } catch (error) {
    if (error instanceof WWWAuthenticateChallengeError) return error.cause
    throw error
  }
}

/** An application that is about to refuse, and how the cause ends. */
interface Refusing {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly mend?: () => unknown
}

type Cause = readonly [name: string, code: AnswerCode, provoke: (t: Test) => Promise<Refusing>]

const window = '1 minute'
const unlimited = { perAddress: false, failures: false } as const
const open = (app: FastifyInstance, rateLimit: RouteLimit) => { app.get('/', { config: { public: true, rateLimit } }, async () => '') }

/** Of each of these the second request is refused. */
async function exhausted (t: Test, suite: SecureApiOptions, limit: RouteLimit = false): Promise<Refusing> {
  const { app } = await secured(t, issuer, { suite, routes: app => open(app, limit) })
  const url = await listen(app)
  await fetch(url)
  return { url }
}

const causes: readonly Cause[] = [
  ...(['sliding-window', 'fixed-window', 'token-bucket'] as const).map<Cause>(algorithm => [
    `a limit: ${algorithm}`, 'SECURE_API_RATE_LIMITED', t => exhausted(t, { rateLimit: unlimited }, { limit: 1, window, algorithm })
  ]),
  ['the limit of an address', 'SECURE_API_RATE_LIMITED', t => exhausted(t, { rateLimit: { perAddress: { limit: 1, window } } })],
  ['the budget of failures', 'SECURE_API_RATE_LIMITED', async t => {
    const { app } = await secured(t, issuer, {
      suite: { rateLimit: { failures: { limit: 1, window } } },
      routes: app => { app.get('/', { config: { authenticated: true } }, async () => '') }
    })
    const url = await listen(app)
    await fetch(url, { headers: { authorization: 'Bearer abc' } })
    return { url, headers: bearer(issuer) }
  }],
  ['a concurrency limit', 'SECURE_API_RATE_LIMITED', async t => {
    let release = () => {}
    const released = new Promise<void>(resolve => { release = resolve })
    let entered = 0
    const { app } = await secured(t, issuer, {
      suite: { rateLimit: unlimited },
      routes: app => {
        app.get('/', { config: { public: true, rateLimit: { limit: 1, algorithm: 'concurrency' } } },
          async () => { entered++; await released; return '' })
      }
    })
    const url = await listen(app)
    const first = fetch(url).then(response => response.text())
    await until(() => entered === 1, 'the first request')
    return { url, mend: async () => { release(); await first } }
  }],
  ['a login guard', 'SECURE_API_RATE_LIMITED', async t => {
    let password = 'wrong'
    const { app } = await secured(t, issuer, {
      routes: app => {
        const guard = app.loginGuard({ perUserAndAddress: [{ attempts: 1, window: '15 minutes' }] })
        app.get('/', { config: { public: true } }, async (request, reply) => await guard(request, 'alice', () => password === 'right')
          ? ''
          : reply.code(401).send())
      }
    })
    const url = await listen(app)
    await fetch(url)
    password = 'right'
    return { url }
  }],
  ['no signing keys', 'SECURE_API_KEYS_UNAVAILABLE', async t => {
    const away = await startIssuer(t)
    away.down()
    const { app } = await secured(t, away, { routes: app => { app.get('/', { config: { authenticated: true } }, async () => '') } })
    return { url: await listen(app), headers: bearer(away, { exp: Math.floor(Date.now() / 1000) + 3600 }), mend: () => { away.up() } }
  }],
  ['no word on revocation', 'SECURE_API_REVOCATION_UNAVAILABLE', async t => {
    let down = true
    const isRevoked = async () => { if (down) throw new Error('away'); return false }
    const { app } = await secured(t, issuer, {
      suite: { auth: { issuer: issuer.issuer, audience: issuer.audience, isRevoked } },
      routes: app => { app.get('/', { config: { authenticated: true } }, async () => '') }
    })
    return { url: await listen(app), headers: bearer(issuer), mend: () => { down = false } }
  }],
  ['no store of limits', 'SECURE_API_RATE_LIMIT_UNAVAILABLE', async t => {
    const redis = await startRedis()
    t.teardown(() => redis.close())
    const { app } = await secured(t, issuer, {
      suite: { rateLimit: { ...unlimited, redis: redis.url, onStoreFailure: 'deny' } },
      routes: app => open(app, { limit: 100, window })
    })
    const url = await listen(app)
    await fetch(url)
    redis.freeze()
    const isServed = async () => (await app.inject('/')).statusCode === 200
    return { url, mend: async () => { redis.thaw(); await until(isServed, 'the store, in time') } }
  }],
  ['no audit trail', 'SECURE_API_AUDIT_UNAVAILABLE', async t => {
    let release = () => {}
    const stuck = new Promise<void>(resolve => { release = resolve })
    const refusing = await exhausted(t, { rateLimit: unlimited, audit: { sink: () => stuck, buffer: 1, onSinkFailure: 'deny' } })
    return { ...refusing, mend: release }
  }]
]

/** Each asks once more when it is refused, after the wait of its own reckoning. Gives the status that it ends with. */
const clients: Readonly<Record<string, (given: Refusing) => Promise<number>>> = {
  ky: async ({ url, headers = {} }) => (await ky.get(url, { headers, retry: { limit: 1 }, timeout: false })).status,
  'undici 6': given => retrying(undici6, given),
  'undici 7': given => retrying(undici7, given)
}

/** What both releases have in common. */
interface Undici {
  readonly Agent: new () => {
    compose (interceptor: unknown): unknown
    close (): Promise<void>
  }
  readonly interceptors: { retry (options: object): unknown }
  request (url: string, options: object): Promise<{ readonly statusCode: number, readonly body: { dump (): Promise<unknown> } }>
}

async function retrying (undici: unknown, { url, headers = {} }: Refusing): Promise<number> {
  const { Agent, interceptors, request } = undici as Undici
  const agent = new Agent()
  const dispatcher = agent.compose(interceptors.retry({ maxRetries: 1, maxTimeout: 86_400_000, statusCodes: [429, 503] }))
  const { statusCode, body } = await request(url, { headers, dispatcher })
  await body.dump()
  await agent.close()
  return statusCode
}

/** Every `Retry-After` that a client receives, in seconds, as text. */
function received (t: Test): string[] {
  const texts: string[] = []
  const note = (message: unknown) => {
    const { headers } = (message as { response: { headers: ReadonlyArray<Buffer | string> } }).response
    const at = headers.findIndex((name, index) => index % 2 === 0 && String(name).toLowerCase() === 'retry-after')
    if (at !== -1) texts.push(String(headers[at + 1]))
  }
  subscribe('undici:request:headers', note)
  t.teardown(() => unsubscribe('undici:request:headers', note))
  return texts
}

/** In place of the wait that each `Retry-After` asks for the clocks move, and `onWait` is called. Other timers are left alone. */
function withoutWaiting (t: Test, texts: readonly string[], onWait: () => unknown): number[] {
  const waits: number[] = []
  const original = globalThis.setTimeout
  t.teardown(() => { globalThis.setTimeout = original })
  globalThis.setTimeout = ((listener: () => void, ms = 0, ...rest: []) => {
    if (waits.length === texts.length || ms / 1000 !== Number(texts.at(-1))) return original(listener, ms, ...rest)
    waits.push(ms / 1000)
    ahead += ms
    return original(async () => { await onWait(); listener() }, 0)
  }) as typeof setTimeout
  return waits
}

for (const [name, code, provoke] of causes) {
  for (const [client, call] of Object.entries(clients)) {
    t.test(`15: ${client} obeys Retry-After, and is served then: ${name}`, async t => {
      const refusing = await provoke(t)
      const { url, headers = {}, mend } = refusing
      const refused = await fetch(url, { headers })
      t.match([refused.status, (await refused.json() as { code: string }).code], [answers[code].status, code])
      t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
      const texts = received(t)
      const waits = withoutWaiting(t, texts, () => mend?.())
      t.equal(await call(refusing), 200)
      t.match(texts, [/^[1-9]\d*$/])
      t.strictSame(waits, texts.map(Number))
    })
  }
}

t.test('15: the 503 of a server that closes says when to come back', async t => {
  let release = () => {}
  let entered = false
  const { app } = await secured(t, issuer, {
    routes: app => {
      app.get('/slow', { config: { public: true } },
        async () => { entered = true; await new Promise<void>(resolve => { release = resolve }); return '' })
    }
  })
  const { hostname, port } = new URL(await listen(app))
  const [late, busy] = [connect(Number(port), hostname), connect(Number(port), hostname)]
  busy.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => entered, 'the slow request')
  const closed = app.close()
  await until(() => !app.server.listening, 'the closing')
  late.write('GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  t.match(await text(late), /HTTP\/1\.1 503 .*\r\nretry-after: [1-9]\d*\r\n/is)
  release()
  await Promise.all([text(busy), closed])
})
