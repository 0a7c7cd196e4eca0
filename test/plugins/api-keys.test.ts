import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { writeKeyFile } from '../../lib/api-keys/index.ts'
import secureApi, {
  createApiKey, type ApiKeyRecord, type ApiKeyRow, type ApiKeysOptions, type ApiKeyUse, type SecureApiOptions
} from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { answersOf, bearer, codeOf, listen, mistakesOf, secured, sendLines, startFastify, startIssuer, until } from '../helpers/server.ts'
import { stillClock } from '../helpers/still-clock.ts'

const issuer = await startIssuer(t)
const UNKNOWN = [401, 'SECURE_API_API_KEY_UNKNOWN']
const UNAVAILABLE = [503, 'SECURE_API_API_KEYS_UNAVAILABLE']

/** A new key and its record. */
function made (parts: Partial<ApiKeyRecord> = {}) {
  const { key, id, hash } = createApiKey('shop')
  const record: ApiKeyRecord = { id, secrets: [{ hash }], scopes: ['orders.read'], ...parts }
  return { key, id, hash, record }
}

/** A key with the same form, prefix and id, and another secret. */
const guessed = (id: string) => createApiKey('shop', id).key

const call = (key: string, url = '/me'): InjectOptions => ({ url, headers: { 'x-api-key': key } })

function routes (app: FastifyInstance): void {
  app.get('/me', { config: { authenticated: true } }, async ({ auth }) => ({ ...auth, scopes: [...auth.scopes], roles: [...auth.roles] }))
  app.get('/orders', { config: { scope: 'orders.read' } }, async () => 'orders')
  app.get('/machines', { config: { caller: 'api-key', credential: 'api-key' } }, async () => 'machines')
}

function withTokens (app: FastifyInstance): void {
  routes(app)
  app.get('/tokens', { config: { credential: 'jwt' } }, async () => 'tokens')
}

async function start (t: Test, apiKeys: Partial<ApiKeysOptions>, suite: SecureApiOptions = {}, fastify = {}) {
  const auth = { issuer: issuer.issuer, audience: issuer.audience, apiKeys: { prefix: 'shop', ...apiKeys } }
  return await secured(t, issuer, { routes: withTokens, fastify, suite: { auth, ...suite } })
}

/** Where no test issuer may run, and keys are the only credential. */
async function startInProduction (t: Test, apiKeys: Partial<ApiKeysOptions>, fastify = {}) {
  const suite: SecureApiOptions = { auth: { apiKeys: { prefix: 'shop', ...apiKeys } }, environment: 'production' }
  return await secured(t, issuer, { routes, fastify, suite })
}

function testClock (t: Test) {
  const clock = createTestClock()
  t.teardown(() => clock.close())
  return clock
}

/** A time, so far from now. */
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()

function directory (t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'keys-'))
  t.teardown(() => rmSync(made, { recursive: true }))
  return made
}

t.test('a key says who calls, and rules, trail and `request.user` know it', async t => {
  const { key, id, record } = made({ owner: 'acme', name: 'nightly sync', roles: ['sync'] })
  const { app, events } = await start(t, { keys: [record] })
  const { statusCode, body } = await app.inject(call(key))
  t.equal(statusCode, 200)
  t.match(JSON.parse(body), {
    kind: 'api-key',
    credential: 'api-key',
    subject: 'acme',
    client: id,
    issuer: 'api-key',
    scopes: ['orders.read'],
    roles: ['sync'],
    claims: { key: id, owner: 'acme', name: 'nightly sync' }
  })
  t.match(events.at(-1), { principal: { kind: 'api-key', credential: 'api-key', subject: 'acme', client: id, issuer: 'api-key' } })
  t.strictSame(await answersOf(app,
    call(key, '/orders'), call(key, '/machines'), call(key, '/tokens'),
    { url: '/me', headers: { authorization: `ApiKey ${key}` } },
    { url: '/me', headers: { authorization: `apikey  ${key}` } },
    { url: '/machines', headers: bearer(issuer, { sub: 'alice' }) },
    { url: `/me?x-api-key=${key}&api_key=${key}` }
  ), [200, 200, [403, 'SECURE_API_FORBIDDEN'], 200, 200, [403, 'SECURE_API_FORBIDDEN'], [401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('an unknown id and a wrong secret are one answer; only whoever has the secret learns more', async t => {
  const good = made()
  const expired = made({ expires: inHours(-1) })
  const revoked = made({ revoked: inHours(1), expires: inHours(-1) })
  const bound = made({ allowedAddresses: ['203.0.113.0/24'] })
  const { app } = await start(t, { keys: [good.record, expired.record, revoked.record, bound.record] })
  t.strictSame(await answersOf(app,
    call(createApiKey('shop').key), call(guessed(good.id)), call(guessed(expired.id)), call(guessed(revoked.id)), call(guessed(bound.id)),
    call(expired.key), call(revoked.key), call(bound.key),
    call('shop_'), call(good.key.slice(1)), call(createApiKey('test').key), { url: '/me', headers: { authorization: 'ApiKey' } }
  ), [
    UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
    [401, 'SECURE_API_API_KEY_EXPIRED'], [401, 'SECURE_API_API_KEY_REVOKED'], [403, 'SECURE_API_API_KEY_ADDRESS'],
    ...Array(4).fill([401, 'SECURE_API_API_KEY_MALFORMED'])
  ])
  const [one, other] = await Promise.all([app.inject(call(createApiKey('shop').key)), app.inject(call(guessed(good.id)))])
  t.equal(one.body, other.body)
  t.equal(one.headers['www-authenticate'], 'ApiKey realm="api"')
  t.equal((await app.inject('/me')).headers['www-authenticate'], 'Bearer realm="api", ApiKey realm="api"')
  t.equal((await app.inject('/machines')).headers['www-authenticate'], 'ApiKey realm="api"')
})

t.test('two credentials at once are refused, over a socket too', async t => {
  const [first, second] = [made(), made()]
  const { app } = await start(t, { keys: [first.record, second.record] })
  const url = `${await listen(app)}/me`
  const token = bearer(issuer, { sub: 'alice' }).authorization
  const lines: [string, string[]][] = [
    ['a token beside a key', ['Authorization', token, 'x-api-key', first.key]],
    ['two keys', ['x-api-key', first.key, 'X-Api-Key', second.key]],
    ['the same key twice', ['x-api-key', first.key, 'x-api-key', first.key]],
    ['both headers', ['x-api-key', first.key, 'Authorization', `ApiKey ${first.key}`]],
    ['two Authorization headers', ['Authorization', `ApiKey ${first.key}`, 'Authorization', `ApiKey ${first.key}`]],
    ['a key and a token in two Authorization headers', ['Authorization', `ApiKey ${first.key}`, 'Authorization', token]],
    ['a token and a key', ['Authorization', token, 'Authorization', `ApiKey ${first.key}`]]
  ]
  for (const [name, headers] of lines) {
    const answer = await sendLines(url, headers)
    t.strictSame([answer.statusCode, codeOf(answer)], [400, 'SECURE_API_CREDENTIAL_AMBIGUOUS'], name)
  }
  t.equal((await sendLines(url, ['X-API-KEY', first.key])).statusCode, 200)
})

t.test('another header may be named', async t => {
  const { key, record } = made()
  const { app } = await start(t, { keys: [record], header: 'X-Shop-Key' })
  t.strictSame(await answersOf(app, { url: '/me', headers: { 'x-shop-key': key } }, call(key)), [200, [401, 'SECURE_API_UNAUTHENTICATED']])
})

t.test('rotation: both secrets count until the old one expires', async t => {
  const clock = testClock(t)
  const { key, id, hash, record } = made({ expires: inHours(0.2) })
  const old = inHours(0.1)
  const next = createApiKey('shop', id)
  const { app } = await start(t, { keys: [{ ...record, secrets: [{ hash, expires: old }, { hash: next.hash }] }] })
  t.strictSame(await answersOf(app, call(key), call(next.key)), [200, 200])
  t.equal(JSON.parse((await app.inject(call(key))).body).expiresAt, Date.parse(old), 'the earliest of both')
  await clock.advance('6 minutes')
  t.strictSame(await answersOf(app, call(key), call(next.key)), [[401, 'SECURE_API_API_KEY_EXPIRED'], 200])
  await clock.advance('6 minutes')
  t.strictSame(await answersOf(app, call(next.key)), [[401, 'SECURE_API_API_KEY_EXPIRED']])
})

t.test('addresses and networks of both families, also where IPv4 comes as IPv6', async t => {
  const { key, record } = made({ allowedAddresses: ['203.0.113.0/24', '192.0.2.7', '2001:db8::/32'] })
  const { app } = await start(t, { keys: [record] }, {}, { trustProxy: true })
  const from = async (address: string) => {
    const { statusCode } = await app.inject({ url: '/me', headers: { 'x-api-key': key, 'x-forwarded-for': address } })
    return statusCode
  }
  for (const address of ['203.0.113.255', '192.0.2.7', '2001:db8:ffff::1', '::ffff:203.0.113.1', '203.0.113.9:4711', '2001:db8::1%eth0']) {
    t.equal(await from(address), 200, address)
  }
  for (const address of ['203.0.114.0', '192.0.2.8', '2001:db9::1', '::ffff:192.0.2.8', 'unknown', '203.0.113']) {
    t.equal(await from(address), 403, address)
  }
})

t.test('a file is read again: a new key, a revocation, and a broken file keeps what was read', async t => {
  const [first, second] = [made(), made()]
  const file = join(directory(t), 'keys.json')
  await writeKeyFile(file, [first.record])
  const warnings: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { warnings.push(line) } } }
  const { app } = await startInProduction(t, { file }, { logger })
  t.strictSame(await answersOf(app, call(first.key), call(second.key)), [200, UNKNOWN])
  await writeKeyFile(file, [{ ...first.record, revoked: '2026-06-01T00:00:00Z' }, second.record])
  t.equal(await app.apiKeys.refresh(), true)
  t.strictSame(await answersOf(app, call(first.key), call(second.key)), [[401, 'SECURE_API_API_KEY_REVOKED'], 200])
  const broken: [string, string | undefined][] = [
    ['cut off', '{ "keys": [ {'],
    ['a list', '[]'],
    ['another member', '{ "keys": [], "more": 1 }'],
    ['an unknown member of a record', JSON.stringify({ keys: [{ ...first.record, scope: 'a' }] })],
    ['the same id twice', JSON.stringify({ keys: [first.record, first.record] })]
  ]
  for (const [name, text] of broken) {
    writeFileSync(file, text ?? '')
    t.equal(await app.apiKeys.refresh(), false, name)
    t.strictSame(await answersOf(app, call(second.key)), [200], name)
    t.match(app.secureApi.status(), { apiKeys: { keys: 2, file: { ok: false } } })
  }
  await writeKeyFile(file, [second.record])
  chmodSync(file, 0o666)
  t.equal(await app.apiKeys.refresh(), false, 'anybody could have written it')
  rmSync(file)
  t.equal(await app.apiKeys.refresh(), false, 'gone')
  t.equal(await app.apiKeys.refresh(), false, 'gone')
  t.equal(warnings.filter(line => line.includes('SECURE_API_API_KEYS_FILE')).length, 5, 'once for each change of reasons')
  t.notMatch(warnings.join(), first.hash)
  await writeKeyFile(file, [first.record])
  t.equal(await app.apiKeys.refresh(), true)
  t.strictSame(await answersOf(app, call(first.key), call(second.key)), [200, UNKNOWN])
  t.match(app.secureApi.status(), { apiKeys: { keys: 1, file: { ok: true, read: /^\d{4}-.*Z$/, rejected: [] } } })
})

t.test('a file is looked at every few seconds by itself', async t => {
  const clock = testClock(t)
  const { key, record } = made()
  const file = join(directory(t), 'keys.json')
  await writeKeyFile(file, [record])
  const { app } = await start(t, { file })
  t.strictSame(await answersOf(app, call(key)), [200])
  await writeKeyFile(file, [{ ...record, revoked: inHours(0) }])
  // A look may have begun before the file was written.
  await until(async () => {
    await clock.advance('5 seconds')
    return String(await answersOf(app, call(key))) === '401,SECURE_API_API_KEY_REVOKED'
  }, 'the revocation')
})

t.test('lookup: one question for many requests, and good and unknown ids are remembered for a while', async t => {
  const clock = stillClock(t)
  const { key, id, record } = made()
  const asked: string[] = []
  const { app } = await start(t, { lookup: async id => { asked.push(id); return id === record.id ? record : undefined } })
  await Promise.all(Array.from({ length: 5 }, () => app.inject(call(key))))
  t.strictSame(asked.splice(0), [id])
  const other = createApiKey('shop')
  t.strictSame(await answersOf(app, call(other.key), call(other.key), call(guessed(id)), call(key)), [UNKNOWN, UNKNOWN, UNKNOWN, 200])
  t.strictSame(asked.splice(0), [other.id])
  t.match(app.secureApi.status(), { apiKeys: { cached: 1, absent: 1, asking: 0 } })
  clock.pass(5000)
  await answersOf(app, call(other.key), call(key))
  t.strictSame(asked.splice(0), [other.id])
  clock.pass(55_000)
  await answersOf(app, call(key))
  t.strictSame(asked.splice(0), [id])
})

t.test('lookup: a mistyped key is refused without asking', async t => {
  const { key } = made()
  let asked = 0
  const { app } = await start(t, { lookup: () => { asked++; return undefined } })
  const typo = key.slice(0, -10) + (key.at(-10) === 'a' ? 'b' : 'a') + key.slice(-9)
  t.strictSame(await answersOf(app, call(typo)), [[401, 'SECURE_API_API_KEY_MALFORMED']])
  t.equal(asked, 0)
})

t.test('lookup: what fails, hangs or is no record of this id is 503, and opens nothing', async t => {
  const { key, hash, id, record } = made()
  const faults: [string, (id: string) => unknown][] = [
    ['throws', () => { throw new Error('secret text') }],
    ['rejects', () => Promise.reject(new Error('secret text'))],
    ['hangs', () => new Promise(() => {})],
    ['true', () => true],
    ['a list', () => [record]],
    ['no secrets', () => ({ id })],
    ['an empty list of secrets', () => ({ id, secrets: [] })],
    ['the key itself', () => ({ ...record, secrets: [{ hash: key }] })],
    ['a hash in capitals', () => ({ ...record, secrets: [{ hash: hash.toUpperCase() }] })],
    ['an unknown member', () => ({ ...record, admin: true })],
    ['a misspelt column', () => ({ ...record, expires: undefined })],
    ['no time', () => ({ ...record, expires: 'tomorrow' })],
    ['an invalid date', () => ({ ...record, expires: new Date(NaN) })],
    ['scopes as text', () => ({ ...record, scopes: 'orders.read' })],
    ['no network', () => ({ ...record, allowedAddresses: ['203.0.113.0/33'] })],
    ['another id', () => ({ ...record, id: createApiKey('shop').id })]
  ]
  for (const [name, lookup] of faults) {
    const lines: string[] = []
    const logger = { stream: { write: (line: string) => { lines.push(line) } } }
    const { app } = await start(t, { lookup: lookup as ApiKeysOptions['lookup'] & {}, timeout: 20 }, {}, { logger })
    const response = await app.inject(call(key))
    t.strictSame([response.statusCode, codeOf(response)], UNAVAILABLE, name)
    t.equal(response.headers['retry-after'], '1', name)
    t.notMatch(response.body, /secret text/, name)
    for (const secret of [key, hash, key.slice(18)]) t.notMatch(lines.join(), secret, name)
  }
})

t.test('lookup: rows of a database are records, with dates and empty columns', async t => {
  const { key, id, hash } = made()
  const row: ApiKeyRow = {
    id,
    owner: 'acme',
    name: null,
    secrets: [{ hash, expires: null }],
    scopes: ['orders.read'],
    roles: null,
    revoked: null,
    expires: new Date('2999-01-01T00:00:00Z'),
    allowedAddresses: null
  }
  const { app } = await start(t, { lookup: async () => row })
  const { body } = await app.inject(call(key))
  t.match(JSON.parse(body), { claims: { key: id, owner: 'acme' }, expiresAt: Date.parse('2999-01-01T00:00:00Z') })
})

t.test('lookup: cached records go on while the store is away, within their time', async t => {
  const clock = stillClock(t)
  const { key, record } = made()
  let away = false
  const { app } = await start(t, { lookup: async () => { if (away) throw new Error('away'); return record } })
  t.strictSame(await answersOf(app, call(key)), [200])
  away = true
  clock.pass(59_999)
  t.strictSame(await answersOf(app, call(key)), [200])
  clock.pass(1)
  t.strictSame(await answersOf(app, call(key)), [UNAVAILABLE])
  away = false
  t.strictSame(await answersOf(app, call(key)), [200])
})

t.test('lookup: a revocation counts at once, also against an answer that is under way', async t => {
  const { key, id, record } = made()
  let current: ApiKeyRecord = record
  let release = () => {}
  let slow = false
  const lookup = async () => {
    const read = current
    if (slow) await new Promise<void>(resolve => { release = resolve })
    return read
  }
  const { app } = await start(t, { lookup })
  t.strictSame(await answersOf(app, call(key)), [200])
  current = { ...record, revoked: '2026-06-01T00:00:00Z' }
  app.apiKeys.forget(id)
  t.strictSame(await answersOf(app, call(key)), [[401, 'SECURE_API_API_KEY_REVOKED']])
  current = record
  await app.apiKeys.refresh()
  slow = true
  const early = app.inject(call(key))
  await until(() => JSON.stringify(app.secureApi.status()).includes('"asking":1'), 'the question')
  current = { ...record, revoked: '2026-06-01T00:00:00Z' }
  app.apiKeys.forget(id)
  slow = false
  release()
  t.equal((await early).statusCode, 200, 'it was there before')
  t.strictSame(await answersOf(app, call(key)), [[401, 'SECURE_API_API_KEY_REVOKED']], 'and its answer is not kept')
})

t.test('lookup: guessed ids displace no record that is in use', async t => {
  const { key, record } = made()
  let asked = 0
  const { app } = await start(t, { cache: { max: 3 }, lookup: id => { if (id !== record.id) return undefined; asked++; return record } },
    { rateLimit: false })
  await answersOf(app, call(key), ...Array.from({ length: 20 }, () => call(createApiKey('shop').key)), call(key))
  t.equal(asked, 1)
  t.match(app.secureApi.status(), { apiKeys: { cached: 1, absent: 3 } })
})

t.test('guesses use up the failure budget of their address, and then cost no look-up; good keys go on', async t => {
  const { key, id, record } = made()
  const bound = made({ allowedAddresses: ['203.0.113.1'] })
  const asked: string[] = []
  const records = [record, bound.record]
  const { app } = await start(t, { lookup: id => { asked.push(id); return records.find(record => record.id === id) } },
    { rateLimit: { failures: { limit: 4, window: '1 minute', by: 'address' } } })
  t.strictSame(await answersOf(app,
    call(key), call('shop_x'), call(guessed(id)), call(bound.key), call(createApiKey('shop').key),
    call(createApiKey('shop').key), call(guessed(id)), call('shop_x'), call(bound.key), call(key)
  ), [
    200, [401, 'SECURE_API_API_KEY_MALFORMED'], UNKNOWN, [403, 'SECURE_API_API_KEY_ADDRESS'], UNKNOWN,
    ...Array(4).fill([429, 'SECURE_API_RATE_LIMITED']), 200
  ])
  t.equal(asked.length, 3)
})

t.test('uses are reported together once a minute and at the end, and a failing report changes nothing', async t => {
  const clock = testClock(t)
  const { key, id, record } = made()
  const batches: (readonly ApiKeyUse[])[] = []
  const { app } = await start(t, { keys: [record], onUse: uses => { batches.push(uses); throw new Error('no database') } })
  await answersOf(app, call(key), call(key), call(guessed(id)))
  await clock.advance('10 seconds')
  await answersOf(app, call(key))
  t.strictSame(batches, [])
  t.match(app.secureApi.status(), { apiKeys: { unreported: 1 } })
  await clock.advance('50 seconds')
  t.match(batches, [[{ id, lastUsed: Date, address: '127.0.0.1', count: 3 }]])
  t.equal(batches.length, 1)
  await clock.advance('5 minutes')
  t.equal(batches.length, 1, 'nothing to report')
  t.strictSame(await answersOf(app, call(key)), [200])
  await app.close()
  t.match(batches, [{}, [{ id, count: 1 }]])
})

t.test('limits by API key count each key of an owner by itself', async t => {
  const [first, second] = [made({ owner: 'acme' }), made({ owner: 'acme' })]
  const { app } = await start(t, { keys: [first.record, second.record] },
    { rateLimit: { policies: { read: { limit: 2, window: '1 minute', by: 'api-key' } } } })
  t.strictSame(await answersOf(app, call(first.key), call(first.key), call(first.key), call(second.key)),
    [200, 200, [429, 'SECURE_API_RATE_LIMITED'], 200])
})

t.test('no key, secret or hash is in a log, an event, an error or the status', async t => {
  const lines: string[] = []
  const logger = { level: 'trace', stream: { write: (line: string) => { lines.push(line) } } }
  const { key, id, hash, record } = made({ revoked: '2026-06-01T00:00:00Z' })
  const good = made()
  const wrong = guessed(id)
  const { app, events } = await start(t, { keys: [record, good.record], onUse: () => { throw new Error('no database') } }, {}, { logger })
  const answers = []
  for (const text of [key, good.key, wrong, key.slice(0, -1), `${key} `]) answers.push((await app.inject(call(text))).body)
  const seen = [lines, events, app.secureApi.status(), app.secureApi.routes(), answers].map(what => JSON.stringify(what)).join()
  for (const text of [key, good.key, wrong]) {
    t.notMatch(seen, text)
    t.notMatch(seen, text.slice(18, 50))
  }
  for (const text of [hash, good.hash]) t.notMatch(seen, text.slice(7))
  await app.close()
  t.notMatch(lines.join(), good.key)
})

t.test('the API description names the header of keys, for the routes that take them', async t => {
  const app = startFastify(t)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Orders', version: '1' } } })
  const auth = { issuer: issuer.issuer, audience: issuer.audience, apiKeys: { prefix: 'shop', keys: [made().record] } }
  await app.register(secureApi, { auth, openapi: { openIdConnect: false }, environment: 'development' })
  withTokens(app)
  await app.ready()
  const { components, paths } = app.swagger() as unknown as Record<string, Record<string, Record<string, { readonly security?: unknown }>>>
  t.match(components?.securitySchemes, { bearerAuth: { type: 'http' }, apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' } })
  t.strictSame(['/orders', '/machines', '/tokens'].map(path => paths?.[path]?.get?.security),
    [[{ bearerAuth: ['orders.read'] }, { apiKey: ['orders.read'] }], [{ apiKey: [] }], [{ bearerAuth: [] }]])
})

t.test('an application that has API keys alone needs no issuer', async t => {
  const { key, record } = made()
  const { app } = await secured(t, issuer, {
    suite: { auth: { apiKeys: { prefix: 'shop', keys: [record] } } },
    routes: app => { app.get('/me', { config: { scope: 'orders.read' } }, async ({ auth }) => auth.subject) }
  })
  t.strictSame(await answersOf(app, call(key), { url: '/me', headers: { authorization: 'Bearer x' } }),
    [200, [401, 'SECURE_API_UNAUTHENTICATED']])
  t.equal((await app.inject('/me')).headers['www-authenticate'], 'ApiKey realm="api"')
})

t.test('wrong configuration stops the boot', async t => {
  const { record, hash } = made()
  const lookup = () => undefined
  const open = join(directory(t), 'open.json')
  writeFileSync(open, JSON.stringify({ keys: [] }))
  chmodSync(open, 0o666)
  const wrong: [object, string][] = [
    [{ keys: [record], prefix: 'Shop' }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [record], prefix: undefined }, 'SECURE_API_OPTION_UNDEFINED'],
    [{ keys: [record], header: 'x api key' }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [record], header: 'Authorization' }, 'SECURE_API_OPTION_VALUE'],
    [{}, 'SECURE_API_OPTION_MISSING'],
    [{ keys: [] }, 'SECURE_API_OPTION_EMPTY'],
    [{ keys: [record], lookup }, 'SECURE_API_OPTION_CONFLICT'],
    [{ keys: [record], timeout: '1 second' }, 'SECURE_API_OPTION_CONFLICT'],
    [{ keys: [record], refresh: '1 minute' }, 'SECURE_API_OPTION_CONFLICT'],
    [{ lookup, timeout: '1 minute' }, 'SECURE_API_OPTION_RANGE'],
    [{ lookup, cache: { ttl: '2 hours' } }, 'SECURE_API_OPTION_RANGE'],
    [{ lookup, cache: { max: 0 } }, 'SECURE_API_OPTION_RANGE'],
    [{ keys: [{ ...record, scope: 'x' }] }, 'SECURE_API_OPTION_UNKNOWN'],
    [{ keys: [{ ...record, id: 'short' }] }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [{ ...record, expires: '2026-06-01' }] }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [{ ...record, expires: '2026-13-01T00:00:00Z' }] }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [{ ...record, kind: 'user' }] }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [{ ...record, allowedAddresses: [] }] }, 'SECURE_API_OPTION_EMPTY'],
    [{ keys: [{ ...record, allowedAddresses: ['example.com'] }] }, 'SECURE_API_OPTION_VALUE'],
    [{ keys: [{ ...record, secrets: [] }] }, 'SECURE_API_OPTION_EMPTY'],
    [{ keys: [{ ...record, secrets: [{ hash }, { hash: createApiKey('shop').hash }] }] }, 'SECURE_API_OPTION_CONFLICT'],
    [{ keys: [{ ...record, secrets: [{ hash }, { hash, expires: '2026-06-01T00:00:00Z' }] }] }, 'SECURE_API_OPTION_CONFLICT'],
    [{ keys: [record, record] }, 'SECURE_API_OPTION_CONFLICT'],
    [{ file: join(tmpdir(), 'nowhere', 'keys.json') }, 'SECURE_API_API_KEYS_FILE'],
    [{ file: open }, 'SECURE_API_TRUST_FILE_MODE']
  ]
  for (const [options, code] of wrong) {
    t.strictSame(await mistakesOf(() => startInProduction(t, options)), [code], JSON.stringify(options))
  }
  const { key } = made()
  const text = await start(t, { keys: [{ ...record, secrets: [{ hash: key }] }] }).catch(error => String(error))
  t.notMatch(text, key, 'a key in the place of its hash is not shown')
})
