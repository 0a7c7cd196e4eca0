import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createDenylist, type AuditEvent } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { bearer, codeOf, startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => { app.get('/orders', { config: { scope: 'orders.read' } }, async () => []) }
const [home, elsewhere] = ['192.0.2.1', '203.0.113.9']
const late = 'SECURE_API_REVOCATION_UNAVAILABLE'

/** Two processes that share a denylist in a real Redis. */
async function start (t: Test) {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const [issuer, redis] = [await startIssuer(t), await startRedis()]
  t.teardown(() => redis.close())
  const rehearsal = new Rehearsal(t, 'leaked-token', { 'https://login.example.com': issuer.issuer })
  const file = join(t.testdir({}), 'audit.log')
  const process = async () => {
    const client = new Redis(redis.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 }).on('error', () => {})
    t.teardown(() => { client.disconnect() })
    await until(() => client.status === 'ready', 'the connection')
    const denylist = createDenylist({ redis: client })
    const events: AuditEvent[] = []
    const sinks = [{ file: `${file}` }, { sink: (event: AuditEvent) => { events.push(event) } }]
    const instance = await rehearsal.start({ auth: { ...issuer.auth, isRevoked: denylist.isRevoked }, audit: { sinks } }, { routes })
    return { instance: { ...instance, events }, denylist }
  }
  const [one, two] = [await process(), await process()]
  const token = (claims = {}) => bearer(issuer, { sub: 'alice', sid: 'phone', scope: 'orders.read', ...claims })
  const inject = async ({ instance: { app } }: typeof one, headers: { authorization: string }, remoteAddress = elsewhere) =>
    await app.inject({ url: '/orders', headers, remoteAddress })
  /** On a busy machine Redis may be late, and then nobody is let in: the caller asks again. */
  const ask = async (...asked: Parameters<typeof inject>) => {
    let answer = await inject(...asked)
    await until(async () => {
      if (codeOf(answer) !== late) return true
      answer = await inject(...asked)
      return codeOf(answer) !== late
    }, 'an answer of the denylist')
    return answer
  }
  /** The revocation of the page, until Redis has taken it. */
  const revoke = async ({ instance, denylist }: typeof one) => await until(async () =>
    await rehearsal.run(0, { denylist }, instance.app).then(() => true, () => false), 'the revocation')
  return { clock, issuer, redis, rehearsal, file, one, two, token, ask, revoke }
}

t.test('a stolen token ends in every process that shares the denylist', async t => {
  const { clock, issuer, rehearsal, file, one, two, token, ask, revoke } = await start(t)
  const [stolen, other] = [token(), token({ sub: 'bob' })]
  t.equal((await ask(one, stolen, home)).statusCode, 200)
  t.equal((await ask(two, stolen)).statusCode, 200, 'the thief')
  writeFileSync(join(file, '../token.txt'), stolen.authorization.slice('Bearer '.length))
  const doctor = await rehearsal.shell(0, join(file, '..'), { SECURE_API_AUDIENCE: 'api://test', SECURE_API_ISSUER: issuer.issuer })
  t.match(doctor.output, /alice/)
  t.match(doctor.output, '"jti"')
  await revoke(one)
  await rehearsal.see('Signs', async at => {
    const [here, there] = [at(one.instance), at(two.instance)]
    there.audit('api_access', { address: elsewhere, principal: { subject: 'alice' } })
    there.answer('SECURE_API_TOKEN_REVOKED', await ask(two, stolen))
    there.audit('authn_token_reuse', { address: elsewhere, reason: 'SECURE_API_TOKEN_REVOKED' })
    await there.metric('secure_api.decisions', count => count === 1, { 'secure_api.reason': 'SECURE_API_TOKEN_REVOKED' })
    await here.metric('secure_api.revocations', count => count === 1, { 'secure_api.result': 'recorded' })
  })
  t.equal((await ask(two, other)).statusCode, 200, 'everybody else')
  const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1).filter(line => !line.includes(late))
  await until(() => lines().length === 4, 'the trail')
  const { code, output } = await rehearsal.shell(1, join(file, '..'))
  t.equal(code, 0, output)
  t.strictSame(output.trim().split('\n').map(line => JSON.parse(line)[1]), [home, elsewhere])

  await clock.advance('2 minutes')
  await rehearsal.see('It is over when', async at => {
    for (const process of [one, two]) {
      const here = at(process.instance)
      here.answer('SECURE_API_TOKEN_REVOKED', await ask(process, stolen))
      here.audit('authn_token_reuse')
      t.equal((await ask(process, token(), home)).statusCode, 200, 'a new token of the owner')
      here.audit('api_access', { address: home })
    }
  })
  await clock.advance('10 minutes')
  t.equal(codeOf(await ask(two, stolen)), 'SECURE_API_TOKEN_EXPIRED')
})

t.test('a revocation that Redis does not take is reported, and repeated', async t => {
  const { redis, rehearsal, one, two, token, ask, revoke } = await start(t)
  const stolen = token()
  redis.freeze()
  await t.rejects(rehearsal.run(0, { denylist: one.denylist }, one.instance.app), { code: 'SECURE_API_DENYLIST_LOCAL_ONLY' })
  const results = one.instance.metric('secure_api.revocations', { 'secure_api.result': 'local-only' })
  t.strictSame(await results, [1])
  redis.thaw()
  await revoke(one)
  t.equal(codeOf(await ask(two, stolen)), 'SECURE_API_TOKEN_REVOKED')
})
