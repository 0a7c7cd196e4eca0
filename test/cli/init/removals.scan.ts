import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { applicationFolder, init, run, started } from '../init-applications.ts'

const privateKey = String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
Object.assign(process.env, { SECURE_API_AUDIENCE: 'api://orders', SECURE_API_PRIVATE_KEY: privateKey })

const hooked = `import jwt from '@fastify/jwt'

export default async function app (fastify, options) {
  await fastify.register(jwt, { secret: 'a shared secret', sign: { iss: 'https://api.example.com', aud: 'api://orders' } })
  fastify.addHook('onRequest', async request => {
    if (request.url === '/token') return
    if (request.headers['x-from'] === '/login') request.log.info('from the login page')
    await request.jwtVerify()
  })
  fastify.get('/token', async () => ({ token: fastify.jwt.sign({ sub: 'alice' }) }))
  fastify.get('/login', async () => ({ secret: true }))
  fastify.get('/orders', async () => [])
}
`

t.test('regression: a text in a hook that chooses by address opens no route of that name', async t => {
  const folder = applicationFolder(t, { 'app.js': hooked })
  const { stderr } = await init(folder, 'app.js', '--write')
  t.match(stderr.replace(/\s+/g, ' '), /a hook without a name looks at the address of the request, so that it may let a route pass/)
  t.match(stderr.replace(/\s+/g, ' '), /it stays/)
  t.match(readFileSync(join(folder, 'app.js'), 'utf8'), "fastify.addHook('onRequest'")
  const app = await started(t, folder)
  t.equal((await app.inject('/login')).statusCode, 401)
  t.equal((await app.inject('/orders')).statusCode, 401)
  t.equal((await app.inject('/token')).statusCode, 200)
})

t.test('a function that is not async: it must become so, and nothing is written that does not parse', async t => {
  const text = "export default function app (fastify, options, done) {\n  fastify.get('/', async () => 'hello')\n  done()\n}\n"
  const folder = applicationFolder(t, { 'app.js': text })
  const { code, stderr } = await init(folder, 'app.js', '--write')
  t.equal(code, 1)
  t.match(stderr.replace(/\s+/g, ' '), /make this function async, and `await` the registration/)
  t.match(readFileSync(join(folder, 'app.js'), 'utf8'), "  fastify.register(import('./plugins/secure-api.js'))\n")
})

const scoped = `import cors from '@fastify/cors'
import jwt from '@fastify/jwt'

export default async function app (fastify, options) {
  await fastify.register(jwt, { secret: 'a shared secret', sign: { iss: 'https://api.example.com', aud: 'api://orders' } })
  fastify.get('/', async () => ({ token: fastify.jwt.sign({ sub: 'alice' }) }))
  fastify.register(async function inside (scope) {
    await scope.register(cors, { origin: 'https://app.example.com' })
    scope.addHook('onRequest', async request => { await request.jwtVerify() })
    scope.get('/inside', async () => 'inside')
  })
}
`

t.test('a guard and a plugin of one scope are told; the check of the routes runs after --write', async t => {
  const folder = applicationFolder(t, { 'app.js': scoped })
  const { stderr } = await init(folder, 'app.js', '--write')
  const told = stderr.replace(/\s+/g, ' ')
  t.match(told, /app\.js:9: this hook guarded the routes of its scope: each has its rule now, and a new one there needs its own/)
  t.match(told, /app\.js:8: @fastify\/cors was registered for one scope/)
  const text = readFileSync(join(folder, 'app.js'), 'utf8')
  t.match(text, "scope.get('/inside', { config: { authenticated: true } }")
  t.notMatch(text, 'addHook')
  const { code, stdout } = await run(folder, ['routes', 'app.js', '--check'])
  t.equal(code, 0, stdout)
})
