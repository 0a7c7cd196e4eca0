import { setTimeout as wait } from 'node:timers/promises'
import buildGetJwks from 'get-jwks'
import t, { type Test } from 'tap'
import { createRing, kidsOf, startIssuer } from './fixtures.ts'

/*
 * get-jwks 11.0.3 and the key ring through the same hours of the same issuer: why the ring does not fetch with it by default.
 * A test here that fails after an update of get-jwks is good news, and a reason to look again.
 */
async function start (t: Test, { timeout = 5000, fetchOptions = {} } = {}) {
  const issuer = await startIssuer(t)
  const engine = buildGetJwks({ jwksPath: '/jwks', fetchOptions })
  const { ring } = createRing(t, { issuer: issuer.issuer, source: { jwksUri: issuer.jwksUri }, timeout, now: () => 0 })
  const getJwk = (kid: string) => engine.getJwk({ domain: issuer.issuer, alg: 'ES256', kid })
  return { issuer, ring, getJwk }
}

/** Puts the clock of get-jwks' caches forward (lru-cache reads `performance.now` and keeps it for a millisecond). */
function timeMachine (t: Test) {
  const real = performance.now.bind(performance)
  let offset = 0
  performance.now = () => real() + offset
  t.teardown(() => { performance.now = real })
  return async (ms: number) => {
    offset += ms
    await wait(5)
  }
}

const settled = (work: Promise<unknown>) => work.then(() => 'resolved', () => 'rejected')

t.test('a removed key: get-jwks trusts it while traffic goes on, the ring until the next good document', async t => {
  const pass = timeMachine(t)
  const { issuer, ring, getJwk } = await start(t)
  await ring.load()
  await getJwk('key-1')
  issuer.rotate()
  issuer.remove('key-1')
  await ring.refresh()
  t.same(ring.peek('key-1', 'ES256'), [])
  const outcomes = new Set<string>()
  const before = issuer.hits.jwks
  for (let minute = 0; minute < 60; minute += 0.75) {
    await pass(45_000)
    outcomes.add(await settled(getJwk('key-1')))
  }
  t.same([...outcomes], ['resolved'], 'get-jwks: an hour later, with a cache of one minute')
  t.ok(issuer.hits.jwks - before >= 70, 'although it asked, and was told, each time')
})

t.test('unknown kids: get-jwks fetches for each, the ring once', async t => {
  const { issuer, ring, getJwk } = await start(t)
  await ring.load()
  const before = issuer.hits.jwks
  for (let i = 0; i < 50; i++) await settled(getJwk(`kid-${i}`))
  t.equal(issuer.hits.jwks - before, 50)
  for (let i = 0; i < 50; i++) await settled(getJwk('kid-0'))
  t.equal(issuer.hits.jwks - before, 100, 'also for one that it has asked for before')
  for (let i = 0; i < 50; i++) await ring.find(`kid-${i}`, 'ES256')
  t.equal(issuer.hits.jwks - before, 101)
})

t.test('a provider that hangs: get-jwks has no time limit, whatever its timeout says', async t => {
  const { issuer, ring, getJwk } = await start(t, { timeout: 100, fetchOptions: { timeout: 100 } })
  issuer.fail('hang')
  const pending = settled(getJwk('key-1'))
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'timeout')
  t.equal(await Promise.race([pending, wait(900, 'pending')]), 'pending', 'nine times its timeout later')
  await issuer.close()
  t.equal(await pending, 'rejected')
})

t.test('size and redirects: get-jwks takes what comes', async t => {
  const { issuer, ring, getJwk } = await start(t)
  const bytes = 4 * 1024 * 1024
  issuer.fail({ oversize: bytes })
  t.equal(await settled(getJwk('key-1')), 'resolved')
  t.ok(issuer.bytesSent > bytes, 'read to the end')
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'oversize')
  issuer.fail('redirect')
  const before = issuer.hits.jwks
  t.equal(await settled(buildGetJwks({ jwksPath: '/jwks' }).getJwk({ domain: issuer.issuer, alg: 'ES256', kid: 'key-1' })), 'resolved')
  t.equal(issuer.hits.jwks - before, 2, 'and followed')
  t.equal(await ring.refresh(), false)
  t.equal(ring.status().lastFailure?.reason, 'redirect')
})

t.test('sets: get-jwks gives one key for a kid that is known beforehand, the ring has all of them', async t => {
  const { issuer, ring, getJwk } = await start(t)
  issuer.rotate()
  issuer.rotate()
  t.equal(await ring.load(), true, 'ready before the first token')
  t.equal(issuer.hits.jwks, 1)
  t.same(kidsOf(ring.status().keys), ['key-1', 'key-2', 'key-3'])
  for (const kid of ['key-1', 'key-2', 'key-3']) await getJwk(kid)
  t.equal(issuer.hits.jwks, 4, 'one fetch of the same document for each key')
})

t.test('what get-jwks hands out is not looked at', async t => {
  const { issuer, ring, getJwk } = await start(t)
  const [sound] = issuer.jwks.keys
  const unsound = [{ ...sound, kid: 'enc', use: 'enc' }, { ...sound, kid: 'private', d: 'AA' }, { kty: 'oct', kid: 'secret', k: 'AA' }]
  issuer.publish({ keys: unsound })
  for (const { kid } of unsound) t.equal(await settled(getJwk(kid)), 'resolved', kid)
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'empty')
})

t.test('discovery: get-jwks does not compare the issuer', async t => {
  const issuer = await startIssuer(t)
  issuer.metadata({ issuer: 'https://somebody-else.example' })
  const engine = buildGetJwks({ providerDiscovery: true })
  t.equal(await settled(engine.getJwk({ domain: issuer.issuer, alg: 'ES256', kid: 'key-1' })), 'resolved')
  const { ring } = createRing(t, { issuer: issuer.issuer, source: 'discovery' })
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'issuer')
})
