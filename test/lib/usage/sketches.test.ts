import t from 'tap'
import { Distinct } from '../../../lib/usage/distinct.ts'
import { Frequent } from '../../../lib/usage/frequent.ts'
import { hashesOf } from '../../../lib/usage/hash.ts'
import { Seen } from '../../../lib/usage/seen.ts'

/** The same numbers in every run (mulberry32). */
function randomly (seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const kinds: ReadonlyArray<readonly [name: string, (index: number) => string]> = [
  ['numbered', index => `user-${index}`],
  ['plain numbers', index => String(index)],
  ['UUIDs', index => `${hashesOf(`a${index}`).one.toString(16)}-4b55-9d5b-${hashesOf(`b${index}`).two.toString(16)}`],
  ['Auth0', index => `auth0|${(index * 7919).toString(16).padStart(24, '0')}`],
  ['addresses', index => `person.${index}@example.com`]
]

t.test('distinct callers: within four standard errors (6.5 %), and repeats change nothing', async t => {
  for (const [name, of] of kinds) {
    for (const count of [1, 10, 100, 1000, 10_000, 100_000]) {
      const distinct = new Distinct()
      for (let index = 0; index < count; index++) distinct.add(hashesOf(of(index)))
      for (let index = 0; index < count; index += 3) distinct.add(hashesOf(of(index)))
      t.ok(Math.abs(distinct.estimate - count) <= count * 0.065, `${count} ${name}: ${distinct.estimate}`)
    }
  }
  t.equal(new Distinct().estimate, 0)
})

t.test('a caller that was seen is never forgotten; strangers are rarely taken for one', async t => {
  for (const [name, of] of kinds) {
    const seen = new Seen()
    for (let index = 0; index < 50_000; index++) seen.add(hashesOf(of(index)))
    let [forgotten, mistaken] = [0, 0]
    for (let index = 0; index < 50_000; index++) {
      if (!seen.has(hashesOf(of(index)))) forgotten++
      if (seen.has(hashesOf(of(index + 50_000)))) mistaken++
    }
    t.equal(forgotten, 0, name)
    t.ok(mistaken / 50_000 < 0.01, `${name}: ${mistaken} of 50000`)
    t.ok(seen.fill < 0.15)
  }
})

t.test('frequent: the bounds hold for every entry, and nothing that is frequent is missing', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomly(seed)
    const [frequent, exact] = [new Frequent<string>(32), new Map<string, number>()]
    let total = 0
    for (let turn = 0; turn < 5000; turn++) {
      const key = `caller-${Math.floor(random() ** 4 * 500)}`
      const weight = 1 + Math.floor(random() * 3)
      frequent.add(key, weight, () => key)
      exact.set(key, (exact.get(key) ?? 0) + weight)
      total += weight
    }
    const listed = frequent.list()
    t.ok(listed.length <= 32)
    t.ok(listed.every(({ item, atLeast, atMost }) => atLeast <= (exact.get(item) ?? 0) && (exact.get(item) ?? 0) <= atMost), `seed ${seed}`)
    const names = new Set(listed.map(({ item }) => item))
    t.strictSame([...exact].filter(([name, count]) => count > total / 32 && !names.has(name)), [])
  }
})
