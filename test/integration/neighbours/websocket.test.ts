import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { ServerResponse, type Server } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { windowMs } from '../../../lib/audit/index.ts'
import secureApi, { type AuditEvent, type SecureApiOptions } from '../../../plugins/index.ts'
import { freePort } from '../../helpers/free-port.ts'
import { bearer, listen, startFastify, startIssuer, until } from '../../helpers/server.ts'
import { muteTimers } from '../../helpers/still-clock.ts'
import { closeFrame, connectionsOf, upgrade, type Handshake } from '../../helpers/upgrades.ts'

const issuer = await startIssuer(t)
const token = bearer(issuer, { sub: 'alice', scope: 'a' })

interface Started { readonly app: FastifyInstance, readonly url: string, readonly events: AuditEvent[] }

const orders = ['before', 'after'] as const

/** An application with sockets, and the suite registered before or after their plugin. */
async function start (t: Test, order: typeof orders[number],
  { suite = {}, fastify = {} }: { suite?: SecureApiOptions, fastify?: FastifyServerOptions<Server> } = {}): Promise<Started> {
  const events: AuditEvent[] = []
  const app = startFastify(t, fastify)
  const secure = async () => {
    await app.register(secureApi, {
      auth: { issuer: issuer.issuer, audience: issuer.audience },
      environment: 'development',
      audit: { sink: event => { events.push(event) } },
      ...suite
    })
  }
  if (order === 'before') await secure()
  await app.register(websocket)
  if (order === 'after') await secure()
  app.get('/ws', { websocket: true, config: { scope: 'a' } },
    socket => { socket.on('message', (text: Buffer) => { socket.send(text.toString()) }) })
  app.get('/quiet', { websocket: true, config: { scope: 'a', audit: false } }, () => {})
  app.get('/limited', { websocket: true, config: { public: true, rateLimit: { limit: 1, window: '1 minute', by: 'address' } } }, () => {})
  app.get('/checked', {
    websocket: true,
    config: { public: true },
    schema: { querystring: { type: 'object', required: ['room'], properties: { room: { type: 'string' } } } }
  }, () => {})
  app.get('/broken', { websocket: true, config: { public: true }, preHandler: async () => { throw new Error('no') } }, () => {})
  app.get('/never', { config: { public: true } }, () => new Promise(() => {}))
  app.get('/plain', { config: { public: true } }, async () => 'plain')
  await app.ready()
  return { app, url: await listen(app), events }
}

interface Case { readonly name: string, readonly handshake: Handshake, readonly status: number, readonly event?: object }

const refused: readonly Case[] = [
  {
    name: 'no token',
    handshake: { path: '/ws' },
    status: 401,
    event: { reason: 'SECURE_API_UNAUTHENTICATED', action: 'GET /ws', outcome: 'denied' }
  },
  {
    name: 'a forged token',
    handshake: { path: '/ws', headers: { Authorization: 'Bearer a.b.c' } },
    status: 401,
    event: { event: 'authn_fail' }
  },
  {
    name: 'no scope',
    handshake: { path: '/ws', headers: bearer(issuer, { scope: 'b' }) },
    status: 403,
    event: { event: 'authz_fail', principal: { kind: 'user' } }
  },
  { name: 'no route', handshake: { path: '/nowhere' }, status: 404, event: { action: 'GET unknown route' } },
  { name: 'no such method', handshake: { path: '/ws', method: 'DELETE' }, status: 405, event: { reason: 'SECURE_API_METHOD_NOT_ALLOWED' } },
  {
    name: 'a query that does not fit',
    handshake: { path: '/checked' },
    status: 400,
    event: { event: 'input_validation_fail', route: '/checked' }
  },
  { name: 'an error', handshake: { path: '/broken' }, status: 500, event: { outcome: 'failed', route: '/broken' } }
]

for (const order of orders) {
  t.test(`14 A2: a refused upgrade ends its connection and has its event; suite ${order} the plugin`, async t => {
    const { app, url, events } = await start(t, order)
    for (const { name, handshake, status, event } of refused) {
      const before = events.length
      const answer = await upgrade(url, handshake)
      t.equal(answer.status, status, name)
      t.match(answer.head, /\r\nconnection: close/i, name)
      await answer.ended
      await until(() => events.length > before, `the event of ${name}`)
      t.match(events[before], { status, address: '127.0.0.1', ...event }, name)
      t.equal(events.length, before + 1, `${name}: once`)
    }
    const first = await upgrade(url, { path: '/limited' })
    t.equal(first.status, 101)
    const second = await upgrade(url, { path: '/limited' })
    t.equal(second.status, 429)
    await second.ended
    first.socket.destroy()
    await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
    await app.close()
    t.match(events.filter(({ status }) => status === 429), [{ reason: 'SECURE_API_RATE_LIMITED', route: '/limited' }])
    t.strictSame(events.filter(({ outcome }) => outcome === 'aborted'), [], 'nobody left early')
  })

  t.test(`14 A2: thirty refused upgrades leave no socket, and close() ends; suite ${order} the plugin`, async t => {
    muteTimers(t, windowMs)
    const { app, url, events } = await start(t, order)
    const answers = await Promise.all(Array.from({ length: 30 }, async () => await upgrade(url, { path: '/ws' })))
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([401]))
    await app.close()
    await Promise.all(answers.map(async ({ ended }) => await ended))
    t.equal(await connectionsOf(app.server), 0)
    t.strictSame(new Set(events.map(({ status }) => status)), new Set([401]))
    t.strictSame(events.map(({ repeats }) => repeats), [...Array<undefined>(20), 10],
      'all thirty are in the trail: twenty one by one, then their number')
  })

  t.test(`14 A2: an accepted socket is audited when it opens and when it ends; suite ${order} the plugin`, async t => {
    const { app, url, events } = await start(t, order)
    const { status, socket } = await upgrade(url, { path: '/ws', headers: token })
    t.equal(status, 101)
    await until(() => events.length === 1, 'the event of the open socket')
    const common = { status: 101, outcome: 'allowed', action: 'GET /ws', principal: { subject: 'alice' } }
    t.match(events, [{ event: 'api_access', ...common }])
    socket.end(closeFrame)
    await until(() => events.length === 2, 'the event of its end')
    t.match(events[1], { event: 'api_connection_closed', ...common, reason: undefined })
    t.ok((events[1]?.durationMs ?? -1) >= 0)
    const broken = await upgrade(url, { path: '/ws', headers: token })
    broken.socket.resetAndDestroy()
    await until(() => events.length === 4, 'the end of a socket that breaks')
    t.match(events[3], { event: 'api_connection_closed', ...common })
    const quiet = await upgrade(url, { path: '/quiet', headers: token })
    quiet.socket.destroy()
    await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
    await app.close()
    t.equal(events.length, 4, 'audit: false leaves both out')
  })

  t.test(`14 A2: injectWS meets the same answers; suite ${order} the plugin`, async t => {
    const { app, events } = await start(t, order)
    await t.rejects(app.injectWS('/ws'), { message: 'Unexpected server response: 401' })
    await t.rejects(app.injectWS('/ws', { headers: bearer(issuer, { scope: 'b' }) }), { message: 'Unexpected server response: 403' })
    await t.rejects(app.injectWS('/nowhere'), { message: 'Unexpected server response: 404' })
    const socket = await app.injectWS('/ws', { headers: token })
    socket.send('hello')
    const [text] = await once(socket, 'message')
    t.equal(String(text), 'hello')
    await until(() => events.length === 4, 'four events')
    t.match(events, [{ status: 401 }, { status: 403 }, { status: 404 }, { status: 101, outcome: 'allowed', address: '127.0.0.1' }])
    socket[order === 'before' ? 'close' : 'terminate']()
    await until(() => events.length === 5, 'the end of the socket')
    t.match(events[4], { event: 'api_connection_closed', status: 101 })
  })
}

t.test('14 A2: injectWS behind a trusted proxy, with a logger and a request id header', async t => {
  const lines: string[] = []
  const { app, events } = await start(t, 'before',
    {
      fastify: {
        trustProxy: ['127.0.0.1'],
        requestIdHeader: 'x-request-id',
        logger: { stream: { write: (line: string) => { lines.push(line) } } }
      }
    })
  await t.rejects(app.injectWS('/ws', { headers: { 'x-forwarded-for': '192.0.2.9', 'x-request-id': 'one' } }),
    { message: 'Unexpected server response: 401' })
  await until(() => events.length === 1, 'the event')
  t.match(events, [{ status: 401, address: '192.0.2.9' }])
  t.ok(lines.some(line => line.includes('192.0.2.9')))
})

for (const order of orders) {
  t.test(`14 A2: a handshake behind a request that is not answered yet ends the connection; suite ${order} the plugin`, async t => {
    const { app, url, events } = await start(t, order)
    const { hostname, port } = new URL(url)
    const handshake = 'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    const socket = connect(Number(port), hostname, () => { socket.write(`GET /never HTTP/1.1\r\nHost: x\r\n\r\n${handshake}`) })
    socket.on('error', () => {})
    await once(socket, 'close')
    await until(async () => await connectionsOf(app.server) === 0, 'the end of the connection')
    await until(() => events.some(({ route }) => route === '/never'), 'the event of the first request')
    t.equal(events.find(({ route }) => route === '/never')?.outcome, 'aborted')
    await app.close()
  })
}

t.test('14 A2: what Fastify answers before any hook ends its connection too', async t => {
  const { app, url } = await start(t, 'before')
  const { status, ended } = await upgrade(url, { path: '/%zz' })
  t.equal(status, 400)
  await ended
  await until(async () => await connectionsOf(app.server) === 0, 'the end of the connection')
})

t.test('14 A2: without an audit trail, and in a suite that throws its refusals', async t => {
  const suites: SecureApiOptions[] = [{ audit: false }, { errors: 'throw' }]
  for (const suite of suites) {
    const { app, url } = await start(t, 'before', { suite })
    const { status, ended } = await upgrade(url, { path: '/ws' })
    t.equal(status, 401)
    await ended
    await app.close()
    t.equal(await connectionsOf(app.server), 0)
  }
})

t.test('14 A2: a refused peer that resets its connection does not end the process', async t => {
  const { app, url } = await start(t, 'before')
  for (let count = 0; count < 10; count++) {
    const { socket } = await upgrade(url, { path: '/ws' })
    socket.resetAndDestroy()
  }
  await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
  t.equal((await fetch(`${url}/plain`)).status, 200)
})

t.test('14 A2: an upgrade listener by hand: a body longer than a buffer, and a response without a socket', async t => {
  const events: AuditEvent[] = []
  const app = startFastify(t)
  await app.register(secureApi, { auth: false, audit: { sink: event => { events.push(event) } } })
  app.get('/large', async (_request, reply) => reply.send(ReadableStream.from([0, 1, 2, 3].map(() => Buffer.alloc(4_000_000)))))
  app.server.on('upgrade', (request, socket) => {
    const response = new ServerResponse(request)
    if (request.headers['x-assign'] !== undefined) response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
    app.routing(request, response)
  })
  const url = await listen(app)
  const large = await upgrade(url, { path: '/large', headers: { 'X-Assign': '1' } })
  t.equal(large.status, 200)
  t.ok((await large.ended).length > 16_000_000, 'all of it')
  const unassigned = await upgrade(url, { path: '/nowhere' })
  t.equal(unassigned.status, 404)
  await unassigned.ended
  await until(() => events.length === 2, 'both events')
  t.match(events, [{ status: 200, outcome: 'allowed' }, { status: 404, outcome: 'denied' }])
})

t.test('ordinary requests of such an application keep their connection', async t => {
  const { url } = await start(t, 'before')
  const { headers } = await fetch(`${url}/plain`)
  t.equal(headers.get('connection'), 'keep-alive')
})

/** nginx keeps its connections to the application: what is dead must not go back there. */
async function startNginx (t: Test, upstream: string): Promise<string> {
  const folder = t.testdir({})
  const port = await freePort()
  writeFileSync(join(folder, 'nginx.conf'), `
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b;
  fastcgi_temp_path ${folder}/c; uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream api { server ${new URL(upstream).host}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://api; proxy_http_version 1.1; proxy_read_timeout 60s;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }
  }
}`)
  const nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], { stdio: 'ignore' })
  t.teardown(async () => {
    const gone = once(nginx, 'exit')
    nginx.kill('SIGTERM')
    await gone
  })
  const url = `http://127.0.0.1:${port}`
  await until(async () => await fetch(`${url}/plain`).then(({ ok }) => ok, () => false), 'nginx')
  return url
}

t.test('14 A2: behind nginx with keepalive, twenty refused upgrades leave no dead connection in its pool', async t => {
  const { url: upstream } = await start(t, 'before')
  const url = await startNginx(t, upstream)
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await upgrade(url, { path: '/ws' })))
  t.strictSame(answers.map(({ status }) => status), Array(20).fill(401))
  for (const { socket } of answers) socket.destroy()
  const plain = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(`${url}/plain`)).status))
  t.strictSame(plain, Array(20).fill(200))
})
