import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { applicationFolder, init, started } from '../init-applications.ts'

const privateKey = String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
Object.assign(process.env, { SECURE_API_AUDIENCE: 'api://orders', SECURE_API_PRIVATE_KEY: privateKey })

const jwt = "jwt, { secret: 'a shared secret', sign: { iss: 'https://api.example.com', aud: 'api://orders', expiresIn: '10m' } }"

/** An application with a login, and with what is to be tried between its plugins and its end. */
function application (body: string, imports = ''): string {
  return `import jwt from '@fastify/jwt'
${imports}
export default async function app (fastify, options) {
${body}
  fastify.post('/login', async request => ({ token: fastify.jwt.sign(request.body) }))
}
`
}

async function after (t: Test, text: string) {
  const folder = applicationFolder(t, { 'app.js': text })
  const { code, stderr } = await init(folder, 'app.js', '--write')
  return { folder, code, told: stderr.replace(/\s+/g, ' '), text: readFileSync(join(folder, 'app.js'), 'utf8') }
}

t.test('regression: a hook that checks the token and then the tenant goes on refusing', async t => {
  const { folder, told, text } = await after(t, application(`  await fastify.register(${jwt})
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.open) return
    await request.jwtVerify()
    const { tenant } = request.user
    if (tenant !== 'a') return reply.code(403).send({ message: 'another tenant' })
  })
  fastify.get('/orders', async () => [])`, 'export const options = { skipOverride: true }\n')
    .replace("'/login', async", "'/login', { config: { open: true } }, async"))
  t.match(text, "fastify.addHook('onRequest'")
  t.match(told, /refuses callers by rules of its own; it stays/)
  const app = await started(t, folder)
  const tokenOf = (tenant: string) => `Bearer ${app.jwt.sign({ sub: 'alice', tenant })}`
  t.equal((await app.inject({ url: '/orders', headers: { authorization: tokenOf('a') } })).statusCode, 200)
  t.equal((await app.inject({ url: '/orders', headers: { authorization: tokenOf('b') } })).statusCode, 403)
  t.equal((await app.inject('/orders')).statusCode, 401)
})

t.test('regression: a decorator `authenticate` that does more than check the token must be renamed, and is not removed', async t => {
  const { code, told, text } = await after(t, application(`  await fastify.register(${jwt})
  fastify.decorate('authenticate', async request => {
    await request.jwtVerify()
    const { locked } = request.user
    if (locked) throw Object.assign(new Error('locked'), { statusCode: 403 })
  })
  fastify.get('/orders', { onRequest: [fastify.authenticate] }, async () => [])`))
  t.equal(code, 1)
  t.match(told, /app\.js:5: the decorator `authenticate` does more than check the token/)
  t.match(text, 'onRequest: [fastify.authenticate]')
})

t.test('regression: methods of one path that differ get no rule by path, which would open one of them', async t => {
  const { folder, code, told } = await after(t, application(`  await fastify.register(${jwt})
  const check = async request => { await request.jwtVerify() }
  for (const [method, onRequest] of [['GET', []], ['POST', [check]]]) {
    fastify.route({ method, url: '/orders', onRequest, handler: async () => [] })
  }`))
  t.equal(code, 1)
  t.match(told, /they differ here: write the rule at the route, which is closed without one/)
  t.notMatch(readFileSync(join(folder, 'plugins/secure-api.js'), 'utf8'), "'/orders'")
})

t.test('regression: the suite is not registered in a scope or under a condition', async t => {
  const { folder, told, text } = await after(t, application(`  if (process.env.NO_HEADERS === undefined) {
    await fastify.register(helmet)
  }
  await fastify.register(async function inside (scope) {
    await scope.register(cors, { origin: 'https://app.example.com' })
    scope.get('/inside', async () => 'inside')
  })
  await fastify.register(${jwt})
  fastify.get('/orders', { onRequest: async request => { await request.jwtVerify() } }, async () => [])`,
  "import cors from '@fastify/cors'\nimport helmet from '@fastify/helmet'\n"))
  t.match(told, /@fastify\/helmet was registered under a condition; the suite always is/)
  t.match(text, "  })\n  await fastify.register(import('./plugins/secure-api.js'))\n  fastify.get('/orders', { config")
  const app = await started(t, folder)
  t.equal((await app.inject('/orders')).statusCode, 401)
  t.equal((await app.inject('/inside')).statusCode, 200)
})

t.test('regression: what refused tokens and is not carried over must be done by hand', async t => {
  const { code, told } = await after(t, application(`  await fastify.register(jwt, {
    secret: 'a shared secret',
    sign: { iss: 'https://api.example.com', aud: 'api://orders' },
    trusted: () => true,
    verify: { allowedSub: 'alice', requiredClaims: ['iss', 'tenant'], maxAge: '1h' }
  })
  fastify.get('/orders', { onRequest: async request => { await request.jwtVerify() } }, async () => [])`))
  t.equal(code, 1)
  for (const name of ['trusted', 'allowedSub', 'requiredClaims', 'maxAge']) {
    t.match(told, new RegExp(`\`${name}\` of .{0,30}jwt refuses tokens`))
  }
})

t.test('regression: a call of jwtVerify that stays is told where the suite has none', async t => {
  const { code, told } = await after(t, `import jwt from '@fastify/jwt'

export default async function app (fastify, options) {
  await fastify.register(jwt, { secret: () => 'keys', verify: { allowedIss: 'https://login.example.com', allowedAud: 'api://orders' } })
  fastify.get('/orders', async request => {
    await request.jwtVerify()
    return []
  })
}
`)
  t.equal(code, 1)
  t.match(told, /app\.js:\d: `request\.jwtVerify\(\)` is not there any more/)
})

t.test('an onRoute hook of the application, which may add guards, is told', async t => {
  const { told } = await after(t, application(`  await fastify.register(${jwt})
  fastify.addHook('onRoute', route => {
    if (route.config?.secret) route.onRequest = async request => { await request.jwtVerify() }
  })
  fastify.get('/orders', { config: { secret: true } }, async () => [])`))
  t.match(told, /app\.js:5: this onRoute hook may add guards to routes/)
})

t.test('regression: what is removed leaves no blank line at the beginning of a block, nor two in a row', async t => {
  const { text } = await after(t, `import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'

export default async function app (fastify, options) {
  await fastify.register(${jwt})

  await fastify.register(rateLimit)

  fastify.get('/', async () => ({ token: fastify.jwt.sign({}) }))
  await fastify.register(async function inside (scope) {
    scope.addHook('onRequest', async request => { await request.jwtVerify() })

    scope.get('/inside', async () => 'inside')
  })
}
`)
  t.equal(text, `export default async function app (fastify, options) {
  await fastify.register(import('./plugins/secure-api.js'))

  fastify.get('/', { config: { public: true } }, async () => ({ token: fastify.jwt.sign({}) }))
  await fastify.register(async function inside (scope) {
    scope.get('/inside', { config: { authenticated: true } }, async () => 'inside')
  })
}
`)
})
