import t from 'tap'
import { TokenCache, tokenDigest } from '../../../lib/credentials/cache.ts'

const key = { active: true }
const entry = (name: string, notAfter = Infinity, signer = key) => ({ name, notAfter, key: signer })

function fill (cache: TokenCache<ReturnType<typeof entry>>, from: number, to: number) {
  for (let index = from; index < to; index++) cache.set(`t${index}`, entry(`t${index}`), 1000)
}

t.test('bounded by number', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 100, maxBytes: 1e9 })
  fill(cache, 0, 1000)
  t.equal(cache.size, 100)
  t.equal(cache.bytes, 100_000)
})

t.test('bounded by bytes', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 1000, maxBytes: 10_500 })
  fill(cache, 0, 1000)
  t.equal(cache.size, 10)
  t.equal(cache.bytes, 10_000)
  cache.set('huge', entry('huge'), 10_501)
  t.equal(cache.find('huge', 0), undefined, 'one that is larger than all stays out')
  t.equal(cache.size, 10, 'and displaces nothing')
  cache.set('large', entry('large'), 10_500)
  t.strictSame([cache.size, cache.bytes], [1, 10_500])
})

t.test('the smallest cache', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 1, maxBytes: 1e9 })
  for (let index = 0; index < 5; index++) {
    fill(cache, index, index + 1)
    t.equal(cache.find(`t${index}`, 0)?.entry.name, `t${index}`)
    t.equal(cache.size, 1)
  }
})

t.test('a flood of good tokens that are used once leaves those in use', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 1000, maxBytes: 1e9 })
  const used = Array.from({ length: 500 }, (_, index) => `used-${index}`)
  for (const name of used) cache.set(name, entry(name), 1000)
  for (const name of used) cache.find(name, 0)
  fill(cache, 0, 50_000)
  const left = used.filter(name => cache.find(name, 0) !== undefined)
  t.equal(left.length, 500)
})

t.test('a flood leaves those in use where bytes are the limit, too', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 100_000, maxBytes: 1_000_000 })
  const used = Array.from({ length: 500 }, (_, index) => `used-${index}`)
  for (const name of used) cache.set(name, entry(name), 1000)
  for (const name of used) cache.find(name, 0)
  fill(cache, 0, 50_000)
  t.equal(used.filter(name => cache.find(name, 0) !== undefined).length, 500)
})

t.test('one newcomer costs a bounded number of steps, even if all others are in use', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 10_000, maxBytes: 1e9 })
  fill(cache, 0, 10_000)
  const slots = Array.from({ length: 10_000 }, (_, index) => cache.find(`t${index}`, 0))
  fill(cache, 10_000, 10_001)
  t.equal(cache.size, 10_000)
  t.ok(slots.filter(slot => slot?.seen === false).length <= 33, 'no more are spared by one eviction')
  t.equal(slots[0]?.queue === undefined, false, 'the oldest stays')
})

t.test('tokens that are no longer used give way in the end', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 100, maxBytes: 1e9 })
  fill(cache, 0, 100)
  for (let index = 0; index < 100; index++) cache.find(`t${index}`, 0)
  for (let round = 100; round < 1000; round++) {
    fill(cache, round, round + 1)
    cache.find(`t${round}`, 0)
  }
  const old = Array.from({ length: 100 }, (_, index) => cache.find(`t${index}`, 0)).filter(found => found !== undefined)
  t.equal(old.length, 0)
  t.equal(cache.size, 100)
})

t.test('time and key are looked at on each hit', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 10, maxBytes: 1e9 })
  const signer = { active: true }
  cache.set('a', entry('a', 1000, signer), 1)
  cache.set('b', entry('b', 1000, signer), 1)
  t.equal(cache.find('a', 999)?.entry.name, 'a')
  t.equal(cache.find('a', 1000), undefined)
  t.equal(cache.find('a', 999), undefined, 'gone for good')
  signer.active = false
  t.equal(cache.find('b', 0), undefined)
  t.strictSame([cache.size, cache.bytes], [0, 0])
})

t.test('set again, deleted: the bytes are right', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 10, maxBytes: 1e9 })
  cache.set('a', entry('a'), 10)
  cache.set('a', entry('again'), 20)
  cache.set('b', entry('b'), 5)
  t.strictSame([cache.size, cache.bytes, cache.find('a', 0)?.entry.name], [2, 25, 'again'])
  t.equal(cache.deleteWhere(({ name }) => name === 'b'), 1)
  t.strictSame([cache.size, cache.bytes], [1, 20])
  t.equal(cache.deleteWhere(() => true), 1)
  t.strictSame([cache.size, cache.bytes], [0, 0])
})

t.test('a digest is as long as any other, and differs in one character', async t => {
  t.equal(tokenDigest('a').length, 43)
  t.equal(tokenDigest('a'.repeat(10_000)).length, 43)
  t.not(tokenDigest('a.b.c'), tokenDigest('a.b.d'))
})
