import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import type { Terminal } from '../../cli/command.ts'
import secureApi from '../../plugins/index.ts'
import { developmentIssuer } from '../../testing/index.ts'
import { codeOf, startFastify } from '../helpers/server.ts'
import { compiledCommand } from './compiled.ts'
import { fakeTerminal } from './terminal.ts'

async function run (cwd: string, args: readonly string[], given: Partial<Terminal> = {}) {
  const { terminal, stdout, stderr } = fakeTerminal({ cwd, ...given })
  const exit = await secureApiCommand(['token', ...args], terminal)
  return { exit, stdout: stdout(), stderr: stderr() }
}

function decode (token: string) {
  const [header, claims] = token.split('.').map(part => Buffer.from(part, 'base64url').toString())
  return { header: JSON.parse(header ?? ''), claims: JSON.parse(claims ?? '') }
}

async function make (cwd: string, ...args: string[]) {
  const { exit, stdout, stderr } = await run(cwd, args)
  if (exit !== 0) throw new Error(stderr)
  return { token: stdout.trim(), ...decode(stdout) }
}

/** An API that trusts the development issuer of the folder. */
async function api (t: Test, directory: string, audience: string) {
  const app = startFastify(t)
  const issuer = await developmentIssuer({ directory, audience, environment: 'development' })
  await app.register(secureApi, { auth: { issuers: [issuer] }, rateLimit: false, environment: 'development' })
  app.get('/orders', { config: { scope: 'api.read' } },
    async ({ auth: { kind, subject, client, roles } }) => ({ kind, subject, client, roles }))
  return async (token: string) => {
    const response = await app.inject({ url: '/orders', headers: { authorization: `Bearer ${token}` } })
    return response.statusCode === 200 ? response.json() : codeOf(response)
  }
}

t.test('standard output is the token and nothing else, and an API accepts it', async t => {
  const cwd = t.testdir({})
  const { exit, stdout, stderr } = await run(cwd, ['api.read', 'api.write', '--role', 'admin'])
  t.equal(exit, 0)
  t.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  t.match(stderr, 'dev-user')
  const call = await api(t, cwd, 'api://development')
  t.match(await call(stdout.trim()), { kind: 'user', subject: 'dev-user', client: 'dev-client', roles: ['admin'] })
})

t.test('what can be said of a caller', async t => {
  const cwd = t.testdir({})
  const call = await api(t, cwd, 'api://orders')
  const service = await make(cwd, 'create', '--kind', 'service', '--subject', 'nightly', '--scope', 'api.read')
  t.match(await call(service.token), { kind: 'service', subject: 'nightly', client: 'nightly' })
  const plain = await make(cwd, '-s', 'a b', '-s', 'b,c', 'd')
  t.equal(plain.claims.scope, 'd a b c')
  t.equal(plain.claims.exp - plain.claims.iat, 3600)
  t.equal(await call(plain.token), 'SECURE_API_FORBIDDEN')
  const rich = await make(cwd, '-l', '90s', '-c', 'tenant=7', '-c', 'level:=7', '-c', 'list:=["a"]', '-c', 'equation=a=b', '-r', 'one',
    '-r', 'two')
  t.match(rich.claims, { tenant: '7', level: 7, list: ['a'], equation: 'a=b', roles: ['one', 'two'] })
  t.equal(rich.claims.exp - rich.claims.iat, 90)
  t.notOk('scope' in rich.claims)
  t.match(rich.header, { alg: 'ES256', typ: 'at+jwt' })
})

t.test('the audience: the option, the environment, .env, what the application used, a default', async t => {
  const cwd = t.testdir({})
  const aud = async (args: string[] = [], env = {}) => decode((await run(cwd, args, { env })).stdout).claims.aud
  t.equal(await aud(), 'api://development')
  await developmentIssuer({ directory: cwd, audience: 'api://app', environment: 'development' })
  t.equal(await aud(), 'api://app')
  writeFileSync(join(cwd, '.env'), 'SECURE_API_AUDIENCE=api://file # the API\n')
  t.equal(await aud(), 'api://file')
  t.strictSame(await aud([], { SECURE_API_AUDIENCE: 'api://a, api://b' }), ['api://a', 'api://b'])
  t.equal(await aud(['-a', 'api://c'], { SECURE_API_AUDIENCE: 'api://a' }), 'api://c')
  t.equal(await (await api(t, cwd, 'api://d'))((await make(cwd, 'api.read', '-a', 'api://c')).token), 'SECURE_API_TOKEN_AUDIENCE')
})

t.test('the forms of output', async t => {
  const cwd = t.testdir({})
  t.match((await run(cwd, ['a', '-o', 'header'])).stdout, /^Authorization: Bearer \S+\n$/)
  const { token, id, claims, expiresAt } = JSON.parse((await run(cwd, ['a', '--output', 'json'])).stdout)
  t.match(decode(token).claims, { jti: id, exp: expiresAt, scope: 'a' })
  t.strictSame(decode(token).claims, claims)
})

t.test('the list shows what was made, and holds no token that could be used', async t => {
  const cwd = t.testdir({})
  t.match(await run(cwd, ['list']), { exit: 0, stdout: '' })
  const first = await make(cwd, 'api.read')
  const second = await make(cwd, 'api.write', '--role', 'admin', '--kind', 'service')
  const { stdout } = await run(cwd, ['list'])
  for (const part of [first.claims.jti.slice(0, 8), second.claims.jti.slice(0, 8), 'dev-service',
    'api.write [admin]']) t.ok(stdout.includes(part), part)
  const narrow = await run(cwd, ['list'], { columns: 40 })
  t.ok(narrow.stdout.split('\n').every(line => line.length <= 40))
  const stored = readdirSync(join(cwd, '.secure-api')).map(name => readFileSync(join(cwd, '.secure-api', name), 'utf8')).join('')
  for (const { token } of [first, second]) t.notOk(stored.includes(token.split('.')[2] ?? token), 'no signature is kept')
  t.strictSame(JSON.parse((await run(cwd, ['list', '--json'])).stdout).map(({ id }: { id: string }) => id).sort(),
    [first.claims.jti, second.claims.jti].sort())
  t.match(JSON.parse((await run(cwd, ['print', first.claims.jti.slice(0, 8)])).stdout), { claims: first.claims })
})

t.test('expired tokens leave the list, removed ones too', async t => {
  const cwd = t.testdir({})
  const ids = async () => JSON.parse((await run(cwd, ['list', '--json'])).stdout).map(({ id }: { id: string }) => id)
  const { claims: { jti } } = await make(cwd, 'a')
  const file = join(cwd, '.secure-api', `token-${jti}.json`)
  const record = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...record, expiresAt: 1 }))
  t.match((await run(cwd, ['list'])).stdout, 'expired')
  writeFileSync(join(cwd, '.secure-api', 'token-x.json'), '{"id":"../../x"}')
  const second = await make(cwd, 'b')
  t.strictSame(await ids(), [second.claims.jti])
  t.equal((await run(cwd, ['remove', second.claims.jti])).exit, 0)
  t.strictSame(await ids(), [])
  await make(cwd, 'c')
  await make(cwd, 'd')
  t.equal((await run(cwd, ['clear'])).exit, 0)
  t.strictSame(await ids(), [])
})

t.test('keys: the public set; another key ends the tokens made before', async t => {
  const cwd = t.testdir({})
  const old = await make(cwd, 'api.read')
  const { keys: [before] } = JSON.parse((await run(cwd, ['keys'])).stdout)
  t.match(before, { kty: 'EC', use: 'sig', kid: old.header.kid })
  t.notOk('d' in before)
  t.match(await run(cwd, ['keys', 'rotate']), { exit: 0, stdout: '' })
  t.match((await run(cwd, ['list'])).stdout, 'key replaced')
  const call = await api(t, cwd, 'api://development')
  t.equal(await call(old.token), 'SECURE_API_TOKEN_KEY')
  t.match(await call((await make(cwd, 'api.read')).token), { kind: 'user' })
})

t.test('refused in production; without NODE_ENV it works', async t => {
  const cwd = t.testdir({})
  for (const NODE_ENV of ['production', 'staging', '']) {
    t.match(await run(cwd, ['a'], { env: { NODE_ENV } }), { exit: 1, stdout: '' },
      NODE_ENV)
  }
  t.strictSame(readdirSync(cwd), [], 'nothing is made')
  t.equal((await run(cwd, ['a'], { env: { NODE_ENV: undefined } })).exit, 0)
})

t.test('mistakes in the arguments', async t => {
  const cwd = t.testdir({})
  const wrong = [
    ['--kind', 'robot'], ['--output', 'xml'], ['--lifetime', '5'], ['--lifetime', '0s'], ['--lifetime', '400 days'], ['--subject', ' '],
    ['--audience', ''],
    ['--role', ''], ['schlüssel'], ['a"b'], ['--claim', 'x'], ['--claim', '=x'], ['--claim', 'x:={'], ['--claim', 'iss=x'],
    ['--claim', 'exp:=1'], ['--nonsense'],
    ['print'], ['print', 'nobody'], ['print', ''], ['remove', 'a', 'b'], ['keys', 'turn'], ['list', 'all']
  ]
  for (const args of wrong) t.match(await run(cwd, args), { exit: 2, stdout: '' }, args.join(' '))
  const { claims: { jti } } = await make(cwd, 'a')
  const record = readFileSync(join(cwd, '.secure-api', `token-${jti}.json`), 'utf8')
  for (const id of ['same-1', 'same-2']) writeFileSync(join(cwd, '.secure-api', `token-${id}.json`), record.replaceAll(jti, id))
  t.equal((await run(cwd, ['print', 'same'])).exit, 2, 'two begin so')
  t.equal((await run(cwd, ['print', 'same-2'])).exit, 0)
  t.equal((await run(cwd, ['print', ''])).exit, 2, 'an empty beginning names nobody')
})

t.test('real commands that start together share one key', async t => {
  const cwd = t.testdir({})
  const command = compiledCommand(t)
  const made = await Promise.all(Array.from({ length: 4 }, () => command.run(['token', 'api.read'], cwd)))
  t.equal(new Set(made.map(({ stdout }) => decode(stdout).header.kid)).size, 1)
  t.equal(JSON.parse((await run(cwd, ['list', '--json'])).stdout).length, 4)
})
