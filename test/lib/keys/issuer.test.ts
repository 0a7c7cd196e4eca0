import { createPublicKey } from 'node:crypto'
import t, { type Test } from 'tap'
import { scheduleTimer } from '../../../lib/async/index.ts'
import type { KeyRingOptions } from '../../../lib/keys/index.ts'
import type { IssuerFault, TestIssuer } from '../../../testing/index.ts'
import { until } from '../../helpers/server.ts'
import { attemptLimit, createRing, kidsOf, many, present, startIssuer } from './fixtures.ts'

/** A ring against a real issuer. Its clock only moves when it is put forward, so that no cooldown ends by itself; its timers are real. */
async function start (t: Test, options: Partial<KeyRingOptions> = {}) {
  const issuer = await startIssuer(t)
  let now = Date.now()
  const { schedule, expire } = attemptLimit(options.timeout)
  const made = createRing(t, { issuer: issuer.issuer, source: 'discovery', now: () => now, schedule, ...options })
  return { issuer, ...made, expire, pass: (ms: number) => { now += ms } }
}

t.test('rotation: the first token of a new key is accepted, the old ones stay', async t => {
  const { issuer, ring, pass } = await start(t)
  await ring.load()
  const old = issuer.sign()
  issuer.rotate()
  const first = issuer.sign()
  t.same(await many(200, () => present(ring, first)), [200])
  t.equal(await present(ring, old), 200)
  t.equal(issuer.hits.jwks, 2, '200 requests, one fetch')
  issuer.rotate()
  t.equal(await present(ring, issuer.sign()), 401, 'a second rotation within the cooldown waits')
  pass(10_000)
  t.equal(await present(ring, issuer.sign()), 200)
  t.match(issuer.hits, { discovery: 1, jwks: 3 })
})

t.test('removal: the key is refused with the next good document', async t => {
  const { issuer, ring, events } = await start(t)
  await ring.load()
  const token = issuer.sign()
  const [key] = ring.peek('key-1', 'ES256') ?? []
  issuer.rotate()
  issuer.remove('key-1')
  t.equal(await present(ring, token), 200, 'nobody has told us yet')
  await ring.refresh()
  t.equal(key?.active, false, 'whoever holds the key sees it')
  t.same(await many(50, () => present(ring, token)), [401])
  t.match(events.at(-1), { type: 'keys.changed', added: ['key-2'], removed: ['key-1'] })
})

t.test('the background alone removes a key', async t => {
  const { issuer, ring } = await start(t, { refresh: 100, cooldown: 50 })
  await ring.load()
  issuer.rotate()
  issuer.remove('key-1')
  const [key] = ring.peek('key-1', 'ES256') ?? []
  await until(() => key?.active === false, 'the next key set')
  t.same(kidsOf(ring.peek('key-2', 'ES256')), ['key-2'])
})

t.test('outage: known keys work, strangers get 401, one attempt for each cooldown; then 503, then all is well', async t => {
  const { issuer, ring, pass } = await start(t)
  await ring.load()
  const token = issuer.sign()
  const stranger = issuer.sign({}, { header: { kid: 'stranger' } })
  issuer.down()
  t.same(await many(100, () => present(ring, token)), [200])
  t.same(await many(100, () => present(ring, stranger)), [401])
  const { fetches } = ring.status()
  t.equal(fetches, 2)
  pass(10_000)
  t.same(await many(100, () => present(ring, stranger)), [401])
  t.equal(ring.status().fetches, 3)
  t.equal(await present(ring, token), 200)
  pass(1_000_000)
  t.same(await many(100, () => present(ring, token)), [503], 'past maxStale')
  issuer.up()
  pass(10_000)
  t.same(await many(100, () => present(ring, token)), [200])
})

t.test('down at the start: 503 at once, and the first request after the cooldown brings the keys', async t => {
  const { issuer, ring, pass } = await start(t)
  issuer.down()
  t.equal(await ring.load(), false)
  const token = issuer.sign()
  t.same(await many(500, () => present(ring, token)), [503])
  t.equal(ring.status().fetches, 1)
  issuer.up()
  pass(10_000)
  t.same(await many(500, () => present(ring, token)), [200])
  t.equal(ring.status().fetches, 2)
})

const faults: ReadonlyArray<readonly [fault: IssuerFault, reason: string]> = [
  ['hang', 'timeout'], ['drip', 'timeout'], ['down', 'transport'], ['html', 'parse'], ['garbage', 'parse'],
  ['empty-set', 'empty'], ['redirect', 'redirect'], ['oversize', 'oversize'], [{ status: 500 }, 'status'], [{ status: 404 }, 'status']
]

for (const [fault, reason] of faults) {
  t.test(`${JSON.stringify(fault)}: bounded, and the last good set stays`, async t => {
    const { issuer, ring, expire } = await start(t)
    await ring.load()
    const token = issuer.sign()
    issuer.rotate()
    issuer.remove('key-1')
    issuer.fail(fault, 'jwks')
    const answer = present(ring, issuer.sign())
    await until(() => issuer.hits.jwks === 2, 'the request')
    if (reason === 'timeout') expire()
    t.equal(await answer, 401, 'a new key cannot be had')
    t.equal(ring.status().lastFailure?.reason, reason)
    t.same(await many(100, () => present(ring, token)), [200])
    t.equal(ring.status().fetches, 2)
    t.ok(issuer.bytesSent < 16 * 1024 * 1024, `${issuer.bytesSent} bytes`)
    issuer.up()
    t.equal(await ring.refresh(), true)
    t.equal(await present(ring, token), 401, 'and is gone with the next good document')
  })
}

t.test('a fault in the metadata: a known address bridges it, unless it names somebody else', async t => {
  for (const fault of ['hang', 'html', 'garbage', 'redirect', { status: 500 }] as const) {
    const { issuer, ring, pass } = await start(t, { timeout: fault === 'hang' ? 2000 : 5000 })
    t.equal(await ring.load(), true)
    await ring.find('stranger', 'ES256')
    issuer.fail(fault, 'discovery')
    issuer.rotate()
    pass(10_000)
    t.equal(await present(ring, issuer.sign()), 200, JSON.stringify(fault))
  }
  const { issuer, ring } = await start(t)
  issuer.metadata({ issuer: `${issuer.issuer}/` })
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'issuer')
  t.equal(issuer.hits.jwks, 0, 'its keys are not even asked for')
})

t.test('10,000 unknown kids: one fetch for each cooldown, known keys untouched', async t => {
  const { issuer, ring, pass } = await start(t)
  await ring.load()
  const token = issuer.sign()
  for (let round = 1; round <= 3; round++) {
    t.same(await many(10_000, index => present(ring, unsigned(`kid-${round}-${index}`))), [401])
    t.equal(issuer.hits.jwks, 1 + round)
    t.equal(await present(ring, token), 200)
    pass(10_000)
  }
})

/** Looks like a token, for a fraction of the cost of signing one. */
function unsigned (kid: string): string {
  return `${Buffer.from(JSON.stringify({ alg: 'ES256', kid })).toString('base64url')}.e30.AAAA`
}

t.test('a set that is poisoned: only its sound keys count', async t => {
  const { issuer, ring, events } = await start(t, { algorithms: ['RS256', 'ES256'] })
  const [sound] = issuer.jwks.keys
  publish(issuer, [{ kty: 'oct', kid: 'secret', k: 'c2VjcmV0' }, { ...sound, kid: 'enc', use: 'enc' }, { ...sound, kid: 'd', d: 'AA' },
    sound, null, { ...sound, kid: 'hs', alg: 'HS256' }])
  t.equal(await ring.load(), true)
  t.same(ring.status().keys, [{ kid: 'key-1', algorithms: ['ES256'] }])
  t.same(events.flatMap(event => event.type === 'keys.dropped' ? [[event.kid, event.reason]] : []),
    [['secret', 'symmetric'], ['enc', 'use'], ['d', 'private'], [undefined, 'malformed'], ['hs', 'algorithm']])
  t.equal(await present(ring, issuer.sign()), 200)
  t.ok(ring.peek('key-1', 'ES256')?.[0]?.key.equals(createPublicKey({ key: sound ?? {}, format: 'jwk' })))
})

function publish (issuer: TestIssuer, keys: unknown[]): void {
  issuer.publish({ keys })
}

t.test('its timers keep no process alive, and close ends a hanging fetch', async t => {
  const { issuer, ring } = await start(t, { timeout: 60_000, schedule: scheduleTimer })
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  await ring.load()
  t.equal(timers(), before)
  issuer.fail('hang')
  const asked = issuer.hits.jwks
  const refreshing = ring.refresh()
  while (issuer.hits.jwks === asked) await new Promise(resolve => setImmediate(resolve))
  ring.close()
  t.equal(await refreshing, false)
})
