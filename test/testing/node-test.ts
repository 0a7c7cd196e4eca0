import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import secureApi from '../../plugins/index.ts'
import { createTestClock, createTestIssuer, type TestClock, type TestIssuer } from '../../testing/index.ts'

/** Run by application.test.ts: the kit under the test runner of Node. */
let issuer: TestIssuer
let clock: TestClock
let app: FastifyInstance

before(async () => {
  clock = createTestClock()
  issuer = await createTestIssuer({ alg: 'ES256' })
  app = Fastify()
  await app.register(secureApi, {
    auth: issuer.auth,
    audit: false,
    rateLimit: { policies: { read: { limit: 3, window: '1 minute' } } },
    environment: 'development'
  })
  app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  await app.ready()
})

after(async () => {
  await app.close()
  await issuer.close()
  clock.close()
})

const orders = async (request: object = {}) => (await app.inject({ url: '/orders', ...request })).statusCode

test('401 to a stranger', async () => {
  assert.equal(await orders(), 401)
})

test('403 without the scope', async () => {
  assert.equal(await orders(issuer.asUser({ subject: 'bob' })), 403)
})

test('200 with it', async () => {
  assert.equal(await orders(issuer.asUser({ scopes: ['api.read'] })), 200)
})

test('429 over the limit, and 200 a minute later', async () => {
  const alice = issuer.asUser({ subject: 'alice', scopes: ['api.read'] })
  for (let call = 0; call < 3; call++) assert.equal(await orders(alice), 200)
  assert.equal(await orders(alice), 429)
  await clock.advance('1 minute')
  assert.equal(await orders(alice), 200)
})
