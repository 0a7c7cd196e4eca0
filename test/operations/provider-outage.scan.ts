import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createTestClock } from '../../testing/index.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { bearer, startIssuer } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => {
  app.get('/orders', { config: { scope: 'orders.read' } }, async () => [])
  app.get('/public', { config: { public: true } }, async () => '')
}

/** An instance from before, and one that starts while the provider is away. */
async function outage (t: Test) {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const issuer = await startIssuer(t)
  const rehearsal = new Rehearsal(t, 'provider-outage', { 'https://login.example.com': issuer.issuer })
  const suite = { auth: { ...issuer.auth, introspection: issuer.introspection }, health: {} }
  const old = await rehearsal.start(suite, { routes })
  issuer.down()
  issuer.rotate()
  await clock.advance('31 minutes')
  const fresh = await rehearsal.start(suite, { routes })
  const ask = async (app: FastifyInstance, headers = bearer(issuer, { scope: 'orders.read' }, { kid: 'key-1' })) =>
    await app.inject({ url: '/orders', headers })
  const statusOf = async ({ app }: typeof old, url: string) => (await app.inject(url)).statusCode
  return { clock, issuer, rehearsal, old, fresh, ask, statusOf }
}

t.test('the provider is away, for half an hour and then for a day', async t => {
  const { clock, issuer, rehearsal, old, fresh, ask, statusOf } = await outage(t)
  await rehearsal.see('Signs', async at => {
    const [here, there] = [at(old), at(fresh)]
    here.log('keys.failed', { usable: true, reason: 'transport' })
    here.status('issuers[].state', 'stale')
    await here.metric('secure_api.keys.age', age => age > 1800)
    await here.metric('secure_api.keys.fetch.duration', count => count >= 3, { 'secure_api.result': 'failed' })
    here.answer('SECURE_API_TOKEN_KEY', await ask(old.app, bearer(issuer, { scope: 'orders.read' })))
    here.answer('SECURE_API_INTROSPECTION_UNAVAILABLE', await ask(old.app, { authorization: `Bearer ${issuer.opaque()}` }))
    await here.metric('secure_api.introspection.duration', count => count >= 1)
    there.log('keys.failed', { usable: false })
    there.answer('SECURE_API_KEYS_UNAVAILABLE', await ask(fresh.app))
    there.status('issuers[].state', 'empty')
    await there.metric('secure_api.keys.count', count => count === 0)

    t.equal((await ask(old.app)).statusCode, 200, 'a token of a known key')
    t.strictSame([await statusOf(old, '/public'), await statusOf(fresh, '/public')], [200, 200])
    t.strictSame([await statusOf(old, '/health/ready'), await statusOf(fresh, '/health/ready')], [200, 503])
    const doctor = await rehearsal.shell(0, '.')
    t.strictSame([doctor.code, /✗|error/.test(doctor.output)], [1, true], doctor.output)

    await clock.advance('24 hours')
    here.answer('SECURE_API_KEYS_UNAVAILABLE', await ask(old.app))
    here.log('keys.expired')
  })
})

t.test('the provider comes back', async t => {
  const { clock, issuer, rehearsal, old, fresh, ask } = await outage(t)
  issuer.up()
  await clock.advance('6 minutes')
  await rehearsal.see('It is over when', async at => {
    for (const instance of [old, fresh]) {
      const here = at(instance)
      here.log('keys.loaded')
      here.status('issuers[].state', 'fresh')
      await here.metric('secure_api.keys.age', age => age < 600)
      await here.metric('secure_api.keys.count', count => count >= 1)
    }
  })
  for (const { app } of [old, fresh]) {
    t.strictSame([(await ask(app)).statusCode, (await ask(app, bearer(issuer, { scope: 'orders.read' }))).statusCode], [200, 200])
  }
  t.equal((await rehearsal.shell(0, '.')).code, 0)
})
