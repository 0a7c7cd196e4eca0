import t from 'tap'
import { compilePolicy, MemoryStore } from '../../../lib/limits/index.ts'

const fresh = (i: number) => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`

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

t.test('21: units that are given back out of order leave no empty cells either', async t => {
  let now = 0
  const store = new MemoryStore({ now: () => now, capacity: 10 })
  const policy = compilePolicy('verified', { limit: 50, window: 1000 })
  const failed = store.take(policy, 'busy')
  const running = Array.from({ length: 5 }, () => store.take(policy, 'busy'))
  for (let i = 0; i < 100; i++) {
    now++
    running.push(store.take(policy, 'busy'))
    const [ended = failed] = running.splice(i % 3, 1)
    store.refund(policy, 'busy', ended)
  }
  for (const ended of running) store.refund(policy, 'busy', ended)
  t.equal(store.peek(policy, 'busy').remaining, 49, 'the one that failed counts')
  store.take(policy, 'other')
  now += 500
  store.take(policy, 'other')
  now += 501
  t.equal(store.peek(policy, 'other').remaining, 49, 'there was room to keep both times')
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
