import { checkPrimeSync, generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  algorithms, checkInlineKeys, checkIssuerUrl, checkKeySetUrl, importKeys, isSecureUrl, KeysOptionsSchema, resolveKeysOptions,
  validateKeys, type DropReason
} from '../../../lib/keys/index.ts'
import { ecKey, kidsOf } from './fixtures.ts'

const publicJwk = (pair: { publicKey: { export (options: { format: 'jwk' }): JsonWebKey } }) => pair.publicKey.export({ format: 'jwk' })
const rsa = publicJwk(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const rsa1024 = publicJwk(generateKeyPairSync('rsa', { modulusLength: 1024 }))
const ec = ecKey(undefined)
const p384 = publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-384' }))
const p521 = publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-521' }))
const k256 = publicJwk(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))
const ed = publicJwk(generateKeyPairSync('ed25519'))
const ed448 = publicJwk(generateKeyPairSync('ed448'))
const codes = (problems: Problems) => problems.list().map(({ code, path }) => `${code} ${path}`)

t.test('imports what may verify signatures, for the algorithms of its type', async t => {
  const all: Array<[name: string, jwk: object, expected: readonly string[]]> = [
    ['RSA without alg', rsa, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['RSA with alg', { ...rsa, alg: 'PS384' }, ['PS384']],
    ['P-256', ec, ['ES256']],
    ['P-384', p384, ['ES384']],
    ['P-521', { ...p521, alg: 'ES512' }, ['ES512']],
    ['Ed25519', ed, ['EdDSA', 'Ed25519']],
    ['Ed25519 named EdDSA', { ...ed, alg: 'EdDSA' }, ['EdDSA', 'Ed25519']],
    ['Ed25519 named Ed25519 (RFC 9864)', { ...ed, alg: 'Ed25519' }, ['EdDSA', 'Ed25519']],
    ['use and key_ops for signing', { ...ec, use: 'sig', key_ops: ['sign', 'verify'] }, ['ES256']],
    ['members that nobody knows', { ...ec, x5c: ['not read'], iss: 1 }, ['ES256']]
  ]
  for (const [name, jwk, expected] of all) {
    const { keys, dropped } = importKeys({ keys: [jwk] }, algorithms)
    t.same(keys[0]?.algorithms, expected, name)
    t.same(dropped, [], name)
  }
  t.same(importKeys({ keys: [rsa] }, ['ES256', 'PS256', 'RS256']).keys[0]?.algorithms, ['PS256', 'RS256'],
    'only those of the configuration')
})

t.test('drops what may not, with the reason', async t => {
  const bad: Array<[name: string, jwk: unknown, reason: DropReason]> = [
    ['no object', 'text', 'malformed'],
    ['null', null, 'malformed'],
    ['a list', [], 'malformed'],
    ['no kty', {}, 'type'],
    ['unknown kty', { ...ec, kty: 'AKP' }, 'type'],
    ['kty is an object', { ...ec, kty: { toString: () => 'EC' } }, 'type'],
    ['a shared secret', { kty: 'oct', k: 'AAAA' }, 'symmetric'],
    ['a private EC key', { ...ec, d: 'AAAA' }, 'private'],
    ['a private RSA key', { ...rsa, d: 'AA', p: 'AA', q: 'AA' }, 'private'],
    ['only CRT members', { ...rsa, qi: 'AA' }, 'private'],
    ['an RSA key with k', { ...rsa, k: 'AA' }, 'private'],
    ['for encryption', { ...rsa, use: 'enc' }, 'use'],
    ['use in capitals', { ...rsa, use: 'SIG' }, 'use'],
    ['key_ops without verify', { ...ec, key_ops: ['encrypt'] }, 'key-ops'],
    ['empty key_ops', { ...ec, key_ops: [] }, 'key-ops'],
    ['key_ops as text', { ...ec, key_ops: 'verify' }, 'key-ops'],
    ['kid is a number', { ...ec, kid: 1 }, 'malformed'],
    ['kid that no token may have', { ...ec, kid: 'x'.repeat(257) }, 'malformed'],
    ['kty is null', { ...ec, kty: null }, 'type'],
    ['use is a list', { ...ec, use: ['sig'] }, 'malformed'],
    ['secp256k1', k256, 'curve'],
    ['Ed448', ed448, 'curve'],
    ['EC without curve', { ...ec, crv: undefined }, 'curve'],
    ['EC with the curve of OKP', { ...ec, crv: 'Ed25519' }, 'curve'],
    ['ES384 on P-256', { ...ec, alg: 'ES384' }, 'algorithm'],
    ['HS256 on RSA', { ...rsa, alg: 'HS256' }, 'algorithm'],
    ['none', { ...rsa, alg: 'none' }, 'algorithm'],
    ['RSA-OAEP', { ...rsa, alg: 'RSA-OAEP' }, 'algorithm'],
    ['alg in small letters', { ...rsa, alg: 'rs256' }, 'algorithm'],
    ['ES256 on RSA', { ...rsa, alg: 'ES256' }, 'algorithm'],
    ['RSA 1024', rsa1024, 'rsa-size'],
    ['RSA of one bit', { ...rsa, n: 'AQ' }, 'rsa-size'],
    ['RSA of 16384 bits', { ...rsa, n: Buffer.alloc(2048, 0xff).toString('base64url') }, 'rsa-size'],
    ['RSA without n', { ...rsa, n: undefined }, 'malformed'],
    ['RSA with a number as n', { ...rsa, n: 5 }, 'malformed'],
    ['RSA with rubbish as n', { ...rsa, n: '***' }, 'rsa-size'],
    ['exponent 1: every signature is valid', { ...rsa, e: 'AQ' }, 'rsa-exponent'],
    ['even exponent', { ...rsa, e: 'AQAA' }, 'rsa-exponent'],
    ['exponent 0', { ...rsa, e: 'AA' }, 'rsa-exponent'],
    ['giant exponent: slow to verify', { ...rsa, e: rsa.n }, 'rsa-exponent'],
    ['point off the curve', { ...ec, x: ec.y, y: ec.x }, 'malformed'],
    ['short coordinates', { ...ec, x: 'AAAA' }, 'malformed'],
    ['coordinates of another curve', { ...ec, x: p384.x, y: p384.y }, 'malformed'],
    ['short Ed25519', { ...ed, x: 'AAAA' }, 'malformed']
  ]
  for (const [name, jwk, reason] of bad) {
    const { keys, dropped } = importKeys({ keys: [jwk, { ...ec, kid: 'good' }] }, algorithms)
    t.same(dropped.map(({ index, reason }) => [index, reason]), [[0, reason]], name)
    t.same(kidsOf(keys), ['good'], `${name}: the others stay`)
  }
  t.equal(importKeys({ keys: [{ kid: 'x'.repeat(100_000) }] }, algorithms).dropped[0]?.kid?.length, 256, 'a name that fits a log')
  t.same(importKeys({ keys: [{ ...rsa, kid: 'a' }] }, ['ES256']).dropped, [{ index: 0, kid: 'a', reason: 'not-configured' }])
})

t.test('what is no key set has no keys', async t => {
  for (const document of [undefined, null, 1, 'keys', [], {}, { keys: {} }, { keys: 'x' }, [ec], ec, { Keys: [ec] }]) {
    t.same(importKeys(document, algorithms), { keys: [], dropped: [] }, JSON.stringify(document))
  }
})

t.test('at most 100 entries are read', async t => {
  const many = Array.from({ length: 150 }, (_, index) => ({ ...ec, kid: `k${index}` }))
  const { keys, dropped } = importKeys({ keys: many }, algorithms)
  t.equal(keys.length, 100)
  t.same(dropped, [{ index: 100, kid: undefined, reason: 'too-many' }])
})

t.test('equal keys have equal identities, however they are written', async t => {
  const identity = (jwk: object) => importKeys({ keys: [jwk] }, algorithms).keys[0]?.identity
  const same = identity({ ...ec, kid: 'a' })
  t.equal(identity({ kid: 'a', ...Object.fromEntries(Object.entries(ec).reverse()), use: 'sig', x5t: 'z' }), same)
  t.not(identity({ ...ec, kid: 'b' }), same)
  t.not(identity(ec), same)
  t.not(identity({ ...ecKey('a') }), same)
  t.not(identity({ ...rsa, alg: 'RS256' }), identity({ ...rsa, alg: 'PS256' }), 'what it may be used for belongs to a key')
  t.equal(importKeys({ keys: [ec, { ...ec }, { ...ec, use: 'sig' }] }, algorithms).keys.length, 1, 'a repeated entry counts once')
})

t.test('never throws, whatever the document is', async t => {
  const member = fc.constantFrom('kty', 'crv', 'kid', 'alg', 'use', 'key_ops', 'n', 'e', 'x', 'y', '__proto__')
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom('RSA', 'EC', 'OKP', 'oct', 'P-256', 'Ed25519', 'ES256', 'sig', ['verify'], rsa.n,
    rsa.e, ec.x, ec.y, ed.x))
  const jwk = fc.array(fc.tuple(member, value)).map(entries => Object.fromEntries(entries))
  const document = fc.oneof(fc.jsonValue(), fc.record({ keys: fc.oneof(fc.jsonValue(), fc.array(fc.oneof(jwk, fc.jsonValue()))) }))
  fc.assert(fc.property(document, value => {
    const { keys, dropped } = importKeys(value, algorithms)
    return keys.every(({ key }) => key.type === 'public') && dropped.length <= 101
  }), { numRuns: 500 })
  t.pass()
})

t.test('inline keys: every key that cannot be used is a mistake', async t => {
  const found = (jwks: unknown) => {
    const problems = new Problems()
    checkInlineKeys(jwks, ['RS256', 'ES256'], 'auth.jwks', problems)
    return codes(problems)
  }
  t.same(found({ keys: [rsa, { ...ec, kid: 'a' }] }), [])
  t.same(found({ keys: [rsa, rsa1024, { ...ec, d: 'AAAA' }] }),
    ['SECURE_API_JWKS_KEY auth.jwks.keys[1]', 'SECURE_API_JWKS_KEY auth.jwks.keys[2]'])
  t.same(found({ keys: [ed] }), ['SECURE_API_JWKS_KEY auth.jwks.keys[0]', 'SECURE_API_JWKS_EMPTY auth.jwks'])
  t.same(found({ keys: [] }), ['SECURE_API_JWKS_EMPTY auth.jwks'])
  t.same(found(rsa), ['SECURE_API_JWKS_EMPTY auth.jwks'], 'a single JWK is no set')
  const problems = new Problems()
  checkInlineKeys({ keys: [{ ...ec, d: 'SECRETSECRET' }] }, ['ES256'], 'auth.jwks', problems)
  t.notMatch(JSON.stringify(problems.list()), 'SECRETSECRET')
})

t.test('addresses: https, or http that stays on this machine', async t => {
  for (const url of ['https://a.example', 'https://a.example:8443/x?y', 'https://10.0.0.1/jwks']) t.ok(isSecureUrl(url, false), url)
  for (const url of ['http://localhost:3000', 'http://127.0.0.1', 'http://127.9.9.9/a', 'http://127.1/', 'http://0x7f000001/',
    'http://[::1]:80/']) {
    t.ok(isSecureUrl(url, true), url)
    t.notOk(isSecureUrl(url, false), url)
  }
  const never = ['http://a.example', 'http://localhost.a.example', 'http://127.0.0.1.a.example', 'http://a.localhost.example',
    'http://0.0.0.0', 'http://[::2]',
    'http://10.0.0.1', 'http://[::ffff:8.8.8.8]', 'ftp://localhost', 'file:///etc/passwd', 'data:application/json,{}',
    'https://u:p@a.example', 'http://u@127.0.0.1', 'localhost', '', '//a.example']
  for (const url of never) t.notOk(isSecureUrl(url, true), url)
})

t.test('addresses in the configuration', async t => {
  const found = (url: string, allowLoopback = false, checkUrl = checkIssuerUrl) => {
    const problems = new Problems()
    checkUrl(url, allowLoopback, 'auth.issuer', problems)
    return problems.list().map(({ code }) => code)
  }
  t.same(found('https://a.example/realms/x/'), [])
  t.same(found('http://localhost', true), [])
  t.same(found('http://localhost'), ['SECURE_API_URL_INSECURE'])
  t.same(found('http://a.example', true), ['SECURE_API_URL_INSECURE'])
  for (const url of ['a.example', 'ws://a.example', 'https://u:p@a.example', 'https://a.example?x', 'https://a.example/?',
    'https://a.example#']) t.same(found(url), ['SECURE_API_URL_INVALID'], url)
  t.same(found('https://a.example/jwks?v=2', false, checkKeySetUrl), [])
  t.same(found('http://a.example/jwks', true, checkKeySetUrl), ['SECURE_API_URL_INSECURE'])
})

t.test('options: defaults and limits', async t => {
  t.same(resolveKeysOptions(), { refresh: 600_000, cooldown: 30_000, maxStale: 86_400_000, timeout: 5000 })
  t.same(resolveKeysOptions({ refresh: '20 seconds', timeout: 250 }),
    { refresh: 20_000, cooldown: 20_000, maxStale: 86_400_000, timeout: 250 })
  const found = (options: object, environment: 'production' | 'development' = 'production') => {
    const problems = new Problems()
    check(KeysOptionsSchema, options, 'keys', problems)
    validateKeys(options, environment, 'keys', problems)
    return codes(problems)
  }
  t.same(found({}), [])
  t.same(found({ refresh: '24 hours', cooldown: '1 hour', maxStale: '7 days', timeout: '30 seconds' }), [])
  t.same(found({ refresh: 5, cooldown: 5, maxStale: 5, timeout: 5 }, 'development'), [])
  t.same(found({ refresh: 0, timeout: '31 seconds' }, 'development'),
    ['SECURE_API_OPTION_RANGE keys.refresh', 'SECURE_API_OPTION_RANGE keys.timeout'])
  t.same(found({ refresh: '9 seconds' }), ['SECURE_API_OPTION_RANGE keys.refresh'])
  t.same(found({ cooldown: '999 ms', maxStale: '8 days', timeout: 99 }),
    ['SECURE_API_OPTION_RANGE keys.cooldown', 'SECURE_API_OPTION_RANGE keys.maxStale', 'SECURE_API_OPTION_RANGE keys.timeout'])
  t.same(found({ maxStale: '9 minutes' }), ['SECURE_API_OPTION_CONFLICT keys.maxStale'])
  t.same(found({ cooldown: '11 minutes' }), ['SECURE_API_OPTION_CONFLICT keys.cooldown'])
  t.same(found({ refresh: 'soon', maxStale: '9 minutes' }),
    ['SECURE_API_OPTION_VALUE keys.refresh', 'SECURE_API_OPTION_CONFLICT keys.maxStale'])
  t.same(found({ coolDown: 5 }), ['SECURE_API_OPTION_UNKNOWN keys.coolDown'])
})

t.test('14 B3: RSA keys with the fingerprint of CVE-2017-15361 are dropped, and no ordinary one is', t => {
  const small = Array.from({ length: 166 }, (_, index) => BigInt(index + 2)).filter((n, _, all) => !all.some(m => m < n && n % m === 0n))
  const product = small.reduce((a, b) => a * b)
  const power = (exponent: bigint) => {
    let result = 1n
    for (let i = 0n; i < exponent; i++) result = result * 65537n % product
    return result
  }
  const prime = (exponent: bigint) => {
    for (let k = (7n << 1021n) / product; ; k++) {
      if (checkPrimeSync(k * product + power(exponent))) return k * product + power(exponent)
    }
  }
  const modulus = prime(11n) * prime(29n)
  const n = Buffer.from(modulus.toString(16).padStart(512, '0'), 'hex').toString('base64url')
  t.equal(importKeys({ keys: [{ ...rsa, n }] }, algorithms).dropped[0]?.reason, 'roca')
  const ordinary = Array.from({ length: 200 }, () => {
    const bytes = randomBytes(256)
    bytes[0] = 0xc1
    return { ...rsa, n: bytes.toString('base64url') }
  })
  t.same(importKeys({ keys: ordinary.slice(0, 100) }, algorithms).dropped, [])
  t.same(importKeys({ keys: ordinary.slice(100) }, algorithms).dropped, [])
  t.end()
})

t.test('15 C3: members that are null are absent: `"d": null` is no stolen key', async t => {
  const written = Object.fromEntries(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'alg', 'use', 'key_ops', 'kid',
    'x5c'].map(name => [name, null]))
  const { keys, dropped } = importKeys({ keys: [{ ...ec, ...written }] }, algorithms)
  t.strictSame(dropped, [])
  t.match(keys, [{ kid: undefined, algorithms: ['ES256'] }])
  t.strictSame(importKeys({ keys: [{ ...ec, ...written, d: '' }] }, algorithms).dropped.map(({ reason }) => reason), ['private'],
    'an empty text is a private member')
})
