import { generateKeyPairSync } from 'node:crypto'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import t from 'tap'
import secureApi from '../../plugins/index.ts'

const { cache } = createRequire(import.meta.url)
const isLoaded = (name: string) => Object.keys(cache).some(path => path.includes(`/node_modules/${name}/`))

t.test('21: packages of what is not configured are not loaded', async t => {
  const jwk = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(secureApi, {
    auth: { issuer: 'https://login.example.com', audience: 'api', jwks: { keys: [{ ...jwk, kid: 'k', alg: 'EdDSA', use: 'sig' }] } },
    audit: { sink: () => {} }
  })
  app.get('/', { config: { scope: 'a' } }, async () => '')
  await app.ready()
  for (const name of ['@fastify/jwt', 'fast-jwt', '@fastify/rate-limit', 'ioredis', 'tldts', '@opentelemetry/api', '@sinclair/typebox']) {
    t.notOk(isLoaded(name), name)
  }
  app.createRateLimit({ max: 1 })
  t.ok(isLoaded('@fastify/rate-limit'), 'it is loaded by the first call')
})
