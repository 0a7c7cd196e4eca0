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
    [{ limit: 100, window: '31 days' }, 1_000_000],
    [{ limit: 100, window: '31 days', algorithm: 'token-bucket' }, 80_000],
    [{ limit: 100, window: '31 days', algorithm: 'fixed-window' }, 80_000]
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
