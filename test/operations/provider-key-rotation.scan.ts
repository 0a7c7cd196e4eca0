import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { SecureApiOptions } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { Rehearsal, type Instance } from '../helpers/rehearsal.ts'
import { bearer, codeOf, listen, startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => { app.get('/orders', { config: { scope: 'orders.read' } }, async () => []) }
const onlyKey = (kid: string) => (keys: unknown) => Array.isArray(keys) && keys.length === 1 && Object(keys[0]).kid === kid

async function start (t: Test, audit: SecureApiOptions['audit'], names: Readonly<Record<string, string>> = {}) {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const issuer = await startIssuer(t)
  const rehearsal = new Rehearsal(t, 'provider-key-rotation', names)
  const instance = await rehearsal.start({ auth: issuer.auth, ...(audit !== undefined && { audit }) }, { routes })
  const tokenOf = (kid: string) => bearer(issuer, { scope: 'orders.read' }, { kid })
  const ask = async (headers: { authorization: string }) => await instance.app.inject({ url: '/orders', headers })
  return { clock, issuer, rehearsal, instance, tokenOf, ask }
}

async function seeTheEnd ({ rehearsal, instance, ask }: Pick<Awaited<ReturnType<typeof start>>, 'rehearsal' | 'ask'> & {
  readonly instance: Instance
}, old: { authorization: string }) {
  await rehearsal.see('It is over when', async at => {
    const here = at(instance)
    here.log('keys.changed', { removed: ['key-1'] })
    here.status('issuers[].keys', onlyKey('key-2'))
    here.answer('SECURE_API_TOKEN_KEY', await ask(old))
    here.audit('authn_fail', { reason: 'SECURE_API_TOKEN_KEY' })
  })
}

t.test('a planned rotation refuses no request', async t => {
  const begun = await start(t, undefined)
  const { clock, issuer, rehearsal, instance, tokenOf, ask } = begun
  const status = async (kid: string) => (await ask(tokenOf(kid))).statusCode
  t.equal(await status('key-1'), 200)
  issuer.rotate()
  await clock.advance('10 minutes')
  t.strictSame([await status('key-1'), await status('key-2')], [200, 200])
  const last = tokenOf('key-1')
  await clock.advance('4 minutes')
  t.equal((await ask(last)).statusCode, 200)
  await clock.advance('1 minute')
  issuer.remove('key-1')
  await clock.advance('10 minutes')
  t.equal(await status('key-2'), 200)
  await rehearsal.see('Signs', async at => {
    const here = at(instance)
    here.log('keys.changed', { added: [], removed: ['key-1'] })
    here.status('issuers[].keys', onlyKey('key-2'))
    for (const change of ['added', 'removed']) {
      await here.metric('secure_api.keys.changes', count => count === 1, { 'secure_api.change': change })
    }
    here.answer('SECURE_API_TOKEN_KEY', await ask(tokenOf('key-1')))
    here.audit('authn_fail', { reason: 'SECURE_API_TOKEN_KEY' })
  })
  await seeTheEnd(begun, tokenOf('key-1'))
})

t.test('a stolen key ends with the first new token', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'audit.log')
  const names: Record<string, string> = { 'stolen-kid': 'key-1' }
  const begun = await start(t, { file }, names)
  const { clock, issuer, rehearsal, instance, tokenOf, ask } = begun
  names['https://orders-1.example.com'] = await listen(instance.app)
  const forged = bearer(issuer, { sub: 'admin', scope: 'orders.read' }, { kid: 'key-1' })
  t.equal((await ask(forged)).statusCode, 200, 'nothing tells a forged token from another')
  // Made before: from the next line on the clock of 30 seconds runs, and no machine shall need them to bundle the command.
  t.ok(rehearsal.compiled)
  const unknown = bearer(issuer, {}, { header: { kid: 'unknown' } })
  t.equal(codeOf(await ask(unknown)), 'SECURE_API_TOKEN_KEY', 'so the server has just asked')

  issuer.rotate()
  issuer.remove('key-1')
  t.equal((await ask(forged)).statusCode, 200, 'it works until the keys are fetched again')
  const curl = async () => await rehearsal.shell(0, folder, { NEW_TOKEN: tokenOf('key-2').authorization.slice('Bearer '.length) })
  t.strictSame(await curl(), { code: 0, output: '401\n' })
  await clock.advance('31 seconds')
  t.strictSame(await curl(), { code: 0, output: '200\n' })
  t.equal(codeOf(await ask(forged)), 'SECURE_API_TOKEN_KEY')
  const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1)
  await until(() => lines().length === 6, 'the trail')
  const { output } = await rehearsal.shell(1, folder)
  t.strictSame(output.trim().split('\n').map(line => JSON.parse(line).principal.subject), ['admin', 'admin'])
  instance.events.push(...lines().map(line => JSON.parse(line)))
  await seeTheEnd(begun, forged)
})
