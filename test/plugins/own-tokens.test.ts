import { generateKeyPairSync, sign } from 'node:crypto'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import t from 'tap'
import secureApi, { createDenylist, Secret, type AuditEvent, type AuthenticationOptions } from '../../plugins/index.ts'
import { answersOf, codeOf, listen, mistakesOf, secured, startFastify, startIssuer } from '../helpers/server.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const ownTokens = { issuer: 'https://api.example.com', audience: 'api://orders', privateKey: pem }
const kept = { ...ownTokens, privateKey: new Secret(pem) }
const issuer = await startIssuer(t)

type OwnTokens = NonNullable<AuthenticationOptions['ownTokens']>

interface Started { readonly app: FastifyInstance, readonly events: AuditEvent[] }

async function start (options: Partial<OwnTokens> = {}, auth: Partial<AuthenticationOptions> = {}): Promise<Started> {
  return await secured(t, issuer, {
    suite: { auth: { ...auth, ownTokens: { ...ownTokens, ...options } }, rateLimit: { failures: false } },
    routes: app => {
      app.get('/orders', { config: { authenticated: true } },
        async ({ auth }) => ({
          kind: auth.kind,
          subject: auth.subject,
          client: auth.client,
          scopes: [...auth.scopes],
          roles: [...auth.roles]
        }))
      app.get('/verify', { config: { public: true } }, async request => await request.jwtVerify())
      app.get('/guarded', { config: { authenticated: true } }, async request => await request.jwtVerify())
    }
  })
}

const withToken = (url: string, token: string): InjectOptions => ({ url, headers: { authorization: `Bearer ${token}` } })

function lifeOf (app: FastifyInstance, token: string): number {
  const { exp = 0, iat = 0 } = app.jwt.decode<{ exp: number, iat: number }>(token) ?? {}
  return exp - iat
}

/** Any header and claims, signed by the application's own key. */
function forge (app: FastifyInstance, claims: object, header: object = {}): string {
  const [own = ''] = app.jwt.sign({ sub: 'alice' }).split('.')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const usual = { iss: ownTokens.issuer, aud: ownTokens.audience, sub: 'alice', iat: now, exp: now + 900 }
  const input = `${encode({ ...JSON.parse(Buffer.from(own, 'base64url').toString()), ...header })}.${encode({ ...usual, ...claims })}`
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`
}

t.test('14 B1: an own token lives as long as documented', async t => {
  const lives: ReadonlyArray<readonly [OwnTokens['expiresIn'], number]> = [
    [undefined, 900], ['15 minutes', 900], [900_000, 900], ['1 second', 1], ['1500 ms', 2], ['2 hours', 7200], ['1 day', 86_400]
  ]
  for (const [expiresIn, seconds] of lives) {
    const { app } = await start(expiresIn === undefined ? {} : { expiresIn })
    t.equal(lifeOf(app, app.jwt.sign({ sub: 'alice' })), seconds, String(expiresIn))
    t.strictSame(await answersOf(app, withToken('/orders', app.jwt.sign({ sub: 'alice' }))), [200], `${expiresIn} is accepted`)
  }
})

t.test('a lifetime that is none stops the boot, and so does a claim path', async t => {
  for (const more of [{ expiresIn: 0 }, { expiresIn: 900 }, { expiresIn: '31 days' }]) {
    t.strictSame(await mistakesOf(() => startFastify(t).register(secureApi, { auth: { ownTokens: { ...kept, ...more } } })),
      ['SECURE_API_OPTION_RANGE'], JSON.stringify(more))
  }
  t.strictSame(await mistakesOf(() => startFastify(t).register(secureApi,
    { auth: { ownTokens: { ...kept, roleClaims: ['a..b'] } } })), ['SECURE_API_ISSUER_CLAIM_PATH'])
})

t.test('14 B1: request.jwtVerify() accepts what the guard accepts', async t => {
  const denylist = createDenylist()
  const { app } = await start({}, { isRevoked: denylist.isRevoked })
  const good = app.jwt.sign({ sub: 'alice', jti: 'good' })
  const revoked = app.jwt.sign({ sub: 'alice', jti: 'revoked' })
  await denylist.revoke({ issuer: ownTokens.issuer, jti: 'revoked', until: Date.now() + 900_000 })
  const tokens: ReadonlyArray<readonly [string, string, unknown]> = [
    ['good', good, 200],
    ['revoked', revoked, [401, 'SECURE_API_TOKEN_REVOKED']],
    ['a refresh token', app.jwt.sign({ sub: 'alice' }, { expiresIn: '30 days' }), [401, 'SECURE_API_TOKEN_TYPE']],
    ['another type', forge(app, {}, { typ: 'JWT' }), [401, 'SECURE_API_TOKEN_TYPE']],
    ['another kind', app.jwt.sign({ sub: 'alice', type: 'refresh' }), [401, 'SECURE_API_TOKEN_TYPE']],
    ['bound to a key', app.jwt.sign({ sub: 'alice', cnf: { jkt: 'x' } }), [401, 'SECURE_API_TOKEN_BOUND']],
    ['a critical header', forge(app, {}, { crit: ['b64'], b64: true }), [401, 'SECURE_API_TOKEN_CRITICAL']],
    ['without exp', forge(app, { exp: undefined }), [401, 'SECURE_API_TOKEN_CLAIMS']],
    ['for another API', forge(app, { aud: 'api://other' }), [401, 'SECURE_API_TOKEN_AUDIENCE']],
    ['past its time', forge(app, { iat: 1_700_000_000, exp: 1_700_000_900 }), [401, 'SECURE_API_TOKEN_EXPIRED']]
  ]
  for (const [name, token, expected] of tokens) {
    const [guard, verify] = await Promise.all(['/orders', '/verify'].map(async url => await app.inject(withToken(url, token))))
    const [decision] = await answersOf(app, withToken('/orders', token))
    t.strictSame(decision, expected, `the guard: ${name}`)
    t.equal(verify?.statusCode, guard?.statusCode, `jwtVerify: ${name}`)
  }
  const answer = await app.inject(withToken('/verify', revoked))
  t.strictSame([codeOf(answer), answer.headers['www-authenticate'] !== undefined], ['SECURE_API_TOKEN_REVOKED', true],
    'the answer is the guard\'s')
  t.strictSame(await answersOf(app, withToken('/guarded', good), withToken('/guarded', revoked)), [200, [401, 'SECURE_API_TOKEN_REVOKED']])
  t.strictSame(await answersOf(app, { url: '/verify' }), [[401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('jwtVerify() accepts tokens of the providers as the guard does, and counts failures before any cryptography', async t => {
  const auth = { issuers: [{ issuer: issuer.issuer, audience: issuer.audience }], ownTokens }
  const { app } = await secured(t, issuer, {
    suite: { auth, rateLimit: { failures: { limit: 2, window: '1 minute' } } },
    routes: app => {
      app.get('/verify', { config: { public: true } }, async request => await request.jwtVerify())
      app.get('/callback', { config: { public: true } },
        (request, reply) => { request.jwtVerify((error, claims) => { reply.send(error ?? claims) }) })
    }
  })
  t.strictSame(await answersOf(app, withToken('/verify', issuer.sign()), withToken('/callback', issuer.sign())), [200, 200])
  const forged = forge(app, { sub: 'eve' }).slice(0, -8) + 'AAAAAAAA'
  t.strictSame(await answersOf(app, withToken('/verify', forged), withToken('/callback', forged), withToken('/verify', forged)),
    [[401, 'SECURE_API_TOKEN_SIGNATURE'], [401, 'SECURE_API_TOKEN_SIGNATURE'], [429, 'SECURE_API_RATE_LIMITED']])
})

t.test('options of jwtVerify() leave no check out, and a token from elsewhere is judged with the one in the header', async t => {
  const denylist = createDenylist()
  const { app } = await secured(t, issuer, {
    suite: { auth: { ownTokens, isRevoked: denylist.isRevoked } },
    routes: app => {
      app.get('/lax', { config: { public: true } },
        async request => await request.jwtVerify({ ignoreExpiration: true, allowedIss: 'https://evil.example' }))
      app.get('/complete', { config: { public: true } }, async request => await request.jwtVerify({ complete: true }))
      const byHeader: object = { extractToken: ({ headers }: FastifyRequest) => String(headers['x-token']) }
      app.get('/elsewhere', { config: { public: true } }, async request => await request.jwtVerify(byHeader))
    }
  })
  const good = app.jwt.sign({ sub: 'alice' })
  t.strictSame(await answersOf(app, withToken('/lax', forge(app, { iss: 'https://evil.example' })),
    withToken('/lax', forge(app, { iat: 1_700_000_000, exp: 1_700_000_900 }))),
  [[401, 'SECURE_API_TOKEN_ISSUER'], [401, 'SECURE_API_TOKEN_EXPIRED']])
  t.strictSame(await answersOf(app, withToken('/complete', good)), [200])
  const revoked = app.jwt.sign({ sub: 'alice', jti: 'revoked' })
  await denylist.revoke({ issuer: ownTokens.issuer, jti: 'revoked', until: Date.now() + 900_000 })
  t.strictSame(await answersOf(app, withToken('/complete', revoked)), [[401, 'SECURE_API_TOKEN_REVOKED']],
    'revocation is asked with options too')
  const elsewhere = (token: string, authorization = `Bearer ${good}`) =>
    ({ url: '/elsewhere', headers: { 'x-token': token, authorization } })
  t.strictSame(await answersOf(app, elsewhere(good), elsewhere(app.jwt.sign({ sub: 'bob' })),
    { url: '/elsewhere', headers: { 'x-token': good } }),
  [200, [401, 'FST_JWT_AUTHORIZATION_TOKEN_UNTRUSTED'], [401, 'SECURE_API_UNAUTHENTICATED']])
  t.strictSame(await answersOf(app, ...[forge(app, {}, { crit: ['x'] }), forge(app, {}, { alg: 'none' }), 'x',
    forge(app, { exp: 'soon' })].map(token => elsewhere(token))),
  [[401, 'SECURE_API_TOKEN_MALFORMED'], [401, 'SECURE_API_TOKEN_MALFORMED'], [401, 'FST_JWT_AUTHORIZATION_TOKEN_INVALID'],
    [401, 'SECURE_API_TOKEN_MALFORMED']], 'never 500')
})

t.test('jwtVerify() answers 503 while revocation cannot be checked', async t => {
  const { app } = await start({}, { isRevoked: () => { throw new Error('down') } })
  t.strictSame(await answersOf(app, withToken('/verify', app.jwt.sign({ sub: 'alice' }))), [[503, 'SECURE_API_REVOCATION_UNAVAILABLE']])
})

t.test('14 B4: refresh tokens and other kinds of the same key are no access tokens', async t => {
  const { app } = await start()
  const refused = [
    app.jwt.sign({ sub: 'alice' }, { expiresIn: '30 days' }),
    app.jwt.sign({ sub: 'alice' }, { expiresIn: 901 }),
    app.jwt.sign({ sub: 'alice' }, { header: { alg: 'EdDSA', typ: 'rt+jwt' } }),
    app.jwt.sign({ sub: 'alice' }, { header: { alg: 'EdDSA', typ: 'JWT' } }),
    app.jwt.sign({ sub: 'alice' }, { header: { alg: 'EdDSA' } }),
    ...['type', 'typ', 'token_use', 'token_type',
      'use'].flatMap(name => ['refresh', 'id', 'Refresh', 'reset-password', '', 7,
      ['access']].map(kind => app.jwt.sign({ sub: 'alice', [name]: kind }))),
    ...['kind', 'purpose', 'tokenType', 'tokenUse'].flatMap(name => ['refresh', 'Refresh', 'id_token', 'password_reset']
      .map(kind => app.jwt.sign({ sub: 'alice', [name]: kind }))),
    app.jwt.sign({ sub: 'alice', at_hash: 'x' })
  ]
  for (const token of refused) {
    t.strictSame(await answersOf(app, withToken('/orders', token)), [[401, 'SECURE_API_TOKEN_TYPE']],
      JSON.stringify(app.jwt.decode(token)))
  }
  const accepted = [
    app.jwt.sign({ sub: 'alice' }, { expiresIn: '1 minute' }),
    app.jwt.sign({ sub: 'alice' }, { expiresIn: 900 }),
    app.jwt.sign({ sub: 'alice', token_use: 'access', token_type: 'Bearer', type: 'ACCESS' }),
    app.jwt.sign({ sub: 'alice', kind: 'employee', purpose: 'treatment', tokenType: 'access' })
  ]
  for (const token of accepted) t.strictSame(await answersOf(app, withToken('/orders', token)), [200])
  t.strictSame(await answersOf(app, withToken('/orders', app.jwt.sign({ sub: 'alice' }, { noTimestamp: true }))),
    [[401, 'SECURE_API_TOKEN_CLAIMS']], 'no iat, no telling')
})

t.test('14 B4: the name of another kind of token is known in each of its spellings', async t => {
  const { app } = await start()
  for (const name of ['kind', 'purpose', 'tokenType', 'tokenUse']) {
    for (const kind of ['refreshToken', 'refresh-token', 'passwordReset', 'password-reset', 'resetPassword', 'idToken']) {
      t.strictSame(await answersOf(app, withToken('/orders', app.jwt.sign({ sub: 'alice', [name]: kind }))),
        [[401, 'SECURE_API_TOKEN_TYPE']], `${name}: ${kind}`)
    }
  }
})

t.test('14 B4: own tokens have the roles and scopes that they state', async t => {
  const { app } = await start()
  const claims = async (token: string, from = app) => (await from.inject(withToken('/orders', token))).json<Record<string, unknown>>()
  t.match(await claims(app.jwt.sign({ sub: 'alice', role: 'admin' })), { roles: ['admin'] })
  t.strictSame(await claims(app.jwt.sign({ sub: 'alice', role: ['a'], roles: ['b'], scope: 'x y', scp: ['z'] })),
    { kind: 'user', subject: 'alice', roles: ['a', 'b'], scopes: ['x', 'y', 'z'] })
  const other = await start({ roleClaims: ['groups', 'https://example.com/roles'], scopeClaims: [['may', 'do.it']] })
  t.strictSame(await claims(other.app.jwt.sign({
    sub: 'alice',
    role: 'admin',
    scope: 'x',
    groups: ['g'],
    'https://example.com/roles': 'r',
    may: { 'do.it': 'w' }
  }), other.app),
  { kind: 'user', subject: 'alice', roles: ['g', 'r'], scopes: ['w'] })
})

t.test('14 B4: an own token without sub is a service where it names a client, and nobody where it does not', async t => {
  const { app, events } = await start()
  const kinds: ReadonlyArray<readonly [object, string]> = [
    [{ client_id: 'importer' }, 'service'], [{ sub: 'importer', client_id: 'importer' }, 'service'], [{ sub: 'alice' }, 'user'],
    [{ sub: 'alice', client_id: 'app' }, 'user']
  ]
  for (const [claims, kind] of kinds) {
    const answer = await app.inject(withToken('/orders', app.jwt.sign(claims)))
    t.equal(answer.json().kind, kind, JSON.stringify(claims))
    t.equal(events.at(-1)?.principal?.kind, kind, 'in the audit trail')
  }
  for (const claims of [{ user: 'alice' }, { email: 'alice@example.com', roles: ['admin'] }, { client_id: '' }, { sub: '' }]) {
    const answers = await answersOf(app, withToken('/orders', app.jwt.sign(claims)))
    t.strictSame(answers, [[401, 'SECURE_API_TOKEN_CLAIMS']], JSON.stringify(claims))
  }
})

t.test('a refresh flow: app.jwt.verify() tells the signature, a type of its own tells the kind', async t => {
  const { app } = await start()
  const refresh = app.jwt.sign({ sub: 'alice', jti: 'r1' },
    { expiresIn: '30 days', aud: 'api://orders/refresh', header: { alg: 'EdDSA', typ: 'rt+jwt' } })
  t.match(app.jwt.verify(refresh, { allowedAud: 'api://orders/refresh', checkTyp: 'rt+jwt' }), { sub: 'alice', jti: 'r1' })
  t.throws(() => app.jwt.verify(app.jwt.sign({ sub: 'alice' }), { allowedAud: 'api://orders/refresh', checkTyp: 'rt+jwt' }))
  t.equal(lifeOf(app, refresh), 30 * 86_400)
  t.strictSame(await answersOf(app, withToken('/orders', refresh)), [[401, 'SECURE_API_TOKEN_TYPE']])
})

t.test('14 B3: a token in a form beside the header is refused, over a socket', async t => {
  const { app } = await secured(t, issuer, {
    suite: { auth: { ownTokens }, rateLimit: false },
    routes: async app => {
      await app.register(formbody)
      app.post('/orders', { config: { authenticated: true } }, async () => 'taken')
    }
  })
  const url = await listen(app)
  const authorization = `Bearer ${app.jwt.sign({ sub: 'alice' })}`
  const table: ReadonlyArray<readonly [string, string, number]> = [
    ['application/x-www-form-urlencoded', 'access_token=x', 400],
    ['Application/X-WWW-Form-Urlencoded; charset=utf-8', 'a=1&access%5Ftoken=', 400],
    ['application/x-www-form-urlencoded', 'a=access_token', 200],
    ['application/json', '{"access_token":"x"}', 200]
  ]
  for (const [type, body, status] of table) {
    const answer = await fetch(`${url}/orders`, { method: 'POST', headers: { authorization, 'content-type': type }, body })
    t.equal(answer.status, status, `${type} ${body}`)
    if (status === 400) t.match(await answer.json(), { code: 'SECURE_API_CREDENTIAL_AMBIGUOUS' })
    else await answer.text()
  }
})
