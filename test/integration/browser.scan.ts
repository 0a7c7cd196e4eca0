import type { FastifyInstance } from 'fastify'
import type { Frame } from 'playwright-core'
import t from 'tap'
import { startChromium, startOrigin } from '../helpers/chromium.ts'
import { bearer, listen, secured, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const browser = await startChromium(t)
t.comment(`Chromium ${browser.version()}`)
const [allowed, partner, stranger] = [await startOrigin(t), await startOrigin(t), await startOrigin(t)]

/** Handlers that ran, and requests that came over the wire, since the last case. */
const ran: string[] = []
const wire: string[] = []

function routes (app: FastifyInstance): void {
  app.addHook('preHandler', async request => { if (!request.is404) ran.push(request.method) })
  const read = { scope: 'api.read' }
  const write = { scope: 'api.write' }
  app.get('/open', { config: { public: true } }, async (_request, reply) =>
    reply.headers({ 'x-total': '7', 'x-internal': 'a' }).send('open'))
  app.get('/orders', { config: read }, async () => [])
  app.post('/orders', { config: write, bodyLimit: 100 }, async () => 'created')
  app.put('/orders/:id', { config: write }, async () => 'replaced')
  app.delete('/orders/:id', { config: write }, async () => 'deleted')
  app.get('/session', { config: { public: true, cors: { credentials: true } } }, async request => request.headers.cookie ?? 'none')
  app.get('/signed', { config: { public: true, cors: { requestHeaders: ['x-signature'] } } }, async () => '')
  app.route({
    method: ['PUT', 'DELETE'],
    url: '/replaced-only',
    config: { public: true, cors: { methods: ['PUT'] } },
    handler: async () => ''
  })
  app.route({ method: ['GET', 'PUT'], url: '/internal/:id', config: { public: true, cors: false }, handler: async () => '' })
  app.route({
    method: ['GET', 'PUT'],
    url: '/partners/:id',
    config: { public: true, cors: { origins: [partner] } },
    handler: async () => ''
  })
  app.post('/guarded', { config: { public: true, cors: { enforceOrigin: true } } }, async () => '')
  app.get('/once', { config: { public: true, rateLimit: { limit: 1, window: '1 hour' } } }, async () => '')
  app.get('/fails', { config: { public: true } }, async () => { throw new Error('broken') })
}

const { app } = await secured(t, issuer, {
  fastify: { forceCloseConnections: true },
  suite: {
    cors: { origins: [allowed], responseHeaders: ['X-Total'], maxAge: 0 },
    rateLimit: { policies: { write: { limit: 1000, window: '1 minute' } } }
  },
  routes
})
const api = await listen(app)
app.server.on('request', ({ method = '' }) => { wire.push(method) })

async function open (origin: string): Promise<Frame> {
  const context = await browser.newContext()
  await context.addCookies([{ name: 'session', value: '1', url: api }])
  const page = await context.newPage()
  await page.goto(origin)
  return page.mainFrame()
}

/** A sandboxed frame inside this page: its origin is opaque, which is sent as `Origin: null`. */
async function sandbox (frame: Frame): Promise<Frame> {
  await frame.setContent('<iframe sandbox="allow-scripts" srcdoc="empty"></iframe>')
  const inner = await (await frame.waitForSelector('iframe')).contentFrame()
  if (inner === null) throw new Error('the frame did not load')
  return inner
}

const pages = {
  allowed: await open(allowed),
  partner: await open(partner),
  stranger: await open(stranger),
  opaque: await sandbox(await open(allowed))
}

/** What a script of the page learns of the answer. */
type Seen = 'blocked' | { readonly status: number, readonly body: string, readonly headers: Readonly<Record<string, string>> }

async function ask (frame: Frame, url: string, init: RequestInit): Promise<Seen> {
  return await frame.evaluate(async ({ url, init }) => {
    try {
      const response = await fetch(url, init)
      return { status: response.status, body: await response.text(), headers: Object.fromEntries(response.headers) }
    } catch {
      return 'blocked'
    }
  }, { url, init })
}

const reader = bearer(issuer, { scope: 'api.read' })
const writer = bearer(issuer, { scope: 'api.write' })
const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'text/plain' }

interface Expected {
  /** The status that the script sees, or that the browser hides the answer from it. */
  readonly sees: number | 'blocked'
  /** Requests of the browser, in order. */
  readonly wire: readonly string[]
  /** Whether the handler ran. */
  readonly runs: boolean
}

const simple = (sees: Expected['sees'], runs: boolean, method = 'GET'): Expected => ({ sees, wire: [method], runs })
const preflighted = (sees: number, runs: boolean, method: string): Expected => ({ sees, wire: ['OPTIONS', method], runs })
const refused: Expected = { sees: 'blocked', wire: ['OPTIONS'], runs: false }

const cases: ReadonlyArray<readonly [name: string, from: keyof typeof pages, path: string, init: RequestInit, expected: Expected]> = [
  ['a simple GET', 'allowed', '/open', {}, simple(200, true)],
  ['GET with a token', 'allowed', '/orders', { headers: reader }, preflighted(200, true, 'GET')],
  ['POST of JSON with a token', 'allowed', '/orders', { method: 'POST', headers: { ...writer, ...json }, body: '{}' },
    preflighted(200, true, 'POST')],
  ['PUT to a parametric route', 'allowed', '/orders/42', { method: 'PUT', headers: { ...writer, ...json }, body: '{}' },
    preflighted(200, true, 'PUT')],
  ['DELETE', 'allowed', '/orders/42', { method: 'DELETE', headers: writer }, preflighted(200, true, 'DELETE')],
  ['a header that is allowed', 'allowed', '/open', { headers: { 'x-request-id': 'a' } }, preflighted(200, true, 'GET')],
  ['a header that is not', 'allowed', '/open', { headers: { 'x-signature': 'a' } }, refused],
  ['a header that the route allows', 'allowed', '/signed', { headers: { 'x-signature': 'a' } }, preflighted(200, true, 'GET')],
  ['a header that the route no longer allows', 'allowed', '/signed', { headers: { 'x-request-id': 'a' } }, refused],
  ['with credentials where they are allowed', 'allowed', '/session', { credentials: 'include' }, simple(200, true)],
  ['with credentials where they are not', 'allowed', '/open', { credentials: 'include' }, simple('blocked', true)],

  ['another origin, a simple GET', 'stranger', '/open', {}, simple('blocked', true)],
  ['another origin, GET with a token', 'stranger', '/orders', { headers: reader }, refused],
  ['another origin, PUT', 'stranger', '/orders/42', { method: 'PUT', headers: writer }, refused],
  ['another origin, with credentials', 'stranger', '/session', { credentials: 'include' }, simple('blocked', true)],
  ['another origin, a form that it may send', 'stranger', '/guarded', { method: 'POST', headers: form, body: 'a' },
    simple('blocked', false, 'POST')],
  ['the allowed origin, the same form', 'allowed', '/guarded', { method: 'POST', headers: form, body: 'a' }, simple(200, true, 'POST')],
  ['an opaque origin, a simple GET', 'opaque', '/open', {}, simple('blocked', true)],
  ['an opaque origin, PUT', 'opaque', '/orders/42', { method: 'PUT', headers: writer }, refused],

  ['a method that the route does not have', 'allowed', '/orders', { method: 'PUT', headers: writer }, refused],
  ['a method that no route has', 'allowed', '/orders', { method: 'PURGE', headers: writer }, refused],
  ['a method that the policy of the route allows', 'allowed', '/replaced-only', { method: 'PUT' }, preflighted(200, true, 'PUT')],
  ['a method that it does not allow', 'allowed', '/replaced-only', { method: 'DELETE' }, refused],

  ['no CORS on the route, PUT', 'allowed', '/internal/1', { method: 'PUT' }, refused],
  ['no CORS on the route, a simple GET', 'allowed', '/internal/1', {}, simple('blocked', true)],
  ['origins of the route, PUT', 'partner', '/partners/1', { method: 'PUT' }, preflighted(200, true, 'PUT')],
  ['origins of the route, a simple GET', 'partner', '/partners/1', {}, simple(200, true)],
  ['origins of the application, PUT', 'allowed', '/partners/1', { method: 'PUT' }, refused],
  ['origins of the route, elsewhere', 'partner', '/open', {}, simple('blocked', true)],

  ['400, two credentials', 'allowed', '/orders?access_token=a', { headers: reader }, preflighted(400, false, 'GET')],
  ['400, a body that is no JSON', 'allowed', '/orders', { method: 'POST', headers: { ...writer, ...json }, body: '{' },
    preflighted(400, false, 'POST')],
  ['401, no token', 'allowed', '/orders', {}, simple(401, false)],
  ['401, an expired token', 'allowed', '/orders', { headers: bearer(issuer, { exp: 1 }) }, preflighted(401, false, 'GET')],
  ['403', 'allowed', '/orders', { method: 'POST', headers: { ...reader, ...json }, body: '{}' }, preflighted(403, false, 'POST')],
  ['404', 'allowed', '/nowhere', {}, simple(404, false)],
  ['413', 'allowed', '/orders', { method: 'POST', headers: { ...writer, ...json }, body: `"${'a'.repeat(200)}"` },
    preflighted(413, false, 'POST')],
  ['415', 'allowed', '/orders', { method: 'POST', headers: { ...writer, 'content-type': 'text/csv' }, body: 'a' },
    preflighted(415, false, 'POST')],
  ['within a limit', 'allowed', '/once', {}, simple(200, true)],
  ['429', 'allowed', '/once', {}, simple(429, false)],
  ['500', 'allowed', '/fails', {}, simple(500, true)],
  ['the same 500 for another origin', 'stranger', '/fails', {}, simple('blocked', true)],
  ['405', 'allowed', '/open', { method: 'POST', headers: form, body: 'a' }, simple(405, false, 'POST')],
  ['400, a bad URL', 'allowed', '/%zz', {}, simple(400, false)]
]

for (const [name, from, path, init, expected] of cases) {
  t.test(`from ${from}: ${name}: ${expected.sees}`, async t => {
    ran.length = wire.length = 0
    const seen = await ask(pages[from], api + path, init)
    const sees = seen === 'blocked' ? seen : seen.status
    t.strictSame({ sees, wire: [...wire], runs: ran.length > 0 }, expected)
  })
}

t.test('headers that a script of the allowed origin can read', async t => {
  const readable: ReadonlyArray<readonly [path: string, init: RequestInit, names: readonly string[]]> = [
    ['/orders', {}, ['www-authenticate']],
    ['/orders', { headers: reader }, ['ratelimit', 'ratelimit-policy']],
    ['/once', {}, ['ratelimit', 'ratelimit-policy', 'retry-after']],
    ['/open', {}, ['x-total']]
  ]
  for (const [path, init, names] of readable) {
    const seen = await ask(pages.allowed, api + path, init)
    const headers = seen === 'blocked' ? {} : seen.headers
    for (const name of names) t.match(headers[name], /\w/, `${path}: ${name}`)
    for (const name of ['x-internal', 'access-control-allow-origin', 'content-security-policy', 'x-frame-options']) {
      t.equal(headers[name],
        undefined, `${path}: ${name}`)
    }
  }
})

t.test('the cookie arrives only where credentials are allowed and sent', async t => {
  t.match(await ask(pages.allowed, `${api}/session`, { credentials: 'include' }), { body: 'session=1' })
  t.match(await ask(pages.allowed, `${api}/session`, {}), { body: 'none' })
})
