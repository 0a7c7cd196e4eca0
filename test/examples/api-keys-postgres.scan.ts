import { readFileSync } from 'node:fs'
import pg from 'pg'
import t, { type Test } from 'tap'
import { keyedApi, prefix } from '../../examples/api-keys-postgres/app.ts'
import { createApiKey } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { startPostgres } from '../helpers/postgres.ts'

const postgres = await startPostgres()
t.teardown(() => postgres.close())
const clock = createTestClock()
t.teardown(() => clock.close())

async function query (sql: string, values: unknown[] = []) {
  const client = new pg.Client(postgres.connection)
  await client.connect()
  try {
    return (await client.query(sql, values)).rows
  } finally {
    await client.end()
  }
}

await query(readFileSync(new URL('../../examples/api-keys-postgres/table.sql', import.meta.url), 'utf8'))

async function start (t: Test) {
  const { app, keys } = await keyedApi({ database: postgres.connection, environment: 'development' })
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const answer = async (key: string, path = '/orders', method = 'GET') => {
    const response = await fetch(url + path, { method, headers: { 'x-api-key': key } })
    const { code } = response.status < 400 || response.status === 404 ? { code: undefined } : await response.json() as { code: string }
    return code === undefined ? response.status : `${response.status} ${code}`
  }
  return { app, keys, answer }
}

const idOf = (key: string) => key.split('_')[1] ?? ''
const secretOf = (key: string) => key.split('_')[2] ?? key

t.test('the table holds hashes; scopes, roles, expiry and addresses of it count', async t => {
  const { keys, answer } = await start(t)
  const reader = await keys.create(prefix, { owner: 'acme', name: 'nightly', scopes: ['orders.read'] })
  t.equal(await answer(reader), 200)
  t.equal(await answer(await keys.create(prefix, { owner: 'acme' })), '403 SECURE_API_FORBIDDEN')
  t.equal(await answer(createApiKey(prefix).key), '401 SECURE_API_API_KEY_UNKNOWN')
  t.equal(await answer(createApiKey(prefix, idOf(reader)).key), '401 SECURE_API_API_KEY_UNKNOWN')
  const ended = await keys.create(prefix, { owner: 'acme', scopes: ['orders.read'], expires: new Date(Date.now() - 1000) })
  t.equal(await answer(ended), '401 SECURE_API_API_KEY_EXPIRED')
  const elsewhere = await keys.create(prefix, { owner: 'acme', scopes: ['orders.read'] })
  await query('update api_keys set allowed_addresses = $2 where id = $1', [idOf(elsewhere), ['203.0.113.0/24']])
  t.equal(await answer(elsewhere), '403 SECURE_API_API_KEY_ADDRESS')
  const kept = JSON.stringify([await query('select * from api_keys'), await query('select * from api_key_secrets')])
  for (const key of [reader, ended, elsewhere]) t.notOk(kept.includes(secretOf(key)))
})

t.test('rotation: both secrets, one rotation at a time, then the new one alone', async t => {
  const { app, keys, answer } = await start(t)
  const first = await keys.create(prefix, { owner: 'acme', scopes: ['orders.read'] })
  const second = await keys.rotate(prefix, idOf(first), '1 hour')
  for (const key of [first, second]) t.equal(await answer(key), 200)
  await t.rejects(keys.rotate(prefix, idOf(first)), /api_key_secrets_two/)
  await query("update api_key_secrets set expires = now() - interval '1 second' where expires is not null")
  app.apiKeys.forget(idOf(first))
  t.equal(await answer(first), '401 SECURE_API_API_KEY_EXPIRED')
  const third = await keys.rotate(prefix, idOf(first))
  app.apiKeys.forget(idOf(first))
  for (const [key, expected] of [[first, '401 SECURE_API_API_KEY_UNKNOWN'], [second, 200], [third, 200]] as const) {
    t.equal(await answer(key), expected)
  }
})

t.test('revoked over the API: 401 at once', async t => {
  const { keys, answer } = await start(t)
  const admin = await keys.create(prefix, { owner: 'ops', roles: ['admin'] })
  const key = await keys.create(prefix, { owner: 'acme', scopes: ['orders.read'] })
  t.equal(await answer(key), 200)
  t.equal(await answer(key, `/keys/${idOf(key)}`, 'DELETE'), '403 SECURE_API_FORBIDDEN')
  t.equal(await answer(admin, `/keys/${idOf(key)}`, 'DELETE'), 204)
  t.equal(await answer(key), '401 SECURE_API_API_KEY_REVOKED')
  t.equal(await answer(admin, `/keys/${idOf(key)}`, 'DELETE'), 404)
})

t.test('PostgreSQL is away: known keys for the time of the cache, then 503; it is back: 200', async t => {
  const { keys, answer } = await start(t)
  const [known, other] = [await keys.create(prefix, { owner: 'a', scopes: ['orders.read'] }),
    await keys.create(prefix, { owner: 'b', scopes: ['orders.read'] })]
  t.equal(await answer(known), 200)
  await postgres.stop()
  t.equal(await answer(known), 200, 'from the cache')
  t.equal(await answer(other), '503 SECURE_API_API_KEYS_UNAVAILABLE', 'nobody is let in unseen')
  await clock.advance('61 seconds')
  t.equal(await answer(known), '503 SECURE_API_API_KEYS_UNAVAILABLE')
  await postgres.start()
  for (const key of [known, other]) t.equal(await answer(key), 200)
})

t.test('the last use of each key is written in one statement, once a minute and at the end', async t => {
  const { app, keys, answer } = await start(t)
  const [one, two] = [await keys.create(prefix, { owner: 'a', scopes: ['orders.read'] }),
    await keys.create(prefix, { owner: 'b', scopes: ['orders.read'] })]
  for (const key of [one, two, two]) t.equal(await answer(key), 200)
  const lastUsed = async (key: string) => (await query('select last_used, last_address from api_keys where id = $1', [idOf(key)]))[0]
  t.match(await lastUsed(one), { last_used: null })
  await app.close()
  for (const key of [one, two]) t.match(await lastUsed(key), { last_used: Date, last_address: '127.0.0.1' })
  await t.rejects(keys.onUse([]), /pool after calling end/, 'the pool is closed, after the last report')
})
