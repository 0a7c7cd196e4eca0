import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { certificateStoreOf, createServerOptions, type TlsOptions } from '../../lib/server/index.ts'
import secureApi, { type AuditEvent, type SecureApiOptions } from '../../plugins/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { recipe, runRecipe } from '../helpers/recipes.ts'
import { answersOf, bearer, listen, mistakesOf, secured, sendLines, startIssuer, until } from '../helpers/server.ts'
import { authority, Certificates, type Issued } from '../lib/server/certificates.ts'

type Auth = Exclude<SecureApiOptions['auth'], false | undefined>
type ClientCertificates = NonNullable<Auth['clientCertificates']>

const issuer = await startIssuer(t)
const folder = t.testdir({})
const certificates = new Certificates(folder)
const server = certificates.issue()
const ca = certificates.issue({ name: 'clients', extensions: authority })
const other = certificates.issue({ name: 'others', extensions: authority })
const issue = (name: string, by: Issued = ca) =>
  certificates.issue({ name: 'client', issuer: by, extensions: ['extendedKeyUsage=clientAuth', `subjectAltName=${name}`] })
const orders = issue('DNS:orders.internal')
const revoked = issue('DNS:orders.internal')
const unknown = issue('DNS:somebody.internal')
const stranger = issue('DNS:orders.internal', other)
const thumbprint = ({ cert }: Issued) =>
  Buffer.from(new X509Certificate(cert).fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')

const principals: ClientCertificates['principals'] = [{ san: 'dns:orders.internal', subject: 'orders', scopes: ['orders.read'] }]
const { issuer: name, audience } = issuer
const authWith = (clientCertificates: ClientCertificates): Auth => ({ issuer: name, audience, clientCertificates })

function routes (app: FastifyInstance): void {
  const me = async ({ auth }: FastifyRequest) => ({ ...auth, scopes: [...auth.scopes] })
  app.get('/me', { config: { authenticated: true } }, me)
  app.get('/orders', { config: { scope: 'orders.read', caller: 'service', credential: 'certificate' } }, me)
  app.get('/users', { config: { caller: 'user' } }, me)
  app.get('/open', { config: { public: true } }, async () => 'open')
  app.get('/greeting', { config: { public: true, authentication: 'optional' } }, me)
}

const escaped = ({ cert }: Issued) => encodeURIComponent(cert)
const nginx = (issued: Issued) => ({ 'x-ssl-client-cert': escaped(issued) })
const behind = (more: Partial<ClientCertificates> = {}): ClientCertificates =>
  ({ from: { header: 'x-ssl-client-cert', trusted: ['127.0.0.1'] }, ca: ca.cert, principals, ...more })
const unauthenticated = [401, 'SECURE_API_UNAUTHENTICATED']

t.test('a certificate in the header of a trusted proxy says which service calls', async t => {
  const { app, events } = await secured(t, issuer, { routes, suite: { auth: authWith(behind()) } })
  const { statusCode, body } = await app.inject({ url: '/orders', headers: nginx(orders) })
  t.equal(statusCode, 200)
  t.match(JSON.parse(body), {
    kind: 'service',
    credential: 'certificate',
    subject: 'orders',
    client: 'dns:orders.internal',
    issuer: 'client-certificate',
    boundTo: thumbprint(orders),
    scopes: ['orders.read'],
    claims: { san: ['dns:orders.internal'], thumbprint: thumbprint(orders) },
    expiresAt: Date.parse(new X509Certificate(orders.cert).validTo)
  })
  t.match(events.at(-1), { principal: { kind: 'service', credential: 'certificate', subject: 'orders' } })
  t.strictSame(await answersOf(app,
    { url: '/orders', headers: nginx(orders) },
    { url: '/users', headers: nginx(orders) },
    { url: '/me', headers: nginx(unknown) },
    { url: '/me', headers: nginx(stranger) },
    { url: '/me', headers: { 'x-ssl-client-cert': '' } },
    { url: '/me' },
    { url: '/open', headers: nginx(unknown) },
    { url: '/greeting' },
    { url: '/greeting', headers: nginx(unknown) }
  ), [
    200, [403, 'SECURE_API_FORBIDDEN'], [401, 'SECURE_API_CERTIFICATE_UNKNOWN'], [401, 'SECURE_API_CERTIFICATE_UNKNOWN'],
    unauthenticated, unauthenticated, 200, 200, [401, 'SECURE_API_CERTIFICATE_UNKNOWN']
  ])
})

t.test('a token beside the certificate counts: a mesh carries the tokens of users', async t => {
  const { app } = await secured(t, issuer, { routes, suite: { auth: authWith(behind()) } })
  const both = { ...nginx(orders), ...bearer(issuer, { sub: 'alice' }) }
  const { body } = await app.inject({ url: '/me', headers: both })
  t.match(JSON.parse(body), { subject: 'alice', credential: 'jwt' })
  t.strictSame(await answersOf(app,
    { url: '/users', headers: both },
    { url: '/orders', headers: both },
    { url: '/me', headers: { ...nginx(orders), authorization: 'Bearer forged' } }
  ), [200, [403, 'SECURE_API_FORBIDDEN'], [401, 'SECURE_API_TOKEN_MALFORMED']])
})

t.test('from an address that is not trusted the header is refused, whatever stands beside it', async t => {
  const untrusted = [400, 'SECURE_API_CERTIFICATE_UNTRUSTED']
  const from = { remoteAddress: '203.0.113.9' }
  const { app } = await secured(t, issuer, { routes, fastify: { trustProxy: true }, suite: { auth: authWith(behind()) } })
  const token = bearer(issuer, { sub: 'alice' })
  t.strictSame(await answersOf(app,
    { url: '/me', headers: nginx(orders), ...from },
    { url: '/me', headers: { ...nginx(orders), 'x-forwarded-for': '127.0.0.1' }, ...from },
    { url: '/me', headers: { ...nginx(orders), ...token }, ...from },
    { url: '/me', headers: { 'x-ssl-client-cert': '' }, ...from },
    { url: '/greeting', headers: nginx(orders), ...from },
    { url: '/open', headers: nginx(orders), ...from },
    { url: '/me', headers: token, ...from },
    { url: '/me', headers: { ...nginx(orders), 'x-forwarded-for': '203.0.113.9' } }
  ), [untrusted, untrusted, untrusted, untrusted, untrusted, untrusted, 200, 200])
  const { app: alone } = await secured(t, issuer, { suite: { auth: { clientCertificates: behind() } }, routes })
  t.strictSame(await answersOf(alone, { url: '/me', headers: nginx(orders), ...from }, { url: '/me', headers: nginx(orders) }),
    [untrusted, 200])
})

t.test('a header that is repeated or garbage is 400, and never a 5xx', async t => {
  const { app } = await secured(t, issuer, { routes, suite: { auth: authWith(behind()) } })
  const url = await listen(app)
  const malformed = async (lines: string[]) => {
    const { statusCode, body } = await sendLines(`${url}/me`, lines)
    return [statusCode, JSON.parse(body).code]
  }
  const header = ['X-SSL-Client-Cert', escaped(orders)]
  t.equal((await sendLines(`${url}/me`, header)).statusCode, 200)
  t.strictSame(await malformed([...header, ...header]), [400, 'SECURE_API_CERTIFICATE_MALFORMED'])
  const twice = `${escaped(orders)},${escaped(orders)}`
  for (const value of ['x', '%', '%00', '-----BEGIN CERTIFICATE-----', escaped(orders).slice(1), twice, '":;,=']) {
    t.strictSame(await malformed(['X-SSL-Client-Cert', value]), [400, 'SECURE_API_CERTIFICATE_MALFORMED'], value.slice(0, 30))
  }
})

t.test('RFC 9440 and Envoy; what a proxy only tells of counts where it alone verifies', async t => {
  const rfc9440: Pick<ClientCertificates, 'from'> = { from: { header: 'client-cert', trusted: ['loopback'] } }
  const { app } = await secured(t, issuer, { routes, suite: { auth: authWith(behind(rfc9440)) } })
  const der = new X509Certificate(orders.cert).raw.toString('base64')
  t.strictSame(await answersOf(app, { url: '/orders', headers: { 'client-cert': `:${der}:` } }, { url: '/orders', headers: nginx(orders) }),
    [200, unauthenticated])
  const envoy: Pick<ClientCertificates, 'from'> = { from: { header: 'x-forwarded-client-cert', trusted: ['127.0.0.1'] } }
  const told = { url: '/orders', headers: { 'x-forwarded-client-cert': `Hash=${'ab'.repeat(32)};Subject="CN=a";DNS=orders.internal` } }
  const whole = { url: '/orders', headers: { 'x-forwarded-client-cert': `By=spiffe://a/b;Cert="${escaped(orders)}"` } }
  const { app: verifying } = await secured(t, issuer, { routes, suite: { auth: authWith(behind(envoy)) } })
  t.strictSame(await answersOf(verifying, whole, told), [200, [400, 'SECURE_API_CERTIFICATE_MALFORMED']])
  const byProxy: ClientCertificates = { ...envoy, verified: 'by-proxy', principals }
  const { app: believing } = await secured(t, issuer, { routes, suite: { auth: authWith(byProxy) } })
  const last = told.headers['x-forwarded-client-cert'].replace('orders', 'a')
  const appended = { url: '/orders', headers: { 'x-forwarded-client-cert': `DNS=orders.internal,${last}` } }
  t.strictSame(await answersOf(believing, whole, told, appended), [200, 200, [401, 'SECURE_API_CERTIFICATE_UNKNOWN']])
})

t.test('a certificate that was seen before is judged without a promise, and guesses use up the budget of the proxy', async t => {
  const { app } = await secured(t, issuer, {
    routes, suite: { auth: authWith(behind()), rateLimit: { failures: { limit: 3, window: '1 minute', by: 'address' } } }
  })
  const callers = [orders, unknown, unknown, unknown, unknown, orders]
  const answers = await answersOf(app, ...callers.map(issued => ({ url: '/me', headers: nginx(issued) })))
  t.strictSame(answers.slice(3), [[401, 'SECURE_API_CERTIFICATE_UNKNOWN'], [429, 'SECURE_API_RATE_LIMITED'], 200])
})

t.test('no certificate and no key is in the log, in events or in the status', async t => {
  const lines: string[] = []
  const stream = { write: (line: string) => { lines.push(line) } }
  const { app, events } = await secured(t, issuer, {
    routes, fastify: { logger: { level: 'trace', stream } }, suite: { auth: authWith(behind()) }
  })
  const answers: string[] = []
  for (const issued of [orders, unknown, stranger]) answers.push((await app.inject({ url: '/orders', headers: nginx(issued) })).body)
  const seen = JSON.stringify([lines, events, answers, app.secureApi.status()])
  for (const { cert } of [orders, unknown, stranger, ca]) {
    const middle = cert.split('\n')[3] ?? 'none'
    t.notOk(seen.includes(middle) || seen.includes(encodeURIComponent(middle)))
  }
  t.notMatch(seen, /BEGIN/)
})

interface Running {
  readonly port: number
  readonly events: AuditEvent[]
  /** Reads the files of the server again. */
  look (): Promise<unknown>
}

const live = { cert: server.cert, key: server.key }

/** The suite on a server that asks its clients for certificates. */
async function start (t: Test, clients: NonNullable<TlsOptions['clientCertificates']>, http2 = false): Promise<Running> {
  const events: AuditEvent[] = []
  const app = Fastify({
    ...createServerOptions({ tls: { ...live, clientCertificates: clients }, ...http2 && { http2 } }, Date.now), forceCloseConnections: true
  } as object) as FastifyInstance
  await app.register(secureApi, {
    auth: authWith({ from: 'tls', principals }), audit: { sink: event => { events.push(event) } }, environment: 'development'
  })
  routes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  return { events, port, look: async () => await certificateStoreOf(app.server)?.refresh() }
}

type Client = Partial<Pick<Issued, 'cert' | 'key'>>
const trustAll = { host: '127.0.0.1', rejectUnauthorized: false }

async function ask (options: https.RequestOptions): Promise<unknown> {
  const request = https.get({ ...trustAll, path: '/orders', ...options })
  const [response] = await once(request, 'response')
  const body = await text(response)
  return response.statusCode === 200 ? [200, JSON.parse(body).subject] : [response.statusCode, JSON.parse(body).code]
}
const clientOf = ({ cert, key }: Client): Client => ({ ...cert !== undefined && { cert }, ...key !== undefined && { key } })

t.test('a certificate of the connection, over HTTP/1.1', async t => {
  const { port, events } = await start(t, { ca: ca.cert, required: false })
  const by = (client: Client) => ask({ port, agent: false, ...clientOf(client) })
  t.strictSame(await by(orders), [200, 'orders'])
  t.strictSame(await by(unknown), [401, 'SECURE_API_CERTIFICATE_UNKNOWN'])
  t.strictSame(await by(stranger), [401, 'SECURE_API_CERTIFICATE_UNKNOWN'], 'TLS lets it in, and did not verify it')
  t.strictSame(await by({}), unauthenticated)
  t.match(events[0], { principal: { kind: 'service', subject: 'orders', credential: 'certificate' } })
  const token = bearer(issuer, { sub: 'alice' })
  t.strictSame(await ask({ port, agent: false, ...clientOf(orders), path: '/me', headers: token }), [200, 'alice'])
  t.strictSame(await ask({ port, agent: false, headers: nginx(orders) }), unauthenticated, 'nobody reads headers')
})

t.test('a session that is resumed is no certificate', async t => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { port } = await start(t, { ca: ca.cert, required: false })
    const common = { ...trustAll, port, minVersion: version, maxVersion: version }
    const clients = [[{}, /UNAUTHENTICATED/], [stranger, /CERTIFICATE_UNKNOWN/], [orders, /"subject":"orders"/]] as const
    for (const [client, expected] of clients) {
      const first = tls.connect({ ...common, ...clientOf(client) })
      const session = once(first, 'session')
      first.write('GET /orders HTTP/1.1\r\nHost: a\r\n\r\n')
      const [ticket] = await session as [Buffer]
      await once(first, 'data')
      first.destroy()
      const socket = tls.connect({ ...common, ...clientOf(client), session: ticket })
      await once(socket, 'secureConnect')
      t.equal(socket.isSessionReused(), true, version)
      socket.write('GET /orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      t.match(await text(socket), expected, version)
    }
  }
})

t.test('a certificate of the connection, over HTTP/2', async t => {
  const { port } = await start(t, { ca: ca.cert, required: false }, true)
  const by = async (client: Client, count = 1) => {
    const session = http2.connect(`https://127.0.0.1:${port}`, { ...trustAll, ...clientOf(client) })
    t.teardown(() => { session.destroy() })
    const answers = await Promise.all(Array.from({ length: count }, async () => {
      const stream = session.request({ ':path': '/orders' })
      const [headers] = await once(stream, 'response') as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
      const body = JSON.parse(await text(stream))
      return [headers[':status'], body.subject ?? body.code]
    }))
    return answers
  }
  t.strictSame(await by(orders, 3), Array(3).fill([200, 'orders']))
  t.strictSame(await by(unknown), [[401, 'SECURE_API_CERTIFICATE_UNKNOWN']])
  t.strictSame(await by(stranger), [[401, 'SECURE_API_CERTIFICATE_UNKNOWN']])
  t.strictSame(await by({}), [unauthenticated])
})

t.test('a revocation counts at once, on a connection that is open already', async t => {
  const crl = join(folder, 'live.crl')
  certificates.revoke(ca, [], crl)
  const { port, look } = await start(t, { ca: ca.cert, crl })
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...trustAll, ...clientOf(orders) })
  t.teardown(() => { agent.destroy() })
  t.strictSame(await ask({ port, agent }), [200, 'orders'])
  certificates.revoke(ca, [orders], crl)
  await look()
  t.strictSame(await ask({ port, agent }), [401, 'SECURE_API_CERTIFICATE_REVOKED'])
  certificates.revoke(ca, [], crl)
  await look()
  t.strictSame(await ask({ port, agent }), [200, 'orders'])
})

t.test('a file with revocation lists counts for certificates in headers', async t => {
  const crl = join(folder, 'header.crl')
  certificates.revoke(ca, [revoked], crl)
  const { app } = await secured(t, issuer, { routes, suite: { auth: authWith(behind({ crl })) } })
  t.strictSame(await answersOf(app, { url: '/orders', headers: nginx(orders) }, { url: '/orders', headers: nginx(revoked) }),
    [200, [401, 'SECURE_API_CERTIFICATE_REVOKED']])
  t.strictSame(app.secureApi.status()['clientCertificates'], { ok: true, revoked: 1 })
})

/** nginx with TLS in front of this address; its port. */
async function startNginx (t: Test, upstream: string): Promise<number> {
  const [root, port] = [t.testdir({}), await freePort()]
  const authorities = join(folder, 'nginx.ca')
  writeFileSync(authorities, ca.cert)
  writeFileSync(join(root, 'nginx.conf'), `
daemon off; worker_processes 1; pid ${root}/nginx.pid; error_log ${root}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${root}/${kind};`).join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${server.certFile}; ssl_certificate_key ${server.keyFile};
    ssl_client_certificate ${authorities}; ssl_verify_client optional;
    location / { proxy_pass ${upstream}; proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert; }
  }
}`)
  const nginx = spawn('nginx', ['-p', root, '-c', join(root, 'nginx.conf'), '-e', join(root, 'error.log')], { stdio: 'ignore' })
  t.teardown(async () => {
    const gone = once(nginx, 'exit')
    nginx.kill('SIGTERM')
    await gone
  })
  await until(async () => await ask({ port, agent: false }).then(() => true, () => false), 'nginx')
  return port
}

t.test('nginx in front: its client is known, and nobody can send the header through it', async t => {
  const { app } = await secured(t, issuer, { routes, suite: { auth: authWith(behind()) } })
  const port = await startNginx(t, await listen(app))
  t.strictSame(await ask({ port, agent: false, ...clientOf(orders) }), [200, 'orders'])
  t.strictSame(await ask({ port, agent: false, ...clientOf(unknown) }), [401, 'SECURE_API_CERTIFICATE_UNKNOWN'])
  t.strictSame(await ask({ port, agent: false }), unauthenticated)
  t.strictSame(await ask({ port, agent: false, headers: nginx(orders) }), unauthenticated, 'nginx overwrites what a caller sends')
})

t.test('docs/service-to-service.md: the page for proxies runs as it stands', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const code = recipe('../service-to-service').find(code => code.includes('x-ssl-client-cert')) ?? ''
  const crl = join(folder, 'page.crl')
  certificates.revoke(ca, [], crl)
  const suite = ({ auth, ...options }: SecureApiOptions): SecureApiOptions => {
    const { clientCertificates } = auth as { clientCertificates: ClientCertificates }
    const own = { clientCertificates: { ...clientCertificates, ca: ca.cert, crl } }
    return { ...options, auth: own, audit: { sink: () => {} }, environment: 'development' }
  }
  await runRecipe(code, { app, suite })
  const stock = issue('DNS:stock.internal')
  const from = { url: '/stock', remoteAddress: '10.0.1.7' }
  t.strictSame(await answersOf(app,
    { ...from, headers: nginx(stock) }, { ...from, headers: nginx(orders) }, from, { url: '/stock', headers: nginx(stock) }
  ), [200, [401, 'SECURE_API_CERTIFICATE_UNKNOWN'], unauthenticated, [400, 'SECURE_API_CERTIFICATE_UNTRUSTED']])
})

t.test('mistakes stop the boot', async t => {
  const boot = (clientCertificates: unknown, fastify: object = {}, environment: 'development' | 'production' = 'development') =>
    mistakesOf(async () => {
      const app = Fastify(fastify) as unknown as FastifyInstance
      t.teardown(() => app.close().catch(() => {}))
      await app.register(secureApi, {
        auth: { ...authWith(clientCertificates as ClientCertificates), ...environment === 'production' && { issuer: 'https://login.example.com' } },
        audit: { sink: () => {} },
        headers: false,
        environment
      })
      await app.ready()
    })
  const open = join(folder, 'open.ca')
  writeFileSync(open, ca.cert)
  chmodSync(open, 0o666)
  const requesting = (clientCertificates?: object) => createServerOptions({ tls: { ...live, ...clientCertificates } }, Date.now)
  const asking = { clientCertificates: { ca: ca.cert, required: false } }
  const byProxy: ClientCertificates = { from: behind().from, principals, verified: 'by-proxy' }
  const from = (trusted: string[]): ClientCertificates => behind({ from: { header: 'client-cert', trusted } })
  const one = (principal: object): ClientCertificates => behind({ principals: [{ subject: 'o', ...principal }] })
  const again = { san: 'dns:Orders.internal', subject: 'o' }
  const foreign = { https: { ...live, requestCert: true, ca: ca.cert } }
  const table: ReadonlyArray<readonly [string, () => Promise<string[]>, ...string[]]> = [
    ['nothing wrong', () => boot(behind())],
    ['no principals', () => boot(behind({ principals: [] })), 'SECURE_API_OPTION_EMPTY'],
    ['nobody trusted', () => boot(from([])), 'SECURE_API_OPTION_EMPTY'],
    ['trusted left out', () => boot(behind({ from: { header: 'client-cert' } as never })), 'SECURE_API_OPTION_MISSING'],
    ['everybody trusted', () => boot(from(['0.0.0.0/0'])), 'SECURE_API_SERVER_TRUST_PROXY_WIDE'],
    ['a name as proxy', () => boot(from(['proxy'])), 'SECURE_API_SERVER_TRUST_PROXY'],
    ['another header', () => boot(behind({ from: { header: 'x-client', trusted: ['::1'] } as never })), 'SECURE_API_OPTION_VALUE'],
    ['an unknown form of name', () => boot(one({ san: 'orders.internal' })), 'SECURE_API_OPTION_VALUE'],
    ['a wide pattern', () => boot(one({ san: 'dns:*.internal' })), 'SECURE_API_OPTION_VALUE'],
    ['no thumbprint', () => boot(one({ thumbprint: 'ab:cd' })), 'SECURE_API_OPTION_VALUE'],
    ['neither name nor thumbprint', () => boot(one({})), 'SECURE_API_OPTION_MISSING'],
    ['both', () => boot(one({ san: 'dns:a.b', thumbprint: thumbprint(orders) })), 'SECURE_API_OPTION_CONFLICT'],
    ['empty scopes', () => boot(one({ san: 'dns:a.b', scopes: [] })), 'SECURE_API_OPTION_EMPTY'],
    ['twice', () => boot(behind({ principals: [...principals, again] })), 'SECURE_API_OPTION_CONFLICT'],
    ['nobody verifies', () => boot({ ...behind(), ca: undefined }), 'SECURE_API_OPTION_UNDEFINED'],
    ['nobody verifies, left out', () => boot({ from: behind().from, principals }), 'SECURE_API_OPTION_MISSING'],
    ['both verify', () => boot(behind({ verified: 'by-proxy' })), 'SECURE_API_OPTION_CONFLICT'],
    ['no such file', () => boot(behind({ ca: join(folder, 'none') })), 'SECURE_API_TLS_CLIENT_CA'],
    ['no such list', () => boot(behind({ crl: join(folder, 'none') })), 'SECURE_API_TLS_CLIENT_CA'],
    ['a list of nothing', () => boot(behind({ crl: orders.certFile })), 'SECURE_API_TLS_CLIENT_CA'],
    ['a list without authority', () => boot({ ...byProxy, crl: open }), 'SECURE_API_OPTION_MISSING'],
    ['an authority that others write', () => boot(behind({ ca: open }), {}, 'production'), 'SECURE_API_TRUST_FILE_MODE'],
    ['the same, in development', () => boot(behind({ ca: open }))],
    ['no TLS', () => boot({ from: 'tls', principals }), 'SECURE_API_CERTIFICATES_NOT_REQUESTED'],
    ['TLS that asks nobody', () => boot({ from: 'tls', principals }, requesting()), 'SECURE_API_CERTIFICATES_NOT_REQUESTED'],
    ['TLS that asks', () => boot({ from: 'tls', principals }, requesting(asking))],
    ['a second authority', () => boot({ from: 'tls', principals, ca: ca.cert }, requesting(asking)), 'SECURE_API_OPTION_CONFLICT'],
    ['a server of another make', () => boot({ from: 'tls', principals, ca: ca.cert }, foreign)]
  ]
  for (const [what, start, ...codes] of table) t.strictSame(await start(), codes, what)
})
