import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { start } from './helper.js'

let app
before(async () => { ({ app } = await start()) })
after(async () => { await app?.close() })

async function login (user, password) {
  return await app.inject({ method: 'POST', url: '/login', payload: { user, password } })
}

test('the right password gives a token with the scopes of the account', async () => {
  const { addAccount } = await import('../src/accounts.js')
  const response = await login('alice', await addAccount('alice', ['api.read']))
  assert.equal(response.statusCode, 200)
  const headers = { authorization: `Bearer ${response.json().access_token}` }
  assert.equal((await app.inject({ url: '/orders', headers })).statusCode, 200)
  const payload = { item: 'tea', quantity: 2 }
  assert.equal((await app.inject({ method: 'POST', url: '/orders', headers, payload })).statusCode, 403)
})

test('a wrong password, and a user that does not exist: 401', async () => {
  for (const user of ['alice', 'nobody']) assert.equal((await login(user, 'wrong')).statusCode, 401)
})

test('the sixth wrong password: 429', async () => {
  for (let count = 0; count < 5; count++) assert.equal((await login('mallory', 'wrong')).statusCode, 401)
  assert.equal((await login('mallory', 'wrong')).statusCode, 429)
})
