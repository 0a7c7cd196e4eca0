import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { AuditEvent, SecureApiOptions } from '../../plugins/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { Rehearsal, type Instance } from '../helpers/rehearsal.ts'
import { bearer, startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => {
  app.get('/orders', { config: { scope: 'orders.read' } }, async () => [])
  app.get('/public', { config: { public: true } }, async () => '')
}
const attackers = [1, 2, 3, 4, 5].map(host => `203.0.113.${host}`)
const [guesser, good] = ['203.0.113.10', '192.0.2.1']
const perAddress = { limit: 50, window: '10 minutes', algorithm: 'sliding-window' } as const

/** Two processes. Where they share a Redis, they count together. */
async function start (t: Test) {
  const [issuer, redis] = [await startIssuer(t), await startRedis()]
  t.teardown(() => redis.close())
  const folder = t.testdir({})
  const rehearsal = new Rehearsal(t, 'flood')
  const process = async (name: string, rateLimit: SecureApiOptions['rateLimit']): Promise<Instance> => {
    const events: AuditEvent[] = []
    const sinks = [{ file: join(folder, name) }, { sink: (event: AuditEvent) => { events.push(event) } }]
    const instance = await rehearsal.start({ auth: issuer.auth, audit: { sinks }, rateLimit: rateLimit ?? false }, { routes })
    return { ...instance, events }
  }
  const shared = { redis: redis.url, perAddress }
  const [one, two, alone] = [await process('audit.log', shared), await process('audit-2.log', shared), await process('audit-3.log', {})]
  const caller = bearer(issuer, { sub: 'alice', scope: 'orders.read' })
  const ask = async ({ app }: Instance, remoteAddress: string, headers: object = caller) =>
    await app.inject({ url: '/orders', remoteAddress, headers: { ...headers } })
  const flood = async (instances: readonly Instance[], count: number, attacker: string) => {
    const answers = await Promise.all(Array.from({ length: count }, (_, index) =>
      instances[index % instances.length]?.app.inject({ url: '/public', remoteAddress: attacker })))
    return answers.filter(answer => answer?.statusCode === 200).length
  }
  const fallbacks = async (instances: readonly Instance[]) => (await Promise.all(instances.map(async ({ metric }) =>
    await metric('secure_api.limit.decisions', { 'secure_api.source': 'fallback' })))).flat().reduce((sum, count) => sum + count, 0)
  /** The first flood that Redis alone decided: on a busy machine it may be late for some of it, and then each process counts for itself. */
  const sharedFlood = async (instances: readonly Instance[], count: number) => {
    for (const attacker of attackers) {
      const [before, served] = [await fallbacks(instances), await flood(instances, count, attacker)]
      if (await fallbacks(instances) === before) return { attacker, served }
    }
    throw new Error('Redis was late for every flood')
  }
  /** Until the trail has the refusals that it counts together. */
  const closed = async () => await Promise.all([one, two, alone].map(({ app }) => app.close()))
  return { rehearsal, folder, one, two, alone, ask, sharedFlood, closed }
}

t.test('one address floods two instances that share a Redis', async t => {
  const { rehearsal, folder, one, two, alone, ask, sharedFlood, closed } = await start(t)
  t.equal((await ask(one, good)).statusCode, 200)
  const { attacker, served } = await sharedFlood([one, two], 400)
  t.equal(served, 50, 'one limit for both')
  const last = await ask(two, attacker)
  const refusedGuesses = { 'secure_api.policy': 'failures', 'secure_api.result': 'denied' }
  // 20 in a minute, and some more on a slow machine.
  await until(async () => {
    await ask(one, guesser, { authorization: `Bearer guess-${randomUUID()}` })
    return (await one.metric('secure_api.limit.decisions', refusedGuesses)).length > 0
  }, 'the limit of failures')
  for (let turn = 0; turn < 100; turn++) await ask(alone, '10.1.2.3', { 'x-forwarded-for': good })
  await rehearsal.see('Signs', async at => {
    const [here, there] = [at(one), at(two)]
    there.answer('SECURE_API_RATE_LIMITED', last)
    there.audit('excess_rate_limit_exceeded', { address: attacker, limit: { policy: 'address' } })
    here.audit('authn_fail', { address: guesser })
    for (const policy of ['address', 'failures']) {
      await here.metric('secure_api.limit.decisions', count => count >= 1, { 'secure_api.policy': policy, 'secure_api.result': 'denied' })
    }
    await here.metric('secure_api.decisions', count => count >= 100, { 'secure_api.reason': 'SECURE_API_RATE_LIMITED' })
    at(alone).status('rateLimit.addresses', (found: unknown) => String(found) === 'forwarded-ignored')
  })
  for (const instance of [one, two]) {
    t.equal((await ask(instance, good)).statusCode, 200, 'everybody else')
    await rehearsal.run(0, { app: instance.app }, instance.app)
  }
  t.strictSame(one.app.secureApi.status()['rateLimit'], { ...Object(one.app.secureApi.status()['rateLimit']), changed: ['address'] })
  for (const instance of [one, two]) await rehearsal.run(1, { app: instance.app }, instance.app)
  await rehearsal.see('It is over when', async at => {
    for (const instance of [one, two]) {
      const here = at(instance)
      const denied = await instance.metric('secure_api.limit.decisions', { 'secure_api.result': 'denied' })
      t.equal((await ask(instance, good)).statusCode, 200)
      await here.metric('secure_api.limit.decisions', count => count >= 1, { 'secure_api.result': 'allowed' })
      t.strictSame(await instance.metric('secure_api.limit.decisions', { 'secure_api.result': 'denied' }), denied)
      here.audit('api_access', { address: good })
      here.log('a rate limit was changed at run time')
      here.status('rateLimit.changed', undefined)
    }
  })
  await closed()
  await until(() => readFileSync(join(folder, 'audit.log'), 'utf8').includes('repeats'), 'the trail')
  const { code, output } = await rehearsal.shell(0, folder)
  t.equal(code, 0, output)
  const [count = 0, address, reason] = output.split('\n')[0]?.split('\t') ?? []
  t.ok(attackers.some(attacker => attacker === address), String(address))
  t.equal(reason, 'SECURE_API_RATE_LIMITED')
  t.ok(Number(count) >= 150, String(count))
})

t.test('a flood that is none: all callers share the address of a proxy', async t => {
  const { alone, ask } = await start(t)
  const status = () => Object(alone.app.secureApi.status()['rateLimit'])
  for (let turn = 0; turn < 99; turn++) await ask(alone, '10.1.2.3', { 'x-forwarded-for': `192.0.2.${turn}` })
  t.equal(status().addresses, undefined)
  await ask(alone, '10.1.2.3', { 'x-forwarded-for': good })
  t.strictSame(status().addresses, ['forwarded-ignored'])
})
