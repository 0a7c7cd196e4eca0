import { createHmac, randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { AuditEvent, SecretProvider, SecretStatus, SecureApiOptions } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { recipe, runRecipe } from '../helpers/recipes.ts'
import { until } from '../helpers/server.ts'
import { startVaultStub, type VaultStub } from '../helpers/vault-stub.ts'

// The code of the pages, as it stands there, in a real suite.
//
// HashiCorp Vault: against a stub of its HTTP API that was written from its documentation. No real server was there.

const hidden = /canary7x/i
const fresh = () => `cAnArY7x${randomBytes(30).toString('base64url')}`
const isSignedBy = (token: string, secret: string) => {
  const [header, payload, signature] = token.split('.')
  return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature
}

type Values = Readonly<Record<string, unknown>>

interface OwnTokens {
  readonly issuer: string
  readonly audience: string
  readonly secret: { readonly provider: SecretProvider, readonly name: string }
}

/** Own tokens whose secret is looked at each second, and used as soon as it is found. */
const quick = ({ auth, ...rest }: SecureApiOptions, events: AuditEvent[]): SecureApiOptions => {
  const { ownTokens } = auth as { ownTokens: OwnTokens }
  const secret = { ...ownTokens.secret, refresh: '1 second', lead: 0 } as const
  const sink = (event: AuditEvent) => { events.push(event) }
  return { ...rest, environment: 'development', audit: { sink }, auth: { ownTokens: { ...ownTokens, secret } } }
}

/** The application of a page: its first block makes the provider, another uses it. */
async function start (t: Test, page: string, { modules = {}, values = {} }: { modules?: Values, values?: Values }) {
  const clock = createTestClock()
  t.teardown(() => clock.close())
  let log = ''
  const stream = new Writable({ write (chunk, _, done) { log += String(chunk); done() } })
  const events: AuditEvent[] = []
  const app = Fastify({ logger: { level: 'trace', stream } })
  t.teardown(() => app.close())
  const [adapter = '', use = ''] = recipe(page)
  const surroundings = { app, modules, suite: (options: SecureApiOptions) => quick(options, events) }
  const made = await runRecipe(adapter, surroundings)
  await runRecipe(use, { ...surroundings, values: { ...made, ...values } })
  app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject)
  return {
    app,
    clock,
    status: () => (app.secureApi.status()['secrets'] as SecretStatus[]).find(({ option }) => option === 'auth.ownTokens.secret'),
    said: () => log + JSON.stringify([app.secureApi.status(), app.secureApi.routes(), events]),
    /** Signs with this secret, and accepts what it signs and what was signed before. */
    async usesOnly (secret: string) {
      const token = app.jwt.sign({ sub: 'alice' })
      const { statusCode } = await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })
      return isSignedBy(token, secret) && statusCode === 200
    }
  }
}

/** What each vault does alike; how it is made to do it differs. */
interface Vault {
  readonly page: string
  readonly modules?: Values
  readonly values?: Values
  /** The source that the status shows. */
  readonly source: string
  put (value: string): void
  /** What the vault throws or answers, with the secret in its message, and what may be told of it. */
  fail (): string | RegExp
  hang (): void
  heal (): void
  /** Requests that have been neither answered nor aborted. */
  open (): number
  /** Told when the application has closed. */
  closed? (): boolean
}

async function rehearse (t: Test, { page, modules = {}, values = {}, source, ...vault }: Vault) {
  const [first, second, third] = [fresh(), fresh(), fresh()]
  vault.put(first)
  const { app, clock, status, said, usesOnly } = await start(t, page, { modules, values })
  await app.ready()
  const old = app.jwt.sign({ sub: 'old' })
  t.ok(await usesOnly(first))
  t.match(status(), { source, owner: String, state: 'good', version: '1' })

  vault.put(second)
  await clock.advance('2 seconds')
  t.ok(await usesOnly(second), 'a rotation is picked up')
  t.match(status(), { version: '2', state: 'good', overlapUntil: String })
  const headers = { authorization: `Bearer ${old}` }
  t.equal((await app.inject({ url: '/me', headers })).statusCode, 200, 'what was signed before is good')

  const why = vault.fail()
  await clock.advance('2 seconds')
  t.match(status(), { state: 'failing', why })
  t.ok(await usesOnly(second), 'the known value stays in use while the vault is away')

  vault.hang()
  await clock.advance('10 seconds')
  await until(() => status()?.why === 'no answer within 5000 ms' || vault.open() > 0, 'a look')
  await clock.advance('6 seconds')
  await until(() => vault.open() === 0, 'the end of what hangs')
  t.match(status(), { state: 'failing', why: 'no answer within 5000 ms' })
  t.ok(await usesOnly(second), 'nor does a vault that hangs hold anybody up')

  vault.heal()
  vault.put(third)
  await clock.advance('1 minute')
  t.ok(await usesOnly(third))
  t.match(status(), { state: 'good', version: '3' })
  await app.close()
  t.ok(vault.closed?.() ?? true, 'closed with the application')
  t.match(said(), /SECURE_API_SECRET_UNAVAILABLE/)
  t.notMatch(said(), hidden)
}

const serviceAccount = { role: 'orders', jwt: 'cAnArY7x-service-account' }
const kubernetes = { 'auth/kubernetes/login': serviceAccount }
/** The page reads the token of the pod from where Kubernetes puts it. */
const pod = { 'node:fs/promises': { readFile: async () => serviceAccount.jwt } }

async function hashicorp (t: Test) {
  const stub = await startVaultStub(t, kubernetes)
  const before = process.env['VAULT_ADDR']
  process.env['VAULT_ADDR'] = stub.url
  t.teardown(() => { if (before === undefined) delete process.env['VAULT_ADDR']; else process.env['VAULT_ADDR'] = before })
  return stub
}

t.test('docs/recipes/hashicorp-vault.md, against a stub of its API: rotation, failures, a vault that hangs', async t => {
  const stub = await hashicorp(t)
  await rehearse(t, {
    page: 'hashicorp-vault',
    modules: pod,
    source: 'provider vault: orders/signing',
    put: value => stub.put('orders/signing', { value }),
    fail: () => { stub.trouble = 503; return /^the provider failed with VaultError \(503\)$/ },
    hang: () => { stub.trouble = 'hangs' },
    heal: () => { stub.trouble = undefined },
    open: stub.open,
    closed: () => stub.tokens.size === 0 && stub.asked.at(-1) === 'POST auth/token/revoke-self'
  })
})

type Login = () => Promise<Readonly<Record<string, unknown>>>

async function adapter (t: Test, logins: Parameters<typeof startVaultStub>[1], login: Login): Promise<[VaultStub, SecretProvider]> {
  const stub = await startVaultStub(t, logins)
  const surroundings = { app: Fastify(), suite: (options: SecureApiOptions) => options }
  const { hashicorpVault } = await runRecipe(recipe('hashicorp-vault')[0] ?? '', surroundings) as
    { hashicorpVault: (address: string, login: Login) => SecretProvider }
  return [stub, hashicorpVault(stub.url, login)]
}

const look = (provider: SecretProvider, name: string) => provider.read(name, AbortSignal.timeout(2000))

t.test('docs/recipes/hashicorp-vault.md: what a version says, a field by name, and what is not there', async t => {
  const [stub, vault] = await adapter(t, kubernetes, async () => ({ path: 'auth/kubernetes/login', body: serviceAccount }))
  stub.put('client', { id: 'orders', secret: 's1' }, '2027-01-01T00:00:00.123456789Z')
  t.match(await look(vault, 'client#secret'),
    { value: 's1', version: '1', created: /\.\d{9}Z$/, expires: '2027-01-01T00:00:00.123456789Z' })
  t.equal(new Date('2026-03-22T02:24:06.945319214Z').toISOString(), '2026-03-22T02:24:06.945Z', "Vault's nanoseconds are read")
  t.match(await look(vault, 'client'), { value: '' }, 'no such field: the suite takes no empty secret')
  await t.rejects(look(vault, 'nothing'), { name: 'VaultError', status: 404 })
  stub.remove('client')
  await t.rejects(look(vault, 'client#secret'), { name: 'VaultError', status: 404 }, 'a deleted version')
})

t.test('docs/recipes/hashicorp-vault.md: one login for many secrets, renewed at half of its lease, and made again', async t => {
  const [stub, vault] = await adapter(t, { 'auth/approle/login': { role_id: 'r', secret_id: 's' } },
    async () => ({ path: 'auth/approle/login', body: { role_id: 'r', secret_id: 's' } }))
  const asked = () => stub.asked.splice(0).map(line => line.replace(/^\w+ /, '')).filter(path => path.startsWith('auth/'))
  stub.put('a', { value: 'x' })
  await Promise.all([look(vault, 'a'), look(vault, 'a'), look(vault, 'a')])
  t.strictSame(asked(), ['auth/approle/login'])
  await look(vault, 'a')
  t.strictSame(asked(), [], 'as long as half of the lease is left')

  stub.tokens.clear()
  await t.rejects(look(vault, 'a'), { name: 'VaultError', status: 403 }, 'revoked')
  stub.leaseSeconds = 0
  await look(vault, 'a')
  t.strictSame(asked(), ['auth/approle/login'], 'the next look logs in again')
  stub.leaseSeconds = 3600
  await look(vault, 'a')
  t.strictSame(asked(), ['auth/token/renew-self'])
  await look(vault, 'a')
  t.strictSame(asked(), [], 'renewed')

  stub.tokens.clear()
  stub.leaseSeconds = 0
  await t.rejects(look(vault, 'a'), { name: 'VaultError', status: 403 })
  await look(vault, 'a')
  stub.renews = false
  asked()
  await look(vault, 'a')
  t.strictSame(asked(), ['auth/token/renew-self', 'auth/approle/login'], 'what cannot be renewed is made again')
  for (const status of [429, 503]) {
    stub.trouble = status
    await t.rejects(look(vault, 'a'), { name: 'VaultError', status, message: /^Vault refuses$/ })
  }
  stub.trouble = undefined
  await look(vault, 'a')
  await vault.close?.()
  t.equal(asked().at(-1), 'auth/token/revoke-self')
})

t.test("docs/recipes/hashicorp-vault.md: an agent's token is renewed and not revoked", async t => {
  const [stub, vault] = await adapter(t, {}, async () => ({ token: 'of-the-agent' }))
  stub.tokens.add('of-the-agent')
  stub.put('a', { value: 'x' })
  t.match(await look(vault, 'a'), { value: 'x' })
  await look(vault, 'a')
  await look(vault, 'a')
  t.equal(stub.asked.filter(line => line.endsWith('renew-self')).length, 1)
  await vault.close?.()
  t.ok(stub.tokens.has('of-the-agent'))
  stub.tokens.clear()
  await t.rejects(look(vault, 'a'), { name: 'VaultError', status: 403 })
})

t.test('docs/recipes/hashicorp-vault.md: without the secret the application does not start, and says why', async t => {
  const stub = await hashicorp(t)
  stub.put('orders/signing', { value: fresh() })
  stub.trouble = 503
  const error: unknown = await start(t, 'hashicorp-vault', { modules: pod }).catch((error: unknown) => error)
  t.match(error, { message: /SECURE_API_SECRET_UNAVAILABLE auth.ownTokens.secret: .*VaultError \(503\)/ })
  t.notMatch(inspect(error, { depth: 10 }), hidden)
})
