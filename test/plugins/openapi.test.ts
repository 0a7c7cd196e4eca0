import { createRequire } from 'node:module'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Validator } from '@seriousme/openapi-schema-validator'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { authentication, openapi, type SecureApiOptions } from '../../plugins/index.ts'
import { answersOf, bearer, codesOf, mistakesOf, startIssuer } from '../helpers/server.ts'

interface Operation {
  security?: Record<string, string[]>[]
  responses: Record<string, Record<string, unknown>>
  'x-secure-api'?: { access: unknown, rateLimit?: { policy: string }[] }
  [name: string]: unknown
}
interface Document {
  openapi?: string
  components: Record<string, Record<string, unknown>>
  paths: Record<string, Record<string, Operation>>
}
type Routes = (app: FastifyInstance) => unknown

const issuer = await startIssuer(t)
const info = { title: 'orders', version: '1' }
const dynamic = (openapi: string): FastifyDynamicSwaggerOptions => ({ openapi: { openapi, info } })
const anything = async () => ({ ok: true })

const problem = { type: 'object', description: 'no', properties: { code: { type: 'string' } } }

/** One of everything. */
const orders: Routes = app => {
  app.get('/orders', { config: { scope: 'read' } }, anything)
  app.post('/orders', {
    config: { scope: { all: ['write', 'admin'] }, role: 'clerk' },
    schema: { operationId: 'createOrder', body: { type: 'object' } }
  }, anything)
  app.get('/orders/:id(^\\d+$)', { config: { scope: { any: ['read', 'admin'] }, policy: 'owner' } }, anything)
  app.delete('/orders/:id(^\\d+$)', {
    config: {},
    schema: { tags: ['orders'], response: { 200: { type: 'object', properties: {} }, 401: problem } }
  }, anything)
  app.get('/profile', { config: { authenticated: true } }, anything)
  app.get('/health', { config: { public: true } }, anything)
  app.get('/secret', { config: { scope: 'read' }, schema: { hide: true } }, anything)
}

interface Setup {
  readonly swagger?: FastifyDynamicSwaggerOptions
  readonly suite?: SecureApiOptions
  readonly log?: unknown[]
}

async function registerSuite (app: FastifyInstance, suite: SecureApiOptions = {}): Promise<void> {
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    authorization: { policies: { owner: () => true } },
    audit: false,
    environment: 'development',
    ...suite
  })
}

function start (t: Test, log: unknown[] = []): FastifyInstance {
  const app: FastifyInstance = Fastify({
    logger: {
      level: 'warn',
      stream: { write: (line: string) => { log.push(JSON.parse(line).code) } }
    }
  })
  t.teardown(() => app.close())
  return app
}

async function documented (t: Test, routes: Routes,
  { swagger: options = dynamic('3.1.0'), suite, log }: Setup = {}): Promise<FastifyInstance> {
  const app = start(t, log)
  await app.register(swagger, options)
  await registerSuite(app, suite)
  await routes(app)
  await app.ready()
  return app
}

const read = (app: FastifyInstance) => app.swagger() as unknown as Document
const operation = (app: FastifyInstance, method: string, path: string) => read(app).paths[path]?.[method] ?? { responses: {} }

for (const version of ['3.0.3', '3.1.0']) {
  t.test(`a document of ${version} gets security, responses and components, and is valid`, async t => {
    const app = await documented(t, orders, { swagger: dynamic(version) })
    const document = read(app)
    const { valid, errors } = await new Validator().validate({ ...document })
    t.ok(valid, JSON.stringify(errors))
    t.strictSame(Object.keys(document.components.securitySchemes ?? {}), ['bearerAuth', 'openIdConnect'])
    t.match(document.components.securitySchemes, {
      bearerAuth: { type: 'http', scheme: 'bearer' },
      openIdConnect: { openIdConnectUrl: `${issuer.issuer}/.well-known/openid-configuration` }
    })
    const scopes = (...names: string[]) => version === '3.1.0' ? names : []
    t.strictSame(document.paths['/orders']?.get?.security, [{ bearerAuth: scopes('read') }, { openIdConnect: ['read'] }])
    t.strictSame(document.paths['/orders']?.post?.security,
      [{ bearerAuth: scopes('write', 'admin') }, { openIdConnect: ['write', 'admin'] }])
    t.strictSame(document.paths['/health']?.get?.security, [])
    t.notOk(document.paths['/secret'], 'what is hidden stays hidden')
    t.strictSame(Object.keys(document.paths['/orders']?.get?.responses ?? {}), ['200', '400', '401', '403', '429', '503'])
    t.strictSame(Object.keys(document.paths['/health']?.get?.responses ?? {}), ['200', '429'])
  })
}

t.test('15 A9: a token that may be sent is an alternative to none, with the answers of a bad one', async t => {
  const app = await documented(t, app => { app.get('/offers', { config: { public: true, authentication: 'optional' } }, anything) })
  const { valid, errors } = await new Validator().validate({ ...read(app) })
  t.ok(valid, JSON.stringify(errors))
  const { security, responses, 'x-secure-api': extension } = operation(app, 'get', '/offers')
  t.strictSame(security, [{}, { bearerAuth: [] }, { openIdConnect: [] }])
  t.strictSame(Object.keys(responses), ['200', '400', '401', '429', '503'])
  t.equal(extension?.access, 'optional')
})

t.test('the document says the truth: what an operation needs is what the route asks for', async t => {
  const app = await documented(t, orders)
  const answer = async (scopes: string[], roles: string[], method: 'GET' | 'POST' | 'DELETE', url: string) =>
    (await app.inject({
      method,
      url,
      headers: bearer(issuer, { scope: scopes.join(' '), roles }),
      ...(method === 'POST' && { payload: {} })
    })).statusCode
  for (const [method, path, url] of [['GET', '/orders', '/orders'], ['POST', '/orders', '/orders'], ['GET', '/orders/{id}', '/orders/7'],
    ['GET', '/profile', '/profile']] as const) {
    const { security = [] } = operation(app, method.toLowerCase(), path)
    for (const [name, scopes] of security.flatMap(requirement => Object.entries(requirement))) {
      t.equal(await answer(scopes, ['clerk'], method, url), 200, `${method} ${path} with ${name} ${scopes.join(' ')}`)
      if (scopes.length > 0) t.equal(await answer(scopes.slice(1), ['clerk'], method, url), 403, `${method} ${path} without`)
    }
  }
  t.equal(await answer(['read', 'write', 'admin'], ['clerk'], 'DELETE', '/orders/7'), 403)
  t.strictSame(operation(app, 'delete', '/orders/{id}')['x-secure-api']?.access, 'none')
})

t.test('examples are what is sent', async t => {
  const app = await documented(t, orders)
  const { SecureApiUnauthenticated: example } = read(app).components.responses as Record<string,
    { content: Record<string, { examples: Record<string, { value: object }> }> }>
  const { examples = {} } = example?.content['application/problem+json'] ?? {}
  t.strictSame((await app.inject('/orders')).json(), examples.SECURE_API_UNAUTHENTICATED?.value)
  t.strictSame((await app.inject({ url: '/orders', headers: { authorization: 'Bearer x' } })).json(),
    examples.SECURE_API_TOKEN_MALFORMED?.value)
})

t.test('in every order of registration the document is the same', async t => {
  const expected = read(await documented(t, orders))
  const child: Routes = app => app.register(async scope => { await orders(scope) })
  const documentation: Routes = app => app.register(swagger, dynamic('3.1.0'))
  const variants: Record<string, readonly Routes[]> = {
    'the suite first': [registerSuite, documentation, orders],
    'routes of a child': [documentation, registerSuite, child],
    'routes of a child, the suite first': [registerSuite, documentation, child]
  }
  for (const [name, parts] of Object.entries(variants)) {
    const awaited = start(t)
    for (const part of parts) await part(awaited)
    await awaited.ready()
    t.strictSame(read(awaited), expected, name)
    if (!parts.includes(child)) continue
    const beside = start(t)
    for (const part of parts) part(beside)
    await beside.ready()
    t.strictSame(read(beside), expected, `${name}, nothing awaited`)
  }
})

t.test('answers stay the same to the byte', async t => {
  const withDocument = await documented(t, orders)
  const without = start(t)
  await registerSuite(without, { openapi: false })
  await orders(without)
  await without.ready()
  read(withDocument)
  const requests = [
    { url: '/orders' }, { url: '/orders', headers: bearer(issuer, { scope: 'other' }) },
    { url: '/orders', headers: bearer(issuer, { scope: 'read' }) },
    { url: '/orders', headers: { authorization: 'Bearer x, Bearer y' } }, { url: '/orders/7', method: 'DELETE' as const },
    { url: '/orders/7', method: 'DELETE' as const, headers: bearer(issuer) },
    { url: '/health' }, { url: '/nowhere' }, { url: '/profile', headers: bearer(issuer) }
  ]
  for (const request of requests) {
    const [one, other] = [await withDocument.inject(request), await without.inject(request)]
    t.strictSame([one.statusCode, one.rawPayload, one.headers['content-type'], one.headers['content-length']],
      [other.statusCode, other.rawPayload, other.headers['content-type'], other.headers['content-length']], JSON.stringify(request))
  }
})

t.test('what a route states is never overwritten', async t => {
  const own = { 401: problem, 403: { type: 'string', description: 'mine' }, 429: { type: 'null', description: 'slow down' } }
  const mine = { type: 'http', scheme: 'bearer', description: 'mine' } as const
  const app = await documented(t, app => {
    app.get('/own', {
      config: { scope: 'read' },
      schema: {
        security: [{ bearerAuth: [] }],
        response: { 200: { type: 'object', properties: {} }, ...own },
        description: 'as it was'
      }
    }, anything)
  }, {
    swagger: {
      openapi: {
        openapi: '3.1.0',
        info,
        components: { securitySchemes: { bearerAuth: mine }, responses: { SecureApiUnavailable: { description: 'mine' } } }
      }
    }
  })
  const { security, responses, description } = operation(app, 'get', '/own')
  t.strictSame(security, [{ bearerAuth: [] }])
  t.equal(description, 'as it was')
  t.match(responses, {
    401: { description: 'no' },
    403: { description: 'mine' },
    429: { description: 'slow down' },
    503: { $ref: '#/components/responses/SecureApiUnavailable' }
  })
  t.notOk(responses[401]?.headers)
  const { securitySchemes, responses: shared } = read(app).components
  t.strictSame(securitySchemes?.bearerAuth, mine)
  t.strictSame(shared?.SecureApiUnavailable, { description: 'mine' })
})

t.test('a transform that makes new schemas or moves paths, and base paths, do not hide what is needed', async t => {
  const variants: Record<string, [FastifyDynamicSwaggerOptions, path: string]> = {
    'drops everything': [{ ...dynamic('3.1.0'), transform: ({ url }) => ({ schema: {}, url }) }, '/v1/orders'],
    'moves the path': [{ ...dynamic('3.1.0'), transform: ({ schema, url }) => ({ schema: { ...schema }, url: `/moved${url}` }) },
      '/moved/v1/orders'],
    'takes the base path off': [{ openapi: { openapi: '3.1.0', info, servers: [{ url: 'https://api.example/v1' }] } }, '/orders'],
    'base path and drops': [{
      openapi: { openapi: '3.1.0', info, servers: [{ url: 'https://api.example/v1' }] },
      transform: ({ url }) => ({ schema: {}, url })
    }, '/orders']
  }
  for (const [name, [options, path]] of Object.entries(variants)) {
    const app = await documented(t, app => app.register(async scope => { await orders(scope) }, { prefix: '/v1' }), { swagger: options })
    t.strictSame(operation(app, 'get', path).security?.[0], { bearerAuth: ['read'] }, name)
    t.strictSame(operation(app, 'get', path.replace('/orders', '/health')).security, [], name)
  }
})

t.test('HEAD is described like its GET, where it is exposed', async t => {
  const app = await documented(t, app => { app.get('/x', { config: { scope: 'read' }, schema: { operationId: 'x' } }, anything) },
    { swagger: { ...dynamic('3.1.0'), exposeHeadRoutes: true } })
  t.strictSame(operation(app, 'head', '/x').security, operation(app, 'get', '/x').security)
  t.ok((await new Validator().validate({ ...read(app) })).valid)
})

t.test('a route declared before the suite is described as closed until a request shows its rule', async t => {
  const log: unknown[] = []
  const app = start(t, log)
  await app.register(swagger, {
    ...dynamic('3.1.0'),
    openapi: { openapi: '3.1.0', info, paths: { '/elsewhere': { get: { responses: { 200: { description: 'of another server' } } } } } }
  })
  app.get('/early/:id(^\\d+$)', { config: { public: true } }, anything)
  await registerSuite(app)
  await app.ready()
  t.strictSame(operation(app, 'get', '/early/{id}').security, [{ bearerAuth: [] }, { openIdConnect: [] }])
  t.strictSame(Object.keys(operation(app, 'get', '/elsewhere')), ['responses'])
  t.equal(log.filter(code => code === 'SECURE_API_OPENAPI_ROUTE_UNKNOWN').length, 1)
  await app.inject('/early/1')
  t.strictSame(operation(app, 'get', '/early/{id}').security, [])
})

t.test('a document of its own is completed by path, and stays as it is with `openapi: false`', async t => {
  const document = {
    openapi: '3.0.3' as const,
    info,
    paths: { '/orders': { get: { summary: 'mine', responses: { 401: { description: 'mine' } } } } }
  }
  const given = { mode: 'static', specification: { document } } as unknown as FastifyDynamicSwaggerOptions
  const app = await documented(t, orders, { swagger: given })
  t.match(operation(app, 'get', '/orders'), {
    summary: 'mine',
    security: [{ bearerAuth: [] }, { openIdConnect: ['read'] }],
    responses: { 401: { description: 'mine' }, 403: {} }
  })
  const left = await documented(t, orders, { swagger: given, suite: { openapi: false } })
  t.equal(read(left), document)
})

t.test('Swagger 2.0 is left as it is, with one warning', async t => {
  const log: unknown[] = []
  const app = await documented(t, orders, { swagger: { swagger: { info } }, log })
  const document = read(app) as unknown as { swagger: string, securityDefinitions?: unknown }
  t.equal(document.swagger, '2.0')
  t.notOk(document.securityDefinitions)
  t.type(app.swagger({ yaml: true }), 'string')
  t.equal(log.filter(code => code === 'SECURE_API_OPENAPI_VERSION').length, 1)
})

t.test('YAML says the same', async t => {
  const app = await documented(t, orders)
  const yaml = createRequire(createRequire(import.meta.url).resolve('@fastify/swagger'))('yaml') as { parse: (text: string) => unknown }
  t.strictSame(yaml.parse(app.swagger({ yaml: true })), JSON.parse(JSON.stringify(read(app))))
})

t.test('the document is made once', async t => {
  const app = await documented(t, orders)
  t.equal(read(app), read(app))
})

t.test('several documents, and one in a child scope', async t => {
  const app = start(t)
  await registerSuite(app, { openapi: { decorators: ['swagger', 'internal'] } })
  await app.register(swagger, { ...dynamic('3.1.0'), decorator: 'internal' as 'swagger' })
  let scope: FastifyInstance | undefined
  app.register(async child => {
    scope = child
    await child.register(swagger, dynamic('3.0.3'))
    await orders(child)
  }, { prefix: '/v2' })
  await app.ready()
  t.match((app as unknown as { internal: () => Document }).internal().paths['/v2/orders']?.get?.security, [{ bearerAuth: ['read'] }])
  t.match((scope?.swagger() as unknown as Document).paths['/v2/orders']?.get?.security, [{ bearerAuth: [] }, { openIdConnect: ['read'] }])
})

t.test('a suite in a child scope describes the routes of that scope only', async t => {
  const app = start(t)
  await app.register(swagger, dynamic('3.1.0'))
  app.get('/outside', anything)
  app.register(async child => {
    await registerSuite(child)
    await orders(child)
  })
  await app.ready()
  t.strictSame(operation(app, 'get', '/orders').security?.[0], { bearerAuth: ['read'] })
  t.strictSame(Object.keys(operation(app, 'get', '/outside')), ['responses'])
})

t.test('the plugins alone, without guards, and the options', async t => {
  const app = start(t)
  await app.register(openapi, {
    bearer: 'token',
    openIdConnect: ['https://login.example.com/.well-known/openid-configuration'],
    responses: false
  })
  await app.register(authentication, { issuer: issuer.issuer, audience: issuer.audience, environment: 'development' })
  await app.register(swagger, dynamic('3.1.0'))
  app.get('/x', anything)
  app.get('/y', { config: { public: true } }, anything)
  await app.ready()
  t.strictSame(operation(app, 'get', '/x').security, [{ token: [] }, { openIdConnect: [] }])
  t.strictSame(operation(app, 'get', '/y').security, [])
  t.strictSame(Object.keys(operation(app, 'get', '/x').responses), ['200'])
})

t.test('without authentication no security is claimed, with `errors: throw` no body', async t => {
  const open = await documented(t, app => { app.get('/x', anything) }, { suite: { auth: false, authorization: {} } })
  t.notOk('security' in operation(open, 'get', '/x'))
  t.strictSame(Object.keys(operation(open, 'get', '/x').responses), ['200', '429'])
  const thrown = await documented(t, orders, { suite: { errors: 'throw' } })
  t.notOk((read(thrown).components.responses?.SecureApiUnauthenticated as Record<string, unknown>).content)
})

t.test('`authorization.default: authenticated` describes routes without a rule so', async t => {
  const app = await documented(t, app => { app.get('/x', anything) }, { suite: { authorization: { default: 'authenticated' } } })
  t.equal(operation(app, 'get', '/x')['x-secure-api']?.access, 'authenticated')
})

t.test('without @fastify/swagger nothing is touched', async t => {
  const app = start(t)
  const schemas: unknown[] = []
  await registerSuite(app)
  app.addHook('onRoute', route => { schemas.push(route) })
  await orders(app)
  await app.ready()
  t.notOk(app.hasDecorator('swagger'))
  t.notOk(schemas.some(route => 'x-secure-api' in ((route as { schema?: object }).schema ?? {})))
})

t.test('the pages of swagger-ui are closed, and opened by `ui`; nothing else is', async t => {
  const pages = async (ui: SecureApiOptions['openapi'], routePrefix = '/documentation') => {
    const app = await documented(t, async app => {
      await app.register(swaggerUi, { routePrefix })
      app.get(`${routePrefix}/own`, anything)
      app.get('/documentation-of-others', { schema: { hide: true } }, anything)
    }, { suite: ui === undefined ? {} : { openapi: ui } })
    const urls = ['/', '/json', '/yaml', '/static/swagger-ui.css', '/static/swagger-initializer.js', '/own'].map(path => routePrefix + path)
    return { app, answers: await answersOf(app, ...[...urls, '/documentation-of-others'].map(url => ({ url }))) }
  }
  const closed = [401, 'SECURE_API_UNAUTHENTICATED']
  t.strictSame((await pages(undefined)).answers, Array(7).fill(closed))
  const { app, answers } = await pages({ ui: { public: true } })
  t.strictSame(answers, [200, 200, 200, 200, 200, closed, closed])
  const { headers } = await app.inject('/documentation/')
  const opener = 'cross-origin-opener-policy'
  t.strictSame([headers[opener], (await app.inject('/documentation/static/oauth2-redirect.html')).headers[opener],
    (await app.inject('/documentation/own')).headers[opener]],
  ['same-origin-allow-popups', 'unsafe-none', 'same-origin'])
  const withoutProvider = (await pages({ ui: { public: true }, openIdConnect: false })).app
  t.equal((await withoutProvider.inject('/documentation/static/oauth2-redirect.html')).headers[opener], 'same-origin')
  t.match(headers['content-security-policy'], /script-src 'self'/)
  t.match(headers['content-security-policy'], new RegExp(`connect-src 'self' ${issuer.issuer};?`))
  t.strictSame((await pages({ ui: { public: true, path: '/docs' } }, '/docs')).answers.slice(0, 2), [200, 200])
  const guarded = await pages({ ui: { scope: 'docs' } })
  t.strictSame(guarded.answers[1], closed)
  const [stranger, reader] = await answersOf(guarded.app, { url: '/documentation/json', headers: bearer(issuer, { scope: 'x' }) },
    { url: '/documentation/json', headers: bearer(issuer, { scope: 'docs' }) })
  t.strictSame(stranger, [403, 'SECURE_API_FORBIDDEN'])
  t.equal(reader, 200)
})

t.test('14 A5: hidden routes of the application under the path of the pages stay closed', async t => {
  const hidden = { schema: { hide: true } }
  const app = await documented(t, async app => {
    app.get('/documentation/before', hidden, anything)
    await app.register(swaggerUi, { theme: { css: [{ filename: 'own.css', content: '' }] } })
    app.get('/documentation/internal', hidden, anything)
    await app.register(async scope => { scope.get('/same-prefix', hidden, anything) }, { prefix: '/documentation' })
    app.get('/documentation/ruled', { ...hidden, config: { scope: 'docs' } }, anything)
  }, { suite: { openapi: { ui: { public: true } } } })
  const closed = [401, 'SECURE_API_UNAUTHENTICATED']
  const own = ['before', 'internal', 'same-prefix', 'ruled'].map(path => ({ url: `/documentation/${path}` }))
  t.strictSame(await answersOf(app, ...own), own.map(() => closed))
  t.strictSame(await answersOf(app, { url: '/documentation/' }, { url: '/documentation/static/theme/own.css' },
    { url: '/documentation/static/swagger-ui.css' }), [200, 200, 200])
})

t.test('14 A9: swagger-ui under the policy of an API is told at boot, and not where its pages have one of their own', async t => {
  const warned = async (suite: SecureApiOptions) => {
    const lines: string[] = []
    const app: FastifyInstance = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
    t.teardown(() => app.close())
    await registerSuite(app, suite)
    await app.register(swagger, dynamic('3.1.0'))
    await app.register(swaggerUi)
    await app.ready()
    return lines.map(line => JSON.parse(line)).filter(({ code }) => code === 'SECURE_API_HEADERS_PAGE_BLANK').map(({ routes }) =>
      routes.includes('/documentation'))
  }
  t.strictSame(await warned({}), [true])
  t.strictSame(await warned({ openapi: { ui: { public: true } } }), [])
  t.strictSame(await warned({
    authorization: {
      routes: {
        '/documentation': { public: true, headers: { profile: 'html' } },
        '/documentation/*': { public: true, headers: { profile: 'html' } }
      }
    }
  }), [])
})

t.test('mistakes stop the boot', async t => {
  const mistakes = async (options: object) =>
    await mistakesOf(async () => { await registerSuite(start(t), { openapi: options } as SecureApiOptions) })
  t.strictSame(await mistakes({ ui: {} }), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await mistakes({ ui: { path: '/docs' } }), ['SECURE_API_OPTION_MISSING'])
  t.strictSame(await mistakes({ ui: { public: true, path: 'docs/' } }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ bearer: 'has space', scheme: 'x' }), ['SECURE_API_OPTION_UNKNOWN', 'SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ openIdConnect: ['login.example.com'] }), ['SECURE_API_OPTION_VALUE'])
  t.strictSame(await mistakes({ openIdConnect: ['https://'] }), ['SECURE_API_URL_INVALID'])
  t.strictSame(await mistakes({ decorators: [] }), ['SECURE_API_OPTION_EMPTY'])
  t.strictSame(await mistakesOf(async () => { await registerSuite(start(t), { openapi: true } as unknown as SecureApiOptions) }),
    ['SECURE_API_OPTION_TYPE'])
  const twice = start(t)
  await registerSuite(twice)
  t.strictSame(codesOf(await twice.register(openapi, {}).then(() => undefined, (error: unknown) => error)),
    ['SECURE_API_ALREADY_REGISTERED'])
})
