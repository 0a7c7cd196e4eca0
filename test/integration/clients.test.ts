import authHeader from 'auth-header'
import { BEARER, parseWWWAuthenticateHeader } from 'http-auth-utils'
import ky from 'ky'
import { allowInsecureRequests, customFetch, protectedResourceRequest, WWWAuthenticateChallengeError } from 'oauth4webapi'
import t from 'tap'
import { Agent, interceptors, request } from 'undici'
import { bearer, listen, secured, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const away = await startIssuer(t)
away.down()
const { app } = await secured(t, issuer, {
  suite: { auth: { issuers: [{ issuer: issuer.issuer, audience: issuer.audience }, { issuer: away.issuer, audience: away.audience, keys: { timeout: 500 } }] } },
  routes: app => {
    app.get('/orders', { config: { scope: { any: ['api.read', 'api.write'] } } }, async () => [])
    app.get('/all', { config: { scope: { all: ['api.read', 'api.write'] } } }, async () => [])
    app.get('/admin', { config: { role: 'admin' } }, async () => [])
    app.get('/once', { config: { public: true, rateLimit: { limit: 1, window: '1 minute' } } }, async () => '')
  }
})
const url = await listen(app)

/** What the challenge says, by its parameters. */
const challenges: ReadonlyArray<readonly [name: string, path: string, authorization: string | undefined, status: number, parameters: Readonly<Record<string, string>>]> = [
  ['no credential', '/orders', undefined, 401, { realm: 'api' }],
  ['garbage', '/orders', 'Bearer abc', 401, { error: 'invalid_token', error_description: 'The token is malformed.' }],
  ['an expired token', '/orders', bearer(issuer, { exp: 1 }).authorization, 401, { error: 'invalid_token', error_description: 'The token has expired.' }],
  ['another audience', '/orders', bearer(issuer, { aud: 'b' }).authorization, 401, { error: 'invalid_token', error_description: 'The token is intended for another audience.' }],
  ['the scheme alone', '/orders', 'Bearer', 400, { error: 'invalid_request', error_description: 'Send exactly one bearer token, in the Authorization header.' }],
  ['a scope of several', '/orders', bearer(issuer, {}).authorization, 403, { error: 'insufficient_scope', error_description: 'The credential does not permit this.', scope: 'api.read' }],
  ['all scopes', '/all', bearer(issuer, {}).authorization, 403, { error: 'insufficient_scope', error_description: 'The credential does not permit this.', scope: 'api.read api.write' }],
  ['a role', '/admin', bearer(issuer, {}).authorization, 403, { error: 'insufficient_scope', error_description: 'The credential does not permit this.' }]
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
    const { status } = await protectedResourceRequest('token', 'GET', new URL(url), undefined, undefined, { [allowInsecureRequests]: true, [customFetch]: async () => answered })
    return status
  } catch (error) {
    if (error instanceof WWWAuthenticateChallengeError) return error.cause
    throw error
  }
}

/** Records the waits of about this many seconds, and does not wait. Other timers are left alone. */
async function waitsOf (seconds: number, call: () => Promise<unknown>): Promise<number[]> {
  const waits: number[] = []
  const original = globalThis.setTimeout
  globalThis.setTimeout = ((listener: () => void, ms = 0, ...rest: []) => {
    const isMeant = Math.abs(ms / 1000 - seconds) <= 1 && Number.isInteger(ms / 1000)
    if (isMeant) waits.push(ms)
    return original(listener, isMeant ? 0 : ms, ...rest)
  }) as typeof setTimeout
  try {
    await call()
  } finally {
    globalThis.setTimeout = original
  }
  return waits
}

t.test('undici and ky obey every Retry-After', async t => {
  await fetch(`${url}/once`)
  const refusals: ReadonlyArray<readonly [path: string, status: number, headers: Record<string, string>]> = [['/once', 429, {}], ['/orders', 503, bearer(away)]]
  for (const [path, status, headers] of refusals) {
    const response = await fetch(url + path, { headers })
    const seconds = Number(response.headers.get('retry-after'))
    t.match([response.status, Number.isInteger(seconds) && seconds >= 1], [status, true])
    const byKy = await waitsOf(seconds, () => ky.get('https://api.example.com', {
      retry: { limit: 1 }, timeout: false, fetch: async () => response.clone()
    }).then(() => {}, () => {}))
    t.strictSame(byKy, [seconds * 1000], `ky waits for the ${seconds} s of ${status}`)
    const dispatcher = new Agent().compose(interceptors.retry({ maxRetries: 1, maxTimeout: 120_000, statusCodes: [429, 503] }))
    t.teardown(() => dispatcher.close())
    // It ends with the refusal of the second attempt, as an answer or as an error: which one is the version's affair.
    const byUndici = await waitsOf(seconds, () => request(url + path, { headers, dispatcher }).then(({ body }) => body.dump(), () => {}))
    t.equal(byUndici.length, 1, `undici waits for the ${seconds} s of ${status}`)
  }
})
