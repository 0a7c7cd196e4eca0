import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createApiKey, type AuditEvent } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { codeOf, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => { app.get('/orders', { config: { scope: 'orders.read' } }, async () => []) }
const [home, elsewhere] = ['192.0.2.1', '203.0.113.9']

/** Three keys: one for everywhere, one for home, and one that did not leak. */
function writeKeys (file: string) {
  const [free, bound, other] = [createApiKey('shop'), createApiKey('shop'), createApiKey('shop')]
  const recordOf = ({ id, hash }: typeof free, more = {}) => ({ id, owner: id, secrets: [{ hash }], scopes: ['orders.read'], ...more })
  const keys = [recordOf(free), recordOf(bound, { allowedAddresses: [home] }), recordOf(other)]
  writeFileSync(file, JSON.stringify({ keys }), { mode: 0o600 })
  return { free, bound, other }
}

t.test('a leaked key gets another secret, and is then revoked', async t => {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const folder = t.testdir({})
  const [file, trail] = [join(folder, 'keys.json'), join(folder, 'audit.log')]
  const { free, bound, other } = writeKeys(file)
  const events: AuditEvent[] = []
  const rehearsal = new Rehearsal(t, 'leaked-api-key')
  const { app, ...rest } = await rehearsal.start({
    auth: { apiKeys: { prefix: 'shop', file } },
    audit: { sinks: [{ file: trail }, { sink: event => { events.push(event) } }] }
  }, { routes })
  const instance = { app, ...rest, events }
  const ask = async (key: string, remoteAddress = elsewhere) =>
    await app.inject({ url: '/orders', headers: { 'x-api-key': key }, remoteAddress })
  const shell = async (index: number, id: string) => await rehearsal.shell(index, folder, { KEY_ID: id })
  /** A look at the file may be under way already, from before the change. */
  const read = async (times: number) => await until(async () => {
    await clock.advance('5 seconds')
    return instance.lines.filter(({ type }) => type === 'apiKeys.replaced').length === times
  }, 'the new records')
  t.strictSame([(await ask(free.key, home)).statusCode, (await ask(free.key)).statusCode], [200, 200], 'the owner, and the thief')
  const refused = await ask(bound.key)
  t.equal(refused.statusCode, 403, 'of no use elsewhere')

  t.equal((await shell(0, free.id)).code, 0)
  const renewed = readFileSync(join(folder, 'new-key.txt'), 'utf8').trim()
  await read(1)
  const replaced = await ask(free.key)
  t.strictSame([codeOf(replaced), (await ask(renewed, home)).statusCode], ['SECURE_API_API_KEY_UNKNOWN', 200])
  t.equal((await shell(1, bound.id)).code, 0)
  await read(2)
  const revoked = await ask(bound.key, home)
  t.equal((await ask(other.key)).statusCode, 200, 'another key')
  await rehearsal.see('Signs', async at => {
    const here = at(instance)
    here.audit('api_access', { principal: { keyId: other.id }, address: elsewhere })
    here.answer('SECURE_API_API_KEY_ADDRESS', refused)
    here.audit('authz_fail', { reason: 'SECURE_API_API_KEY_ADDRESS', address: elsewhere })
    here.answer('SECURE_API_API_KEY_REVOKED', revoked)
    await here.metric('secure_api.decisions', count => count === 1, { 'secure_api.reason': 'SECURE_API_API_KEY_REVOKED' })
  })
  await rehearsal.see('It is over when', async at => {
    const here = at(instance)
    here.log('apiKeys.replaced')
    here.status('apiKeys.file.ok', true)
    here.answer('SECURE_API_API_KEY_UNKNOWN', replaced)
    here.answer('SECURE_API_API_KEY_REVOKED', revoked)
    here.audit('authn_fail', { reason: 'SECURE_API_API_KEY_REVOKED' })
  })
  await until(() => readFileSync(trail, 'utf8').trim().split('\n').length === 7, 'the trail')
  const { code, output } = await shell(2, free.id)
  t.equal(code, 0, output)
  t.strictSame(output.trim().split('\n').map(line => JSON.parse(line)[1]), [home, elsewhere, home])
})
