import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { compiled } from './compiled.ts'
import { copied, init, run, started } from './init-applications.ts'

async function answers (app: FastifyInstance, requests: readonly InjectOptions[]): Promise<number[]> {
  const codes: number[] = []
  for (const request of requests) codes.push((await app.inject(request)).statusCode)
  return codes
}

const { privateKey } = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' }
})

t.test('an application composed by hand: the diff applies, and answers stay as they were', async t => {
  const [before, after] = [copied(t, 'by-hand'), copied(t, 'by-hand')]
  const { code, stdout, stderr } = await init(after, 'app.js')
  t.equal(code, 0, stderr)
  t.match(stderr, /nothing guards it:\s+app\.js:\d+ GET \/\s/)
  t.match(stderr, /HS256/)
  t.notOk(existsSync(join(after, 'plugins')), 'nothing is written without --write')
  execFileSync('patch', ['-p1', '--quiet'], { cwd: after, input: stdout })
  Object.assign(process.env, { SECURE_API_AUDIENCE: 'api://orders', SECURE_API_PRIVATE_KEY: privateKey })
  const requests: InjectOptions[] = [
    { url: '/' }, { url: '/me' }, { url: '/items' }, { url: '/items/1' }, { url: '/items/one' }, { url: '/nowhere' },
    { method: 'DELETE', url: '/accounts/1' }, { method: 'POST', url: '/login', payload: { name: 'x' } },
    { url: '/me', headers: { authorization: 'Bearer forged' } }
  ]
  const [old, young] = [await started(t, before), await started(t, after)]
  t.strictSame(await answers(young, requests), await answers(old, requests), 'strangers')
  for (const role of ['admin', 'user']) {
    const signedIn = async (app: FastifyInstance) => {
      const { token } = (await app.inject({ method: 'POST', url: '/login', payload: { name: 'alice', role } })).json<{ token: string }>()
      return await answers(app, requests.slice(0, 7).map(request => ({ ...request, headers: { authorization: `Bearer ${token}` } })))
    }
    t.strictSame(await signedIn(young), await signedIn(old), role)
  }
})

t.test('a CommonJS application: Node starts it before and after, and answers stay as they were', async t => {
  const suite = pathToFileURL(join(compiled(t), 'plugins/index.js')).href
  const [before, after] = [copied(t, 'commonjs', suite), copied(t, 'commonjs', suite)]
  const { code, stdout, stderr } = await init(after, 'app.js')
  t.equal(code, 0, stderr)
  execFileSync('patch', ['-p1', '--quiet'], { cwd: after, input: stdout })
  const plugin = readFileSync(join(after, 'plugins/secure-api.js'), 'utf8')
  t.match(plugin, "require('fastify-secure-api')")
  // Without a logger the audit trail goes to standard output too.
  const answered = (cwd: string) => execFileSync(process.execPath, ['answers.js'], {
    cwd, encoding: 'utf8', env: { PATH: process.env['PATH'], SECURE_API_PRIVATE_KEY: privateKey }
  }).replace(/^\{.*\n/gm, '')
  const then = answered(before)
  t.equal(answered(after), then)
  t.match(then, /^200 401 401 401 401 404 401\n200 200 200 200 403 404\n200 200 200 200 200 404\n$/)
})

t.test('what is written stays as it was where it was not touched; --write does it at once', async t => {
  const folder = copied(t, 'by-hand')
  const { code } = await init(folder, 'app.js', '--write')
  t.equal(code, 0)
  const app = readFileSync(join(folder, 'app.js'), 'utf8')
  t.match(app, "app.get('/me', { config: { authenticated: true } }, async request => request.user)")
  t.match(app, "config: { role: 'admin' },")
  t.notMatch(app, '@fastify/jwt')
  t.match(readFileSync(join(folder, 'plugins/secure-api.js'), 'utf8'), "'/items/one': { authenticated: true }")
  const env = { SECURE_API_AUDIENCE: 'api://orders', SECURE_API_PRIVATE_KEY: privateKey }
  const check = await run(folder, ['routes', 'app.js', '--check'], { env })
  t.match(check.stdout, /no findings/, check.stderr)
  const again = await init(folder, 'app.js')
  t.equal(again.code, 1, 'without the variables the application does not start')
})

t.test('without its variables the plugin stops the boot, and names them', async t => {
  const folder = copied(t, 'by-hand')
  await init(folder, 'app.js', '--write')
  const plugin = await import(pathToFileURL(join(folder, 'plugins/secure-api.js')).href) as { default: (app: object) => Promise<void> }
  for (const name of ['SECURE_API_AUDIENCE', 'SECURE_API_PRIVATE_KEY']) Reflect.deleteProperty(process.env, name)
  await t.rejects(plugin.default({}), /Set SECURE_API_AUDIENCE .* SECURE_API_PRIVATE_KEY/)
})

t.test('an application that does not start: how to go on', async t => {
  const folder = copied(t, 'by-hand')
  writeFileSync(join(folder, 'app.js'), "export default async function app (fastify, options) { throw new Error('no database') }")
  const { code, stderr } = await init(folder, 'app.js')
  t.equal(code, 1)
  t.match(stderr, /no database[^]*must become ready/)
  t.equal((await init(folder)).code, 2)
  for (const [name, why] of [['nowhere.js', /there is no file/], ['plugins', /is no file: name the one/]] as const) {
    mkdirSync(join(folder, 'plugins'), { recursive: true })
    const wrong = await init(folder, name)
    t.match(wrong, { code: 2, stderr: why }, name)
    t.notMatch(wrong.stderr, /must become ready/, name)
  }
  t.match((await init(folder, 'app.js', '--wrte')).stderr, /did you mean --write/)
})
