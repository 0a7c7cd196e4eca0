import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { Rehearsal, type Instance } from '../helpers/rehearsal.ts'
import { bearer, startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => { app.get('/orders', { config: { scope: 'orders.read' } }, async () => []) }

/** Without a listener the signal ends the process. */
process.on('SIGXFSZ', () => {})

/** How long a file of this process may become. What lies beyond is refused with EFBIG, in the middle of a line as on a full disk. */
function limitFiles (bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
}

const auditOf = ({ app }: Instance) => app.secureApi.status()['audit'] as { failing: boolean, pending: number, recorded: number }

t.test('the file of the trail cannot grow, and then it can', async t => {
  const issuer = await startIssuer(t)
  const folder = t.testdir({})
  const names = { '/var/log/orders': folder }
  const rehearsal = new Rehearsal(t, 'audit-gap', names)
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'audit-key.pem.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  const common = { auth: issuer.auth, rateLimit: false, health: { failAfter: '10 ms' } } as const
  const chain = { key: privateKey }
  const dropping = await rehearsal.start({ ...common, audit: { file: join(folder, 'audit.log'), chain } }, { routes })
  const strict = await rehearsal.start({
    ...common, audit: { file: join(folder, 'audit-2.log'), chain, onSinkFailure: 'deny' }
  }, { routes })
  const slow = await rehearsal.start({ ...common, audit: { sink: async () => await new Promise(() => {}), closeTimeout: 1 } }, { routes })
  const ask = async ({ app }: Instance) => await app.inject({ url: '/orders', headers: bearer(issuer, { scope: 'orders.read' }) })
  const ready = async ({ app }: Instance) => (await app.inject('/health/ready')).statusCode
  t.equal((await rehearsal.shell(0, folder)).code, 0)
  for (const instance of [dropping, strict]) await ask(instance)
  await until(() => [dropping, strict].every(instance => auditOf(instance).recorded === 1), 'the first events')

  limitFiles(Math.max(...['audit.log', 'audit-2.log'].map(name => statSync(join(folder, name)).size)) + 50)
  t.teardown(() => { limitFiles('unlimited') })
  for (const instance of [dropping, strict]) await ask(instance)
  await until(() => [dropping, strict].every(instance => auditOf(instance).failing), 'the failure')
  t.equal((await ask(dropping)).statusCode, 200, 'requests go on')
  await until(async () => await ready(strict) === 503, 'readiness')
  t.equal(await ready(dropping), 200)
  for (let count = 0; count < 510; count++) await ask(slow)
  await rehearsal.see('Signs', async at => {
    const [here, there] = [at(dropping), at(strict)]
    here.log('audit events are being lost', { sink: join(folder, 'audit.log'), err: { code: 'EFBIG' } })
    here.status('audit.failing', true)
    here.status('audit.dropped', (count: unknown) => Number(count) >= 1)
    await here.metric('secure_api.audit.events', count => count >= 1, { 'secure_api.result': 'dropped' })
    await at(slow).metric('secure_api.audit.pending', count => count > 500)
    there.answer('SECURE_API_AUDIT_UNAVAILABLE', await ask(strict))
    there.log('SECURE_API_NOT_READY')
  })

  limitFiles('unlimited')
  await until(async () => {
    await Promise.all([ask(dropping), ask(strict)])
    return [dropping, strict].every(instance => !auditOf(instance).failing)
  }, 'the recovery')
  t.equal((await ask(strict)).statusCode, 200)
  await until(async () => await ready(strict) === 200, 'readiness')
  writeFileSync(join(folder, 'app.log'), dropping.lines.map(line => JSON.stringify(line)).join('\n'))
  const times = (await rehearsal.shell(1, folder)).output.trim().split('\n').map(line => JSON.parse(line))
  t.match(times.map(([, text]) => text), [/being lost/, /being recorded again/])
  const [[from], [to]] = times
  t.equal((await rehearsal.shell(2, folder, { FROM: String(from), TO: String(to) })).code, 0)
  t.match(readFileSync(join(folder, 'gap.log'), 'utf8'), '"GET","/orders"')
  await until(() => auditOf(dropping).pending === 0, 'the last events')
  const verify = await rehearsal.shell(3, folder)
  t.equal(verify.code, 0, verify.output)
  t.match(readFileSync(join(folder, 'audit.log'), 'utf8'), '"type":"resume"')
  await rehearsal.see('It is over when', async at => {
    const here = at(dropping)
    here.log('audit events are being recorded again')
    here.status('audit.failing', false)
    here.status('audit.pending', 0)
    await here.metric('secure_api.audit.events', count => count >= 2, { 'secure_api.result': 'recorded' })
    here.report('intact', verify.output)
  })
})
