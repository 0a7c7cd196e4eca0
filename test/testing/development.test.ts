import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigurationError, type Environment } from '../../lib/config/index.ts'
import { DEVELOPMENT_ISSUER, isDevelopmentIssuer } from '../../lib/tokens/index.ts'
import secureApi from '../../plugins/index.ts'
import { DevelopmentStore } from '../../testing/development-store.ts'
import { developmentIssuer } from '../../testing/index.ts'
import { codesOf, mistakesOf, startFastify } from '../helpers/server.ts'

const development: { environment: Environment } = { environment: 'development' }
const mode = (path: string) => statSync(path).mode & 0o777

async function refusal (work: () => Promise<unknown>): Promise<string[]> {
  try {
    await work()
    return []
  } catch (error) {
    return codesOf(error)
  }
}

t.test('the first use makes a key that only its owner reads and git ignores', async t => {
  const directory = t.testdir({})
  const folder = join(directory, '.secure-api')
  const entry = await developmentIssuer({ directory, audience: 'api://orders', ...development })
  t.match(entry, { issuer: DEVELOPMENT_ISSUER, audience: 'api://orders', profile: 'at+jwt', algorithms: ['ES256'] })
  t.equal(mode(folder), 0o700)
  for (const name of readdirSync(folder)) t.equal(mode(join(folder, name)), 0o600, name)
  t.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), '*\n')
  t.match(readFileSync(join(folder, 'key.pem'), 'utf8'), /BEGIN PRIVATE KEY/)
  t.notMatch(JSON.stringify(entry), /"d":|PRIVATE/, 'only the public half is handed out')
  t.strictSame(await developmentIssuer({ directory, audience: 'api://orders', ...development }), entry, 'and it stays')
})

t.test('those that start together get one key', async t => {
  const directory = t.testdir({})
  const entries = await Promise.all(Array.from({ length: 20 }, () => developmentIssuer({ directory, ...development })))
  t.equal(new Set(entries.map(({ jwks }) => JSON.stringify(jwks))).size, 1)
  t.strictSame(readdirSync(join(directory, '.secure-api')).sort(), ['.gitignore', 'audience.json', 'key.pem'],
    'nothing is left lying about')
})

t.test('the audience that was asked for last is remembered', async t => {
  const directory = t.testdir({})
  const store = new DevelopmentStore(directory)
  t.equal(await store.audience(), undefined)
  for (const audience of ['api://a', ['api://a', 'api://b']]) {
    await developmentIssuer({ directory, audience, ...development })
    t.strictSame(await store.audience(), audience)
  }
  for (const text of ['{', '7', '[7]']) {
    writeFileSync(join(store.folder, 'audience.json'), text)
    t.equal(await store.audience(), undefined, text)
  }
})

t.test('a rotated key is another one', async t => {
  const directory = t.testdir({})
  const store = new DevelopmentStore(directory)
  t.equal(await store.existingKey(), undefined)
  t.notOk(existsSync(store.folder), 'looking makes nothing')
  const { kid } = await store.key()
  const rotated = await store.rotate()
  t.not(rotated.kid, kid)
  t.equal((await store.key()).kid, rotated.kid)
})

t.test('it is refused in production, and where nothing says what this is', async t => {
  const directory = t.testdir({})
  const code = ['SECURE_API_ISSUER_DEVELOPMENT']
  t.strictSame(await refusal(() => developmentIssuer({ directory, environment: 'production' })), code)
  const { NODE_ENV: before } = process.env
  t.teardown(() => { if (before === undefined) delete process.env.NODE_ENV; else process.env.NODE_ENV = before })
  for (const name of ['production', 'staging', undefined]) {
    if (name === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = name
    t.strictSame(await refusal(() => developmentIssuer({ directory })), code, String(name))
  }
  t.notOk(existsSync(join(directory, '.secure-api')), 'and makes nothing')
  process.env.NODE_ENV = 'development'
  t.strictSame(await refusal(() => developmentIssuer({ directory })), [])
})

t.test('the suite accepts it in development, and refuses it in production in every spelling', async t => {
  const entry = await developmentIssuer({ directory: t.testdir({}), ...development })
  const register = (environment: Environment, issuer: string) => async () => await startFastify(t).register(secureApi,
    { auth: { ...entry, issuer }, audit: { sink () {} }, environment })
  t.strictSame(await mistakesOf(register('development', entry.issuer)), [])
  for (const issuer of [entry.issuer, `${entry.issuer}/`, `${entry.issuer}/orders`, 'https://DEVELOPMENT.invalid',
    'https://development.invalid.', 'https://development.invalid:8443']) {
    t.strictSame(await mistakesOf(register('production', issuer)), ['SECURE_API_ISSUER_DEVELOPMENT'], issuer)
  }
  t.strictSame(await mistakesOf(register('production', 'https://development.example')), [])
  t.equal(isDevelopmentIssuer('no address'), false)
})

t.test('a key that is none, or a folder that is none, is an error with a code', async t => {
  const directory = t.testdir({ a: { '.secure-api': { 'key.pem': 'nothing' } }, b: { '.secure-api': 'a file' } })
  for (const name of ['a', 'b']) {
    t.strictSame(await refusal(() => developmentIssuer({ directory: join(directory, name), ...development })),
      ['SECURE_API_DEVELOPMENT_KEY'], name)
  }
  await new DevelopmentStore(join(directory, 'a')).rotate()
  t.strictSame(await refusal(() => developmentIssuer({ directory: join(directory, 'a'), ...development })), [], 'rotating mends it')
})

t.test('a folder that was open to all before keeps its key closed', async t => {
  const directory = t.testdir({ '.secure-api': {} })
  chmodSync(join(directory, '.secure-api'), 0o755)
  await developmentIssuer({ directory, ...development })
  t.equal(mode(join(directory, '.secure-api', 'key.pem')), 0o600)
})

t.test('a misspelt option is refused', async t => {
  const options = { directory: t.testdir({}), audiences: 'x', ...development }
  const error = await developmentIssuer(options).catch((error: unknown) => error)
  t.ok(error instanceof ConfigurationError)
  t.strictSame(codesOf(error), ['SECURE_API_OPTION_UNKNOWN'])
})
