import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createTestClock } from '../../testing/index.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { codeOf, until } from '../helpers/server.ts'

const DAY = 86_400
const option = 'auth.ownTokens.secret'
const routes = (app: FastifyInstance) => { app.get('/orders', { config: { authenticated: true } }, async ({ auth }) => auth.subject) }

function start (t: Test) {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const folder = t.testdir({ secrets: {}, dist: {} })
  const file = join(folder, 'secrets/token-signing')
  const rehearsal = new Rehearsal(t, 'secret-rotation', { '/etc/secrets': join(folder, 'secrets') })
  const ownTokens = {
    issuer: 'https://api.example.com',
    audience: 'api://orders',
    secret: { file, owner: 'team-orders@example.com', rotateEvery: '90 days' }
  }
  /** As a store of secrets does. */
  const put = (value: string) => {
    writeFileSync(`${file}.other`, value, { mode: 0o600 })
    renameSync(`${file}.other`, file)
  }
  put(randomBytes(48).toString('base64'))
  return {
    clock,
    folder,
    file,
    rehearsal,
    put,
    ownTokens,
    launch: async () => await rehearsal.start({ auth: { ownTokens }, rateLimit: false }, { routes }),
    shell: async (index: number) => await rehearsal.shell(index, folder)
  }
}

const ask = async (app: FastifyInstance, token: string) =>
  await app.inject({ url: '/orders', headers: { authorization: `Bearer ${token}` } })

/** Asks without a pause until it is told to stop; then what was answered. */
function load (app: FastifyInstance, tokens: () => readonly string[]) {
  const found = { statuses: new Set<number>(), sent: 0, isOver: false }
  const work = (async () => {
    while (!found.isOver) {
      for (const token of tokens()) found.statuses.add((await ask(app, token)).statusCode)
      found.sent++
      await setTimeout(5)
    }
  })()
  return async () => {
    found.isOver = true
    await work
    return found
  }
}

t.test('a secret that is due is replaced, and nobody is refused', async t => {
  const { clock, folder, file, rehearsal, put, ownTokens, launch, shell } = start(t)
  const first = readFileSync(file, 'utf8')
  const made = Date.now() / 1000 - 80 * DAY
  utimesSync(file, made, made)
  const instance = await launch()
  const { app, lines } = instance
  const sign = () => app.jwt.sign({ sub: 'alice', iat: Math.floor(clock.now() / 1000) })
  const tokens = [sign()]
  const stop = load(app, () => tokens)
  const told = async (name: string) => await until(async () => {
    await clock.advance('1 minute')
    return lines.some(({ code, type }) => [code, type].includes(name))
  }, name)

  put('changeme')
  await told('SECURE_API_SECRET_REFUSED')
  rmSync(file)
  await told('SECURE_API_SECRET_UNAVAILABLE')
  await rehearsal.see('Signs', async at => {
    const here = at(instance)
    here.log('SECURE_API_SECRET_DUE', { secret: { option, dueInDays: 9 } })
    here.log('SECURE_API_SECRET_REFUSED', { secret: { option } })
    here.log('SECURE_API_SECRET_UNAVAILABLE', { secret: { option } })
    here.status('secrets[].state', 'failing')
    here.status('secrets[].why', (why: unknown) => /ENOENT/.test(String(why)))
    await here.metric('secure_api.secret.remaining', days => days > 8 && days < 11, { 'secure_api.secret': option })
    await here.metric('secure_api.secret.failures', count => count >= 2, { 'secure_api.secret': option })
  })

  put(first)
  mkdirSync(join(folder, 'dist'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'dist/app.js'), `import secureApi from '${rehearsal.compiled}/plugins/index.js'
export default async app => { await app.register(secureApi, { auth: { ownTokens: ${JSON.stringify(ownTokens)} }, audit: { sink () {} } }) }
`)
  const listed = await shell(0)
  t.equal(listed.code, 0, listed.output)
  t.match(listed.output, new RegExp(`${option.replaceAll('.', '\\.')} +file .*token-signing +team-orders@example\\.com`))

  const replaced = await shell(1)
  t.equal(replaced.code, 0, replaced.output)
  t.not(readFileSync(file, 'utf8'), first)
  await told('secret.changed')
  // The old one signs until every instance has seen the new one; from then on tokens of both are good.
  tokens.push(sign())
  await clock.advance('2 minutes')
  tokens.push(sign())
  const { statuses, sent } = await stop()
  t.strictSame([...statuses], [200], `${sent} rounds`)
  t.ok(sent > 3)

  await clock.advance('20 minutes')
  t.equal((await ask(app, sign())).statusCode, 200)
  await rehearsal.see('It is over when', async at => {
    const here = at(instance)
    here.log('secret.changed', { secret: { option } })
    here.status('secrets[].state', 'good')
    here.status('secrets[].overlapUntil', undefined)
    await here.metric('secure_api.secret.remaining', days => days > 88, { 'secure_api.secret': option })
  })
  const written = [first, readFileSync(file, 'utf8')].map(value => value.trim())
  const said = JSON.stringify([lines, app.secureApi.status(), listed.output])
  for (const value of written) t.notOk(said.includes(value), 'nothing prints it')
})

t.test('a leaked secret ends with the restart of each instance', async t => {
  const { launch, shell } = start(t)
  const { app } = await launch()
  const stolen = app.jwt.sign({ sub: 'mallory' })
  t.equal((await ask(app, stolen)).statusCode, 200)
  t.equal((await shell(1)).code, 0)
  const { app: restarted } = await launch()
  t.equal(codeOf(await ask(restarted, stolen)), 'SECURE_API_TOKEN_SIGNATURE')
  t.equal((await ask(restarted, restarted.jwt.sign({ sub: 'alice' }))).statusCode, 200)
})
