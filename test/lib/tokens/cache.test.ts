import t from 'tap'
import { TokenCache, tokenDigest } from '../../../lib/tokens/cache.ts'

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
  t.equal(cache.get('huge', 0), undefined, 'one that is larger than all stays out')
  t.equal(cache.size, 10, 'and displaces nothing')
  cache.set('large', entry('large'), 10_500)
  t.strictSame([cache.size, cache.bytes], [1, 10_500])
})

t.test('the smallest cache', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 1, maxBytes: 1e9 })
  for (let index = 0; index < 5; index++) {
    fill(cache, index, index + 1)
    t.equal(cache.get(`t${index}`, 0)?.name, `t${index}`)
    t.equal(cache.size, 1)
  }
})

t.test('a flood of good tokens that are used once leaves those in use', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 1000, maxBytes: 1e9 })
  const used = Array.from({ length: 500 }, (_, index) => `used-${index}`)
  for (const name of used) cache.set(name, entry(name), 1000)
  for (const name of used) cache.get(name, 0)
  fill(cache, 0, 50_000)
  const left = used.filter(name => cache.get(name, 0) !== undefined)
  t.equal(left.length, 500)
})

t.test('tokens that are no longer used give way in the end', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 100, maxBytes: 1e9 })
  fill(cache, 0, 100)
  for (let index = 0; index < 100; index++) cache.get(`t${index}`, 0)
  for (let round = 100; round < 1000; round++) {
    fill(cache, round, round + 1)
    cache.get(`t${round}`, 0)
  }
  const old = Array.from({ length: 100 }, (_, index) => cache.get(`t${index}`, 0)).filter(found => found !== undefined)
  t.equal(old.length, 0)
  t.equal(cache.size, 100)
})

t.test('time and key are looked at on each hit', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 10, maxBytes: 1e9 })
  const signer = { active: true }
  cache.set('a', entry('a', 1000, signer), 1)
  cache.set('b', entry('b', 1000, signer), 1)
  t.equal(cache.get('a', 999)?.name, 'a')
  t.equal(cache.get('a', 1000), undefined)
  t.equal(cache.get('a', 999), undefined, 'gone for good')
  signer.active = false
  t.equal(cache.get('b', 0), undefined)
  t.strictSame([cache.size, cache.bytes], [0, 0])
})

t.test('set again, deleted, cleared: the bytes are right', async t => {
  const cache = new TokenCache<ReturnType<typeof entry>>({ max: 10, maxBytes: 1e9 })
  cache.set('a', entry('a'), 10)
  cache.set('a', entry('again'), 20)
  cache.set('b', entry('b'), 5)
  t.strictSame([cache.size, cache.bytes, cache.get('a', 0)?.name], [2, 25, 'again'])
  t.equal(cache.deleteWhere(({ name }) => name === 'b'), 1)
  t.strictSame([cache.size, cache.bytes], [1, 20])
  cache.clear()
  t.strictSame([cache.size, cache.bytes], [0, 0])
})

t.test('a digest is as long as any other, and differs in one character', async t => {
  t.equal(tokenDigest('a').length, 43)
  t.equal(tokenDigest('a'.repeat(10_000)).length, 43)
  t.not(tokenDigest('a.b.c'), tokenDigest('a.b.d'))
})
