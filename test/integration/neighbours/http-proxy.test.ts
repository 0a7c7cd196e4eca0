import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import proxy from '@fastify/http-proxy'
import t, { type Test } from 'tap'
import secureApi, { type AuditEvent } from '../../../plugins/index.ts'
import { bearer, listen, startFastify, startIssuer, until } from '../../helpers/server.ts'
import { connectionsOf, upgrade } from '../../helpers/upgrades.ts'

const issuer = await startIssuer(t)

/** A server that never answers a handshake: what is looked at here ends before it. */
async function startUpstream (t: Test): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((_request, response) => { response.end('upstream') })
  server.on('connection', socket => sockets.add(socket)).on('upgrade', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

for (const order of ['before', 'after'] as const) {
  t.test(`14 A2: handshakes to a proxied server are guarded and audited; suite ${order} the proxy`, async t => {
    const events: AuditEvent[] = []
    const upstream = await startUpstream(t)
    const app = startFastify(t)
    const secure = async () => {
      await app.register(secureApi, {
        auth: { issuer: issuer.issuer, audience: issuer.audience },
        authorization: { default: 'authenticated' },
        environment: 'development',
        audit: { sink: event => { events.push(event) } }
      })
    }
    if (order === 'before') await secure()
    await app.register(proxy, { upstream, prefix: '/up', websocket: true })
    if (order === 'after') await secure()
    app.get('/plain', { config: { public: true } }, async () => 'plain')
    const url = await listen(app)
    const refused = await upgrade(url, { path: '/up/ws' })
    t.equal(refused.status, 401)
    await refused.ended
    const plain = await upgrade(url, { path: '/plain' })
    t.equal(plain.status, 200, 'a route that knows no sockets answers')
    await plain.ended
    const accepted = await upgrade(url, { path: '/up/ws', headers: bearer(issuer, { sub: 'alice' }) })
    t.equal(accepted.status, 101)
    accepted.socket.destroy()
    await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
    await until(() => events.length === 4, 'four events')
    t.match(events, [
      { status: 401, outcome: 'denied' },
      { status: 200, outcome: 'allowed', route: '/plain' },
      { status: 101, event: 'api_access', principal: { subject: 'alice' } },
      { status: 101, event: 'api_connection_closed', principal: { subject: 'alice' } }
    ])
  })
}
