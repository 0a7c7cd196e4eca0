import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import secureApi from '../../plugins/index.ts'

/** What a developer writes first, and the words of the fix that the terminal must then show. */
interface Slip {
  readonly name: string
  /** The options of the suite, as source. */
  readonly options?: string
  /** A statement behind `register`. */
  readonly route?: string
  readonly says: readonly string[]
}

const auth = "auth: { issuer: 'https://login.example.com', audience: 'api://orders', startup: 'lazy' }"
const withAuth = (more: string) => `{ ${auth}, ${more} }`
const routed = (route: string): Pick<Slip, 'options' | 'route'> => ({ options: `{ ${auth} }`, route })

const slips: readonly Slip[] = [
  {
    name: 'issuer and audience at the top',
    options: "{ issuer: 'https://login.example.com', audience: 'api' }",
    says: ['issuer', 'Move it into `auth`']
  },
  { name: 'API keys at the top', options: "{ apiKeys: { prefix: 'shop', file: 'keys.json' } }", says: ['apiKeys', 'Move it into `auth`'] },
  {
    name: 'a domain, as of Auth0',
    options: "{ domain: 'tenant.eu.auth0.com', audience: 'api' }",
    says: ["auth: { issuer: 'https://<domain>/', audience }"]
  },
  { name: 'a secret, as of @fastify/jwt', options: "{ secret: 'shared' }", says: ['auth.ownTokens'] },
  { name: 'a secret in auth', options: "{ auth: { secret: 'shared' } }", says: ['auth.secret', 'ownTokens'] },
  {
    name: 'issuerBaseURL of express-oauth2-jwt-bearer',
    options: "{ auth: { issuerBaseURL: 'https://login.example.com', audience: 'api' } }",
    says: ['Write `issuer`']
  },
  {
    name: 'authority of ASP.NET Core',
    options: "{ auth: { authority: 'https://login.example.com', audience: 'api' } }",
    says: ['Write `issuer`']
  },
  {
    name: 'auth as a text',
    options: "{ auth: 'https://login.example.com' }",
    says: ["auth: { issuer: 'https://login.example.com', audience"]
  },
  {
    name: 'the discovery document as issuer',
    options: "{ auth: { issuer: 'https://login.example.com/.well-known/openid-configuration', audience: 'api' } }",
    says: ["'https://login.example.com'"]
  },
  {
    name: 'an audience that is not set',
    options: "{ auth: { issuer: 'https://login.example.com', audience: process.env['NOBODY_SETS_THIS'] } }",
    says: ['auth.audience', 'environment variable']
  },
  {
    name: 'cors as a list',
    options: withAuth("cors: ['https://app.example.com']"),
    says: ["cors: { origins: ['https://app.example.com'] }"]
  },
  { name: 'cors: true', options: withAuth('cors: true'), says: ['cors: { origins: [...] }'] },
  { name: 'audit: true', options: withAuth('audit: true'), says: ['unless it is `false`'] },
  {
    name: 'origin, as of @fastify/cors',
    options: withAuth("cors: { origin: 'https://app.example.com' }"),
    says: ['Write `origins: [...]`']
  },
  {
    name: 'allowedHeaders',
    options: withAuth("cors: { origins: ['https://app.example.com'], allowedHeaders: ['x-a'] }"),
    says: ['Write `requestHeaders`']
  },
  {
    name: 'exposedHeaders',
    options: withAuth("cors: { origins: ['https://app.example.com'], exposedHeaders: ['x-a'] }"),
    says: ['Write `responseHeaders`']
  },
  {
    name: 'an origin with a slash',
    options: withAuth("cors: { origins: ['https://app.example.com/'] }"),
    says: ['https://app.example.com']
  },
  { name: 'any origin', options: withAuth("cors: { origins: ['*'] }"), says: ['dangerouslyAllowAnyOrigin'] },
  { name: 'audit as a function', options: withAuth('audit: event => {}'), says: ['audit: { sink'] },
  {
    name: 'max and timeWindow, as of @fastify/rate-limit',
    options: withAuth("rateLimit: { max: 100, timeWindow: '1 minute' }"),
    says: ['rateLimit.max', 'policies: { read: { limit, window } }']
  },
  {
    name: 'rateLimit as a number',
    options: withAuth('rateLimit: 100'),
    says: ["{ policies: { read: { limit: 100, window: '1 minute' } } }"]
  },
  {
    name: 'max in a policy',
    options: withAuth("rateLimit: { policies: { read: { max: 10, window: '1 minute' } } }"),
    says: ['Write `limit`']
  },
  {
    name: 'a limit by address at the top',
    options: withAuth("perAddress: { limit: 10, window: '1 minute' }"),
    says: ['Move it into `rateLimit`']
  },
  { name: 'helmet, by its name', options: withAuth('helmet: false'), says: ['headers: { ... }'] },
  { name: 'frameguard, as of helmet', options: withAuth("headers: { frameguard: { action: 'deny' } }"), says: ['Write `frameOptions`'] },
  { name: 'a misspelt section', options: withAuth('heders: {}'), says: ['Did you mean `headers`?'] },
  { name: 'environment in short', options: withAuth("environment: 'prod'"), says: ["Did you mean 'production'?"] },
  {
    name: 'a scope beside config',
    ...routed("app.get('/a', { scope: 'x' }, async () => '')"),
    says: ['route GET /a: scope', 'Move it into `config`']
  },
  { name: 'public beside config', ...routed("app.get('/a', { public: true }, async () => '')"), says: ['Move it into `config`'] },
  { name: 'scopes', ...routed("app.get('/a', { config: { scopes: ['x'] } }, async () => '')"), says: ['Did you mean `scope`?'] },
  {
    name: 'a bare list of scopes',
    ...routed("app.get('/a', { config: { scope: ['x', 'y'] } }, async () => '')"),
    says: ['{ all: ["x","y"] }']
  },
  { name: 'a role and public', ...routed("app.get('/a', { config: { public: true, role: 'admin' } }, async () => '')"), says: ['public'] },
  {
    name: 'max at a route',
    ...routed("app.get('/a', { config: { public: true, rateLimit: { max: 1, timeWindow: '1 minute' } } }, async () => '')"),
    says: ['Write `limit`', 'Write `window`']
  },
  {
    name: 'a limit without a policy of this name',
    ...routed("app.get('/a', { config: { public: true, rateLimit: 'reads' } }, async () => '')"),
    says: ['read']
  },
  { name: 'helmet at a route', ...routed("app.get('/a', { config: { public: true, helmet: false } }, async () => '')"), says: ['headers'] },
  { name: 'a policy that nobody defines', ...routed("app.get('/a', { config: { policy: 'owner' } }, async () => '')"), says: ['owner'] },
  {
    name: 'registered twice',
    options: `{ ${auth} }`,
    route: `await app.register(secureApi, { ${auth} })`,
    says: ['already registered', 'Register it once']
  },
  { name: 'nothing at all', options: '', says: ['SECURE_API_ISSUER', 'SECURE_API_AUDIENCE'] }
]

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, '.build/slips')
mkdirSync(folder, { recursive: true })
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

function program ({ options = '', route = '' }: Slip): string {
  return `export default async function start (Fastify, secureApi) {
  const app = Fastify()
  await app.register(secureApi${options === '' ? '' : `, ${options}`})
  ${route}
  await app.ready()
}
`
}

function written (slip: Slip, index: number): string {
  const file = join(folder, `${index}.mjs`)
  writeFileSync(file, program(slip))
  return file
}

/** What Node prints of the error that ends the process. */
async function told (slip: Slip, index: number): Promise<string> {
  const { default: start } = await import(pathToFileURL(written(slip, index)).href) as
    { default: (make: typeof Fastify, plugin: typeof secureApi) => Promise<void> }
  return await start(Fastify, secureApi).then(() => 'it started', (error: unknown) => inspect(error))
}

/** All that a terminal shows of a process of its own. */
async function shown (slip: Slip, index: number): Promise<{ code: number, text: string }> {
  const main = join(folder, `main-${index}.mjs`)
  writeFileSync(main, `import Fastify from 'fastify'
import secureApi from '${new URL('../../plugins/index.ts', import.meta.url).href}'
import start from '${pathToFileURL(written(slip, index)).href}'
await start(Fastify, secureApi)
`)
  return await new Promise(resolve => {
    execFile(process.execPath, ['--import', './scripts/test-loader.mjs', main], { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } },
      (error, stdout, stderr) => { resolve({ code: Number(error?.code ?? 0), text: `${stdout}${stderr}`.trimEnd() }) })
  })
}

t.before(() => {
  for (const name of ['SECURE_API_ISSUER', 'SECURE_API_AUDIENCE']) Reflect.deleteProperty(process.env, name)
  process.env['NODE_ENV'] = 'development'
})

t.test('17.3: each of the slips stops the boot, in at most twelve lines with the fix in them', async t => {
  t.ok(slips.length >= 30, `${slips.length} slips`)
  for (const [index, slip] of slips.entries()) {
    const text = await told(slip, index)
    for (const words of slip.says) t.ok(text.includes(words), `${slip.name}: says ${words}`, { text })
    t.match(text, /node_modules\/fastify-secure-api\/docs\/errors\.md#secure_api_\w+/, `${slip.name}: leads to the page of its code`)
    t.ok(text.split('\n').length <= 12, `${slip.name}: ${text.split('\n').length} lines`)
    t.notMatch(text, /\n\s+at /, `${slip.name}: no frames`)
    t.equal(new Set(text.split('\n')).size, text.split('\n').length, `${slip.name}: each mistake once`)
  }
})

t.test('17.3: a process that ends by it shows that and no more: with the lines of Node twelve at most', async t => {
  const most = Math.max(...await Promise.all(slips.map(async (slip, index) => (await told(slip, index)).split('\n').length)))
  for (const index of [0, slips.findIndex(({ route }) => route !== undefined)]) {
    const slip = slips[index]
    if (slip === undefined) throw new Error('there is no such slip')
    const { code, text } = await shown(slip, index)
    t.equal(code, 1)
    t.ok(text.includes(await told(slip, index)), slip.name, { text })
    const ofNode = text.split('\n').length - (await told(slip, index)).split('\n').length
    t.ok(ofNode + most <= 12, `${ofNode} lines of Node, and ${most} of ours`)
  }
})

t.test('17.4: eight mistakes fit a screen, each told once', async t => {
  const options = `{ auth: { isuer: 'x', audience: 3 }, cors: { origin: 'https://a' }, rateLimit: { max: 3 }, audit: { snk: 1 }, heders: {},
    environment: 'prod' }`
  const { code, text } = await shown({ name: 'many', options, says: [] }, slips.length)
  t.equal(code, 1)
  t.ok(text.split('\n').length <= 18, text)
  t.equal(text.split('unknown option `heders`').length, 2)
})
