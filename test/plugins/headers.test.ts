import { connect } from 'node:http2'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify'
import t from 'tap'
import secureApi, { headers, secureServer, type HeadersPluginOptions } from '../../plugins/index.ts'
import {
  answersOf, bearer, listen, missingHeaders, mistakesOf, secured, securityHeaders, sendLines, startFastify,
  startIssuer
} from '../helpers/server.ts'
import { Certificates } from '../lib/server/certificates.ts'

const issuer = await startIssuer(t)
const open = { public: true } as const

async function alone (options: HeadersPluginOptions = {}, routes: (app: FastifyInstance) => void = () => {},
  fastify: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = startFastify(t, fastify)
  await app.register(headers, options)
  app.get('/', { config: open }, async () => '')
  routes(app)
  await app.ready()
  return app
}

t.test('the API profile is on every answer', async t => {
  const app = await alone()
  for (const url of ['/', '/nowhere']) {
    t.match((await app.inject(url)).headers, {
      'content-security-policy': "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin'
    }, url)
  }
})

t.test('HSTS: in production, over TLS or what a trusted proxy says is TLS', async t => {
  const hsts = async (environment: 'production' | 'development', trustProxy: boolean | string, protocol: string) => {
    const app = await alone({ environment }, undefined, { trustProxy })
    return (await app.inject({ url: '/', headers: { 'x-forwarded-proto': protocol } })).headers['strict-transport-security']
  }
  t.equal(await hsts('production', '127.0.0.1', 'https'), 'max-age=31536000; includeSubDomains')
  t.equal(await hsts('production', '127.0.0.1', 'http'), undefined)
  t.equal(await hsts('production', false, 'https'), undefined, 'a header of a stranger')
  t.equal(await hsts('development', '127.0.0.1', 'https'), undefined)
})

t.test('HSTS behind a proxy: on answers that no hook sees too, and only where the proxy says https', async t => {
  const proxied = secureServer({ trustProxy: '127.0.0.1', environment: 'production' })
  for (const [name, fastify] of [['Fastify alone', { trustProxy: '127.0.0.1' }], ['secureServer()', proxied]] as const) {
    const app = await alone({ environment: 'production' }, undefined, fastify as FastifyServerOptions)
    const url = await listen(app)
    const sent = async (path: string, ...lines: string[]) => 'strict-transport-security' in (await sendLines(url + path, lines)).headers
    for (const path of ['/', '/nowhere', '/%zz']) {
      t.equal(await sent(path, 'X-Forwarded-Proto', 'https'), true, `${name} ${path}`)
      t.equal(await sent(path, 'X-Forwarded-Proto', 'http, https'), true, `${name} ${path}: the last word is the proxy's`)
      t.equal(await sent(path, 'X-Forwarded-Proto', 'https, http'), false, `${name} ${path}`)
      t.equal(await sent(path), false, `${name} ${path}: not said`)
    }
    t.equal(await sent('/', 'X-Forwarded-Proto', 'https', 'Expect', 'tea'), true, `${name}: 417`)
  }
})

t.test('HSTS that is asked for where no request can come over TLS stops the boot', async t => {
  const hsts = { maxAge: '365 days' } as const
  const mistakes = (fastify: object, environment: 'production' | 'development', options: HeadersPluginOptions = { hsts }) =>
    mistakesOf(() => alone({ environment, ...options }, undefined, fastify))
  const { cert, key } = new Certificates(t.testdir({})).issue()
  t.strictSame(await mistakes({}, 'production'), ['SECURE_API_HEADERS_HSTS_NO_TLS'])
  t.strictSame(await mistakes({}, 'production', {}), [], 'the default is simply not sent')
  t.strictSame(await mistakes({}, 'development'), [])
  t.strictSame(await mistakes({ trustProxy: '10.0.0.0/8' }, 'production'), [])
  t.strictSame(await mistakes({ https: { cert, key } }, 'production'), [])
  t.strictSame(await mistakesOf(() => startFastify(t).register(secureApi,
    { auth: false, audit: false, headers: { hsts }, environment: 'production' })), ['SECURE_API_HEADERS_HSTS_NO_TLS'], 'told by the suite')
  const child = startFastify(t, { trustProxy: '10.0.0.0/8' })
  const inChild = await mistakesOf(() => child.register(async scope => {
    await scope.register(headers, { hsts, environment: 'production' })
  }))
  t.strictSame(inChild, [], 'a child knows the server')
})

t.test('hijacked and raw answers carry the headers', async t => {
  const app = await alone({}, app => {
    app.get('/hijacked', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.end('raw') })
    app.get('/written', { config: open }, (_request, reply) => { reply.hijack(); reply.raw.writeHead(203, { 'x-own': '1' }).end() })
  })
  const url = await listen(app)
  for (const path of ['/hijacked', '/written']) {
    const { headers } = await fetch(url + path)
    t.strictSame(missingHeaders(Object.fromEntries(headers)), [], path)
  }
})

t.test('15 B6: what is not stated at the route opens no shared cache where callers are authenticated', async t => {
  const root = t.testdir({ 'page.html': '<p>page</p>' })
  for (const http2 of [false, true]) {
    const { app } = await secured(t, issuer, {
      fastify: { http2 } as object,
      routes: async app => {
        await app.register(fastifyStatic, { root, serve: false })
        const file = async (_request: unknown, reply: FastifyReply) => reply.sendFile('page.html')
        app.get('/guarded', { config: { authenticated: true } }, file)
        app.get('/stated', { config: { authenticated: true, headers: { cacheControl: 'public, max-age=60' } } }, file)
        app.get('/open', { config: open }, file)
        app.get('/shared', { config: { authenticated: true } },
          async (_request, reply) => reply.header('cache-control', 's-maxage=60, max-age=5').send(''))
        app.get('/own', { config: { authenticated: true } }, async (_request, reply) => reply.header('cache-control', 'max-age=5').send(''))
        app.get('/raw', { config: { authenticated: true } },
          async (_request, reply) => { reply.raw.setHeader('cache-control', 'public'); return '' })
        app.get('/hijacked', { config: { authenticated: true } },
          (_request, reply) => { reply.hijack().raw.writeHead(200, { 'cache-control': 'public' }).end() })
      }
    })
    const control = async (url: string) => (await app.inject({ url, headers: bearer(issuer) })).headers['cache-control']
    t.strictSame(await Promise.all(['/guarded', '/stated', '/open', '/shared', '/own', '/raw', '/hijacked'].map(control)),
      ['private, max-age=0', 'public, max-age=0', 'public, max-age=0', 'private, max-age=5', 'max-age=5', 'private', 'private'])
  }
})

t.test('15 B6: over HTTP/2 a hijacked answer of a guarded route opens no shared cache either', async t => {
  const stated = 'public, max-age=9'
  const ways: Readonly<Record<string, (raw: FastifyReply['raw']) => void>> = {
    head: raw => { raw.writeHead(200, { 'Cache-Control': stated }) },
    list: raw => { raw.writeHead(200, ['cache-control', stated] as never) },
    set: raw => { raw.setHeader('Cache-Control', stated) }
  }
  const { app } = await secured(t, issuer, {
    fastify: { http2: true } as object,
    routes: app => {
      for (const [name, write] of Object.entries(ways)) {
        for (const config of [{ authenticated: true } as const, open]) {
          const path = `/${name}${'public' in config ? '/open' : ''}`
          app.get(path, { config }, (_request, reply) => { reply.hijack(); write(reply.raw); reply.raw.end() })
        }
      }
    }
  })
  const client = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { client.close() })
  const control = (path: string) => new Promise<unknown>((resolve, reject) => {
    client.request({ ':path': path, ...bearer(issuer) }).on('error', reject).on('response',
      head => { resolve(head['cache-control']) }).end()
  })
  for (const name of Object.keys(ways)) {
    t.equal(await control(`/${name}`), 'private, max-age=9', name)
    t.equal(await control(`/${name}/open`), stated, `${name}: a public route says itself how it may be stored`)
  }
})

t.test('Cache-Control: nothing of a caller is kept, errors never, and a handler has the last word', async t => {
  const { app } = await secured(t, issuer, {
    routes: app => {
      app.get('/mine', { config: { authenticated: true } }, async () => '')
      app.get('/chosen', { config: { authenticated: true } },
        async (_request, reply) => reply.header('cache-control', 'private, max-age=5').send(''))
      app.get('/list', { config: open }, async () => '')
      app.get('/stated', { config: { ...open, headers: { cacheControl: 'public, max-age=60' } } }, async ({ query }) => {
        if ('fail' in (query as object)) throw new Error('no')
        return ''
      })
    }
  })
  const control = async (url: string) => (await app.inject({ url, headers: bearer(issuer) })).headers['cache-control']
  t.equal(await control('/mine'), 'no-store, max-age=0')
  t.equal(await control('/chosen'), 'private, max-age=5')
  t.equal(await control('/list'), undefined)
  t.equal(await control('/stated'), 'public, max-age=60')
  t.equal(await control('/stated?fail'), 'no-store, max-age=0')
  t.equal(await control('/nowhere'), 'no-store, max-age=0')
  t.equal((await app.inject('/mine')).headers['cache-control'], 'no-store')
})

t.test('what is stated for the application, and what a route changes of it', async t => {
  const app = await alone({ referrerPolicy: 'same-origin', crossOriginResourcePolicy: 'same-site' }, app => {
    app.get('/image', { config: { ...open, headers: { crossOriginResourcePolicy: 'cross-origin' } } }, async () => '')
    app.get('/sign-out', { config: { ...open, headers: { clearSiteData: true } } }, async () => '')
  })
  t.match((await app.inject('/')).headers, { 'referrer-policy': 'same-origin', 'cross-origin-resource-policy': 'same-site' })
  t.match((await app.inject('/image')).headers, { 'referrer-policy': 'same-origin', 'cross-origin-resource-policy': 'cross-origin' })
  t.equal((await app.inject('/sign-out')).headers['clear-site-data'], '"cache","cookies","storage"',
    '15 B5: as the OSHP validator compares it')
  t.equal((await app.inject('/')).headers['clear-site-data'], undefined)
})

t.test('a page with nonces: fresh in each answer, in the policy and in reply.cspNonce', async t => {
  const app = await alone({}, app => {
    const page = { profile: 'html', contentSecurityPolicy: { nonces: true } } as const
    app.get('/page', { config: { ...open, headers: page } }, async (_request, reply) => reply.cspNonce)
    app.get('/none', { config: open }, async (_request, reply) => ({ nonce: reply.cspNonce }))
  })
  const [first, second] = [await app.inject('/page'), await app.inject('/page')]
  const nonce: { script: string, style: string } = first.json()
  t.match(nonce.script, /^[\w+/=-]{22,}$/)
  t.ok(String(first.headers['content-security-policy']).includes(`script-src 'self' 'nonce-${nonce.script}'`))
  t.ok(String(first.headers['content-security-policy']).includes(`'nonce-${nonce.style}'`))
  t.not(second.json().script, nonce.script)
  t.strictSame((await app.inject('/none')).json(), { nonce: null })
})

t.test('headers that tell of the software behind are taken off', async t => {
  const tell = (app: FastifyInstance) => {
    app.get('/told', { config: open }, async (_request, reply) => {
      reply.raw.setHeader('server', 'nginx/1.0')
      return reply.headers({ 'x-powered-by': 'PHP/4', 'x-runtime': '1' }).send('')
    })
  }
  const told = async (options: HeadersPluginOptions) => {
    const { headers } = await (await alone(options, tell)).inject('/told')
    return ['server', 'x-powered-by', 'x-runtime'].filter(name => name in headers)
  }
  t.strictSame(await told({}), ['x-runtime'])
  t.strictSame(await told({ remove: ['X-Runtime'] }), ['server', 'x-powered-by'])
  t.strictSame(await told({ remove: [] }), ['server', 'x-powered-by', 'x-runtime'])
})

t.test('headers: false leaves them out; a child scope guards itself only', async t => {
  const { app } = await secured(t, issuer, { suite: { headers: false }, routes: app => { app.get('/', { config: open }, async () => '') } })
  t.strictSame(missingHeaders((await app.inject('/')).headers), securityHeaders)
  const parent = startFastify(t)
  await parent.register(async child => {
    await child.register(headers, {})
    child.get('/inside', { config: open }, async () => '')
  })
  parent.get('/outside', async () => '')
  t.strictSame(missingHeaders((await parent.inject('/inside')).headers), [])
  t.strictSame(missingHeaders((await parent.inject('/outside')).headers), securityHeaders)
})

t.test('a mistake in the options or at a route stops the boot', async t => {
  const unsafe = { contentSecurityPolicy: { directives: { 'script-src': ['self'] } } }
  t.strictSame(await mistakesOf(() => alone(unsafe)), ['SECURE_API_HEADERS_CSP_INVALID'])
  const app = await alone()
  t.strictSame(await answersOf(app, { url: '/' }), [200])
  const other = startFastify(t)
  await other.register(headers, {})
  other.get('/', { config: { headers: unsafe } }, async () => '')
  t.strictSame(await mistakesOf(() => other.ready()), ['SECURE_API_HEADERS_CSP_INVALID'])
})
