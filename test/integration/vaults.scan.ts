import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { Problems, Type } from '../../lib/config/index.ts'
import { Secrets, SecretSourceSchema } from '../../lib/secrets/index.ts'
import type { AuditEvent, SecretProvider, SecretStatus, SecureApiOptions } from '../../plugins/index.ts'
import { recipe, runRecipe } from '../helpers/recipes.ts'
import { until } from '../helpers/server.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { startVaultStub, type VaultStub } from '../helpers/vault-stub.ts'

// The code of the pages, as it stands there, in a real suite.
//
// HashiCorp Vault: against a stub of its HTTP API that was written from its documentation. No real server was there.
//
// Azure, AWS, Google: with stand-ins for the clients of the SDKs, which have the same methods (test/fixtures/vault-sdks.d.ts); the SDKs are
// too large to be installed for that. Once, by hand, the same rehearsal was run with the real SDKs (@azure/keyvault-secrets 4.11.2 and
// @azure/identity 4.13.1, @aws-sdk/client-secrets-manager 3.1164.0, @google-cloud/secret-manager 6.3.0, Node 20.20) against local servers.

const hidden = /canary7x/i
const fresh = () => `cAnArY7x${randomBytes(30).toString('base64url')}`
const isSignedBy = (token: string, secret: string) => {
  const [header, payload, signature] = token.split('.')
  return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature
}

type Values = Readonly<Record<string, unknown>>

interface Place {
  readonly provider: SecretProvider
  readonly name: string
}

interface OwnTokens {
  readonly issuer: string
  readonly audience: string
  readonly secret: Place
}

/** Own tokens whose secret is looked at each second, and used as soon as it is found. */
const quick = ({ auth, ...rest }: SecureApiOptions, events: AuditEvent[], places: Place[]): SecureApiOptions => {
  const { ownTokens } = auth as { ownTokens: OwnTokens }
  places.push(ownTokens.secret)
  const secret = { ...ownTokens.secret, refresh: '1 second', lead: 0 } as const
  const sink = (event: AuditEvent) => { events.push(event) }
  return { ...rest, environment: 'development', audit: { sink }, auth: { ownTokens: { ...ownTokens, secret } } }
}

/** The application of a page: where it has two blocks, the first makes the provider. */
async function start (t: Test, page: string, { modules = {}, values = {} }: { modules?: Values, values?: Values }) {
  const clock = createManualClock()
  t.teardown(() => clock.close())
  let log = ''
  const stream = new Writable({ write (chunk, _, done) { log += String(chunk); done() } })
  const events: AuditEvent[] = []
  const places: Place[] = []
  const app = Fastify({ logger: { level: 'trace', stream } })
  t.teardown(() => app.close())
  const blocks = recipe(page)
  const [adapter, use = ''] = blocks.length > 1 ? blocks : [undefined, ...blocks]
  const surroundings = { app, modules, suite: (options: SecureApiOptions) => quick(options, events, places) }
  const made = adapter === undefined ? {} : await runRecipe(adapter, surroundings)
  await runRecipe(use, { ...surroundings, values: { ...made, ...values } })
  app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject)
  return {
    app,
    clock,
    places,
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
  /** What is told when it hangs, where its client has a time-out of its own. */
  readonly late?: string
  heal (): void
  /** Requests that have been neither answered nor aborted. */
  open (): number
  /** Told when the application has closed. */
  closed? (): boolean
}

/** A keeper of secrets whose time the test moves: its 5 seconds are over once the vault has been asked, not while a slow machine asks. */
async function endsWhatHangs (t: Test, { provider, name }: Place, { hang, open, late }: Pick<Vault, 'hang' | 'open' | 'late'>) {
  const deadlines = new Set<() => unknown>()
  const schedule = (run: () => unknown, ms: number) => {
    if (ms === 5000) deadlines.add(run)
    return () => { deadlines.delete(run) }
  }
  const secrets = new Secrets({ tell: () => {}, warn: () => {}, schedule })
  const schema = Type.Object({ secret: SecretSourceSchema })
  const problems = new Problems()
  await secrets.read(schema, { secret: { provider, name, refresh: '1 second' } }, '', problems, 'development')
  problems.throwIfAny()
  const [kept] = secrets.list
  hang()
  const look = kept?.look()
  if (late === undefined) {
    await until(() => open() > 0, 'a look')
    t.equal(deadlines.size, 1)
    for (const expire of deadlines) expire()
  }
  await look
  t.equal(kept?.why, late ?? 'no answer within 5000 ms')
  await until(() => open() === 0, 'the end of the look')
  kept?.close()
}

async function rehearse (t: Test, { page, modules = {}, values = {}, source, ...vault }: Vault) {
  const [first, second, third] = [fresh(), fresh(), fresh()]
  vault.put(first)
  const { app, clock, places, status, said, usesOnly } = await start(t, page, { modules, values })
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

  vault.heal()
  vault.put(third)
  await clock.advance('1 minute')
  t.ok(await usesOnly(third))
  t.match(status(), { state: 'good', version: '3' })
  for (const place of places) await endsWhatHangs(t, place, vault)
  t.ok(await usesOnly(third), 'nor does a vault that hangs hold anybody up')
  vault.heal()
  await app.close()
  await until(() => vault.open() === 0, 'the end of what hangs')
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

const look = (provider: SecretProvider, name: string) => provider.read(name, new AbortController().signal)

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

/** What stands for a service behind the client of its SDK. */
interface Service {
  value: string
  version: number
  trouble: Error | 'hangs' | undefined
  open: number
  closed: boolean
  /** The last request, as the SDK gets it. */
  asked: unknown
  options: unknown
}

const service = (): Service => ({ value: '', version: 0, trouble: undefined, open: 0, closed: false, asked: undefined, options: undefined })

/** As the SDKs do: rejects with the trouble, or waits until the signal or the time-out of the call ends it. */
async function respond (to: Service, request: unknown, options: { abortSignal?: AbortSignal, timeout?: number }): Promise<void> {
  to.asked = request
  to.options = options
  if (to.trouble === undefined) return
  if (to.trouble !== 'hangs') throw to.trouble
  to.open++
  const { abortSignal, timeout } = options
  if (timeout === undefined) await new Promise<void>(resolve => { abortSignal?.addEventListener('abort', () => { resolve() }) })
  else await wait(timeout / 100)
  to.open--
  throw Object.assign(new Error('4 DEADLINE_EXCEEDED'), { code: 4 })
}

const behind = (to: Service, source: string, error: (text: string) => Error, why: string | RegExp) => ({
  source,
  put: (value: string) => { Object.assign(to, { value, version: to.version + 1 }) },
  fail: () => { to.trouble = error(to.value); return why },
  hang: () => { to.trouble = 'hangs' },
  heal: () => { to.trouble = undefined },
  open: () => to.open
})

t.test('docs/recipes/azure-key-vault.md, with a stand-in for the client: rotation, failures, a vault that hangs', async t => {
  const vault = service()
  const made: unknown[] = []
  class DefaultAzureCredential {}
  class SecretClient {
    constructor (...options: unknown[]) { made.push(...options) }

    async getSecret (name: string, options: { abortSignal: AbortSignal }) {
      await respond(vault, name, options)
      const day = 86_400_000
      const properties = { version: String(vault.version), createdOn: new Date(), expiresOn: new Date(Date.now() + 300 * day) }
      return { value: vault.value, properties }
    }
  }
  await rehearse(t, {
    page: 'azure-key-vault',
    modules: { '@azure/identity': { DefaultAzureCredential }, '@azure/keyvault-secrets': { SecretClient } },
    ...behind(vault, 'provider azure: orders-signing',
      text => Object.assign(new Error(text), { name: 'RestError', code: 'Forbidden', statusCode: 403 }),
      /^the provider failed with RestError \(Forbidden, 403\)$/)
  })
  t.match(made, ['https://orders-prod.vault.azure.net', DefaultAzureCredential])
  t.equal(vault.asked, 'orders-signing')
})

/** The client of AWS. */
const awsModules = (to: Service, text = () => to.value) => {
  class GetSecretValueCommand {
    readonly input: unknown
    constructor (input: unknown) { this.input = input }
  }
  class SecretsManagerClient {
    async send ({ input }: GetSecretValueCommand, options: { abortSignal: AbortSignal }) {
      await respond(to, input, options)
      return { SecretString: text(), VersionId: String(to.version), CreatedDate: new Date() }
    }

    destroy () { to.closed = true }
  }
  return { '@aws-sdk/client-secrets-manager': { GetSecretValueCommand, SecretsManagerClient } }
}

t.test('docs/recipes/aws-secrets-manager.md, with a stand-in for the client: rotation, failures, a vault that hangs', async t => {
  const vault = service()
  await rehearse(t, {
    page: 'aws-secrets-manager',
    modules: awsModules(vault),
    closed: () => vault.closed,
    ...behind(vault, 'provider aws: orders/signing', text => Object.assign(new Error(text), { name: 'AccessDeniedException' }),
      /^the provider failed with AccessDeniedException$/)
  })
  t.strictSame(vault.asked, { SecretId: 'orders/signing' })
})

t.test('docs/recipes/aws-secrets-manager.md: a field of a secret that holds JSON, and a text that is none', async t => {
  const vault = service()
  let text = JSON.stringify({ username: 'orders', password: 'p1' })
  const modules = awsModules(vault, () => text)
  const surroundings = { app: Fastify(), suite: (options: SecureApiOptions) => options, modules }
  const { awsSecretsManager } = await runRecipe(recipe('aws-secrets-manager')[0] ?? '', surroundings) as
    { awsSecretsManager: (region: string) => SecretProvider }
  const provider = awsSecretsManager('eu-central-1')
  t.match(await look(provider, 'orders/redis#password'), { value: 'p1', version: '0', created: Date })
  t.strictSame(vault.asked, { SecretId: 'orders/redis' })
  t.match(await look(provider, 'orders/redis#other'), { value: '' })
  text = 'cAnArY7x'
  await t.rejects(look(provider, 'orders/redis#password'), { name: 'SyntaxError' })

  t.comment('the message of a SyntaxError quotes the text: the suite tells its name only')
  const one: SecretProvider = { name: 'aws', read: (_, signal) => provider.read('orders/redis#x', signal) }
  const values = { awsSecretsManager: () => one }
  const error: unknown = await start(t, 'aws-secrets-manager', { modules, values }).catch((error: unknown) => error)
  t.match(error, { message: /SECURE_API_SECRET_UNAVAILABLE .*the provider failed with SyntaxError\./ })
  t.notMatch(inspect(error, { depth: 10 }), hidden)
})

t.test('docs/recipes/gcp-secret-manager.md, with a stand-in for the client: rotation, failures, a vault that hangs', async t => {
  const vault = service()
  const dated: string[] = []
  const bounds = new Set<object>()
  class SecretManagerServiceClient {
    async accessSecretVersion (request: { name: string }, options: { timeout: number, retry: null }) {
      bounds.add(options)
      await respond(vault, request, options)
      const name = `projects/123/secrets/orders-signing/versions/${vault.version}`
      return [{ name, payload: { data: Buffer.from(vault.value) } }, undefined, undefined]
    }

    async getSecretVersion ({ name }: { name: string }) {
      dated.push(name)
      return [{ createTime: { seconds: String(Math.floor(Date.now() / 1000)), nanos: 5 } }, undefined, undefined]
    }

    async close () { vault.closed = true }
  }
  await rehearse(t, {
    page: 'gcp-secret-manager',
    late: 'the provider failed with Error (4)',
    modules: { '@google-cloud/secret-manager': { SecretManagerServiceClient } },
    closed: () => vault.closed,
    ...behind(vault, 'provider gcp: orders-signing', text => Object.assign(new Error(`7 PERMISSION_DENIED: ${text}`), { code: 7 }),
      /^the provider failed with Error \(7\)$/)
  })
  t.strictSame(vault.asked, { name: 'projects/orders-prod/secrets/orders-signing/versions/latest' })
  t.strictSame(vault.options, { timeout: 2000, retry: null }, 'the client would go on trying')
  t.ok(bounds.size > 2, 'the client writes into the options of a call: none is used twice')
  t.strictSame(dated, [1, 2, 3].map(version => `projects/123/secrets/orders-signing/versions/${version}`), 'asked once a version')
})

t.test('docs/recipes/secret-files.md: a file that is replaced as Kubernetes does', async t => {
  const [first, second] = [fresh(), fresh()]
  const folder = t.testdir({})
  // A folder for each state, and a link that is replaced: so all files change at once.
  const put = (state: string, value: string) => {
    mkdirSync(join(folder, state))
    writeFileSync(join(folder, state, 'signing'), value, { mode: 0o400 })
    symlinkSync(state, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  put('..1', first)
  symlinkSync('..data/signing', join(folder, 'signing'))
  const before = process.env['CREDENTIALS_DIRECTORY']
  process.env['CREDENTIALS_DIRECTORY'] = folder
  t.teardown(() => {
    if (before === undefined) delete process.env['CREDENTIALS_DIRECTORY']
    else process.env['CREDENTIALS_DIRECTORY'] = before
  })
  const { app, clock, status, said, usesOnly } = await start(t, 'secret-files', {})
  await app.ready()
  t.ok(await usesOnly(first))
  t.match(status(), { source: `file ${folder}/signing`, owner: 'team-orders@example.com', state: 'good', ageDays: 0 })
  put('..2', second)
  await clock.advance('2 seconds')
  t.ok(await usesOnly(second))
  t.match(status(), { state: 'good', overlapUntil: String })
  t.notMatch(said(), hidden)
})
