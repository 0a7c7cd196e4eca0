import { writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import { connect, type Server } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { windowMs } from '../../../lib/audit/index.ts'
import type { AuditEvent, SecureApiOptions } from '../../../plugins/index.ts'
import { recipe, recipeIssuer, runRecipe } from '../../helpers/recipes.ts'
import { codeOf, listen, listenBare, startFastify, until } from '../../helpers/server.ts'
import { muteTimers } from '../../helpers/still-clock.ts'
import { closeFrame, connectionsOf, upgrade } from '../../helpers/upgrades.ts'
import { authority, Certificates } from '../../lib/server/certificates.ts'

const { suite, token, jwks } = recipeIssuer()
const common = { iss: 'https://login.example.com', aud: 'api://orders', sub: 'alice' }
const caller = (scope: string, more: object = {}) => token({ ...common, scope, ...more })

/** As `suite`, with the defaults of production. */
const production = (more: SecureApiOptions = {}) => (options: SecureApiOptions): SecureApiOptions =>
  ({ ...suite(options), environment: 'production', audit: { sink () {} }, ...more })

/** Other keys than those of the page. */
function withAuth (options: SecureApiOptions, change: object): SecureApiOptions {
  return { ...options, environment: 'development', auth: { ...options.auth as object, ...change } as NonNullable<SecureApiOptions['auth']> }
}

async function start (t: Test, page: string, change: (options: SecureApiOptions) => SecureApiOptions = suite) {
  const events: AuditEvent[] = []
  const app = startFastify(t)
  const watched = (options: SecureApiOptions) => change({ ...options, audit: { sink: event => { events.push(event) } } })
  await runRecipe(recipe(page)[0] ?? '', { app, suite: watched })
  return { app, url: await listen(app), events }
}

const listening = async (t: Test, server: Server) => `http://127.0.0.1:${await listenBare(t, server)}`

t.test('17.12: docs/recipes/websocket.md: the handshake has a rule and a limit, and the socket ends with its token', async t => {
  const { app, url, events } = await start(t, 'websocket')
  const open = async (headers: Record<string, string> = {}) => await upgrade(url, { path: '/ticker', headers })
  t.equal((await open()).status, 401)
  t.equal((await open(caller('other'))).status, 403)
  const accepted = await open(caller('orders.read'))
  t.equal(accepted.status, 101)
  accepted.socket.end(closeFrame)
  // A token within `clockTolerance` of its end.
  const expired = await open(caller('orders.read', { exp: Math.floor(Date.now() / 1000) - 5 }))
  await until(() => expired.socket.bytesRead > expired.head.length + 4, 'the close frame')
  expired.socket.end(closeFrame)
  t.match(await expired.ended, '\x11\x31token expired', '4401 and why')
  for (let left = 7; left > 0; left--) (await open(caller('orders.read'))).socket.destroy()
  t.equal((await open(caller('orders.read'))).status, 429)
  await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
  t.match(events.slice(0, 3), [{ status: 401 }, { status: 403 }, { status: 101, event: 'api_access' }])
})

t.test('17.12: docs/recipes/mercurius.md: the route has a rule, resolvers see the caller', async t => {
  const { app, url } = await start(t, 'mercurius')
  const ask = async (query: string, headers: Record<string, string> = {}) =>
    await app.inject({ method: 'POST', url: '/graphql', payload: { query }, headers })
  const stranger = await ask('{ whoami }')
  t.strictSame([stranger.statusCode, codeOf(stranger)], [401, 'SECURE_API_UNAUTHENTICATED'])
  t.equal((await ask('{ whoami }', caller('other'))).statusCode, 403)
  t.strictSame((await ask('{ whoami orders }', caller('orders.read'))).json(), { data: { whoami: 'alice', orders: [1, 2] } })
  t.equal((await app.inject({ url: '/graphql?query={whoami}' })).statusCode, 401, 'GET too')
  const cancel = 'mutation { cancel(id: 1) }'
  t.match((await ask(cancel, caller('orders.read'))).json(), { errors: [{ extensions: { code: 'FORBIDDEN' } }] })
  t.strictSame((await ask(cancel, caller('orders.read orders.write'))).json(), { data: { cancel: true } })
  const deep = await app.inject({ method: 'POST', url: '/graphql', payload: [{ query: '{ whoami }' }], headers: caller('orders.read') })
  t.not(deep.statusCode, 200, 'no batches')
  const protocol = { 'Sec-WebSocket-Protocol': 'graphql-transport-ws' }
  t.equal((await upgrade(url, { path: '/graphql', headers: protocol })).status, 401)
  const accepted = await upgrade(url, { path: '/graphql', headers: { ...protocol, ...caller('orders.read') } })
  t.equal(accepted.status, 101)
  accepted.socket.destroy()
})

t.test('17.12: docs/recipes/trpc.md: procedures stand behind one rule, and ask for more themselves', async t => {
  const { app } = await start(t, 'trpc')
  t.equal((await app.inject({ url: '/trpc/whoami' })).statusCode, 401)
  const whoami = await app.inject({ url: '/trpc/whoami', headers: caller('orders.read') })
  t.match(whoami.json(), { result: { data: 'alice' } })
  const cancel = async (scope: string) =>
    (await app.inject({ method: 'POST', url: '/trpc/cancel', payload: {}, headers: caller(scope) })).statusCode
  t.strictSame([await cancel('other'), await cancel('orders.read'), await cancel('orders.read orders.write')], [403, 403, 200])
  const batch = await app.inject({ url: '/trpc/whoami,whoami?batch=1', headers: caller('orders.read') })
  t.equal(batch.json().length, 2)
  t.equal(batch.headers.ratelimit?.toString().replace(/.*r=(\d+).*/, '$1'), '98', 'a batch is one request')
})

t.test('17.12: docs/recipes/nest.md: handlers have rules by RouteConfig', async t => {
  const require = createRequire(import.meta.url)
  require('reflect-metadata')
  require('@nestjs/common').Logger.overrideLogger(false)
  const exports = await runRecipe(recipe('nest')[0] ?? '', { app: Fastify(), suite })
  const nest = exports.nest as NestFastifyApplication
  t.teardown(() => nest.close())
  await nest.init()
  const ask = async (method: 'GET' | 'POST', url: string, headers = {}) => (await nest.inject({ method, url, headers })).statusCode
  const [reader, admin] = [caller('orders.read'), caller('', { roles: ['admin'] })]
  t.strictSame([await ask('GET', '/orders'), await ask('GET', '/orders', reader)], [401, 200])
  t.strictSame([await ask('POST', '/orders', reader), await ask('POST', '/orders', admin)], [403, 201])
  t.equal(await ask('GET', '/orders/forgotten', reader), 403)
})

type LambdaHandler = (event: object, context: object) => Promise<{ statusCode: number, headers: Record<string, string>, body: string }>

/** As API Gateway writes it for an HTTP API, payload format 2.0. */
const apiGateway = (headers: object = {}, sourceIp = '198.51.100.7', path = '/orders') => ({
  version: '2.0',
  routeKey: '$default',
  rawPath: path,
  rawQueryString: '',
  headers: {
    host: 'id.execute-api.eu-west-1.amazonaws.com',
    'x-forwarded-for': sourceIp,
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
    ...headers
  },
  requestContext: {
    accountId: '123456789012',
    apiId: 'id',
    domainName: 'id.execute-api.eu-west-1.amazonaws.com',
    http: { method: 'GET', path, protocol: 'HTTP/1.1', sourceIp, userAgent: 'agent' },
    requestId: 'JKJaXmPLvHcESHA=',
    routeKey: '$default',
    stage: '$default'
  },
  isBase64Encoded: false
})

/** As a load balancer writes it: the address is only in the header, behind what the caller sent. */
const loadBalancer = (headers: object) => ({
  requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/orders/49e9d65c45c6791a' } },
  httpMethod: 'GET',
  path: '/orders',
  queryStringParameters: {},
  headers: { host: 'orders.example.com', 'x-forwarded-port': '443', 'x-forwarded-proto': 'https', ...headers },
  body: '',
  isBase64Encoded: false
})

type Sink = (event: AuditEvent) => void | Promise<void>

async function startLambda (sink: Sink, more: SecureApiOptions = {}): Promise<LambdaHandler> {
  const inProduction = production({ audit: { sink }, ...more })
  return (await runRecipe(recipe('lambda')[0] ?? '', { app: Fastify(), suite: inProduction })).handler as LambdaHandler
}

t.test('17.12: docs/recipes/lambda.md: events of API Gateway and of a load balancer, and the address of their caller', async t => {
  const events: AuditEvent[] = []
  const perAddress = { limit: 3, window: '1 minute', by: 'address' } as const
  const handler = await startLambda(event => { events.push(event) }, { rateLimit: { perAddress } })
  const ask = async (event: object) => await handler(event, {})
  const hsts = 'max-age=31536000; includeSubDomains'

  const good = await ask(apiGateway(caller('orders.read')))
  t.match(good, { statusCode: 200, body: '[{"id":1}]' })
  t.match(good.headers, { 'x-content-type-options': 'nosniff', 'strict-transport-security': hsts })
  t.equal(events.length, 1, 'a sink that works at once has the event before the answer is out')
  const stranger = await ask(apiGateway())
  t.equal(stranger.statusCode, 401)
  t.match(stranger.headers, { 'www-authenticate': /^Bearer/, 'strict-transport-security': hsts })
  t.match(JSON.parse(stranger.body), { code: 'SECURE_API_UNAUTHENTICATED' })
  t.equal((await ask(apiGateway({}, '198.51.100.9', '/%zz'))).headers['strict-transport-security'], hsts, 'before any hook')

  await ask(apiGateway({ ...caller('orders.read'), 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }))
  t.strictSame(events.map(({ address }) => address), Array(3).fill('198.51.100.7'), 'what the caller writes does not count')
  t.equal((await ask(apiGateway(caller('orders.read')))).statusCode, 429)
  t.equal((await ask(apiGateway(caller('orders.read'), '198.51.100.8'))).statusCode, 200, 'another address has a budget of its own')

  const balanced = await ask(loadBalancer({ ...caller('orders.read'), 'x-forwarded-for': '203.0.113.9, 198.51.100.20' }))
  t.match(balanced, { statusCode: 200, headers: { 'strict-transport-security': hsts } })
  t.equal(events.at(-1)?.address, '198.51.100.20', 'the last address, which the balancer wrote')
})

t.test('17.12: docs/recipes/lambda.md: what is not in the trail when the process freezes', async t => {
  muteTimers(t, windowMs)
  const written: AuditEvent[] = []
  const release: Array<() => void> = []
  const slow = await startLambda(async event => {
    await new Promise<void>(resolve => { release.push(resolve) })
    written.push(event)
  })
  t.equal((await slow(apiGateway(caller('orders.read')), {})).statusCode, 200)
  t.strictSame([release.length, written.length], [1, 0], 'the event of a sink that is waited for is still on its way')
  release[0]?.()

  const events: AuditEvent[] = []
  const handler = await startLambda(event => { events.push(event) })
  for (let count = 0; count < 30; count++) await handler(apiGateway(), {})
  t.equal(events.length, 20, 'ten refusals are counted, and recorded later')
})

t.test('17.12: docs/recipes/keycloak-containers.md: the issuer is the outer address, keys come from the inner one', async t => {
  const asked: unknown[] = []
  const inner = await listening(t, http.createServer((request, response) => {
    asked.push(request.url)
    response.setHeader('content-type', 'application/json').end(JSON.stringify(jwks))
  }))
  const claims = { iss: 'http://localhost:8080/realms/shop', aud: 'orders-api', sub: 'alice', typ: 'Bearer', scope: 'orders.read' }
  const { app } = await start(t, 'keycloak-containers', options => {
    const { jwksUri } = options.auth as { jwksUri: string }
    return withAuth(options, { jwksUri: jwksUri.replace('http://keycloak:8080', inner) })
  })
  const ask = async (headers = {}) => (await app.inject({ url: '/orders', headers })).statusCode
  const seenInside = { ...claims, iss: 'http://keycloak:8080/realms/shop' }
  t.strictSame([await ask(), await ask(token(claims)), await ask(token(seenInside))], [401, 200, 401])
  t.strictSame(asked, ['/realms/shop/protocol/openid-connect/certs'], 'no discovery')
  const later = startFastify(t)
  await runRecipe(recipe('keycloak-containers')[1] ?? '', { app: later, suite: production() })
  const outer = token({ ...claims, iss: 'https://sso.example.com/realms/shop' })
  t.equal((await later.inject({ url: '/orders', headers: outer })).statusCode, 200)
})

t.test('17.12: docs/recipes/corporate-proxy.md: keys come through the proxy, over the TLS that the company opened', async t => {
  const directory = t.testdir({})
  const certificates = new Certificates(directory)
  const company = certificates.issue({ name: 'Company CA', extensions: authority })
  const provider = certificates.issue({
    name: 'login.example.com', issuer: company, extensions: ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:login.example.com']
  })
  const ca = join(directory, 'company-ca.pem')
  writeFileSync(ca, company.cert)
  const keys = await listening(t, https.createServer({ cert: provider.cert, key: provider.key }, (_request, response) => {
    response.end(JSON.stringify(jwks))
  }))
  const asked: unknown[] = []
  const proxy = await listening(t, http.createServer().on('connect', (request: http.IncomingMessage, client: Duplex) => {
    asked.push(request.url)
    const upstream = connect(Number(new URL(keys).port), '127.0.0.1')
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    client.pipe(upstream.on('error', () => client.destroy())).pipe(client)
  }))
  const { app } = await start(t, 'corporate-proxy', options => {
    t.match(options.auth, { keys: { proxy: 'http://proxy.example.com:3128', ca: '/etc/ssl/company-ca.pem' } })
    return withAuth(options, { keys: { proxy, ca } })
  })
  t.strictSame([(await app.inject({ url: '/orders' })).statusCode,
    (await app.inject({ url: '/orders', headers: caller('orders.read') })).statusCode], [401, 200])
  t.strictSame(asked, ['login.example.com:443'])
})
