import { createHmac, randomBytes } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { createDenylist, Secret, type AuthenticationOptions } from '../../plugins/index.ts'
import { answersOf, mistakesOf, secured, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const secret = randomBytes(48).toString('base64')
const own = { issuer: 'https://api.example.com', audience: 'api://orders', secret }
type OwnTokens = NonNullable<AuthenticationOptions['ownTokens']>

const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
const seconds = () => Math.floor(Date.now() / 1000)

/** A token as any library makes it. */
interface Form { readonly header?: object, readonly key?: string, readonly hash?: string }

function token (claims: object, { header = {}, key = secret, hash = 'sha256' }: Form = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
}

const today = (claims: object = {}) =>
  ({ iss: own.issuer, aud: own.audience, sub: 'alice', iat: seconds(), exp: seconds() + 900, ...claims })
const send = (given: string): InjectOptions => ({ url: '/me', headers: { authorization: `Bearer ${given}` } })

async function start (options: Partial<OwnTokens> = {}, auth: Partial<AuthenticationOptions> = {}) {
  return await secured(t, issuer, {
    suite: {
      auth: { issuer: issuer.issuer, audience: issuer.audience, ...auth, ownTokens: { ...own, ...options } },
      rateLimit: { failures: false }
    },
    routes: app => {
      app.get('/me', { config: { authenticated: true } }, async ({ auth, user }: FastifyRequest) =>
        ({ subject: auth.subject, issuer: auth.issuer, roles: [...auth.roles], expiresAt: auth.expiresAt, user }))
      app.get('/verify', { config: { public: true } }, async request => await request.jwtVerify())
    }
  })
}

t.test('tokens signed with a secret are accepted as own tokens, by all of their rules', async t => {
  const { app } = await start()
  const good = app.jwt.sign({ sub: 'alice', role: 'admin' })
  t.match(app.jwt.decode(good, { complete: true }), { header: { alg: 'HS256', typ: 'at+jwt' } })
  t.match(JSON.parse((await app.inject(send(good))).body), { subject: 'alice', issuer: own.issuer, roles: ['admin'] })
  t.equal((await app.inject({ ...send(good), url: '/verify' })).statusCode, 200)
  const at = { header: { typ: 'at+jwt' } }
  t.strictSame(await answersOf(app, ...[
    token(today(), at),
    token(today(), { ...at, key: randomBytes(48).toString('base64') }),
    token(today(), { ...at, hash: 'sha512' }),
    `${token(today(), at).slice(0, -4)}AAAA`,
    token(today(), { header: { typ: 'at+jwt', alg: 'HS512' }, hash: 'sha512' }),
    token(today(), { header: { typ: 'at+jwt', alg: 'none' } }),
    token(today()),
    token(today(), { header: { typ: 'rt+jwt' } }),
    app.jwt.sign({ sub: 'alice' }, { expiresIn: '30 days', header: { alg: 'HS256', typ: 'rt+jwt' } }),
    token(today({ exp: seconds() + 86_400 }), at),
    token(today({ aud: 'api://other' }), at),
    token({ ...today(), iss: undefined }, at)
  ].map(send)), [
    200, ...Array<unknown>(3).fill([401, 'SECURE_API_TOKEN_SIGNATURE']), ...Array<unknown>(2).fill([401, 'SECURE_API_TOKEN_ALGORITHM']),
    ...Array<unknown>(4).fill([401, 'SECURE_API_TOKEN_TYPE']), [401, 'SECURE_API_TOKEN_AUDIENCE'], [401, 'SECURE_API_TOKEN_ISSUER']
  ])
})

t.test('the secret vouches for no provider, and no key of a provider for own tokens', async t => {
  const { app } = await start()
  const at = { header: { typ: 'at+jwt' } }
  type Published = { jwks_uri: string, keys: { n?: string, x?: string, kid: string }[] }
  const read = async (url: string) => await (await fetch(url)).json() as Published
  const { keys } = await read((await read(`${issuer.issuer}/.well-known/openid-configuration`)).jwks_uri)
  const published = keys.flatMap(key => {
    const half = key.n ?? key.x ?? ''
    return [JSON.stringify(key), half, Buffer.from(half, 'base64url').toString('latin1')]
  })
  t.ok(published.length > 0)
  t.strictSame(await answersOf(app, ...[
    token(today({ iss: issuer.issuer, aud: issuer.audience }), at),
    token(today({ iss: issuer.issuer, aud: issuer.audience }), { header: { typ: 'at+jwt', kid: keys[0]?.kid } }),
    ...published.map(key => token(today({ iss: issuer.issuer, aud: issuer.audience }), { ...at, key })),
    issuer.sign({ iss: own.issuer, aud: own.audience }, { header: { typ: 'at+jwt' } } as never)
  ].map(send)), Array<unknown>(published.length + 3).fill([401, 'SECURE_API_TOKEN_ALGORITHM']))
  t.strictSame(await answersOf(app, send(issuer.sign({ sub: 'bob' }))), [200])
})

t.test('what does not sign tokens safely stops the boot', async t => {
  const boot = (options: Partial<OwnTokens>, auth: Partial<AuthenticationOptions> = {}) => mistakesOf(() => start(options, auth))
  const [weak, conflict] = ['SECURE_API_SECRET_WEAK', 'SECURE_API_OPTION_CONFLICT']
  t.strictSame(await boot({ secret: 'supersecret' }), [weak])
  t.strictSame(await boot({ secret: 'supersecretsupersecretsupersecret!' }), [weak])
  t.strictSame(await boot({ secret: 'x'.repeat(64) }), [weak])
  t.strictSame(await boot({ privateKey: 'a key' }), [conflict, 'SECURE_API_OPTION_VALUE'])
  const { secret: _, ...nothing } = own
  t.strictSame(await mistakesOf(() => secured(t, issuer, { suite: { auth: { ownTokens: nothing } } })), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await boot({ issuer: issuer.issuer }), ['SECURE_API_ISSUER_DUPLICATE'])
  t.strictSame(await boot({ legacy: { until: day(92) } }), ['SECURE_API_OPTION_RANGE'])
  t.strictSame(await boot({ legacy: { until: '2026-13-45' } }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await boot({ legacy: { until: 'never' } }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await boot({ legacy: {} as never }), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await boot({ legacy: { until: day(9), secret: 'supersecret' } }), [weak])
  t.strictSame(await boot({ legacy: { until: day(90) } }), [])
  const canary = 'canary-canary-canary-canary-canary'
  const told = await start({ secret: canary }).then(() => '', (error: Error) => `${error.message} ${JSON.stringify(error)}`)
  t.match(told, weak)
  t.notMatch(told, /canary/)
})

t.test('legacy: tokens of the old form are accepted until the day that is stated', async t => {
  const denylist = createDenylist()
  const until = day(30)
  const { app } = await start({ legacy: { until, subject: 'id' }, roleClaims: ['roles'] }, { isRevoked: denylist.isRevoked })
  const { body } = await app.inject(send(token({ id: 7, roles: ['admin'], iat: seconds() - 10_000_000 })))
  t.match(JSON.parse(body), { subject: '7', issuer: own.issuer, roles: ['admin'], expiresAt: Date.parse(until), user: { id: 7, sub: '7' } })
  const missing = [401, 'SECURE_API_TOKEN_ISSUER']
  t.strictSame(await answersOf(app, ...[
    token({ id: 7 }),
    token({ id: 7 }, { header: { typ: undefined } }),
    token({ id: 7, iss: own.issuer, aud: own.audience, exp: seconds() + 86_400 }),
    token({ id: 7, exp: seconds() - 120 }),
    token({ id: 7, nbf: seconds() + 3600 }),
    token({ id: 7, iss: 'https://other.example' }),
    token({ id: 7, aud: 'api://other' }),
    token({ id: 7 }, { key: randomBytes(48).toString('base64') }),
    token({ id: 7, type: 'refresh' }),
    token({ id: 7, token_use: 'reset' }),
    token({ id: 7 }, { header: { typ: 'rt+jwt' } }),
    token({ id: 7 }, { header: { typ: 'at+jwt' } }),
    token({ id: 7, exp: 'never' }),
    token({ id: { a: 1 } }),
    token({ id: '' }),
    app.jwt.sign({ sub: 'alice' })
  ].map(send)), [
    200, 200, 200, [401, 'SECURE_API_TOKEN_EXPIRED'], [401, 'SECURE_API_TOKEN_NOT_YET_VALID'], missing, [401, 'SECURE_API_TOKEN_AUDIENCE'],
    [401, 'SECURE_API_TOKEN_SIGNATURE'], [401, 'SECURE_API_TOKEN_TYPE'], [401, 'SECURE_API_TOKEN_TYPE'], missing, missing,
    [401, 'SECURE_API_TOKEN_CLAIMS'], [401, 'SECURE_API_TOKEN_CLAIMS'], [401, 'SECURE_API_TOKEN_CLAIMS'], 200
  ])
  await denylist.revoke({ issuer: own.issuer, sub: '7', until: Date.now() + 1e9 })
  t.strictSame(await answersOf(app, send(token({ id: 7 })), send(token({ id: 8 }))), [[401, 'SECURE_API_TOKEN_REVOKED'], 200])
  const { app: over } = await start({ legacy: { until: day(0) } })
  t.strictSame(await answersOf(over, send(token({ sub: 'a' }))), [[401, 'SECURE_API_TOKEN_EXPIRED']], 'on the day itself it is over')
})

t.test('legacy: where another claim names the user, `sub` does not', async t => {
  const { app } = await start({ legacy: { until: day(30), subject: 'id' } })
  const refused = [401, 'SECURE_API_TOKEN_CLAIMS']
  t.strictSame(await answersOf(app, ...[{ sub: 'a' }, { id: null, sub: 'a' }, { id: 7, sub: 'a' }].map(claims => send(token(claims)))),
    [refused, refused, 200])
})

t.test('legacy: the old secret may be another than the new key, and the application tells kinds apart', async t => {
  const old = randomBytes(32).toString('hex')
  const accepts = ({ purpose, boom }: Readonly<Record<string, unknown>>) => {
    if (boom !== undefined) throw new Error('no')
    return purpose === undefined
  }
  const { app } = await start({ legacy: { until: day(30), secret: old, accepts } })
  const signedBefore = (claims: object) => send(token(claims, { key: old }))
  t.strictSame(await answersOf(app,
    signedBefore({ sub: 'a' }), signedBefore({ sub: 'a', purpose: 'reset' }), signedBefore({ sub: 'a', boom: 1 }),
    send(token({ sub: 'a' })),
    send(token(today(), { key: old, header: { typ: 'at+jwt' } })), send(app.jwt.sign({ sub: 'a' }))
  ), [
    200, [401, 'SECURE_API_TOKEN_ISSUER'], [401, 'SECURE_API_TOKEN_ISSUER'], [401, 'SECURE_API_TOKEN_SIGNATURE'],
    [401, 'SECURE_API_TOKEN_SIGNATURE'], 200
  ])
})

t.test('an application on @fastify/jwt moves: tokens that it has signed go on working', async t => {
  const before = startFastify(t)
  await before.register(fastifyJwt, { secret })
  const old = before.jwt.sign({ id: 7, name: 'Ada' })
  const app = await moved(t)
  t.match(JSON.parse((await app.inject(send(old))).body), { id: 7, name: 'Ada' })
  t.match(JSON.parse((await app.inject(send(app.jwt.sign({ sub: '7', name: 'Ada' })))).body), { sub: '7', name: 'Ada' })
})

async function moved (t: Test): Promise<FastifyInstance> {
  const app = startFastify(t)
  const ownTokens = { ...own, secret: new Secret(secret), legacy: { until: day(60), subject: 'id' } }
  await app.register(secureApi, { auth: { ownTokens }, audit: { sink: () => {} } })
  app.get('/me', { config: { authenticated: true } }, async ({ user }) => user)
  return app
}
