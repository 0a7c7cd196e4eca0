import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { apiKeyId, createApiKey, hashOf, scannerPattern } from '../../../lib/api-keys/index.ts'

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

t.test('a new key has the documented form, and only its hash needs to be kept', t => {
  const { key, id, hash } = createApiKey('shop')
  t.match(key, /^shop_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/)
  t.equal(apiKeyId(key, 'shop'), id)
  t.equal(apiKeyId(key), id)
  t.equal(hash, hashOf(key))
  t.match(hash, /^sha256:[0-9a-f]{64}$/)
  const second = createApiKey('shop', id)
  t.equal(second.id, id, 'another secret of the same record')
  t.not(second.key, key)
  t.end()
})

t.test('every typing error of one character is refused by the form or the checksum', t => {
  const { key } = createApiKey('shop')
  for (let at = 0; at < key.length; at++) {
    for (const letter of `${letters}_-. `) {
      if (letter !== key[at]) t.equal(apiKeyId(key.slice(0, at) + letter + key.slice(at + 1)), undefined, `${letter} at ${at}`)
    }
    t.equal(apiKeyId(key.slice(0, at) + key.slice(at + 1)), undefined, `nothing at ${at}`)
    const [a, b] = [key.charAt(at), key.charAt(at + 1)]
    if (a !== b && b !== '') t.equal(apiKeyId(key.slice(0, at) + b + a + key.slice(at + 2)), undefined, `${a} and ${b} swapped`)
  }
  t.end()
})

t.test('nothing else is a key, however long, and another prefix is none', t => {
  fc.assert(fc.property(fc.string({ maxLength: 100 }), text => apiKeyId(text) === undefined))
  const { key } = createApiKey('shop')
  for (const wrong of [` ${key}`, `${key} `, `${key}\n`, key + key, `${key}0`, 'shop_'.repeat(10_000), '', key.toUpperCase()]) {
    t.equal(apiKeyId(wrong, 'shop'), undefined)
  }
  t.equal(apiKeyId(key, 'shops'), undefined)
  t.equal(apiKeyId(key, 'sho'), undefined)
  t.throws(() => createApiKey('Shop'), TypeError)
  t.throws(() => createApiKey('s'), TypeError)
  t.throws(() => createApiKey('shop', 'short'), TypeError)
  t.end()
})

t.test('the letters of a secret are equally likely', t => {
  const counts = new Map<string, number>()
  for (let made = 0; made < 2000; made++) {
    for (const letter of createApiKey('shop').key.slice(18, -6)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  const expected = 2000 * 32 / letters.length
  const square = [...letters].reduce((sum, letter) => sum + ((counts.get(letter) ?? 0) - expected) ** 2 / expected, 0)
  // 61 degrees of freedom: more than this once in 10^9 runs. A plain modulo gives about 300.
  t.ok(square < 145, `chi-squared is ${square}`)
  t.end()
})

t.test('the pattern for secret scanners finds keys in text', t => {
  const { key } = createApiKey('shop')
  const found = new RegExp(scannerPattern('shop')).exec(`curl -H 'x-api-key: ${key}' https://api.example.com`)
  t.equal(found?.[0], key)
  const page = readFileSync(new URL('../../../docs/api-keys.md', import.meta.url), 'utf8')
  t.ok(page.includes(scannerPattern('shop')), 'as docs/api-keys.md says it')
  t.end()
})
