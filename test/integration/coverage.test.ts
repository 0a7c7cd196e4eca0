import type { FastifyInstance, FastifyPluginAsync, InjectOptions, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import secureApi from '../../plugins/index.ts'
import { answersOf, bearer, codeOf, listen, missingHeaders, secured, sendLines, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const options = { auth: { issuer: issuer.issuer, audience: issuer.audience }, audit: false, environment: 'development' } as const
const stranger = [401, 'SECURE_API_UNAUTHENTICATED']
const forbidden = [403, 'SECURE_API_FORBIDDEN']

const config = { scope: 'a' } as const
const route = (app: FastifyInstance, url: string, more: Partial<RouteOptions> = {}) => {
  app.route({ method: 'GET', url, config, handler: async () => 'open', ...more })
}
const child = (url: string, own?: (app: FastifyInstance) => void): FastifyPluginAsync => async app => { own?.(app); route(app, url) }

/** Every place where a route can be declared. The register of the suite is not awaited. */
async function everywhere (app: FastifyInstance): Promise<string[]> {
  route(app, '/before')
  app.register(child('/before-in-child'))
  app.register(secureApi, options)
  route(app, '/beside')
  app.register(child('/child', app => { app.register(child('/grandchild')) }))
  app.register(fp(child('/plugin')))
  app.after(() => { route(app, '/after') })
  route(app, '/all', { method: ['GET', 'POST', 'DELETE'] })
  app.register(async scope => { route(scope, '/options', { method: 'OPTIONS' }) })
  app.register(child('/prefixed'), { prefix: '/prefix' })
  route(app, '/wild/*')
  await app.ready()
  return ['/before', '/before-in-child', '/beside', '/child', '/grandchild', '/plugin', '/after', '/all', '/prefix/prefixed', '/wild/card']
}

t.test('a route is guarded wherever it is declared', async t => {
  const app = startFastify(t)
  const urls = await everywhere(app)
  const wrong = bearer(issuer, { scope: 'b' })
  const right = bearer(issuer, { scope: 'a' })
  for (const url of urls) {
    t.strictSame(await answersOf(app, { url }, { url, headers: wrong }, { url, headers: right }), [stranger, forbidden, 200], url)
    const head = await Promise.all([{}, wrong, right].map(headers => app.inject({ method: 'HEAD', url, headers })))
    t.strictSame(head.map(({ statusCode }) => statusCode), [401, 403, 200], `HEAD ${url}`)
    t.strictSame(missingHeaders((await app.inject(url)).headers), [], `${url}: headers`)
  }
  const more: InjectOptions[] = [{ method: 'POST', url: '/all' }, { method: 'DELETE', url: '/all' }, { method: 'OPTIONS', url: '/options' }]
  t.strictSame(await answersOf(app, ...more, ...more.map(request => ({ ...request, headers: right }))),
    [stranger, stranger, stranger, 200, 200, 200])
})

t.test('an early route is counted by its own policy, and listed once it was called', async t => {
  const app = startFastify(t)
  route(app, '/early', { config: { public: true, rateLimit: { limit: 1, window: '1 minute' } } })
  await app.register(secureApi, options)
  t.strictSame(app.secureApi.routes().map(({ url }) => url), [])
  t.strictSame(await answersOf(app, { url: '/early' }, { url: '/early' }), [200, [429, 'SECURE_API_RATE_LIMITED']])
  t.match(app.secureApi.routes(), [{ url: '/early', access: 'public' }])
})

t.test('an early route whose options are wrong is closed, not open', async t => {
  const mistakes: readonly RouteOptions['config'][] = [
    { public: true, scope: 'a' }, { scope: '' }, { scope: { all: [] } }, { policy: 'unknown' }, { scope: ['a'] as unknown as string },
    { public: true, headers: { contentSecurityPolicy: { directives: { 'script-src': ['self'] } } } },
    { public: true, rateLimit: 'unknown' }, { public: true, cors: { origins: ['*'] } }
  ]
  const app = startFastify(t)
  mistakes.forEach((config, index) => { route(app, `/wrong/${index}`, config === undefined ? {} : { config }) })
  await app.register(secureApi, { ...options, cors: { origins: ['https://app.example.com'] } })
  for (const [index] of mistakes.entries()) {
    const response = await app.inject({ url: `/wrong/${index}`, headers: bearer(issuer, { scope: 'a' }) })
    t.strictSame([response.statusCode, codeOf(response)], forbidden, JSON.stringify(mistakes[index]))
  }
})

t.test('hooks that other plugins add before the suite do not open a route', async t => {
  const app = startFastify(t)
  app.addHook('onRequest', async () => {})
  app.addHook('onRoute', options => { options.preHandler = [async () => {}] })
  await app.register(secureApi, options)
  route(app, '/orders')
  t.strictSame(await answersOf(app, { url: '/orders' }), [stranger])
})

t.test('404s: of the root, of a prefix, and of a route that calls notFound, carry headers and count', async t => {
  const { app } = await secured(t, issuer, {
    suite: { rateLimit: { perAddress: { limit: 4, window: '1 minute' } } },
    routes: app => {
      app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('own'))
      app.register(async scope => { scope.setNotFoundHandler(async (_request, reply) => reply.code(404).send('own of the prefix')) },
        { prefix: '/prefix' })
      app.get('/missing', { config: { public: true } }, (_request, reply) => { reply.callNotFound() })
    }
  })
  for (const url of ['/nowhere', '/prefix/nowhere', '/missing']) {
    const { statusCode, headers } = await app.inject(url)
    t.strictSame([statusCode, missingHeaders(headers)], [404, []], url)
  }
  t.strictSame(await answersOf(app, { url: '/nowhere' }, { url: '/prefix/nowhere' }), [404, [429, 'SECURE_API_RATE_LIMITED']])
})

t.test('in a child scope the suite guards that scope, and says that the rest is not its own', async t => {
  const warnings: string[] = []
  const stream = { write: (line: string) => { warnings.push(line) } }
  const app = startFastify(t, { logger: { level: 'warn', stream } })
  app.register(async scope => {
    await scope.register(secureApi, options)
    route(scope, '/inside')
    scope.register(child('/deep'))
  }, { prefix: '/api' })
  route(app, '/outside')
  t.strictSame(await answersOf(app, { url: '/api/inside' }, { url: '/api/deep' }, { url: '/outside' },
    { url: '/api/inside', headers: bearer(issuer, { scope: 'a' }) }), [stranger, stranger, 200, 200])
  t.match(warnings.join(''), /"prefix":"\/api"/)
})

t.test('unusual spellings of a URL meet the same guard', async t => {
  const { app } = await secured(t, issuer, {
    fastify: { routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false } },
    routes: app => { route(app, '/admin/users') }
  })
  const url = await listen(app)
  for (const path of ['/admin/users', '/admin/users/', '//admin//users', '/ADMIN/users', '/%61dmin/users', '/admin/users?x=1',
    '/admin/users#x', '/admin/../admin/users', '/admin;x/users', '/admin%2Fusers']) {
    const { statusCode } = await sendLines(url + path, [])
    t.ok(statusCode === 401 || statusCode === 404, `${path}: ${statusCode}`)
    const { statusCode: raw } = await sendLines(url + path, ['Authorization', bearer(issuer, { scope: 'b' }).authorization])
    t.ok(raw === 403 || raw === 404, `${path}: ${raw}`)
  }
})

t.test('a request that methods override or forwarded headers try to disguise is still guarded', async t => {
  const { app } = await secured(t, issuer, { routes: app => { route(app, '/admin') } })
  const disguises = [{ 'x-http-method-override': 'OPTIONS' }, { 'x-original-url': '/health' }, { 'x-rewrite-url': '/health' },
    { 'x-forwarded-for': '127.0.0.1' }, { upgrade: 'websocket', connection: 'upgrade' }]
  for (const headers of disguises) t.strictSame(await answersOf(app, { url: '/admin', headers }), [stranger], JSON.stringify(headers))
})
