import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { TestIssuer } from '../../testing/index.ts'
import secureApi, { Secret, verifyJws, type SecureApiOptions } from '../../plugins/index.ts'
import { codeOf, listen, listenBare, mistakesOf, secured, sendLines, startFastify, startIssuer, until } from '../helpers/server.ts'
import { stillClock } from '../helpers/still-clock.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'

type Auth = Exclude<SecureApiOptions['auth'], false | undefined>
type Introspection = NonNullable<Auth['introspection']>

const issuer = await startIssuer(t)
const SECRET = 'p:a ss+wörd&%'
const client = { id: 'api:1', secret: SECRET }

/** What an endpoint was asked. */
interface Asked { readonly headers: IncomingMessage['headers'], readonly form: URLSearchParams, readonly certificate?: string }
type Reply = (response: ServerResponse, asked: Asked) => void

const json = (value: unknown): Reply => response => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
const status = (code: number, headers = {}): Reply => response => { response.writeHead(code, headers).end('{"active":true}') }

/** An introspection endpoint that says whatever a test wants. */
async function startEndpoint (t: Pick<Test, 'teardown'>, first: Reply) {
  const endpoint = { url: '', asked: [] as Asked[], reply: first }
  const server = createServer((request, response) => {
    text(request).then(body => {
      const asked = { headers: request.headers, form: new URLSearchParams(body) }
      endpoint.asked.push(asked)
      endpoint.reply(response, asked)
    }, () => response.destroy())
  })
  endpoint.url = `http://127.0.0.1:${await listenBare(t, server)}/introspect`
  return endpoint
}

const seconds = () => Math.floor(Date.now() / 1000)
/** What the issuer says of a good token. */
const good = (changes: object = {}) => ({
  active: true,
  iss: issuer.issuer,
  aud: issuer.audience,
  sub: 'alice',
  client_id: 'shop',
  scope: 'orders.read',
  token_type: 'Bearer',
  exp: seconds() + 300,
  ...changes
})

const me = async ({ auth }: FastifyRequest) => ({ ...auth, scopes: [...auth.scopes], roles: [...auth.roles] })

function common (app: FastifyInstance): void {
  app.get('/me', { config: { authenticated: true } }, me)
  app.get('/orders', { config: { scope: 'orders.read' } }, me)
}

function routes (app: FastifyInstance): void {
  common(app)
  app.get('/opaque', { config: { credential: 'opaque' } }, me)
}

async function start (t: Pick<Test, 'teardown'>, introspection: Introspection, auth: Auth = {}, suite: SecureApiOptions = {}) {
  return await secured(t, issuer, { routes, suite: { auth: { ...issuer.auth, introspection, ...auth }, ...suite } })
}

const fresh = () => randomBytes(16).toString('base64url')
const ask = (app: FastifyInstance, token: string, url = '/me') => app.inject({ url, headers: { authorization: `Bearer ${token}` } })
const answer = async (app: FastifyInstance, token = fresh(), url = '/me') => {
  const response = await ask(app, token, url)
  const code = codeOf(response)
  return code === undefined ? response.statusCode : `${response.statusCode} ${String(code).replace('SECURE_API_', '')}`
}

t.test('a token that only its issuer can read is looked up there, and its claims make the caller', async t => {
  const { app, events } = await start(t, issuer.introspection)
  const token = issuer.opaque({ sub: 'alice', client_id: 'shop', scope: 'orders.read orders.write', roles: ['admin'], jti: 'j1' })
  const { statusCode, body } = await ask(app, token)
  t.equal(statusCode, 200)
  const auth = JSON.parse(body)
  t.match(auth, {
    kind: 'user',
    credential: 'opaque',
    subject: 'alice',
    client: 'shop',
    issuer: issuer.issuer,
    scopes: ['orders.read', 'orders.write'],
    roles: ['admin']
  })
  t.notOk('active' in auth.claims, 'a member of the protocol is no claim')
  t.match(events.at(-1), { principal: { credential: 'opaque', subject: 'alice' } })
  t.equal(await answer(app, token, '/orders'), 200)
  t.equal(await answer(app, token, '/opaque'), 200)
  t.equal(await answer(app, issuer.sign(), '/opaque'), '403 FORBIDDEN', 'a JWT is another credential')
  t.equal(await answer(app, issuer.sign()), 200, 'and is verified here')
  t.equal(issuer.hits.introspection, 1, 'the answer was kept, and no JWT was shown to the issuer')
  const service = await ask(app, issuer.opaque({ sub: undefined, client_id: 'robot' }))
  t.match(JSON.parse(service.body), { kind: 'service', client: 'robot' })
})

t.test('whatever the issuer does not vouch for is refused', async t => {
  const endpoint = await startEndpoint(t, json({}))
  const { app } = await start(t, { endpoint: endpoint.url, client, cache: 0 })
  const now = seconds()
  const cases: ReadonlyArray<readonly [object, string | number]> = [
    [good(), 200],
    [good({ iss: undefined }), 200],
    [good({ token_type: undefined }), 200],
    [good({ token_type: 'bearer' }), 200],
    [good({ aud: ['other', issuer.audience] }), 200],
    [{ active: false }, '401 TOKEN_INACTIVE'],
    [good({ active: false }), '401 TOKEN_INACTIVE'],
    [good({ iss: 'https://other.example' }), '401 TOKEN_ISSUER'],
    [good({ iss: null }), '401 TOKEN_ISSUER'],
    [good({ aud: 'other' }), '401 TOKEN_AUDIENCE'],
    [good({ aud: undefined }), '401 TOKEN_AUDIENCE_MISSING'],
    [good({ aud: { 0: issuer.audience } }), '401 TOKEN_AUDIENCE'],
    [good({ exp: now - 3600 }), '401 TOKEN_EXPIRED'],
    [good({ exp: undefined }), '401 TOKEN_CLAIMS'],
    [good({ exp: String(now + 300) }), '401 TOKEN_CLAIMS'],
    [good({ nbf: now + 3600 }), '401 TOKEN_NOT_YET_VALID'],
    [good({ sub: '' }), '401 TOKEN_CLAIMS'],
    [good({ sub: 7 }), '401 TOKEN_CLAIMS'],
    [good({ token_type: 'DPoP' }), '401 TOKEN_BOUND'],
    [good({ cnf: { 'x5t#S256': 'x' } }), '401 TOKEN_BOUND'],
    [good({ token_type: 'refresh_token' }), '401 TOKEN_TYPE'],
    [good({ token_type: 7 }), '401 TOKEN_TYPE'],
    [good({ token_use: 'refresh_token' }), '401 TOKEN_TYPE'],
    // An answer that is none tells nothing of the token.
    [good({ active: 'true' }), '503 INTROSPECTION_UNAVAILABLE'],
    [good({ active: 1 }), '503 INTROSPECTION_UNAVAILABLE'],
    [good({ active: undefined }), '503 INTROSPECTION_UNAVAILABLE'],
    [[good()], '503 INTROSPECTION_UNAVAILABLE']
  ]
  for (const [said, expected] of cases) {
    endpoint.reply = json(said)
    t.equal(await answer(app), expected, JSON.stringify(said))
  }
  const refused = await ask(app, fresh())
  t.equal(refused.statusCode, 503)
  t.ok(Number(refused.headers['retry-after']) >= 1)
  endpoint.reply = json({ active: false })
  t.match((await ask(app, fresh())).headers['www-authenticate'], /^Bearer .*error="invalid_token"/)
})

t.test('with another audience claim, only the type tells an access token from a refresh token', async t => {
  const endpoint = await startEndpoint(t, json({}))
  const { app } = await start(t, { endpoint: endpoint.url, client, cache: 0 }, { audience: 'shop', audienceClaim: 'client_id' })
  endpoint.reply = json(good({ aud: undefined }))
  t.equal(await answer(app), 200)
  endpoint.reply = json(good({ aud: undefined, token_type: undefined }))
  t.equal(await answer(app), '401 TOKEN_TYPE')
})

t.test('what is a JWT by its form is checked here, damaged ones too; what is no token goes nowhere', async t => {
  const endpoint = await startEndpoint(t, json(good()))
  const { app } = await start(t, { endpoint: endpoint.url, client })
  const [header, payload] = issuer.sign().split('.')
  t.equal(await answer(app, `${header}.${payload}.AAAA`), '401 TOKEN_SIGNATURE')
  t.equal(await answer(app, `${header}.${payload}.AAA=`), '401 TOKEN_MALFORMED')
  t.equal(await answer(app, `${header}=.${payload}.AAAA`), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await answer(app, `${Buffer.from('{"alg":"none","alg":"none"}').toString('base64url')}.e30.`), '401 TOKEN_MALFORMED')
  t.equal(await answer(app, 'ümlaut'), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await answer(app, 'a"b'), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await answer(app, 'x'.repeat(8193)), '401 TOKEN_TOO_LARGE')
  t.equal(endpoint.asked.length, 0)
  for (const token of ['one', 'a.b', 'v4.public.abc', 'a.b.c.d.e', 'e30.e30', `${fresh()}==`, '~-._+/']) {
    t.equal(await answer(app, token), 200, token)
  }
  t.strictSame(endpoint.asked.map(({ form }) => form.get('token')?.length), [3, 3, 13, 9, 7, 24, 6])
})

t.test('an endpoint in trouble is 503 with a reason for the log, never access and never 401', async t => {
  const endpoint = await startEndpoint(t, json(good()))
  const hanging: Reply = () => {}
  const cases: ReadonlyArray<readonly [string, Reply, RegExp]> = [
    ['our client is unknown', status(401), /answered 401: it does not accept this client. Check `introspection.client`/],
    ['our client may not', status(403), /answered 403: may this client introspect/],
    ['500', status(500), /answered 500/],
    ['a redirect', status(302, { location: 'http://127.0.0.1:1/' }), /answered 302, a redirect, which is not followed/],
    ['a page', response => { response.writeHead(200).end('<html>active true') }, /is no JSON/],
    ['nothing', response => { response.writeHead(200).end() }, /is no JSON/],
    ['a cut connection', response => { response.destroy() }, /could not be asked/],
    ['a huge answer', json(good({ padding: 'x'.repeat(70_000) })), /larger than any introspection response/],
    ['no answer', hanging, /gave no answer within `introspection.timeout`/]
  ]
  for (const [what, reply, reason] of cases) {
    const log: string[] = []
    const timeout = reply === hanging ? 200 : '30 seconds'
    const { app } = await secured(t, issuer, {
      routes,
      fastify: { logger: { level: 'warn', stream: { write: (line: string) => { log.push(line) } } } },
      suite: { auth: { ...issuer.auth, introspection: { endpoint: endpoint.url, client, timeout } } }
    })
    endpoint.reply = reply
    t.equal(await answer(app), '503 INTROSPECTION_UNAVAILABLE', what)
    t.match(log.join(''), reason, what)
    endpoint.reply = json(good())
    await until(async () => await answer(app) === 200, `the end of: ${what}`)
  }
})

t.test('an endpoint that fails five times is left alone, and asked once a second until it is back', async t => {
  const clock = stillClock(t)
  const endpoint = await startEndpoint(t, status(500))
  const { app } = await start(t, { endpoint: endpoint.url, client })
  for (let count = 0; count < 8; count++) t.equal(await answer(app), '503 INTROSPECTION_UNAVAILABLE')
  t.equal(endpoint.asked.length, 5)
  endpoint.reply = json(good())
  t.equal(await answer(app), '503 INTROSPECTION_UNAVAILABLE', 'not asked yet')
  clock.pass(2000)
  t.equal(await answer(app), 200)
  t.equal(await answer(app), 200)
  t.equal(endpoint.asked.length, 7)
})

t.test('tokens that make something in front of the endpoint refuse do not close it for others', async t => {
  const endpoint = await startEndpoint(t, (response, { form }) =>
    (form.get('token')?.startsWith('../') === true ? status(403) : json(good()))(response, { headers: {}, form }))
  const { app } = await start(t, { endpoint: endpoint.url, client, cache: 0 })
  for (let count = 0; count < 6; count++) t.equal(await answer(app, `../${fresh()}`), '503 INTROSPECTION_UNAVAILABLE')
  t.equal(await answer(app), 200)
})

t.test('an answer is kept for `cache`, never beyond `exp`, and a request waits for the look-up under way', async t => {
  const clock = stillClock(t)
  const endpoint = await startEndpoint(t, json(good({ exp: seconds() + 3600 })))
  const { app } = await start(t, { endpoint: endpoint.url, client, cache: '2 minutes' })
  const [token, short] = [fresh(), fresh()]
  const flight = await Promise.all(Array.from({ length: 20 }, () => answer(app, token)))
  t.strictSame(new Set(flight), new Set([200]))
  t.equal(endpoint.asked.length, 1, 'one flight')
  clock.pass(110_000)
  t.equal(await answer(app, token), 200)
  t.equal(endpoint.asked.length, 1)
  clock.pass(11_000)
  endpoint.reply = json({ active: false })
  t.equal(await answer(app, token), '401 TOKEN_INACTIVE', 'withdrawn, and noticed')
  endpoint.reply = json(good({ exp: Math.floor(clock.now() / 1000) + 10 }))
  t.equal(await answer(app, short), 200)
  clock.pass(60_000)
  t.equal(await answer(app, short), 200, 'within the clock tolerance')
  endpoint.reply = json({ active: false })
  clock.pass(11_000)
  t.equal(await answer(app, short), '401 TOKEN_INACTIVE', 'over, long before two minutes are')
})

t.test('with `cache: 0` each request asks, and what is inactive is asked again each time', async t => {
  const endpoint = await startEndpoint(t, json(good()))
  const { app } = await start(t, { endpoint: endpoint.url, client, cache: 0 })
  const token = fresh()
  for (let count = 0; count < 3; count++) t.equal(await answer(app, token), 200)
  endpoint.reply = json({ active: false })
  for (let count = 0; count < 2; count++) t.equal(await answer(app, token), '401 TOKEN_INACTIVE')
  endpoint.reply = json(good())
  t.equal(await answer(app, token), 200, 'a token that was not there yet is not refused for longer')
  t.equal(endpoint.asked.length, 6)
})

t.test('`isRevoked` is asked about opaque tokens too, cached ones included', async t => {
  const revoked = new Set<unknown>()
  const { app } = await start(t, issuer.introspection, { isRevoked: ({ sub }) => revoked.has(sub) })
  const token = issuer.opaque({ sub: 'mallory' })
  t.equal(await answer(app, token), 200)
  revoked.add('mallory')
  t.equal(await answer(app, token), '401 TOKEN_REVOKED')
})

t.test('guesses use up the failure budget of their address, and then nobody is asked', async t => {
  const endpoint = await startEndpoint(t, json({ active: false }))
  const { app } = await start(t, { endpoint: endpoint.url, client }, {}, { rateLimit: { failures: { limit: 3, window: '1 minute' } } })
  for (let count = 0; count < 3; count++) t.equal(await answer(app), '401 TOKEN_INACTIVE')
  t.equal(await answer(app), '429 RATE_LIMITED')
  t.equal(endpoint.asked.length, 3)
})

t.test("with `when: 'always'` a JWT is good only while its issuer says so, and a bad one is not shown to it", async t => {
  const endpoint = await startEndpoint(t, json({ active: true }))
  const { app } = await start(t, { endpoint: endpoint.url, client, when: 'always', cache: 0 })
  const token = issuer.sign({ sub: 'alice', scope: 'orders.read' })
  t.equal(await answer(app, token, '/orders'), 200)
  t.match(JSON.parse((await ask(app, token)).body), { credential: 'jwt', subject: 'alice' }, 'the caller is that of the signed claims')
  const before = endpoint.asked.length
  t.equal(await answer(app, issuer.sign({ aud: 'other' })), '401 TOKEN_AUDIENCE')
  t.equal(await answer(app, `${token.slice(0, -8)}AAAAAAAA`), '401 TOKEN_SIGNATURE')
  t.equal(await answer(app, issuer.sign({ cnf: {} })), '401 TOKEN_BOUND')
  t.equal(endpoint.asked.length, before)
  for (const [said, expected] of [
    [{ active: false }, '401 TOKEN_INACTIVE'],
    [{ active: true, iss: 'https://other.example' }, '401 TOKEN_ISSUER'],
    [{ active: true, cnf: {} }, '401 TOKEN_BOUND'],
    [{}, '503 INTROSPECTION_UNAVAILABLE']
  ] as const) {
    endpoint.reply = json(said)
    t.equal(await answer(app, token), expected)
  }
  endpoint.reply = json(good())
  t.equal(await answer(app), 200, 'opaque tokens are taken too')
})

t.test("with `when: 'always'` a withdrawn JWT ends within `cache`", async t => {
  const clock = stillClock(t)
  const endpoint = await startEndpoint(t, json({ active: true }))
  const { app } = await start(t, { endpoint: endpoint.url, client, when: 'always' })
  const token = issuer.sign()
  t.equal(await answer(app, token), 200)
  endpoint.reply = json({ active: false })
  t.equal(await answer(app, token), 200, 'cached')
  clock.pass(61_000)
  t.equal(await answer(app, token), '401 TOKEN_INACTIVE')
})

/** A signed answer of the issuer (RFC 9701), or what somebody made of it. */
function signedAnswer (by: TestIssuer, claims: object = {}, header: object = {}, type = 'application/token-introspection+jwt'): Reply {
  const none = { exp: undefined, sub: undefined, client_id: undefined, jti: undefined }
  const all = { ...none, aud: client.id, token_introspection: good(), ...claims }
  const jwt = by.sign(all, { header: { typ: 'token-introspection+jwt', ...header } })
  return response => { response.writeHead(200, { 'content-type': type }).end(jwt) }
}

t.test('RFC 9701: a signed answer counts when the issuer made it, for this client, now', async t => {
  const stranger = await startIssuer(t)
  const endpoint = await startEndpoint(t, signedAnswer(issuer))
  const { app } = await start(t, { endpoint: endpoint.url, client, signed: true, cache: 0 })
  t.equal(await answer(app), 200)
  t.equal(endpoint.asked[0]?.headers.accept, 'application/token-introspection+jwt')
  endpoint.reply = signedAnswer(issuer, { token_introspection: { active: false } })
  t.equal(await answer(app), '401 TOKEN_INACTIVE')
  endpoint.reply = signedAnswer(issuer, { aud: ['other', client.id] }, { typ: 'application/TOKEN-introspection+jwt' })
  t.equal(await answer(app), 200)
  endpoint.reply = signedAnswer(issuer, {}, {}, 'application/token-introspection+jwt; charset=utf-8')
  t.equal(await answer(app), 200)
  const forged: ReadonlyArray<readonly [string, Reply]> = [
    ['a JSON answer', json(good())],
    ['the type of another', signedAnswer(issuer, {}, {}, 'application/jwt')],
    ['another typ: an ID token', signedAnswer(issuer, {}, { typ: 'JWT' })],
    ['no typ', signedAnswer(issuer, {}, { typ: undefined })],
    ['signed by a stranger', signedAnswer(stranger, { iss: issuer.issuer })],
    ['another issuer', signedAnswer(issuer, { iss: stranger.issuer })],
    ['for another client', signedAnswer(issuer, { aud: 'other' })],
    ['for nobody', signedAnswer(issuer, { aud: undefined })],
    ['an old one', signedAnswer(issuer, { iat: seconds() - 600 })],
    ['without a time', signedAnswer(issuer, { iat: undefined })],
    ['without an answer', signedAnswer(issuer, { token_introspection: undefined, active: true })],
    ['alg none', signedAnswer(issuer, {}, { alg: 'none' })],
    ['crit', signedAnswer(issuer, {}, { crit: ['x'] })],
    ['no JWT', response => { response.writeHead(200, { 'content-type': 'application/token-introspection+jwt' }).end('{"active":true}') }]
  ]
  for (const [what, reply] of forged) {
    endpoint.reply = reply
    t.equal(await answer(app), '503 INTROSPECTION_UNAVAILABLE', what)
  }
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

t.test('each way to authenticate the client, as the endpoint sees it', async t => {
  const endpoint = await startEndpoint(t, json(good()))
  const ask = async (introspection: Omit<Introspection, 'endpoint'>): Promise<Asked> => {
    const { app } = await start(t, { endpoint: endpoint.url, ...introspection })
    t.equal(await answer(app, 'the-token'), 200)
    const asked = endpoint.asked.at(-1)
    if (asked === undefined) throw new Error('nobody asked')
    t.strictSame([asked.form.get('token'), asked.form.get('token_type_hint')], ['the-token', 'access_token'])
    return asked
  }
  const basic = await ask({ client })
  t.equal(basic.headers.authorization, `Basic ${Buffer.from('api%3A1:p%3Aa+ss%2Bw%C3%B6rd%26%25').toString('base64')}`, 'RFC 6749 §2.3.1')
  t.notOk(basic.form.has('client_secret'))
  t.equal(basic.headers['content-type'], 'application/x-www-form-urlencoded')
  const post = await ask({ client, method: 'client_secret_post' })
  t.strictSame([post.form.get('client_id'), post.form.get('client_secret'), post.headers.authorization], [client.id, SECRET, undefined])
  for (const [key, algorithm, expected] of [[rsa, undefined, 'RS256'], [rsa, 'PS256', 'PS256'], [p256, undefined, 'ES256']] as const) {
    const { form } = await ask({ client: { id: 'api', privateKey: key, keyId: 'k1', ...(algorithm !== undefined && { algorithm }) } })
    const assertion = form.get('client_assertion') ?? ''
    t.equal(form.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    t.ok(verifyJws(assertion, createPublicKey(key), [expected]))
    const [header, payload] = assertion.split('.').map(part => part === '' ? {} : safeParse(part))
    t.match(header, { alg: expected, kid: 'k1' })
    t.match(payload, { iss: 'api', sub: 'api', aud: issuer.issuer, jti: /.{20}/ })
    const { iat, exp } = payload as { iat: number, exp: number }
    t.equal(exp - iat, 60)
  }
})

function safeParse (part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return {}
  }
}

t.test('a client certificate is shown to the endpoint (RFC 8705)', async t => {
  const certificates = new Certificates(t.testdir({}))
  const company = certificates.issue({ name: 'Company CA', extensions: authority })
  const server = certificates.issue({ issuer: company })
  const own = certificates.issue({ name: 'api', issuer: company })
  const asked: Asked[] = []
  const endpoint = https.createServer({ cert: server.cert, key: server.key, ca: company.cert, requestCert: true }, (request, response) => {
    const shown = (request.socket as TLSSocket).getPeerCertificate().fingerprint256
    text(request).then(body => {
      asked.push({ headers: request.headers, form: new URLSearchParams(body), certificate: shown })
      json(good())(response, { headers: {}, form: new URLSearchParams() })
    }, () => response.destroy())
  })
  const url = `https://127.0.0.1:${await listenBare(t, endpoint)}/introspect`
  const introspection = { endpoint: url, client: { id: 'api', certificate: own.cert, privateKey: own.key } }
  const { app } = await start(t, introspection, { keys: { ca: company.cert } })
  t.equal(await answer(app), 200)
  t.equal(asked[0]?.certificate, new X509Certificate(own.cert).fingerprint256)
  t.strictSame([asked[0]?.form.get('client_id'), asked[0]?.headers.authorization], ['api', undefined])
  const untrusted = await start(t, introspection)
  t.equal(await answer(untrusted.app), '503 INTROSPECTION_UNAVAILABLE', 'an authority that nobody named')
  t.equal(asked.length, 1, 'no token was sent')
})

t.test('metadata says where to ask, for certificates at a place of its own, and only that of the issuer counts', async t => {
  const provider = await startIssuer(t)
  const endpoint = await startEndpoint(t, json({ ...good(), iss: provider.issuer }))
  const begin = (introspection: Introspection) =>
    secured(t, provider, { routes, suite: { auth: { ...provider.auth, startup: 'lazy', introspection } } })
  provider.metadata({ introspection_endpoint: endpoint.url })
  const { app } = await begin({ client })
  t.equal(await answer(app), 200)
  t.equal(await answer(app), 200)
  t.equal(provider.hits.discovery, 1)
  for (const [metadata, what] of [
    [{ introspection_endpoint: undefined }, 'no endpoint'],
    [{ introspection_endpoint: 'http://login.example.com/introspect' }, 'http'],
    [{ introspection_endpoint: endpoint.url, issuer: 'https://other.example' }, 'another issuer']
  ] as const) {
    provider.metadata(metadata)
    const { app } = await begin({ client })
    t.equal(await answer(app), '503 INTROSPECTION_UNAVAILABLE', what)
  }
  t.equal(endpoint.asked.length, 2)
  provider.metadata({ introspection_endpoint: endpoint.url })
  provider.fail('down', 'discovery')
  const { app: later } = await begin({ client })
  t.equal(await answer(later), '503 INTROSPECTION_UNAVAILABLE')
  provider.up()
  t.equal(await answer(later), 200, 'found once the issuer is back')
})

t.test('an issuer without keys: all of its tokens are opaque', async t => {
  const endpoint = await startEndpoint(t, json(good()))
  const { app } = await start(t, { endpoint: endpoint.url, client }, { discovery: false, startup: 'required' })
  t.equal(await answer(app), 200)
  t.equal(await answer(app, issuer.sign()), '401 TOKEN_ALGORITHM')
  t.strictSame(await mistakesOf(() => secured(t, issuer, {
    routes: app => { app.get('/jwt', { config: { credential: 'jwt' } }, async () => ({})) },
    suite: { auth: { ...issuer.auth, discovery: false, introspection: { endpoint: endpoint.url, client } } }
  })), ['SECURE_API_ROUTE_CREDENTIAL_UNKNOWN'])
})

t.test('neither token nor secret nor answer is in a log, an event, the status or an answer', async t => {
  const written: string[] = []
  const endpoint = await startEndpoint(t, json(good({ canary: 'said-canary' })))
  const secret = `secret-canary-${fresh()}`
  const { app, events } = await secured(t, issuer, {
    routes,
    fastify: { logger: { level: 'trace', stream: { write: (line: string) => { written.push(line) } } } },
    suite: { auth: { ...issuer.auth, introspection: { endpoint: endpoint.url, client: { id: 'api', secret }, cache: 0 } } }
  })
  const token = `token-canary-${fresh()}`
  const echo: Reply = (response, { form }) => { response.writeHead(200).end(`said-canary ${form.get('token')} ${secret}`) }
  const cut: Reply = response => { response.destroy() }
  for (const reply of [
    json(good({ active: false, canary: 'said-canary' })),
    echo,
    status(401),
    status(302, { location: `http://x/${token}?${secret}#said-canary` }),
    json({ canary: 'said-canary' }),
    cut
  ]) {
    endpoint.reply = reply
    const { body, headers } = await ask(app, token)
    written.push(body, JSON.stringify(headers))
  }
  endpoint.reply = json(good())
  t.equal(await answer(app, token), 200)
  written.push(JSON.stringify(events), JSON.stringify(app.secureApi.status()), JSON.stringify(app.secureApi.routes()))
  t.notMatch(written.join('\n'), /canary/)
  t.ok(written.length > 10)
  const boot = startFastify(t)
  const failed = await boot.register(secureApi, {
    environment: 'development',
    auth: { ...issuer.auth, introspection: { client: { id: 'api', secret: 7 as never, privateKey: `canary ${p256}` } } }
  }).then(() => boot.ready()).then(() => '', (error: unknown) => `${String(error)} ${JSON.stringify(error)}`)
  t.match(failed, /introspection/)
  t.notMatch(failed, /canary|PRIVATE/)
})

t.test('mistakes in the options stop the boot', async t => {
  const endpoint = 'https://login.example.com/introspect'
  const certificates = new Certificates(t.testdir({}))
  const { cert, key } = certificates.issue({})
  const cases: ReadonlyArray<readonly [string, unknown, string[], object?]> = [
    ['no client', { endpoint }, ['SECURE_API_OPTION_MISSING']],
    ['a client without credentials', { endpoint, client: { id: 'api' } }, ['SECURE_API_OPTION_MISSING']],
    ['a certificate without its key', { endpoint, client: { id: 'api', certificate: cert } }, ['SECURE_API_OPTION_MISSING']],
    ['an empty secret', { endpoint, client: { id: 'api', secret: ' ' } }, ['SECURE_API_OPTION_EMPTY']],
    ['a secret and a key', { endpoint, client: { ...client, privateKey: rsa } }, ['SECURE_API_OPTION_CONFLICT']],
    ['a method without what it needs', { endpoint, client, method: 'private_key_jwt' },
      ['SECURE_API_OPTION_CONFLICT', 'SECURE_API_OPTION_MISSING']],
    ['an unknown method', { endpoint, client, method: 'none' }, ['SECURE_API_OPTION_VALUE']],
    ['no key', { endpoint, client: { id: 'api', privateKey: 'x' } }, ['SECURE_API_OPTION_VALUE']],
    ['an algorithm of another key', { endpoint, client: { id: 'api', privateKey: p256, algorithm: 'RS256' } },
      ['SECURE_API_OPTION_CONFLICT']],
    ['a certificate of another key', { endpoint, client: { id: 'api', privateKey: p256, certificate: cert } },
      ['SECURE_API_OPTION_VALUE']],
    ['http', { endpoint: 'http://login.example.com/introspect', client }, ['SECURE_API_URL_INSECURE']],
    ['no address', { endpoint: '/introspect', client }, ['SECURE_API_URL_INVALID']],
    ['a password in the address', { endpoint: 'https://a:b@login.example.com/', client }, ['SECURE_API_URL_INVALID']],
    ['a certificate over http', { endpoint: 'http://127.0.0.1/introspect', client: { id: 'api', certificate: cert, privateKey: key } },
      ['SECURE_API_OPTION_CONFLICT']],
    ['a cache of a day', { endpoint, client, cache: '1 day' }, ['SECURE_API_OPTION_RANGE']],
    ['no time', { endpoint, client, timeout: 1 }, ['SECURE_API_OPTION_RANGE']],
    ['no endpoint', { client }, ['SECURE_API_OPTION_MISSING'], { discovery: false }],
    ['no endpoint, and an issuer that is no address', { client }, ['SECURE_API_OPTION_MISSING'],
      { issuer: 'adfs', jwksUri: issuer.jwksUri }],
    ['signed answers without keys', { endpoint, client, signed: true }, ['SECURE_API_OPTION_CONFLICT'], { discovery: false }],
    ['JWTs without keys', { endpoint, client, when: 'always' }, ['SECURE_API_OPTION_CONFLICT'], { discovery: false }],
    ['tenants', { endpoint, client }, ['SECURE_API_OPTION_CONFLICT'],
      { issuer: 'https://login.example.com/{tenantid}', tenants: ['a'], jwksUri: issuer.jwksUri }],
    ['a misspelt option', { endpoint, client, chache: 1 }, ['SECURE_API_OPTION_UNKNOWN']]
  ]
  for (const [what, introspection, codes, more = {}] of cases) {
    const auth = { ...issuer.auth, startup: 'lazy', introspection, ...more } as Auth
    t.strictSame(await mistakesOf(() => secured(t, issuer, { suite: { auth } })), codes, what)
  }
  const entry = { ...issuer.auth, introspection: { endpoint, client } }
  const two = { issuers: [entry, { ...entry, issuer: `${issuer.issuer}/two` }] }
  t.strictSame(await mistakesOf(() => secured(t, issuer, { suite: { auth: two } })), ['SECURE_API_OPTION_CONFLICT'],
    'two that look tokens up')
  const fetched = { ...client, secret: new Secret(randomBytes(16).toString('hex')) }
  const introspection = { endpoint: 'http://127.0.0.1/', client: fetched }
  const auth: Auth = { issuer: 'https://login.example.com', audience: 'a', startup: 'lazy', introspection }
  t.strictSame(await mistakesOf(() => secured(t, issuer, { suite: { environment: 'production', auth } })), ['SECURE_API_URL_INSECURE'],
    'this machine over http in production')
})

t.test('a token in another header: Authorization is not read, and two are 400', async t => {
  const auth = { ...issuer.auth, token: { header: 'X-Goog-IAP-JWT-Assertion' } }
  const { app } = await secured(t, issuer, { routes: common, suite: { auth } })
  const url = await listen(app)
  const token = issuer.sign({ scope: 'orders.read' })
  const get = async (lines: string[], path = '/orders') => {
    const { statusCode, body, headers } = await sendLines(`${url}${path}`, lines)
    const code = codeOf({ headers, body })
    return code === undefined ? statusCode : `${statusCode} ${String(code).replace('SECURE_API_', '')}`
  }
  const header = 'x-goog-iap-jwt-assertion'
  t.equal(await get([header, token]), 200)
  t.equal(await get(['X-GOOG-IAP-JWT-ASSERTION', token]), 200)
  t.equal(await get(['Authorization', `Bearer ${token}`]), '401 UNAUTHENTICATED')
  t.equal(await get(['Authorization', 'DPoP x', header, token]), 200, 'what is in Authorization is the application\'s')
  t.equal(await get([header, token, header, token]), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await get([header, '', header, token]), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await get([header, `Bearer ${token}`]), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await get([header, token], `/orders?access_token=${token}`), '400 CREDENTIAL_AMBIGUOUS')
  t.equal(await get([header, '']), '401 UNAUTHENTICATED')
  t.equal(await get([header, 'nonsense']), '401 TOKEN_MALFORMED')
  const { headers } = await sendLines(`${url}/orders`, [])
  t.match(headers['www-authenticate'], /^Bearer/)
})

t.test('two tokens are 400 too where Node keeps the first of two headers and drops the second', async t => {
  const { app } = await secured(t, issuer, { routes: common, suite: { auth: { ...issuer.auth, token: { header: 'from' } } } })
  const url = await listen(app)
  const [token, other] = [issuer.sign(), issuer.sign()]
  t.equal((await sendLines(`${url}/me`, ['From', token])).statusCode, 200)
  t.equal((await sendLines(`${url}/me`, ['From', token, 'FROM', other])).statusCode, 400)
})

t.test('a header that cannot hold a token alone stops the boot', async t => {
  for (const [token, codes, rest = issuer.auth] of [
    [{ header: 'Authorization' }, ['SECURE_API_OPTION_VALUE']],
    [{ header: 'cookie' }, ['SECURE_API_OPTION_VALUE']],
    [{ header: 'x token' }, ['SECURE_API_OPTION_VALUE']],
    [{}, ['SECURE_API_OPTION_MISSING']],
    [{ header: 'x-token' }, ['SECURE_API_OPTION_CONFLICT'], { authenticators: [{ name: 'session', authenticate: () => undefined }] }]
  ] as const) {
    t.strictSame(await mistakesOf(() => secured(t, issuer, { suite: { auth: { ...rest, token } as Auth } })), codes, JSON.stringify(token))
  }
})

t.test('a token that was seen before costs no look-up on any connection', async t => {
  const { app } = await start(t, issuer.introspection)
  const token = issuer.opaque()
  const before = issuer.hits.introspection
  const url = await listen(app)
  for (let count = 0; count < 3; count++) t.equal((await sendLines(`${url}/me`, ['Authorization', `Bearer ${token}`])).statusCode, 200)
  t.equal(issuer.hits.introspection, before + 1)
})
