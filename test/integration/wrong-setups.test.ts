import { generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyContextConfig } from 'fastify'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import type { AuthenticationOptions, AuditEvent, SecureApiOptions } from '../../plugins/index.ts'
import secureApi from '../../plugins/index.ts'
import type { TestIssuer } from '../../testing/index.ts'
import { fakeTerminal } from '../cli/terminal.ts'
import { startRedis } from '../helpers/redis.ts'
import { codeOf, startFastify, startIssuer, until } from '../helpers/server.ts'

/** One wrong set-up: what is changed from a right one, and what must be told of it, each as words that stand there. */
interface Wrong {
  readonly name: string
  readonly auth?: Partial<AuthenticationOptions>
  readonly suite?: SecureApiOptions
  readonly config?: FastifyContextConfig
  readonly server?: { trustProxy?: boolean | number | string[] }
  readonly claims?: Record<string, unknown>
  readonly sign?: Parameters<TestIssuer['sign']>[1]
  readonly prepare?: (issuer: TestIssuer) => void
  /** The boot fails with this code, and the message holds the fix. */
  readonly boot?: readonly [code: string, fix: string]
  /** Else: status and code of the answer, which the audit event repeats. */
  readonly answer?: readonly [status: number, code: string]
  readonly log?: string
  readonly audit?: object
  /** Arguments of `secure-api doctor`, and what it says. */
  readonly doctor?: readonly [args: readonly string[], says: string]
}

const issuer = await startIssuer(t)
const down = 'redis://127.0.0.1:1'
const now = Math.floor(Date.now() / 1000)
const locked = await startRedis('--requirepass', 'right')
const limited = await startRedis('--user', 'default', 'on', 'nopass', 'resetkeys', '~orders:*', '+@all')
const node = await startRedis('--cluster-enabled', 'yes')
t.teardown(async () => { for (const server of [locked, limited, node]) await server.close() })
const withRedis = (redis: string): SecureApiOptions => ({ rateLimit: { redis } })
const token = (...more: string[]) => ['token', '--issuer', issuer.issuer, '--audience', 'api://test', ...more]
const refused = (code: string, says: string, more: readonly string[] = []): Pick<Wrong, 'answer' | 'audit' | 'doctor'> =>
  ({
    answer: [401, `SECURE_API_TOKEN_${code}`],
    audit: { event: 'authn_fail', reason: `SECURE_API_TOKEN_${code}` },
    doctor: [token(...more), says]
  })
const noKeys = (says: string, log: string): Pick<Wrong, 'answer' | 'audit' | 'log' | 'doctor'> =>
  ({ answer: [503, 'SECURE_API_KEYS_UNAVAILABLE'], audit: { event: 'api_error' }, log, doctor: [['issuer'], says] })

const wrong: readonly Wrong[] = [
  // issuer
  {
    name: 'issuer: no URL',
    auth: { issuer: 'login.example.com', jwksUri: 'http://keys.example.com/jwks' },
    boot: ['SECURE_API_URL_INSECURE', 'Use https.']
  },
  {
    name: 'issuer: a preset that does not fit',
    auth: { issuer: 'https://tenant.eu.auth0.com', preset: 'auth0' },
    boot: ['SECURE_API_ISSUER_FORM', 'slash']
  },
  {
    name: 'issuer: the common endpoint of Entra',
    auth: { issuer: 'https://login.microsoftonline.com/common/v2.0', preset: 'entra' },
    boot: ['SECURE_API_ISSUER_FORM', 'tenant']
  },
  {
    name: 'issuer: a template without tenants',
    auth: { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', preset: 'entra' },
    boot: ['SECURE_API_ISSUER_TENANTS', 'tenants']
  },
  {
    name: 'issuer: unknown placeholder',
    auth: { issuer: 'https://login.example.com/{tenant}' },
    boot: ['SECURE_API_ISSUER_TEMPLATE', '{tenantid}']
  },
  { name: 'issuer: a misspelt option', auth: { isuer: 'x' } as object, boot: ['SECURE_API_OPTION_UNKNOWN', 'issuer'] },
  {
    name: 'issuer: the metadata names another one',
    prepare: one => one.metadata({ issuer: 'https://other.example' }),
    ...noKeys('the metadata names https://other.example', 'names the issuer https://other.example')
  },
  { name: 'issuer: a redirect to a login page', prepare: one => one.fail('redirect'), ...noKeys('no metadata at', 'a redirect to') },
  { name: 'issuer: the address answers 404', prepare: one => one.fail({ status: 404 }), ...noKeys('no metadata at', 'answered 404') },
  { name: 'issuer: the metadata is a page', prepare: one => one.fail('html'), ...noKeys('no metadata at', 'is no JSON object') },
  { name: 'issuer: nobody answers', prepare: one => one.down(), ...noKeys('no metadata at', 'could not be asked') },
  {
    name: 'issuer: keys over http',
    prepare: one => one.metadata({ jwks_uri: 'http://keys.example.com/jwks' }),
    ...noKeys('jwks_uri is http://keys.example.com/jwks', 'no https address')
  },
  {
    name: 'issuer: metadata without jwks_uri',
    prepare: one => one.metadata({ jwks_uri: undefined }),
    ...noKeys('jwks_uri is absent', 'has no jwks_uri')
  },
  { name: 'issuer: another one signs', claims: { iss: 'https://other.example' }, ...refused('ISSUER', 'Configure `issuer` exactly') },
  // audience
  { name: 'audience: the token is for another API', claims: { aud: 'api://other' }, ...refused('AUDIENCE', 'accepted: api://test') },
  { name: 'audience: none in the token', claims: { aud: undefined }, ...refused('AUDIENCE_MISSING', 'it has no aud') },
  { name: 'audience: a slash too many', claims: { aud: 'api://test/' }, ...refused('AUDIENCE', 'or correct `audience`') },
  { name: 'audience: empty', auth: { audience: '' }, boot: ['SECURE_API_OPTION_EMPTY', 'Give a value'] },
  { name: 'audience: left out', auth: { audience: undefined } as object, boot: ['SECURE_API_OPTION_MISSING', '`audience`'] },
  // tokens and clock
  {
    name: 'token: an ID token',
    claims: { at_hash: 'x' },
    sign: { typ: 'JWT' },
    ...refused('TYPE', 'Send the access token, not the ID token')
  },
  {
    name: 'token: profile at+jwt, and the issuer writes JWT',
    auth: { profile: 'at+jwt' },
    sign: { typ: 'JWT' },
    ...refused('TYPE', 'the type must be at+jwt', ['--profile', 'at+jwt'])
  },
  { name: 'token: bound to a key', claims: { cnf: { jkt: 'x' } }, ...refused('BOUND', 'Ask for a plain bearer token') },
  { name: 'token: a claim of the wrong type', claims: { jti: 7 }, ...refused('CLAIMS', 'jti is 7') },
  { name: 'clock: this machine is behind', claims: { iat: now + 600 }, ...refused('NOT_YET_VALID', 'Set the clocks by NTP') },
  { name: 'clock: this machine is ahead', claims: { exp: now - 600 }, ...refused('EXPIRED', 'Get a new token') },
  { name: 'clock: milliseconds', claims: { exp: Date.now() }, ...refused('CLAIMS', 'exp is') },
  {
    name: 'clock: maxTokenAge is short',
    auth: { maxTokenAge: '1 minute' },
    claims: { iat: now - 600 },
    answer: [401, 'SECURE_API_TOKEN_TOO_OLD'],
    audit: { reason: 'SECURE_API_TOKEN_TOO_OLD' }
  },
  // keys
  {
    name: 'keys: an empty set',
    prepare: one => one.fail('empty-set', 'jwks'),
    ...noKeys('no key that can verify tokens', 'has no key that may be used')
  },
  { name: 'keys: the set answers 403', prepare: one => one.fail({ status: 403 }, 'jwks'), ...noKeys('403', 'answered 403') },
  {
    name: 'keys: removed',
    sign: { header: { kid: 'gone' } },
    ...refused('KEY', '`secure-api doctor issuer` lists the keys', ['--fetch-keys'])
  },
  {
    name: 'keys: an algorithm that is not accepted',
    auth: { algorithms: ['ES256'] },
    ...refused('ALGORITHM', 'Have the issuer sign with one of those', ['--algorithms', 'ES256']),
    log: 'has no key that may be used'
  },
  {
    name: 'keys: a private key in the configuration',
    auth: { jwks: { keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })] } },
    boot: ['SECURE_API_JWKS_KEY', 'Give the public half only']
  },
  {
    name: 'keys: required, and away',
    prepare: one => one.down(),
    auth: { startup: 'required' },
    boot: ['SECURE_API_KEYS_REQUIRED', 'secure-api doctor issuer']
  },
  // roles and scopes
  {
    name: 'roles: missing',
    config: { role: 'admin' },
    claims: { roles: ['clerk'] },
    answer: [403, 'SECURE_API_FORBIDDEN'],
    audit: { event: 'authz_fail', denial: { required: { role: 'admin' }, present: { roles: ['clerk'] } } },
    log: 'the caller lacks a required scope, role or policy'
  },
  {
    name: 'roles: in another claim',
    config: { role: 'admin' },
    claims: { groups: ['admin'] },
    answer: [403, 'SECURE_API_FORBIDDEN'],
    audit: { denial: { present: { roles: [] } } },
    doctor: [token('--role-claims', 'groups', '--fetch-keys'), 'roles: admin']
  },
  {
    name: 'scopes: missing',
    config: { scope: 'api.write' },
    claims: { scope: 'api.read' },
    answer: [403, 'SECURE_API_FORBIDDEN'],
    audit: { denial: { required: { scope: 'api.write' }, present: { scopes: ['api.read'] } } },
    doctor: [token('--fetch-keys'), 'scopes: api.read']
  },
  {
    name: 'scopes: a bare array',
    config: { scope: ['a', 'b'] } as unknown as FastifyContextConfig,
    boot: ['SECURE_API_ROUTE_SCOPE_BARE_ARRAY', '{ all: ["a","b"] }']
  },
  {
    name: 'rule: none stated',
    config: {},
    answer: [403, 'SECURE_API_FORBIDDEN'],
    audit: { denial: { required: 'none' } },
    log: 'these routes state no rule'
  },
  {
    name: 'rule: a policy that is not configured',
    config: { policy: 'owner' },
    boot: ['SECURE_API_ROUTE_POLICY_UNKNOWN', 'authorization.policies']
  },
  {
    name: 'rule: public beside it',
    config: { public: true, scope: 'a' },
    boot: ['SECURE_API_ROUTE_PUBLIC_WITH_RULE', 'Remove one of them.']
  },
  // proxy
  { name: 'proxy: a number of hops', server: { trustProxy: 1 }, boot: ['SECURE_API_SERVER_TRUST_PROXY', "trustProxy: ['10.0.0.0/8']"] },
  { name: 'proxy: everybody is trusted', server: { trustProxy: true }, answer: [200, ''], log: 'name the proxies by address or network' },
  // Redis
  {
    name: 'redis: refused',
    suite: withRedis(down),
    answer: [200, ''],
    log: 'no connection; check host, port and firewall (ECONNREFUSED)',
    doctor: [['redis', down], 'ECONNREFUSED']
  },
  {
    name: 'redis: a wrong password',
    suite: withRedis(`redis://:wrong@127.0.0.1:${locked.port}`),
    answer: [200, ''],
    log: '(WRONGPASS)',
    doctor: [['redis', `redis://:wrong@127.0.0.1:${locked.port}`], 'WRONGPASS']
  },
  {
    name: 'redis: no password',
    suite: withRedis(locked.url),
    answer: [200, ''],
    log: '(NOAUTH)',
    doctor: [['redis', locked.url], 'NOAUTH']
  },
  {
    name: 'redis: no right to the keys',
    suite: withRedis(limited.url),
    answer: [200, ''],
    log: '(NOPERM)',
    doctor: [['redis', limited.url], '--key-prefix']
  },
  {
    name: 'redis: one node of a cluster',
    suite: withRedis(node.url),
    answer: [200, ''],
    log: '`secure-api doctor redis` shows more',
    doctor: [['redis', node.url], 'Cluster']
  },
  {
    name: 'redis: no address of one',
    suite: withRedis('https://redis.example.com'),
    boot: ['SECURE_API_OPTION_VALUE', 'redis://host:6379']
  }
]

async function start (t: Test, { auth, suite, config = { authenticated: true }, server, prepare }: Wrong) {
  const one = prepare === undefined ? issuer : await startIssuer(t)
  prepare?.(one)
  const lines: string[] = []
  const events: AuditEvent[] = []
  const app = startFastify(t, {
    ...server as { trustProxy?: string[] },
    logger: { level: 'debug', stream: { write: (line: string) => { lines.push(line) } } }
  })
  const given = Object.fromEntries(Object.entries({
    issuer: one.issuer,
    audience: 'api://test',
    keys: { timeout: 3000 },
    ...auth
  }).filter(([, value]) => value !== undefined))
  await app.register(secureApi, {
    auth: given,
    audit: { sink: event => { events.push(event) } },
    environment: 'development',
    ...suite
  } as SecureApiOptions)
  app.get('/', { config }, async () => '')
  await app.ready()
  return { app, one, lines, events }
}

t.test('15 C: wrong set-ups: log, audit, status, answer and doctor say what is wrong, and the fix stands in it', async t => {
  t.ok(wrong.length >= 40, `${wrong.length} of them`)
  for (const setup of wrong) {
    await t.test(setup.name, async t => {
      if (setup.boot !== undefined) {
        const [code, fix] = setup.boot
        const error: { errors: Array<{ code: string, message: string }> } = await start(t, setup).then(() => t.fail('it starts') as never,
          error => error)
        t.ok(error.errors?.some(one => one.code === code && one.message.includes(fix)), `${code}: ${fix}`, { error })
        return
      }
      const { app, one, lines, events } = await start(t, setup)
      const input = one.sign(setup.claims, setup.sign)
      const ask = () => app.inject({ url: '/', headers: { authorization: `Bearer ${input}` } })
      const response = await ask()
      t.strictSame([response.statusCode, codeOf(response) ?? ''], setup.answer)
      if (setup.audit !== undefined) t.match(events.at(-1), { status: response.statusCode, ...setup.audit })
      if (setup.log !== undefined) {
        const says = () => lines.some(line => String(JSON.parse(line).msg).includes(setup.log ?? ''))
        // On a busy machine the start does not wait long enough for a Redis to say what is wrong; the requests behind it learn that.
        await until(async () => says() || (await ask(), says()), setup.log).catch(() => {})
        t.ok(says(), `the log says: ${setup.log}`, { lines })
      }
      if (setup.doctor === undefined) return
      const [args, says] = setup.doctor
      const { terminal, stdout } = fakeTerminal({ stdin: Readable.from([input]) })
      await secureApiCommand(['doctor', ...args, ...(args.length === 1 ? [one.issuer] : []), '--json'], terminal)
      t.ok(JSON.stringify(JSON.parse(stdout())).includes(says), `doctor says: ${says}`, { said: stdout() })
    })
  }
})
