import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { createApiKey } from 'fastify-secure-api'
import { start } from './helper.ts'

// if apiKeys
let app: FastifyInstance
before(async () => { ({ app } = await start()) })
after(async () => { await app?.close() })

/** Puts one key into the file. */
async function addKey (record: object): Promise<string> {
  const { apiKeys } = await import('../src/api-keys.ts')
  const { key, id, hash } = createApiKey(apiKeys.prefix)
  await writeFile(apiKeys.file, JSON.stringify({ keys: [{ id, secrets: [{ hash }], ...record }] }))
  assert.ok(await app.apiKeys.refresh())
  return key
}

const read = async (key: string) => await app.inject({ url: '/orders', headers: { 'x-api-key': key } })

test('an API key opens what its scopes open', async () => {
  const key = await addKey({ scopes: ['api.read'] })
  assert.equal((await read(key)).statusCode, 200)
  const payload = { item: 'tea', quantity: 2 }
  assert.equal((await app.inject({ method: 'POST', url: '/orders', headers: { 'x-api-key': key }, payload })).statusCode, 403)
})

test('a key that is mistyped, and one that is revoked: 401', async () => {
  const key = await addKey({ scopes: ['api.read'], revoked: new Date().toISOString() })
  assert.equal((await read(key.slice(1))).statusCode, 401)
  assert.equal((await read(key)).json().code, 'SECURE_API_API_KEY_REVOKED')
})
