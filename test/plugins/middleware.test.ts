import fastifyExpress from '@fastify/express'
import fastifyMiddie from '@fastify/middie'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import secureApi, { type AuditEvent, type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codesOf, listen, missingHeaders, mistakesOf, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const suite = {
  auth: { issuer: issuer.issuer, audience: issuer.audience },
  audit: false,
  environment: 'development'
} as const satisfies SecureApiOptions
const unguarded = ['SECURE_API_MIDDLEWARE_UNGUARDED']
const admin = (_request: IncomingMessage, response: ServerResponse) => { response.end('secret') }

type Connect = FastifyInstance & { use (path: string, middleware: typeof admin): void }
const plugins = [['@fastify/middie', fastifyMiddie], ['@fastify/express', fastifyExpress]] as const

for (const [name, plugin] of plugins) {
  const use = async (scope: FastifyInstance) => {
    await scope.register(plugin)
    const connect = scope as Connect
    connect.use('/admin', admin)
  }

  t.test(`14 A3: middleware of ${name} stops the boot, in every order and scope`, async t => {
    const starts: Record<string, (app: FastifyInstance) => unknown> = {
      before: async app => { await use(app); await app.register(secureApi, suite) },
      after: async app => { await app.register(secureApi, suite); await use(app) },
      'in a child': async app => {
        await app.register(secureApi, suite); await app.register(async scope => { await use(scope) },
          { prefix: '/x' })
      },
      'in an early child': async app => { await app.register(async scope => { await use(scope) }); await app.register(secureApi, suite) },
      'around the suite': async app => { await use(app); await app.register(async scope => { await scope.register(secureApi, suite) }) },
      'of a later hook of onReady': async app => {
        await app.register(plugin)
        await app.register(secureApi, suite)
        app.addHook('onReady', async () => { (app as Connect).use('/admin', admin) })
      }
    }
    for (const [order, start] of Object.entries(starts)) {
      const app = startFastify(t)
      t.strictSame(await mistakesOf(async () => { await start(app); await app.ready() }), unguarded, order)
    }
  })

  t.test(`${name} without middleware, or beside the scope of the suite, is left alone; middleware comes no later either`, async t => {
    const app = startFastify(t)
    await app.register(plugin)
    await app.register(secureApi, suite)
    await app.register(async scope => { scope.get('/x', { config: { public: true } }, async () => '') })
    t.strictSame(await answersOf(app, { url: '/x' }), [200])
    try {
      (app as Connect).use('/admin', admin)
      t.fail('it was taken')
    } catch (error) {
      t.strictSame(codesOf(error), unguarded)
    }
    await t.test('nor by a reference that was kept', async t => {
      const app = startFastify(t)
      await app.register(secureApi, suite)
      await app.register(plugin)
      const { use } = app as Connect
      await app.ready()
      t.strictSame(await mistakesOf(async () => { use.call(app, '/admin', admin) }), unguarded)
      t.strictSame(await answersOf(app, { url: '/admin' }), [404])
    })
    const sibling = startFastify(t)
    await sibling.register(async scope => { await scope.register(secureApi, suite) })
    await sibling.register(async scope => { await use(scope) })
    t.strictSame(await mistakesOf(() => sibling.ready()), [])
  })

  t.test(`${name} can be accepted by name`, async t => {
    const app = startFastify(t)
    await app.register(secureApi, { ...suite, dangerouslyAllowMiddleware: true })
    await use(app)
    t.strictSame(await answersOf(app, { url: '/admin' }), [200])
  })
}

t.test('a plugin of the same name that keeps its middleware in another way counts as used', async t => {
  const app = startFastify(t)
  await app.register(secureApi, suite)
  await app.register(fp(async () => {}, { fastify: '5.x', name: '@fastify/middie' }))
  t.strictSame(await mistakesOf(() => app.ready()), unguarded)
})

t.test('14 A3: what the message says to write instead is guarded, has our headers and is audited', async t => {
  const events: AuditEvent[] = []
  const app = startFastify(t)
  await app.register(secureApi, { ...suite, audit: { sink: event => { events.push(event) } } })
  app.all('/admin/*', { config: { role: 'admin' } }, (request, reply) => {
    reply.hijack()
    admin(request.raw, reply.raw)
  })
  const url = `${await listen(app)}/admin/users`
  const ask = async (headers = {}) => {
    const response = await fetch(url, { headers })
    return [response.status, (await response.text()).includes('secret'), missingHeaders(Object.fromEntries(response.headers))]
  }
  t.strictSame(await ask(), [401, false, []])
  t.strictSame(await ask(bearer(issuer, { roles: ['reader'] })), [403, false, []])
  t.strictSame(await ask(bearer(issuer, { roles: ['admin'] })), [200, true, []])
  await app.close()
  t.strictSame(events.filter(({ status }) => status !== undefined).map(({ outcome, status }) => [outcome, status]),
    [['denied', 401], ['denied', 403], ['allowed', 200]])
})
