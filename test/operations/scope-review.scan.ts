import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { AuditEvent } from '../../plugins/index.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => {
  app.get('/orders', { config: { scope: 'orders.read' } }, async () => [])
  app.get('/stock', { config: { scope: 'stock.read' } }, async () => [])
}
const needed = ['orders.read', 'stock.read']
const wide = [...needed, 'orders.write', 'stock.write', 'users.read', 'users.write', 'legacy.export', 'legacy.import']

t.test('a client that carries eight scopes and needs two gets two', async t => {
  const issuer = await startIssuer(t)
  const folder = t.testdir({})
  const trail = join(folder, 'audit.log')
  const events: AuditEvent[] = []
  const rehearsal = new Rehearsal(t, 'scope-review')
  const started = await rehearsal.start({
    auth: issuer.auth,
    rateLimit: false,
    audit: { sinks: [{ file: trail }, { sink: event => { events.push(event) } }] }
  }, { routes })
  const instance = { ...started, events }
  let sent = 0
  const work = async (client: string, scopes: readonly string[], ...urls: readonly string[]) => {
    const request = issuer.asService({ client, scopes })
    for (let turn = 0; turn < 120; turn++) await instance.app.inject({ url: urls[turn % urls.length] ?? '', ...request })
    sent += 120
    await until(() => readFileSync(trail, 'utf8').split('\n').length - 1 === sent, 'the trail')
  }

  await work('billing', needed, '/orders')
  await work('reporting-job', wide, '/orders', '/stock')
  t.equal((await rehearsal.shell(0, folder)).code, 0)
  const report = readFileSync(join(folder, 'scopes.md'), 'utf8')
  const before = await rehearsal.shell(1, folder, { CHANGED: '1d' })
  t.equal(before.code, 1)
  await rehearsal.see('Signs', async at => {
    const here = at(instance)
    here.report('SECURE_API_USAGE_CLIENT_WIDE', report)
    here.report('SECURE_API_USAGE_SCOPE_IDLE', report)
    here.report('SECURE_API_USAGE_SCOPES_UNUSED', report)
    here.audit('api_access', { principal: { client: 'reporting-job' }, rule: { scope: 'stock.read' } })
  })

  // A timer may fire a little early, and all that came before would lie behind the change.
  const changed = new Date(Math.max(...events.map(({ time }) => Date.parse(time))) + 1).toISOString()
  await until(() => Date.now() > Date.parse(changed), 'the time of the change')
  await work('billing', ['orders.read'], '/orders')
  await work('reporting-job', needed, '/orders', '/stock')
  const after = await rehearsal.shell(1, folder, { CHANGED: changed })
  t.equal(after.code, 0, after.output)
  await rehearsal.see('It is over when', async at => {
    const here = at(instance)
    here.report('fits', after.output)
    here.audit('api_access', { principal: { scopes: needed } })
  })
  t.ok(events.every(({ outcome }) => outcome === 'allowed'), 'nobody was refused')
})
