import mercurius from 'mercurius'
import t from 'tap'
import secureApi, { type AuditEvent } from '../../../plugins/index.ts'
import { bearer, listen, startFastify, startIssuer, until } from '../../helpers/server.ts'
import { closeFrame, connectionsOf, upgrade } from '../../helpers/upgrades.ts'

const issuer = await startIssuer(t)
const schema = 'type Query { hello: String } type Subscription { tick: Int }'

for (const order of ['before', 'after'] as const) {
  t.test(`14 A2: subscriptions are refused and accepted by the rule of the route; suite ${order} mercurius`, async t => {
    const events: AuditEvent[] = []
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
    await app.register(mercurius, { schema, resolvers: { Query: { hello: () => 'hello' } }, subscription: true })
    if (order === 'after') await secure()
    const url = await listen(app)
    const protocol = { 'Sec-WebSocket-Protocol': 'graphql-transport-ws' }
    const refused = await upgrade(url, { path: '/graphql', headers: protocol })
    t.equal(refused.status, 401)
    await refused.ended
    const accepted = await upgrade(url, { path: '/graphql', headers: { ...protocol, ...bearer(issuer, { sub: 'alice' }) } })
    t.equal(accepted.status, 101)
    accepted.socket.end(closeFrame)
    await until(async () => await connectionsOf(app.server) === 0, 'the end of all connections')
    await app.close()
    t.match(events, [
      { status: 401, outcome: 'denied', route: '/graphql' },
      { status: 101, event: 'api_access', principal: { subject: 'alice' } },
      { status: 101, event: 'api_connection_closed', principal: { subject: 'alice' } }
    ])
    t.equal(events.length, 3)
  })
}
