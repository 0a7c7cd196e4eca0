import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { TestIssuer } from 'fastify-secure-api/testing'
import { start } from './helper.ts'

let app: FastifyInstance
let issuer: TestIssuer
let log: string[]
before(async () => { ({ app, issuer, log } = await start()) })
after(async () => { await app?.close() })

const order = { item: 'tea', quantity: 2 }

test('GET /health is public', async () => {
  const response = await app.inject('/health')
  assert.equal(response.statusCode, 200)
})

test('without a token: 401', async () => {
  const response = await app.inject('/orders')
  assert.equal(response.statusCode, 401)
  assert.equal(response.json().code, 'SECURE_API_UNAUTHENTICATED')
})

test('without the scope: 403', async () => {
  const response = await app.inject({ method: 'POST', url: '/orders', ...issuer.asUser({ scopes: ['api.read'] }), payload: order })
  assert.equal(response.statusCode, 403)
})

test('with the scope an order is kept, can be read again, and stands in the audit trail', async () => {
  const alice = issuer.asUser({ subject: 'alice', scopes: ['api.read', 'api.write'] })
  const created = await app.inject({ method: 'POST', url: '/orders', ...alice, payload: order })
  assert.equal(created.statusCode, 201)
  const { id } = created.json()
  const read = await app.inject({ url: `/orders/${id}`, ...alice })
  assert.deepEqual(read.json(), { id, owner: 'alice', ...order })
  assert.ok(log.some(line => line.includes('"action":"orders.create"') && line.includes('"subject":"alice"')))
})

test('the order of somebody else: 403, and it is in no list', async () => {
  const dave = issuer.asUser({ subject: 'dave', scopes: ['api.write'] })
  const { id } = (await app.inject({ method: 'POST', url: '/orders', ...dave, payload: order })).json()
  const erin = issuer.asUser({ subject: 'erin', scopes: ['api.read'] })
  assert.equal((await app.inject({ url: `/orders/${id}`, ...erin })).statusCode, 403)
  assert.deepEqual((await app.inject({ url: '/orders', ...erin })).json(), [])
})

test('the eleventh write in a minute: 429', async () => {
  const bob = issuer.asUser({ subject: 'bob', scopes: ['api.write'] })
  const write = async () => await app.inject({ method: 'POST', url: '/orders', ...bob, payload: order })
  for (let count = 0; count < 10; count++) assert.equal((await write()).statusCode, 201)
  const refused = await write()
  assert.equal(refused.statusCode, 429)
  assert.ok(refused.headers['retry-after'])
})

test('an unknown path: 404 with the security headers', async () => {
  const response = await app.inject('/nowhere')
  assert.equal(response.statusCode, 404)
  assert.equal(response.headers['x-content-type-options'], 'nosniff')
})

test('GET /me says who calls', async () => {
  const response = await app.inject({ url: '/me', ...issuer.asUser({ subject: 'carol' }) })
  assert.equal(response.json().subject, 'carol')
})
