import t, { type Test } from 'tap'
import { FetchFailure, KeysUnavailable, type FetchDocument, type KeyRingOptions } from '../../../lib/keys/index.ts'
import { createRing, ecKey, ISSUER, kidsOf, settle, TestTime } from './fixtures.ts'

/** A provider in memory: each request takes what `answer` gives, or waits for `release`. */
class Provider {
  answer: unknown
  readonly urls: string[] = []
  #held: Array<() => void> | undefined

  constructor (answer: unknown) {
    this.answer = answer
  }

  readonly fetch: FetchDocument = async url => {
    this.urls.push(url)
    const { answer } = this
    if (this.#held !== undefined) await new Promise<void>(resolve => this.#held?.push(resolve))
    const document = typeof answer === 'function' ? answer(url) : answer
    if (document instanceof Error) throw document
    return document
  }

  get asked (): number {
    return this.urls.length
  }

  hold (): void {
    this.#held = []
  }

  release (): void {
    this.#held?.forEach(resolve => resolve())
    this.#held = undefined
  }
}

const a = ecKey('a')
const b = ecKey('b')
const c = ecKey('c')
const setOf = (...keys: object[]) => ({ keys })
const failure = new FetchFailure('status', { status: 503 })

function create (t: Test, document: unknown = setOf(a), options: Partial<KeyRingOptions> = {}) {
  const time = new TestTime()
  const provider = new Provider(document)
  const made = createRing(t, { now: () => time.now, random: () => 0.5, schedule: time.schedule, fetch: provider.fetch, ...options })
  return { ...made, time, provider }
}

async function refusal (work: Promise<unknown>) {
  const error = await work.then(() => undefined, (error: unknown) => error)
  return error instanceof KeysUnavailable ? error.retryAfter : undefined
}

t.test('before and after the first load', async t => {
  const { ring, provider, types } = create(t)
  t.equal(ring.peek('a', 'ES256'), undefined, 'no set at all')
  t.match(ring.status(), { issuer: ISSUER, state: 'empty', keys: [], lastSuccess: undefined, nextRefresh: undefined, fetches: 0 })
  t.equal(await ring.load(), true)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
  t.same(ring.peek('b', 'ES256'), [], 'a set without that key')
  t.same(ring.peek('a', 'RS256'), [], 'a key for another algorithm')
  t.same(ring.status(), {
    issuer: ISSUER,
    state: 'fresh',
    keys: [{ kid: 'a', algorithms: ['ES256'] }],
    lastSuccess: 1_000_000,
    nextRefresh: 1_080_000,
    fetches: 1
  })
  t.equal(await ring.load(), true)
  t.equal(provider.asked, 1, 'loaded once')
  t.same(types(), ['keys.loaded'])
})

t.test('a look-up allocates nothing', async t => {
  const { ring } = create(t)
  await ring.load()
  t.equal(ring.peek('a', 'ES256'), ring.peek('a', 'ES256'))
  t.equal(ring.peek('x', 'ES256'), ring.peek('y', 'RS512'))
  t.ok(Object.isFrozen(ring.peek('a', 'ES256')))
})

t.test('kid is compared as an exact string', async t => {
  const names = ['a', 'A', 'a ', '__proto__', 'constructor', 'undefined', '', '\ud800', 'ES256 a']
  const { ring } = create(t, setOf(...names.map(kid => ecKey(kid))))
  await ring.load()
  for (const kid of names) t.same(kidsOf(ring.peek(kid, 'ES256')), [kid], JSON.stringify(kid))
  for (const kid of ['toString', 'null', 'à', 'a\u0000', ' a']) t.same(ring.peek(kid, 'ES256'), [], JSON.stringify(kid))
})

t.test('a token without kid fits only where one key does; repeated kids are all tried, four at most', async t => {
  const { ring, provider } = create(t, setOf(ecKey(undefined)))
  await ring.load()
  t.same(kidsOf(ring.peek(undefined, 'ES256')), [undefined])
  t.same(ring.peek('a', 'ES256'), [], 'a key without kid is no match for one with')
  provider.answer = setOf(a)
  await ring.refresh()
  t.same(kidsOf(ring.peek(undefined, 'ES256')), ['a'])
  provider.answer = setOf(a, b)
  await ring.refresh()
  t.same(ring.peek(undefined, 'ES256'), [], 'two keys: which one is not for the sender to choose')
  provider.answer = setOf(a, ...Array.from({ length: 6 }, () => ecKey('a')), b)
  await ring.refresh()
  t.equal(ring.peek('a', 'ES256')?.length, 4)
  t.same(kidsOf(ring.peek('b', 'ES256')), ['b'])
})

t.test('refreshes in the background at about 80 % of the period', async t => {
  for (const [random, at] of [[0, 75_000], [0.5, 80_000], [1, 85_000]] as const) {
    const { ring, provider, time } = create(t, setOf(a), { random: () => random })
    await ring.load()
    await time.pass(at - 1)
    t.equal(provider.asked, 1)
    await time.pass(1)
    t.equal(provider.asked, 2, `${at}`)
    await time.pass(at)
    t.equal(provider.asked, 3, 'and again')
    t.equal(ring.status().state, 'fresh')
  }
})

t.test('a key that a good document lacks ends at once; one that stays keeps its object', async t => {
  const { ring, provider, events } = create(t, setOf(a, b))
  await ring.load()
  const [keyA] = ring.peek('a', 'ES256') ?? []
  const [keyB] = ring.peek('b', 'ES256') ?? []
  provider.answer = setOf({ ...b, use: 'sig' }, c)
  await ring.refresh()
  t.equal(keyA?.active, false)
  t.same(ring.peek('a', 'ES256'), [])
  t.equal(keyB?.active, true)
  t.equal(ring.peek('b', 'ES256')?.[0], keyB)
  t.same(events.at(-1), { type: 'keys.changed', issuer: ISSUER, added: ['c'], removed: ['a'] })
  provider.answer = setOf(a, b, c)
  await ring.refresh()
  t.not(ring.peek('a', 'ES256')?.[0], keyA, 'one that comes back is another object')
  t.equal(keyA?.active, false)
})

t.test('another key under the same kid replaces the first', async t => {
  const { ring, provider, events } = create(t)
  await ring.load()
  const [before] = ring.peek('a', 'ES256') ?? []
  provider.answer = setOf(ecKey('a'))
  await ring.refresh()
  const [after] = ring.peek('a', 'ES256') ?? []
  t.not(after, before)
  t.equal(before?.active, false)
  t.equal(after?.active, true)
  t.match(events.at(-1), { type: 'keys.changed', added: ['a'], removed: ['a'] })
})

t.test('unknown kids cause one fetch for each cooldown, on a clock they cannot move', async t => {
  const { ring, provider, time } = create(t)
  await ring.load()
  let found = 0
  for (let i = 0; i < 10_000; i++) found += (await ring.find(`kid-${i}`, 'ES256')).length
  t.equal(found, 0)
  t.equal(provider.asked, 2)
  await time.pass(9_999)
  await ring.find('again', 'ES256')
  t.equal(provider.asked, 2, 'still within')
  await time.pass(1)
  await ring.find('again', 'ES256')
  t.equal(provider.asked, 3, 'exactly one cooldown after the first, although asked meanwhile')
})

t.test('a rotation right after a refresh is noticed at once, and after that within the cooldown', async t => {
  const { ring, provider, time } = create(t)
  await ring.load()
  provider.answer = setOf(a, b)
  t.same(kidsOf(await ring.find('b', 'ES256')), ['b'], 'a background fetch does not use up the cooldown')
  provider.answer = setOf(a, b, c)
  t.same(await ring.find('c', 'ES256'), [])
  await time.pass(10_000)
  t.same(kidsOf(await ring.find('c', 'ES256')), ['c'])
})

t.test('requests that wait share one fetch', async t => {
  const { ring, provider } = create(t, setOf(a, b))
  provider.hold()
  const waiting = ['a', 'b', 'x'].map(kid => ring.find(kid, 'ES256'))
  const loading = ring.load()
  const refreshing = ring.refresh()
  await settle()
  provider.release()
  t.same((await Promise.all(waiting)).map(kidsOf), [['a'], ['b'], []])
  t.equal(await loading, true)
  t.equal(await refreshing, true)
  t.equal(provider.asked, 1)
})

t.test('no more than 1000 requests wait', async t => {
  const { ring, provider, time } = create(t)
  provider.hold()
  const waiting = Array.from({ length: 1000 }, () => ring.find('a', 'ES256'))
  t.equal(await refusal(ring.find('a', 'ES256')), 10_000, 'the next is told to come back')
  provider.release()
  t.equal((await Promise.all(waiting)).length, 1000)
  await time.pass(10_000)
  provider.answer = setOf(a, b)
  provider.hold()
  const next = [ring.find('b', 'ES256'), ring.find('b', 'ES256')]
  provider.release()
  t.same((await Promise.all(next)).map(kidsOf), [['b'], ['b']], 'those who are done make room')
  t.equal(provider.asked, 2)
})

t.test('a provider that hangs holds a request for the time limit only', async t => {
  const { ring, provider, time, events } = create(t)
  await ring.load()
  provider.hold()
  let found: readonly unknown[] | undefined
  ring.find('x', 'ES256').then(keys => { found = keys })
  await time.pass(4999)
  t.equal(found, undefined)
  await time.pass(1)
  t.same(found, [])
  t.match(events.at(-1), { type: 'keys.failed', reason: 'timeout', usable: true })
  provider.release()
  await settle()
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
  t.equal(ring.status().lastFailure?.reason, 'timeout', 'an answer that comes too late changes nothing')
})

t.test('without any set: 503 with the rest of the cooldown, one attempt for each', async t => {
  const { ring, provider, time } = create(t, failure, { random: () => 1 })
  t.equal(await ring.load(), false)
  const refusals = new Set(await Promise.all(Array.from({ length: 1000 }, () => refusal(ring.find('a', 'ES256')))))
  t.same([...refusals], [10_000])
  t.equal(provider.asked, 1, 'a failed attempt counts')
  await time.pass(4000)
  t.equal(await refusal(ring.find('a', 'ES256')), 6000)
  await time.pass(6000)
  t.equal(provider.asked, 1)
  t.equal(await refusal(ring.find('a', 'ES256')), 10_000, 'the next attempt, and the next cooldown')
  t.equal(provider.asked, 2)
  provider.answer = setOf(a)
  await time.pass(10_000)
  t.same(kidsOf(await ring.find('a', 'ES256')), ['a'])
  t.equal(provider.asked, 3)
})

t.test('without any set the background goes on trying', async t => {
  const { ring, provider, time } = create(t, failure)
  await ring.load()
  provider.answer = setOf(a)
  await time.pass(10_000)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'], 'no request was needed')
})

t.test('never asked to load, the first request does', async t => {
  const { ring, provider, time } = create(t)
  t.same(kidsOf(await ring.find('a', 'ES256')), ['a'])
  await time.pass(80_000)
  t.equal(provider.asked, 2, 'and the background goes on from there')
})

t.test('the last good set outlives every kind of failure', async t => {
  const reasons = ['timeout', 'transport', 'status', 'redirect', 'oversize', 'parse'] as const
  const documents: Array<[unknown, string]> = [
    ...reasons.map((reason): [unknown, string] => [new FetchFailure(reason), reason]),
    [setOf(), 'empty'], [{}, 'empty'], [null, 'empty'], ['text', 'empty'],
    [setOf({ ...a, use: 'enc' }, { kty: 'oct', k: 'AA' }), 'empty'],
    [new Error('of a fetch that somebody else wrote'), 'transport']
  ]
  for (const [document, reason] of documents) {
    const { ring, provider, events } = create(t)
    await ring.load()
    provider.answer = document
    t.equal(await ring.refresh(), false)
    t.same(kidsOf(ring.peek('a', 'ES256')), ['a'], reason)
    t.equal(ring.peek('a', 'ES256')?.[0]?.active, true)
    t.match(events.at(-1), { type: 'keys.failed', reason })
    t.match(ring.status(), { state: 'fresh', lastFailure: { at: 1_000_000, reason } })
  }
})

t.test('failures back off, and the first success ends that', async t => {
  const { ring, provider, time, types } = create(t, setOf(a), { refresh: 1_000_000, maxStale: 10_000_000 })
  await ring.load()
  provider.answer = failure
  await ring.refresh()
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    const wait = (ring.status().nextRefresh ?? 0) - time.now
    waits.push(wait)
    await time.pass(wait)
  }
  t.same(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000])
  t.equal(ring.status().state, 'stale')
  provider.answer = setOf(a)
  await time.pass(300_000)
  t.equal(ring.status().state, 'fresh')
  t.equal((ring.status().nextRefresh ?? 0) - (ring.status().lastSuccess ?? 0), 800_000)
  t.equal(types().at(-1), 'keys.loaded', 'the recovery is told')
  t.equal(types().filter(type => type === 'keys.loaded').length, 2)
  provider.answer = failure
  await ring.refresh()
  t.equal((ring.status().nextRefresh ?? 0) - time.now, 10_000, 'and the next failure begins anew')
})

t.test('no retry comes before the cooldown has ended, whatever chance says', async t => {
  for (const random of [0, 1]) {
    const { ring, provider, time } = create(t, failure, { random: () => random })
    await ring.load()
    await time.pass(9_999)
    t.equal(provider.asked, 1)
    await time.pass(1_001)
    t.equal(provider.asked, 2)
  }
})

t.test('the back-off never exceeds the refresh period, nor a minute without keys', async t => {
  const short = create(t)
  await short.ring.load()
  short.provider.answer = failure
  for (let i = 0; i < 6; i++) await short.ring.refresh()
  t.equal((short.ring.status().nextRefresh ?? 0) - short.time.now, 100_000)
  const empty = create(t, failure)
  for (let i = 0; i < 6; i++) await empty.ring.refresh()
  t.equal((empty.ring.status().nextRefresh ?? 0) - empty.time.now, 60_000)
})

t.test('past maxStale every key ends, and comes back with the next good set', async t => {
  const { ring, provider, time, types } = create(t)
  await ring.load()
  const [key] = ring.peek('a', 'ES256') ?? []
  provider.answer = failure
  await time.pass(999_999)
  t.equal(key?.active, true)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
  t.equal(ring.status().state, 'stale')
  await time.pass(1)
  t.equal(key?.active, false)
  t.equal(ring.peek('a', 'ES256'), undefined)
  t.equal(ring.status().state, 'empty')
  t.ok(Number(await refusal(ring.find('a', 'ES256'))) > 0)
  t.equal(types().filter(type => type === 'keys.expired').length, 1)
  provider.answer = setOf(a)
  await time.pass(100_000)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
  t.not(ring.peek('a', 'ES256')?.[0], key)
})

t.test('past maxStale a timer that has not fired yet keeps nothing alive', async t => {
  const { ring, provider, time } = create(t)
  await ring.load()
  const [key] = ring.peek('a', 'ES256') ?? []
  provider.answer = failure
  time.now += 1_000_000
  t.equal(ring.peek('a', 'ES256'), undefined, 'a machine that slept')
  t.equal(key?.active, false)
})

t.test('a clock that is set back blocks nothing', async t => {
  const { ring, provider, time } = create(t)
  await ring.load()
  await ring.find('x', 'ES256')
  time.now -= 500_000
  await ring.find('x', 'ES256')
  t.equal(provider.asked, 3)
  await ring.find('x', 'ES256')
  t.equal(provider.asked, 3, 'and the cooldown holds on the new time')
})

t.test('keys that are not used are told once', async t => {
  const encryption = { ...ecKey('enc'), use: 'enc' }
  const { ring, provider, events } = create(t, setOf(a, encryption))
  await ring.load()
  await ring.refresh()
  t.same(events.filter(({ type }) => type === 'keys.dropped'), [{ type: 'keys.dropped', issuer: ISSUER, kid: 'enc', reason: 'use' }])
  provider.answer = setOf(a)
  await ring.refresh()
  provider.answer = setOf(a, encryption)
  await ring.refresh()
  t.equal(events.filter(({ type }) => type === 'keys.dropped').length, 2, 'and again when it comes back')
})

t.test('a listener that throws costs nothing', async t => {
  const { ring } = create(t, setOf(a), { onEvent: () => { throw new Error('of the application') } })
  t.equal(await ring.load(), true)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
})

t.test('inline keys are never fetched and never expire', async t => {
  const { ring, provider, time, types } = create(t, setOf(b), { source: { jwks: setOf(a, { kty: 'oct', k: 'AA' }) } })
  t.equal(await ring.load(), true)
  t.same(kidsOf(ring.peek('a', 'ES256')), ['a'])
  t.same(await ring.find('x', 'ES256'), [])
  await time.pass(10_000_000)
  t.equal(await ring.refresh(), true)
  t.match(ring.status(), { state: 'fresh', nextRefresh: undefined, fetches: 0 })
  t.equal(provider.asked, 0)
  t.equal(time.pending, 0)
  t.same(types(), [])
  const empty = create(t, setOf(b), { source: { jwks: {} } }).ring
  t.equal(await empty.load(), false)
  t.equal(empty.peek('a', 'ES256'), undefined, 'an unusable one is closed, not open')
  t.ok(await refusal(empty.find('a', 'ES256')))
})

t.test('discovery: the address is kept until it is doubted', async t => {
  const documents: Record<string, unknown> = {
    [`${ISSUER}/.well-known/openid-configuration`]: { issuer: ISSUER, jwks_uri: `${ISSUER}/old` },
    [`${ISSUER}/old`]: setOf(a),
    [`${ISSUER}/new`]: setOf(b)
  }
  const { ring, provider, time } = create(t, (url: string) => documents[url], { source: 'discovery' })
  await ring.load()
  await ring.refresh()
  t.same(provider.urls.map(url => url.slice(ISSUER.length)), ['/.well-known/openid-configuration', '/old', '/old'])
  documents[`${ISSUER}/.well-known/openid-configuration`] = { issuer: ISSUER, jwks_uri: `${ISSUER}/new` }
  t.same(await ring.find('b', 'ES256'), [], 'the old address still answers, without the new key')
  await time.pass(10_000)
  t.same(kidsOf(await ring.find('b', 'ES256')), ['b'], 'so it is looked up again')
  documents[`${ISSUER}/.well-known/openid-configuration`] = failure
  t.same(await ring.find('x', 'ES256'), [])
  await time.pass(10_000)
  t.equal(await ring.refresh(), true, 'without metadata the address known last is used')
  await ring.find('y', 'ES256')
  documents[`${ISSUER}/.well-known/openid-configuration`] = { issuer: 'https://other.example', jwks_uri: `${ISSUER}/new` }
  t.equal(await ring.refresh(), false, 'but metadata of somebody else ends the attempt')
  t.equal(ring.status().lastFailure?.reason, 'issuer')
  t.same(kidsOf(ring.peek('b', 'ES256')), ['b'])
})

t.test('an address that is not safe is not asked', async t => {
  const { ring, provider } = create(t, setOf(a), { source: { jwksUri: 'http://127.0.0.1/jwks' }, allowLoopback: false })
  t.equal(await ring.load(), false)
  t.equal(ring.status().lastFailure?.reason, 'url')
  t.equal(provider.asked, 0)
})

t.test('close ends timers and the attempt under way', async t => {
  const { ring, provider, time, types } = create(t)
  await ring.load()
  provider.hold()
  const finding = ring.find('x', 'ES256')
  const refreshing = ring.refresh()
  ring.close()
  t.equal(await refreshing, false)
  t.same(await finding, [])
  t.equal(time.pending, 0)
  t.equal(ring.status().nextRefresh, undefined)
  await ring.find('y', 'ES256')
  await ring.refresh()
  t.equal(provider.asked, 2, 'nothing is asked afterwards')
  t.same(types(), ['keys.loaded'])
  provider.release()
  await settle()
  t.equal(time.pending, 0)
})

t.test('an inline set is replaced: what the new one lacks ends at once, and an empty one changes nothing', async t => {
  const { ring, types } = create(t, undefined, { source: { jwks: setOf(a, b) } })
  const [known] = ring.peek('a', 'ES256') ?? []
  ring.replace(setOf(b, c))
  t.equal(known?.active, false)
  t.strictSame(ring.status().keys.map(({ kid }) => kid), ['b', 'c'])
  ring.replace(setOf())
  t.strictSame(ring.status().keys.map(({ kid }) => kid), ['b', 'c'])
  t.strictSame(types(), ['keys.changed'])
})
