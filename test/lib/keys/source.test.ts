import buildGetJwks from 'get-jwks'
import t, { type Test } from 'tap'
import type { JwkSource, KeyRingOptions } from '../../../lib/keys/index.ts'
import { until } from '../../helpers/server.ts'
import { attemptLimit, createRing, ecKey, kidsOf, many, present, startIssuer } from './fixtures.ts'

/** A ring that asks get-jwks, which asks a real issuer. The clock of the ring only moves when it is put forward. */
async function start (t: Test, options: Partial<KeyRingOptions> = {}) {
  const issuer = await startIssuer(t)
  let now = Date.now()
  const { schedule, expire } = attemptLimit()
  const askFor = buildGetJwks({ jwksPath: '/jwks' })
  const made = createRing(t, { issuer: issuer.issuer, source: { askFor }, now: () => now, schedule, ...options })
  const signedBy = (kid: string) => issuer.sign({}, { header: { kid } })
  return { issuer, askFor, signedBy, ...made, expire, pass: (ms: number) => { now += ms } }
}

/** A ring that asks this function. */
function ask (t: Test, getJwk: JwkSource['getJwk'], options: Partial<KeyRingOptions> = {}) {
  return createRing(t, { source: { askFor: { getJwk } }, ...options })
}

t.test('at the start the source is asked whether it answers; each key comes with its first token', async t => {
  const { issuer, ring } = await start(t)
  t.equal(await ring.load(), true)
  t.match(ring.status(), { state: 'fresh', keys: [], fetches: 1 })
  const first = issuer.sign()
  t.same(await many(200, () => present(ring, first)), [200])
  issuer.rotate()
  const second = issuer.sign()
  t.same(await many(200, () => present(ring, second)), [200], 'no cooldown after a key that was found')
  t.same(kidsOf(ring.status().keys), ['key-1', 'key-2'])
  t.match(issuer.hits, { discovery: 0, jwks: 4 }, 'a probe, the first key, then the first key again beside the second')
})

t.test('the first tokens of two keys at once: both are asked for', async t => {
  const { issuer, ring } = await start(t)
  const first = issuer.sign()
  issuer.rotate()
  t.same(await Promise.all([present(ring, first), present(ring, issuer.sign())]), [200, 200])
})

t.test('removal: get-jwks would serve the key from its stale cache for ever, the next refresh ends it', async t => {
  const { issuer, ring, askFor, events } = await start(t)
  const token = issuer.sign()
  t.equal(await present(ring, token), 200)
  const [key] = ring.peek('key-1', 'ES256') ?? []
  issuer.rotate()
  issuer.remove('key-1')
  t.equal(await present(ring, token), 200, 'nobody has told us yet')
  t.match(await askFor.getJwk({ domain: issuer.issuer, alg: 'ES256', kid: 'key-1' }), { kid: 'key-1' }, 'get-jwks has it still')
  t.equal(await ring.refresh(), true)
  t.equal(key?.active, false, 'whoever holds the key sees it, though it was the only one in use')
  t.same(await many(50, () => present(ring, token)), [401])
  t.match(events.at(-1), { type: 'keys.changed', added: [], removed: ['key-1'] })
})

t.test('the background alone removes a key', async t => {
  const { issuer, ring } = await start(t, { refresh: 100, cooldown: 50 })
  await present(ring, issuer.sign())
  const [key] = ring.peek('key-1', 'ES256') ?? []
  issuer.rotate()
  issuer.remove('key-1')
  await until(() => key?.active === false, 'the next refresh')
})

t.test('a flood of unknown kids: 401, at most 8 look-ups beside the keys in use for each cooldown', async t => {
  const { issuer, ring, signedBy, pass } = await start(t)
  await ring.load()
  const token = issuer.sign()
  t.equal(await present(ring, token), 200)
  const before = issuer.hits.jwks
  t.same(await many(500, index => present(ring, signedBy(`stranger-${index}`))), [401])
  t.equal(issuer.hits.jwks - before, 9, 'eight of them, and the key in use')
  t.same(await many(500, index => present(ring, signedBy(`other-${index}`))), [401])
  t.equal(issuer.hits.jwks - before, 9)
  t.equal(await present(ring, token), 200)
  pass(10_000)
  t.same(await many(500, index => present(ring, signedBy(`later-${index}`))), [401])
  t.equal(issuer.hits.jwks - before, 18)
})

t.test('a new key comes through a flood within a cooldown: what is asked for most often is kept', async t => {
  const { issuer, ring, signedBy, pass } = await start(t)
  await ring.load()
  t.equal(await present(ring, signedBy('stranger')), 401)
  const token = issuer.sign()
  for (let index = 0; index < 100; index++) {
    await present(ring, signedBy(`stranger-${index}`))
    if (index % 5 === 0) t.equal(await present(ring, token), 401, 'not before the cooldown ends')
  }
  pass(10_000)
  await present(ring, signedBy('last'))
  t.equal(await present(ring, token), 200)
})

t.test('outage: known keys work, strangers get 401, one attempt for each cooldown; then 503, then all is well', async t => {
  const { issuer, ring, signedBy, pass, events } = await start(t)
  const token = issuer.sign()
  t.equal(await present(ring, token), 200)
  issuer.down()
  t.same(await many(100, () => present(ring, token)), [200])
  t.same(await many(100, () => present(ring, signedBy('stranger'))), [401])
  t.equal(ring.status().fetches, 2)
  t.match(events.at(-1), { type: 'keys.failed', reason: 'transport', found: 'UND_ERR_SOCKET', usable: true },
    'not bridged by the stale cache')
  pass(1_000_000)
  t.same(await many(100, () => present(ring, token)), [503], 'past maxStale')
  issuer.up()
  pass(10_000)
  t.same(await many(100, () => present(ring, token)), [200])
})

t.test('down at the start: 503 at once, and the first request after the cooldown brings the key', async t => {
  const { issuer, ring, pass } = await start(t)
  issuer.down()
  t.equal(await ring.load(), false)
  t.equal(ring.status().state, 'empty')
  const token = issuer.sign()
  t.same(await many(500, () => present(ring, token)), [503])
  t.equal(ring.status().fetches, 1)
  issuer.up()
  pass(10_000)
  t.same(await many(500, () => present(ring, token)), [200])
})

t.test('faults of the provider: bounded, and the keys in use stay', async t => {
  const faults = [
    ['hang', 'timeout'], ['drip', 'timeout'], ['html', 'parse'], ['garbage', 'parse'], ['empty-set', 'transport'],
    [{ status: 500 }, 'parse']
  ] as const
  for (const [fault, reason] of faults) {
    const { issuer, ring, pass, expire } = await start(t)
    const token = issuer.sign()
    t.equal(await present(ring, token), 200)
    issuer.rotate()
    issuer.fail(fault)
    const { jwks: asked } = issuer.hits
    const answer = present(ring, issuer.sign())
    await until(() => issuer.hits.jwks > asked, 'the request')
    if (reason === 'timeout') expire()
    t.equal(await answer, 401, `${JSON.stringify(fault)}: a new key cannot be had`)
    t.equal(ring.status().lastFailure?.reason, reason)
    t.equal(await present(ring, token), 200)
    issuer.up()
    pass(10_000)
    t.equal(await present(ring, issuer.sign()), 200, 'what hangs still is not waited for')
  }
})

t.test('what the source hands out is imported as any other key', async t => {
  const sound = ecKey('sound')
  const answers = new Map<string, unknown>(Object.entries({
    sound,
    private: { ...sound, kid: 'private', d: 'AA' },
    secret: { kty: 'oct', kid: 'secret', k: 'AA' },
    use: { ...sound, kid: 'use', use: 'enc' },
    other: sound,
    pem: '-----BEGIN PUBLIC KEY-----',
    number: 7
  }))
  const asked: unknown[] = []
  const { ring, events } = ask(t, async wanted => { asked.push(wanted); return answers.get(wanted.kid) }, { cooldown: 0 })
  for (const kid of answers.keys()) t.same(kidsOf(await ring.find(kid, 'ES256')), kid === 'sound' ? ['sound'] : [], kid)
  t.same(kidsOf(await ring.find('absent', 'ES256')), [])
  t.same(kidsOf(await ring.find('sound', 'RS256')), [], 'not for an algorithm of another type')
  t.same(events.flatMap(event => event.type === 'keys.dropped' ? [[event.kid, event.reason]] : []),
    [['private', 'private'], ['secret', 'symmetric'], ['use', 'use'], ['other', 'type'], ['pem', 'type'], ['number', 'type']])
  t.same(asked[0], { domain: 'https://issuer.example', alg: 'ES256', kid: 'sound' })
})

t.test('a source that throws is unavailable, and one whose key has no kid is never asked without', async t => {
  const { ring } = ask(t, () => { throw new TypeError('not a promise') })
  await t.rejects(ring.find('key-1', 'ES256'), { name: 'KeysUnavailable' })
  const kids: string[] = []
  const { ring: other } = ask(t, async ({ kid }) => { kids.push(kid); return kid === 'key-1' ? ecKey(kid) : undefined }, { cooldown: 0 })
  await other.find('key-1', 'ES256')
  t.same([other.peek(undefined, 'ES256'), await other.find(undefined, 'ES256')], [[], []], 'the only known key is not the only one')
  t.same([...new Set(kids)], ['key-1'])
})
