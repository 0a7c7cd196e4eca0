import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fastifyJwt from '@fastify/jwt'
import type { InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { createDenylist, type AuthenticationOptions } from '../../plugins/index.ts'
import { answersOf, mistakesOf, startFastify } from '../helpers/server.ts'

/** Runs the advice of one row. `says`: words of its last cell, so that advice that changes brings its test along. */
interface Check { readonly says: string, readonly run: (t: Test) => Promise<void> }

type OwnTokens = NonNullable<AuthenticationOptions['ownTokens']>

const secret = randomBytes(32).toString('hex')
const until = new Date(Date.now() + 60 * 86_400_000).toISOString().slice(0, 10)
const issuer = 'https://api.example.com'
const send = (token: string, url = '/me'): InjectOptions => ({ url, headers: { authorization: `Bearer ${token}` } })
const refused = (code: string) => [401, `SECURE_API_${code}`]

/** What @fastify/jwt signed, as its README says. */
async function before (t: Test, claims: object, key = secret, options: object = {}): Promise<string> {
  const app = startFastify(t)
  await app.register(fastifyJwt, { secret: key })
  return app.jwt.sign(claims, options)
}

/** The application that has moved. */
async function after (t: Test, ownTokens: Partial<OwnTokens> = {}, auth: Partial<AuthenticationOptions> = {}) {
  const app = startFastify(t)
  const legacy = { until, subject: 'id' }
  await app.register(secureApi, {
    auth: { ownTokens: defined({ issuer, audience: 'api://orders', secret, legacy, ...ownTokens }), ...auth },
    rateLimit: { failures: false },
    audit: { sink: () => {} },
    // The secrets of these tests are texts.
    environment: 'development'
  })
  app.get('/me', { config: { authenticated: true } }, async ({ user }) => user)
  app.get('/verify', { config: { public: true } }, async request => await request.jwtVerify())
  await app.ready()
  return app
}

/** Without the secret that is there otherwise. */
const instead = (privateKey: string) => ({ privateKey, secret: undefined as never })
const defined = <Options extends object> (options: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options

const checks: Readonly<Record<string, Check>> = {
  '`secret`': {
    says: 'a shorter one, or one of a README, stops the boot',
    run: async t => {
      t.strictSame(await mistakesOf(() => after(t, { secret: 'supersecret' })), ['SECURE_API_SECRET_WEAK'])
      t.strictSame(await mistakesOf(() => after(t)), [])
    }
  },
  'a secret that is too short': {
    says: 'Users sign in once more',
    run: async t => {
      t.strictSame(await mistakesOf(() => after(t, { legacy: { until, secret: 'shhh' } })), ['SECURE_API_SECRET_WEAK'])
      t.strictSame(await answersOf(await after(t), send(await before(t, { id: 7 }, 'shhh'))), [refused('TOKEN_SIGNATURE')])
    }
  },
  'tokens without `iss`, `aud`, `exp`': {
    says: '90 days away at most',
    run: async t => {
      const app = await after(t)
      t.strictSame(await answersOf(app, send(await before(t, { id: 7 })), send(await before(t, { id: 7, aud: 'api://other' }))),
        [200, refused('TOKEN_AUDIENCE')])
      const over = await after(t, { legacy: { until: '2026-01-01' } })
      t.strictSame(await answersOf(over, send(await before(t, { id: 7 }))), [refused('TOKEN_EXPIRED')])
    }
  },
  'tokens with `iss`': {
    says: 'another issuer is refused',
    run: async t => {
      const sign = async (iss: string) => send(await before(t, { id: 7 }, secret, { iss }))
      t.strictSame(await answersOf(await after(t), await sign(issuer), await sign('shop')), [200, refused('TOKEN_ISSUER')])
    }
  },
  '`id`, `userId` in place of `sub`': {
    says: "`legacy.subject: 'id'`",
    run: async t => {
      const app = await after(t)
      t.match((await app.inject(send(await before(t, { id: 7 })))).json(), { id: 7, sub: '7' })
    }
  },
  'a new key, or a new secret': {
    says: '`legacy.secret`',
    run: async t => {
      const privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      const legacy = { until, secret, subject: 'id' }
      for (const key of [{ secret: randomBytes(32).toString('hex') }, instead(privateKey)]) {
        const app = await after(t, { ...key, legacy })
        t.strictSame(await answersOf(app, send(await before(t, { id: 7 })), send(app.jwt.sign({ sub: '7' }))), [200, 200])
      }
      t.strictSame(await mistakesOf(() => after(t, instead(privateKey))), ['SECURE_API_OPTION_MISSING'])
    }
  },
  'links to reset a password, invitations, signed with the same secret': {
    says: '`legacy.accepts(claims)`',
    run: async t => {
      const app = await after(t, { legacy: { until, subject: 'id', accepts: ({ invite }) => invite === undefined } })
      t.strictSame(await answersOf(app, send(await before(t, { id: 7 })), send(await before(t, { id: 7, invite: true }))),
        [200, refused('TOKEN_ISSUER')])
    }
  },
  "refresh tokens that say so (`type: 'refresh'`)": {
    says: 'without an option',
    run: async t => {
      t.strictSame(await answersOf(await after(t), send(await before(t, { id: 7, type: 'refresh' }))), [refused('TOKEN_TYPE')])
    }
  },
  '`app.jwt.sign(claims)`': {
    says: '15 minutes',
    run: async t => {
      const app = await after(t)
      const { header, payload } = app.jwt.decode<{ header: object, payload: { iat: number, exp: number } }>(
        app.jwt.sign({ sub: '7' }), { complete: true }) ?? {}
      t.match({ header, payload }, { header: { typ: 'at+jwt', alg: 'HS256' }, payload: { iss: issuer, aud: 'api://orders' } })
      t.equal((payload?.exp ?? 0) - (payload?.iat ?? 0), 900)
    }
  },
  '`request.jwtVerify()` in a hook': {
    says: 'decides as the guard does',
    run: async t => {
      const app = await after(t)
      t.strictSame(await answersOf(app, { url: '/me' }, send(await before(t, { id: 7 }), '/verify'), { url: '/verify' }),
        [refused('UNAUTHENTICATED'), 200, refused('UNAUTHENTICATED')])
    }
  },
  '`request.user`': {
    says: 'filled in where they were absent',
    run: async t => {
      const { body } = await (await after(t)).inject(send(await before(t, { id: 7, name: 'Ada' })))
      t.match(JSON.parse(body), { id: 7, name: 'Ada', iss: issuer, aud: 'api://orders', sub: '7', exp: Date.parse(until) / 1000 })
    }
  },
  '`app.jwt.verify(token)`': {
    says: 'those of the old form only the guard knows',
    run: async t => {
      const app = await after(t)
      const old = await before(t, { id: 7 })
      t.throws(() => app.jwt.verify(old))
      t.match(app.jwt.verify(app.jwt.sign({ sub: '7' })), { sub: '7' })
    }
  },
  '`trusted`': {
    says: '`createDenylist()` ends old tokens too',
    run: async t => {
      const denylist = createDenylist()
      const app = await after(t, {}, { isRevoked: denylist.isRevoked })
      await denylist.revoke({ issuer, sub: '7', until: Date.now() + 1e9 })
      await denylist.revoke({ issuer, jti: 'lost', until: Date.now() + 1e9 })
      t.strictSame(await answersOf(app, send(await before(t, { id: 7 })), send(await before(t, { id: 8, jti: 'lost' })),
        send(await before(t, { id: 8 }))), [refused('TOKEN_REVOKED'), refused('TOKEN_REVOKED'), 200])
    }
  },
  'a token in a cookie': {
    says: 'not read',
    run: async t => {
      t.strictSame(await answersOf(await after(t), { url: '/me', headers: { cookie: `token=${await before(t, { id: 7 })}` } }),
        [refused('UNAUTHENTICATED')])
    }
  }
}

t.test('each row of the page from @fastify/jwt does what it says', async t => {
  const page = readFileSync(new URL('../../docs/migration/fastify-jwt.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (.+?) \| (.+) \|$/gm)].map(([, first = '', last = '']) => ({ first, last }))
    .filter(({ first }) => first !== 'before' && !first.startsWith('---'))
  t.strictSame(rows.map(({ first }) => first).sort(), Object.keys(checks).sort(), 'every row has a test, and every test a row')
  for (const { first, last } of rows) {
    const check = checks[first]
    t.ok(check !== undefined && last.includes(check.says), `${first}: ${last}`)
    await t.test(first, async t => { await check?.run(t) })
  }
})

t.test('a token that somebody made without the secret is none of the old ones', async t => {
  const app = await after(t)
  const parts = ['{"alg":"HS256","typ":"JWT"}', '{"id":7}'].map(text => Buffer.from(text).toString('base64url')).join('.')
  const sign = (key: string) => send(`${parts}.${createHmac('sha256', key).update(parts).digest('base64url')}`)
  t.strictSame(await answersOf(app, sign('guess'), sign(''), send(`${parts}.`), sign(secret)),
    [...Array<unknown>(3).fill(refused('TOKEN_SIGNATURE')), 200])
})
