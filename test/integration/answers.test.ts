import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { bearer, listen, missingHeaders, secured, sendLines, sendRaw, startIssuer } from '../helpers/server.ts'

const origin = 'https://app.example.com'
const issuer = await startIssuer(t)
const away = await startIssuer(t)

function routes (app: FastifyInstance): void {
  app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  app.post('/orders', { config: { scope: 'api.write' }, bodyLimit: 100, schema: { body: { type: 'object', required: ['item'] } } },
    async () => ({}))
  app.get('/admin', { config: { role: 'admin' } }, async () => '')
  app.get('/once', { config: { public: true, rateLimit: { limit: 1, window: '1 minute' } } }, async () => '')
  app.get('/fails', { config: { public: true } }, async () => { throw new Error('connect ECONNREFUSED 10.0.0.1:5432') })
  app.get('/hijacked', { config: { public: true } }, (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
}

away.down()
const { app } = await secured(t, issuer, {
  suite: {
    auth: {
      issuers: [{ issuer: issuer.issuer, audience: issuer.audience },
        { issuer: away.issuer, audience: away.audience, keys: { timeout: 500 } }]
    },
    cors: { origins: [origin] },
    rateLimit: { policies: { write: { limit: 1000, window: '1 minute' } } }
  },
  routes
})
const url = await listen(app)

interface Expected {
  readonly status: number
  readonly code?: string
  readonly challenge?: string | RegExp
  readonly headers?: Readonly<Record<string, RegExp>>
}

const seconds = /^[1-9]\d*$/
const invalid = (description: string) => `Bearer error="invalid_token", error_description="${description}"`
const lacking = 'Bearer error="insufficient_scope", error_description="The credential does not permit this."'
const malformed = /^Bearer error="invalid_request", error_description="[^"\\]+"$/
const reader = bearer(issuer, { scope: 'api.read' })
const writer = bearer(issuer, { scope: 'api.write' })
const json = { 'content-type': 'application/json' }

const cases: ReadonlyArray<readonly [name: string, path: string, init: RequestInit, expected: Expected]> = [
  ['a good token', '/orders', { headers: reader }, { status: 200, headers: { ratelimit: /^"read";r=\d+;t=\d+$/ } }],
  ['no credential', '/orders', {}, { status: 401, code: 'SECURE_API_UNAUTHENTICATED', challenge: /^Bearer realm="[^"]+"$/ }],
  ['another scheme', '/orders', { headers: { authorization: 'Basic YTpi' } },
    { status: 401, code: 'SECURE_API_UNAUTHENTICATED', challenge: /^Bearer realm="[^"]+"$/ }],
  ['garbage', '/orders', { headers: { authorization: 'Bearer abc' } },
    { status: 401, code: 'SECURE_API_TOKEN_MALFORMED', challenge: invalid('The token is malformed.') }],
  ['an expired token', '/orders', { headers: bearer(issuer, { exp: 1 }) },
    { status: 401, code: 'SECURE_API_TOKEN_EXPIRED', challenge: invalid('The token has expired.') }],
  ['another audience', '/orders', { headers: bearer(issuer, { aud: 'api://other' }) },
    { status: 401, code: 'SECURE_API_TOKEN_AUDIENCE', challenge: invalid('The token is intended for another audience.') }],
  ['another issuer', '/orders', { headers: bearer(issuer, { iss: 'https://evil.example' }) },
    { status: 401, code: 'SECURE_API_TOKEN_ISSUER', challenge: invalid('The issuer is not accepted.') }],
  ['the scheme alone', '/orders', { headers: { authorization: 'Bearer' } },
    { status: 400, code: 'SECURE_API_CREDENTIAL_AMBIGUOUS', challenge: malformed }],
  ['header and query', '/orders?access_token=x', { headers: reader },
    { status: 400, code: 'SECURE_API_CREDENTIAL_AMBIGUOUS', challenge: malformed }],
  ['a scope is lacking', '/orders', { method: 'POST', headers: { ...reader, ...json }, body: '{"item":1}' },
    { status: 403, code: 'SECURE_API_FORBIDDEN', challenge: `${lacking}, scope="api.write"` }],
  ['a role is lacking', '/admin', { headers: reader }, { status: 403, code: 'SECURE_API_FORBIDDEN', challenge: lacking }],
  ['keys cannot be had', '/orders', { headers: bearer(away) },
    { status: 503, code: 'SECURE_API_KEYS_UNAVAILABLE', headers: { 'retry-after': seconds } }],
  ['within a limit', '/once', {}, { status: 200 }],
  ['over a limit', '/once', {}, {
    status: 429,
    code: 'SECURE_API_RATE_LIMITED',
    headers: { 'retry-after': seconds, ratelimit: /^"[^"]+";r=0;t=\d+$/, 'ratelimit-policy': /^"[^"]+";q=1;w=60$/ }
  }],
  ['an unknown route', '/nowhere', { headers: reader }, { status: 404 }],
  ['an error of the handler', '/fails', {}, { status: 500 }],
  ['a body that is too large', '/orders', {
    method: 'POST',
    headers: { ...writer, ...json },
    body: JSON.stringify({ item: 'x'.repeat(200) })
  }, { status: 413 }],
  ['a body of another type', '/orders', { method: 'POST', headers: { ...writer, 'content-type': 'text/csv' }, body: 'a,b' },
    { status: 415 }],
  ['a body that is no JSON', '/orders', { method: 'POST', headers: { ...writer, ...json }, body: '{' }, { status: 400 }],
  ['a body that does not fit the schema', '/orders', { method: 'POST', headers: { ...writer, ...json }, body: '{}' }, { status: 400 }],
  ['HEAD', '/orders', { method: 'HEAD' }, { status: 401, challenge: /^Bearer realm="[^"]+"$/ }],
  ['a hijacked answer', '/hijacked', {}, { status: 200 }]
]

for (const [name, path, init, { status, code, challenge, headers: wanted = {} }] of cases) {
  t.test(`${name}: ${status}`, async t => {
    const response = await fetch(url + path, { ...init, headers: { ...init.headers, origin } })
    const headers = Object.fromEntries(response.headers)
    const body = await response.text()
    t.equal(response.status, status)
    t.strictSame(missingHeaders(headers), [], 'security headers')
    t.equal(headers['access-control-allow-origin'], origin, 'readable by the page')
    t.match(headers, wanted)
    if (challenge === undefined) t.equal(headers['www-authenticate'], undefined)
    else t.match(headers['www-authenticate'], challenge)
    if (code === undefined) return
    t.match(headers, { 'content-type': /^application\/problem\+json/, 'cache-control': /no-store/ })
    t.match(JSON.parse(body), { status, code, title: /\w/, detail: /\w/, type: /^(about:blank|https:)/ })
    t.notMatch(body, /127\.0\.0\.1|ECONN|node_modules|\.ts\b/)
  })
}

t.test('two credentials: 400', async t => {
  const { statusCode, headers, body } = await sendLines(`${url}/orders`,
    ['Authorization', reader.authorization, 'Authorization', writer.authorization, 'Origin', origin])
  t.equal(statusCode, 400)
  t.match(headers, { 'www-authenticate': malformed, 'access-control-allow-origin': origin })
  t.equal(JSON.parse(body).code, 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.strictSame(missingHeaders(headers), [])
})

t.test('a refused preflight: 403 without Access-Control headers; an allowed one carries the security headers too', async t => {
  const ask = (from: string) => fetch(`${url}/orders`,
    { method: 'OPTIONS', headers: { origin: from, 'access-control-request-method': 'POST' } })
  const refused = Object.fromEntries((await ask('https://evil.example')).headers)
  t.strictSame(Object.keys(refused).filter(name => name.startsWith('access-control')), [])
  t.strictSame(missingHeaders(refused), [])
  const allowed = await ask(origin)
  t.equal(allowed.status, 204)
  t.equal(allowed.headers.get('access-control-allow-origin'), origin)
  t.strictSame(missingHeaders(Object.fromEntries(allowed.headers)), [])
})

t.test('the page of an allowed origin can read the answer to a bad URL; a foreign one gets nothing', async t => {
  const ask = (from: string) => sendRaw(url, 'GET /%zz HTTP/1.1', 'Host: a', `Origin: ${from}`, 'Connection: close', '', '')
  const allowed = (await ask(origin)).toLowerCase()
  t.match(allowed, `\r\naccess-control-allow-origin: ${origin}\r\n`)
  t.match(allowed, '\r\nvary: origin\r\n')
  t.notMatch((await ask('https://evil.example')).toLowerCase(), /access-control/)
})

t.test('answers that no hook sees carry the headers too', async t => {
  const bad: Readonly<Record<string, readonly string[]>> = {
    '400 bad URL': ['GET /%zz HTTP/1.1', 'Host: a', 'Connection: close', '', ''],
    '400 no Host': ['GET /orders HTTP/1.1', 'Connection: close', '', ''],
    '400 no HTTP': ['HELLO', '', ''],
    '431 huge header': ['GET /orders HTTP/1.1', 'Host: a', `X-A: ${'a'.repeat(20_000)}`, '', '']
  }
  for (const [name, lines] of Object.entries(bad)) {
    const answer = await sendRaw(url, ...lines)
    t.equal(answer.split(' ')[1], name.slice(0, 3), name)
    t.match(answer.toLowerCase(), /\r\nx-content-type-options: nosniff\r\n/, name)
    t.match(answer.toLowerCase(), /\r\ncontent-security-policy: default-src 'none'/, name)
  }
})
