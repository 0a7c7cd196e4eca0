import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyContextConfig, FastifyInstance, FastifyServerOptions, InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, {
  secureServer, sessionUser, type Authenticator, type SecureApiOptions, type SessionUserOptions
} from '../../plugins/index.ts'
import { suite, Visitor } from '../fixtures/demo/suite.ts'
import { answersOf, mistakesOf, missingHeaders, startFastify } from '../helpers/server.ts'
import { loginRoute, pluginNamed, sessionOf, sessionPlugins, signIn, type Sessions } from '../helpers/session.ts'

interface Build {
  readonly version: 'before' | 'after'
  readonly server?: FastifyServerOptions
  readonly sessions?: SessionUserOptions
  readonly suite?: SecureApiOptions
}

/** In JavaScript, as such applications are. */
const { build } = await import(new URL('../fixtures/demo/app.js', import.meta.url).href) as {
  build: (options: Build & { uploads: string }) => Promise<FastifyInstance>
}

/** The application with an empty upload folder. */
async function start (t: Test, options: Build): Promise<FastifyInstance> {
  const uploads = mkdtempSync(join(tmpdir(), 'uploads-'))
  const app = await build({ ...options, uploads })
  t.teardown(async () => {
    await app.close()
    rmSync(uploads, { recursive: true })
  })
  await app.ready()
  return app
}

/** What the page says that an application's own tests need, or its other clients. */
const sameOrigin = { 'sec-fetch-site': 'same-origin' }
const quiet: SecureApiOptions = { audit: false }
const after: Build = { version: 'after', suite: { ...quiet, methodNotAllowed: false } }

const versions: Readonly<Record<string, { build: Build, headers?: Readonly<Record<string, string>> }>> = {
  'before the move': { build: { version: 'before' } },
  'after the move, with a header of the client': { build: after, headers: sameOrigin },
  'after the move, with `allowWithoutOrigin`': { build: { ...after, sessions: { allowWithoutOrigin: true } } },
  'after the move, with `secureServer()`': {
    build: { ...after, server: secureServer({ dangerouslyAllowPlaintext: true }) }, headers: sameOrigin
  }
}

for (const [version, { build, headers }] of Object.entries(versions)) {
  t.test(`${version}: the tests of the application pass`, async t => {
    for (const [name, run] of Object.entries(suite)) {
      await t.test(name, async t => {
        const app = await start(t, build)
        await run(t, () => new Visitor(app, headers))
      })
    }
  })
}

/** Runs the advice of one row. `says`: words of its last cell, so that advice that changes brings its test along. */
interface Check { readonly says: string, readonly run: (t: Test) => Promise<void> }

type Config = Readonly<Record<string, FastifyContextConfig>>

interface Setup {
  readonly sessions?: SessionUserOptions
  readonly authenticators?: Authenticator[]
  readonly suite?: SecureApiOptions
  /** `GET` and `POST` of these paths. */
  readonly routes?: Config
  readonly register?: Sessions
  readonly userOf?: (name: string) => unknown
}

/** A small application that has moved: it tells each caller who that is. */
async function moved (t: Test, setup: Setup = {}): Promise<FastifyInstance> {
  const { sessions, authenticators = [sessionUser(sessions)], suite, routes = { '/me': { authenticated: true } } } = setup
  const app = startFastify(t)
  await (setup.register ?? official)(app)
  await app.register(secureApi, { auth: { authenticators }, ...quiet, ...suite })
  loginRoute(app, setup.userOf)
  for (const [url, config] of Object.entries(routes)) {
    app.route({ method: ['GET', 'POST'], url, config, handler: async ({ auth: { subject, roles }, user }) => ({ subject, roles, user }) })
  }
  await app.ready()
  return app
}

const official = sessionPlugins['@fastify/session'] as Sessions
const get = async (app: FastifyInstance, url = '/me', name = 'alice') => await app.inject({ url, headers: await signIn(app, name) })
const from = async (app: FastifyInstance, headers: Readonly<Record<string, string>>, url = '/me'): Promise<InjectOptions> =>
  ({ method: 'POST', url, headers: { ...await signIn(app), ...headers } })
const refused = (code: string, status = 403) => [status, `SECURE_API_${code}`]

/** An admin of the demo who has moved and added a task with a picture. */
async function demo (t: Test, build: Build = after): Promise<{ app: FastifyInstance, root: Visitor }> {
  const app = await start(t, build)
  const root = new Visitor(app, sameOrigin)
  await root.signIn('root')
  await root.send('POST', '/api/tasks', { title: 'one' })
  await root.upload('/api/tasks/1/image', 'image/png', 'png')
  return { app, root }
}

const checks: Readonly<Record<string, Check>> = {
  '`@fastify/session`, `@fastify/secure-session`': {
    says: 'in any other order the boot stops',
    run: async t => {
      for (const register of Object.values(sessionPlugins)) {
        t.match(JSON.parse((await get(await moved(t, { register }))).body), { subject: 'alice', roles: ['reader'] })
        t.strictSame(await mistakesOf(async () => {
          const app = startFastify(t)
          app.register(secureApi, { auth: { authenticators: [sessionUser()] } })
          register(app)
          await app.ready()
        }), ['SECURE_API_AUTHENTICATOR_ORDER'])
      }
    }
  },
  '`session.user` with `id` and `roles`': {
    says: 'the `id` as a text',
    run: async t => {
      const user = { id: 7, roles: ['user'] }
      const app = await moved(t, { userOf: () => user })
      t.match(JSON.parse((await get(app)).body), { subject: '7', roles: ['user'], user })
    }
  },
  'the user under another name': {
    says: '`sessionUser({ user: session => ... })`',
    run: async t => {
      const user = (session: object) => {
        const { name } = Reflect.get(session, 'user') as { name?: string } ?? {}
        return name === undefined ? undefined : { subject: name, roles: ['user'] }
      }
      const app = await moved(t, { sessions: { user }, userOf: name => ({ name }) })
      t.match(JSON.parse((await get(app)).body), { subject: 'alice', roles: ['user'] })
      t.strictSame(await answersOf(app, { url: '/me' }), [refused('UNAUTHENTICATED', 401)])
    }
  },
  'the session under another name (`sessionName`)': {
    says: "`sessionUser({ property: 'name' })`",
    run: async t => {
      const secureSession = await pluginNamed('@fastify/secure-session')
      const register: Sessions = app => app.register(secureSession, { sessionName: 'visitor', key: Buffer.alloc(32, 7) })
      t.strictSame(await mistakesOf(() => moved(t, { register })), ['SECURE_API_AUTHENTICATOR_ORDER'])
      t.strictSame(await answersOf(await moved(t, { register, sessions: { property: 'visitor' } }), { url: '/me' }),
        [refused('UNAUTHENTICATED', 401)])
    }
  },
  'a hook that asks the database who it is, and for the roles': {
    says: "an authenticator with `cookie: true` and `reads: 'session'`",
    run: async t => {
      const roles = new Map([['alice', ['admin']]])
      const looksUp: Authenticator = {
        name: 'session',
        cookie: true,
        reads: 'session',
        authenticate: async request => {
          const user = sessionOf(request).get('user') as { id: string } | undefined
          return user === undefined ? undefined : { subject: user.id, roles: roles.get(user.id) ?? [] }
        }
      }
      const app = await moved(t, { authenticators: [looksUp], routes: { '/admin': { role: 'admin' } } })
      const cookie = await signIn(app)
      const ask = { url: '/admin', headers: cookie }
      t.strictSame(await answersOf(app, ask, { url: '/admin' }, { ...ask, method: 'POST' }),
        [200, refused('UNAUTHENTICATED', 401), refused('CROSS_SITE')])
      roles.clear()
      t.strictSame(await answersOf(app, ask), [refused('FORBIDDEN')], 'at once')
    }
  },
  'an `onRequest` hook, or `autohooks`, that answers 401': {
    says: 'A route without a rule is closed',
    run: async t => {
      const app = await moved(t, { routes: { '/me': { authenticated: true }, '/open': { public: true }, '/forgotten': {} } })
      t.strictSame(await answersOf(app, { url: '/me' }, { url: '/open' }, { url: '/forgotten' }),
        [refused('UNAUTHENTICATED', 401), 200, refused('UNAUTHENTICATED', 401)])
      t.equal((await get(app, '/forgotten')).statusCode, 403)
    }
  },
  "a path of that hook's prefix that does not exist": {
    says: '404 for everybody',
    run: async t => {
      const { app, root } = await demo(t)
      t.strictSame([(await app.inject('/api/nowhere')).statusCode, (await root.send('GET', '/api/nowhere')).statusCode], [404, 404])
    }
  },
  '`preHandler` that checks a role': {
    says: "`role: { any: ['moderator', 'admin'] }`",
    run: async t => {
      const app = await moved(t, {
        routes: { '/admin': { role: 'admin' }, '/care': { role: { any: ['moderator', 'admin'] } } },
        userOf: role => ({ id: 7, roles: [role] })
      })
      const statuses = (url: string) =>
        Promise.all(['user', 'moderator', 'admin'].map(async role => (await get(app, url, role)).statusCode))
      t.strictSame([await statuses('/admin'), await statuses('/care')], [[403, 403, 200], [403, 200, 200]])
    }
  },
  '`setErrorHandler` with a format of your own': {
    says: 'for your own texts look at `error.code`',
    run: async t => {
      const app = await start(t, after)
      const answer = await app.inject('/api/tasks')
      t.strictSame([answer.statusCode, answer.json()], [401, { message: 'Sign in first' }])
    }
  },
  'a 404 for a wrong method': {
    says: '`methodNotAllowed: false` keeps 404',
    run: async t => {
      const ask: InjectOptions = { method: 'DELETE', url: '/me' }
      const answer = await (await moved(t)).inject(ask)
      t.strictSame([answer.statusCode, answer.headers.allow], [405, 'GET, HEAD, POST'])
      t.equal((await (await moved(t, { suite: { methodNotAllowed: false } })).inject(ask)).statusCode, 404)
    }
  },
  '`@fastify/static`': {
    says: '`public: true` for open files',
    run: async t => {
      const routes = (rule: FastifyContextConfig): Build =>
        ({ version: 'after', suite: { ...quiet, authorization: { routes: { '/api/uploads/*': rule } } } })
      const statuses = async (build: Build) => {
        const { app, root } = await demo(t, build)
        return [(await app.inject('/api/uploads/1.png')).statusCode, (await root.send('GET', '/api/uploads/1.png')).statusCode]
      }
      t.strictSame(await statuses(routes({ authenticated: true })), [401, 200])
      t.strictSame(await statuses(routes({ public: true })), [200, 200])
      t.strictSame(await statuses({ version: 'after', suite: { ...quiet, authorization: {} } }), [401, 403], 'without a rule')
    }
  },
  '`Cache-Control: public` of `@fastify/static`': {
    says: '`private` where the rule is not `public: true`',
    run: async t => {
      const cache = async (build: Build) => (await (await demo(t, build)).root.send('GET', '/api/uploads/1.png')).headers['cache-control']
      t.strictSame([await cache({ version: 'before' }), await cache(after)], ['public, max-age=0', 'private, max-age=0'])
    }
  },
  '`@fastify/multipart`': {
    says: '`secureServer()` lowers its default to 256 KiB',
    run: async t => {
      const { default: multipart } = await import('@fastify/multipart')
      const largest = async (size: number, limits?: { fileSize: number }) => {
        const app = startFastify(t, secureServer({ dangerouslyAllowPlaintext: true }))
        await app.register(multipart, limits === undefined ? {} : { limits })
        app.post('/', async request => (await (await request.file())?.toBuffer())?.length)
        return (await new Visitor(app).upload('/', 'image/png', 'x'.repeat(size))).statusCode
      }
      const bytes = 262_144
      t.strictSame([await largest(bytes - 1), await largest(bytes + 1), await largest(bytes + 1, { fileSize: 300_000 })], [200, 413, 200])
    }
  },
  '`@fastify/swagger-ui` with `staticCSP`, or without a policy': {
    says: 'writes the policy of its pages',
    run: async t => {
      const { app } = await demo(t)
      const policy = async (url: string) => String((await app.inject(url)).headers['content-security-policy'])
      t.match(await policy('/docs'), /script-src 'self'/)
      t.match(await policy('/api/tasks'), /^default-src 'none'/)
    }
  },
  'the security scheme of the document': {
    says: 'stands at each route that takes it',
    run: async t => {
      const { components, paths } = (await (await demo(t)).app.inject('/docs/json')).json()
      t.strictSame(Object.keys(components.securitySchemes), ['session'], 'no bearer token is promised')
      t.strictSame(['/api/auth/login', '/api/tasks', '/api/tasks/import'].map(url => paths[url].post.security),
        [[], [{ session: [] }], [{ session: [] }]])
    }
  },
  '`@fastify/helmet`': {
    says: 'remove it',
    run: async t => {
      const helmet = await pluginNamed('@fastify/helmet')
      const register: Sessions = async app => { await app.register(helmet); await official(app) }
      t.strictSame(await mistakesOf(() => moved(t, { register })), ['SECURE_API_HEADERS_DUPLICATE'])
      t.strictSame(missingHeaders((await (await moved(t)).inject('/me')).headers), [])
    }
  },
  '`@fastify/rate-limit` with `max: 100`': {
    says: 'The default of `write` is 10 a minute',
    run: async t => {
      const twelve = async (suite: SecureApiOptions = {}) => {
        const app = await moved(t, { suite })
        const ask = await from(app, sameOrigin)
        return (await answersOf(app, ...Array<InjectOptions>(12).fill(ask))).filter(answer => answer === 200).length
      }
      t.strictSame([await twelve(), await twelve({ rateLimit: { policies: { write: { limit: 100, window: '1 minute' } } } })], [10, 12])
    }
  },
  '`rateLimit: { max, timeWindow }` at a route': {
    says: 'counted by user',
    run: async t => {
      const once = { limit: 1, window: '1 minute' } as const
      const app = await moved(t, {
        routes: {
          '/mine': { authenticated: true, rateLimit: once },
          '/address': { authenticated: true, rateLimit: { ...once, by: 'address' } }
        }
      })
      const statuses = async (url: string) => [(await get(app, url)).statusCode, (await get(app, url, 'bob')).statusCode]
      t.strictSame([await statuses('/mine'), await statuses('/address')], [[200, 200], [200, 429]])
    }
  },
  'nothing against pages of other sites, or `SameSite` alone': {
    says: 'with `credentials: true`',
    run: async t => {
      const origin = 'https://app.example.com'
      const [app, withCors] = [await moved(t), await moved(t, { suite: { cors: { origins: [origin], credentials: true } } })]
      const foreign = { origin, 'sec-fetch-site': 'same-site' }
      t.strictSame(await answersOf(app, await from(app, foreign), await from(app, sameOrigin)), [refused('CROSS_SITE'), 200])
      t.strictSame(await answersOf(withCors, await from(withCors, foreign)), [200])
    }
  },
  '`@fastify/csrf-protection`': {
    says: 'stays',
    run: async t => {
      const csrf = await pluginNamed('@fastify/csrf-protection')
      const register: Sessions = async app => { await official(app); await app.register(csrf, { sessionPlugin: '@fastify/session' }) }
      t.equal((await get(await moved(t, { register }))).statusCode, 200)
    }
  },
  'tests with `app.inject()`, and other clients that are no browsers': {
    says: '`sessionUser({ allowWithoutOrigin: true })`',
    run: async t => {
      const [app, lax] = [await moved(t), await moved(t, { sessions: { allowWithoutOrigin: true } })]
      t.strictSame(await answersOf(app, await from(app, {}), await from(app, sameOrigin)), [refused('CROSS_SITE'), 200])
      t.strictSame(await answersOf(lax, await from(lax, {}), await from(lax, { origin: 'https://evil.example' })), [200, refused('CROSS_SITE')])
    }
  }
}

t.test('who is signed in before the move stays so', async t => {
  const register = sessionPlugins['@fastify/secure-session'] as Sessions
  const before = startFastify(t)
  await register(before)
  loginRoute(before)
  const { body } = await (await moved(t, { register })).inject({ url: '/me', headers: await signIn(before) })
  t.match(JSON.parse(body), { subject: 'alice' })
})

t.test('each row of the page from a session does what it says', async t => {
  const page = readFileSync(new URL('../../docs/migration/session.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (.+?) \| (.+) \|$/gm)].map(([, first = '', last = '']) => ({ first, last }))
    .filter(({ first }) => first !== 'before' && !first.startsWith('---'))
  t.strictSame(rows.map(({ first }) => first).sort(), Object.keys(checks).sort(), 'every row has a test, and every test a row')
  for (const { first, last } of rows) {
    const check = checks[first]
    t.ok(check !== undefined && last.includes(check.says), `${first}: ${last}`)
    await t.test(first, async t => { await check?.run(t) })
  }
})
