import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { compilePolicy, MemoryStore, type Limit, type LimiterEvent } from '../../../lib/limits/index.ts'

const fresh = (i: number) => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`
const abusers = Array.from({ length: 100 }, (_, i) => `198.51.100.${i}`)
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

// V8 frees the memory of dropped buffers on a thread of its own, after the collection: what is in use is the least that is seen.
function megabytesInUse (): number {
  let least = Infinity
  for (let i = 0; i < 5; i++) {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    least = Math.min(least, (heapUsed + arrayBuffers) / 1e6)
  }
  return least
}

t.test('a million fresh keys push out their own kind, and not those at their limit', async t => {
  const floods: [Limit, number][] = [
    [{ limit: 100, window: 3_600_000 }, 1_000_000],
    [{ limit: 100, window: 3_600_000, algorithm: 'token-bucket' }, 80_000],
    [{ limit: 100, window: 3_600_000, algorithm: 'fixed-window' }, 80_000]
  ]
  for (const [limit, keys] of floods) {
    const events: LimiterEvent[] = []
    const store = new MemoryStore({ onEvent: event => events.push(event) })
    const policy = compilePolicy('flooded', limit)
    for (const key of abusers) for (let i = 0; i < 100; i++) store.take(policy, key)
    for (let i = 0; i < keys; i++) store.take(policy, fresh(i))
    t.equal(abusers.filter(key => !store.take(policy, key).allowed).length, 100, limit.algorithm ?? 'sliding-window')
    t.match(store.memory(), { keys: 65_536, capacity: 65_536 })
    t.same(events, [{ type: 'memory-saturated', keys: 65_536 }], 'told once')
  }
})

t.test('memory stays within 15 MB, however the keys are used', async t => {
  const kept: MemoryStore[] = []
  for (const requests of [1, 4]) {
    const before = megabytesInUse()
    const store = new MemoryStore()
    kept.push(store)
    const policy = compilePolicy('flooded', { limit: 100, window: 3_600_000 })
    for (let i = 0; i < 100_000; i++) for (let j = 0; j < requests; j++) store.take(policy, fresh(i))
    const megabytes = megabytesInUse() - before
    t.comment(`${requests} a key: ${megabytes.toFixed(1)} MB`)
    t.ok(megabytes < 15, `${megabytes.toFixed(1)} MB`)
    t.equal(store.memory().keys, 65_536)
  }
})

t.test('when the reserve for exact times is used up, the limit still holds', async t => {
  let now = 0
  const store = new MemoryStore({ now: () => now, capacity: 10 })
  const policy = compilePolicy('crowded', { limit: 50, window: 1000 })
  for (let i = 0; i < 100; i++) {
    now++
    for (let key = 0; key < 10; key++) store.take(policy, `k${key}`)
  }
  for (let key = 0; key < 10; key++) t.equal(store.peek(policy, `k${key}`).remaining, 0)
  now += 1001
  t.equal(store.peek(policy, 'k0').remaining, 50)
})

t.test('18: units that are given back leave the reserve for exact times to others', async t => {
  let now = 0
  const store = new MemoryStore({ now: () => now, capacity: 10 })
  const policy = compilePolicy('verified', { limit: 50, window: 1000 })
  for (let i = 0; i < 100; i++) {
    now++
    store.refund(policy, 'busy', store.take(policy, 'busy'))
  }
  store.take(policy, 'other')
  now += 500
  store.take(policy, 'other')
  now += 501
  t.equal(store.peek(policy, 'other').remaining, 49, 'the first one has expired and the second one has not')
  t.equal(store.take(policy, 'busy').remaining, 49)
})

t.test('what has expired makes room, and the store shrinks again', async t => {
  let now = 0
  const store = new MemoryStore({ now: () => now, capacity: 1000 })
  const policy = compilePolicy('short', { limit: 5, window: 1000 })
  for (let i = 0; i < 1000; i++) store.take(policy, fresh(i))
  now += 1001
  for (let i = 1000; i < 1600; i++) store.take(policy, fresh(i))
  t.ok(store.memory().keys < 1000, `${store.memory().keys} keys`)
  t.equal(store.memory().evictions, 0)
})

t.test('a store so small that everything is evicted counts on', async t => {
  const store = new MemoryStore({ capacity: 1 })
  const policies = [compilePolicy('a', { limit: 2, window: 1000 }), compilePolicy('b', { limit: 2, window: 1000 })] as const
  for (let i = 0; i < 20; i++) {
    t.same(store.consume([[policies[0], `${i}`], [policies[1], `${i}`]]).map(({ allowed }) => allowed),
      [true, true])
  }
  t.equal(store.memory().keys, 1)
})

t.test('steps of the wall clock change nothing', async t => {
  const real = Date.now
  t.teardown(() => { Date.now = real })
  const store = new MemoryStore()
  const policy = compilePolicy('steady', { limit: 1, window: 60_000 })
  store.take(policy, 'a')
  for (const step of [3_600_000, -3_600_000]) {
    Date.now = () => real() + step
    const { allowed, retryAfterMs } = store.take(policy, 'a')
    t.equal(allowed, false)
    t.ok(retryAfterMs <= 60_000)
  }
})
