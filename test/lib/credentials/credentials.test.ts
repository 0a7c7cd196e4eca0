import t from 'tap'
import { anonymous, deepFreeze, immutableSet, isBearerToken, readBearer } from '../../../lib/credentials/index.ts'

const read = (authorization: string | undefined, url = '/', rawHeaders: readonly string[] = authorization === undefined
  ? []
  : ['Authorization', authorization]) =>
  readBearer(['Host', 'api.example.com', ...rawHeaders], authorization, url)

t.test('one bearer token', async t => {
  for (const authorization of ['Bearer abc', 'bearer abc', 'BEARER abc', 'bEaReR   abc']) {
    t.strictSame(read(authorization),
      { token: 'abc' }, authorization)
  }
  t.strictSame(read('Bearer abc', '/?token=x&my_access_token=y#access_token=z'), { token: 'abc' }, 'other parameters are nothing to us')
  for (const url of ['/#access_token=x', '/#a&access%5Ftoken', '/#access_token?']) {
    const expected = url.endsWith('?') ? { token: 'abc' } : 'SECURE_API_CREDENTIAL_AMBIGUOUS'
    t.strictSame(read('Bearer abc', url), expected, `${url}: the router reads a query behind a #, too`)
  }
  t.strictSame(read('Bearer abc', '/access_token=x'), { token: 'abc' }, 'a path is no query')
  t.strictSame(read('Bearer abc', '/?a=access_token'), { token: 'abc' }, 'neither is a value a name')
  t.strictSame(read('Bearer abc', '/?a=%zz&%'), { token: 'abc' }, 'broken escapes')
  t.strictSame(read('Bearer abc', '/', ['Authorization', 'Bearer abc', 'X-Authorization', 'Bearer abc', 'Authorisation', 'x']),
    { token: 'abc' }, 'names as long as ours')
})

t.test('15 C5: a DPoP credential has a code of its own, that says what is wrong', async t => {
  for (const authorization of ['DPoP abc', 'dpop abc', 'DPOP\tabc', 'DPoP']) {
    t.equal(read(authorization), 'SECURE_API_CREDENTIAL_DPOP',
      authorization)
  }
})

t.test('none', async t => {
  for (const authorization of [undefined, '', 'Basic YTpi', 'abc', 'Bearerabc', 'Bearer-x abc', 'DPoPx abc', 'Bear',
    'Be\u0131rer abc']) t.equal(read(authorization), 'none', String(authorization))
  t.equal(read(undefined, '/?access_token=abc'), 'none', 'a token in the query is no credential')
})

t.test('malformed', async t => {
  for (const authorization of ['Bearer', 'Bearer ', 'Bearer    ', 'Bearer a b', 'Bearer a ', 'Bearer:abc', 'Bearer\tabc', 'Bearer=abc',
    'Bearer,abc', 'Bearer"abc"']) {
    t.equal(read(authorization), 'SECURE_API_CREDENTIAL_AMBIGUOUS', JSON.stringify(authorization))
  }
})

t.test('ambiguous', async t => {
  const twice = (first: string, second: string) => read(first, '/', ['Authorization', first, 'authorization', second])
  t.equal(twice('Bearer a', 'Bearer a'), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.equal(twice('Basic a', 'Bearer a'), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.equal(twice('Bearer', 'Bearer a'), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.equal(twice('', 'Bearer a'), 'SECURE_API_CREDENTIAL_AMBIGUOUS', 'where a token is optional, an empty header made a bad one anonymous')
  for (const query of ['?access_token=a', '?access_token', '?a=b&access_token=', '?acces%73_token=a',
    '?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=a', '??&access_token=a']) {
    t.equal(read('Bearer abc', `/${query}`), 'SECURE_API_CREDENTIAL_AMBIGUOUS', query)
  }
})

t.test('14 C1: a query of 16 KB is read without an object for each pair', async t => {
  const { URLSearchParams: Params } = globalThis
  let made = 0
  t.intercept(globalThis, 'URLSearchParams', { value: class extends Params { constructor (query: string) { super(query); made++ } } })
  for (const pair of ['%&', '%61ccess_toke&', 'access_token%&', '%', 'a=b&', '?access_token=%']) {
    t.strictSame(read('Bearer abc',
    `/?${pair.repeat(16_000 / pair.length)}`), { token: 'abc' }, pair)
  }
  t.equal(read('Bearer abc', `/?${'%&'.repeat(8000)}acces%73_tok%65%6E`), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.equal(made, 0)
  t.strictSame(readBearer(undefined, 'Bearer abc', '/'), { token: 'abc' }, 'a request of app.injectWS() has no raw headers')
})

t.test('the characters of a token (RFC 6750 §2.1)', async t => {
  for (const token of ['a', 'a-._~+/9', 'a==', 'e30.e30.']) t.equal(isBearerToken(token), true, token)
  for (const token of ['', '=', 'a=b', 'a b', 'a,b', '"a"', 'a\n', '\u00e9', 'a%20']) {
    t.equal(isBearerToken(token), false,
      JSON.stringify(token))
  }
})

t.test('an immutable set is a set', async t => {
  const set = immutableSet(['a', 'b', 'a'])
  t.strictSame([set.size, set.has('a'), set.has('c')], [2, true, false])
  t.strictSame([[...set], [...set.keys()], [...set.values()], [...set.entries()]],
    [['a', 'b'], ['a', 'b'], ['a', 'b'], [['a', 'a'], ['b', 'b']]])
  t.equal(JSON.stringify({ set }), '{"set":["a","b"]}')
  const seen: unknown[] = []
  set.forEach(function (this: unknown, value, key, all) { seen.push(this, value, key, all) }, 'this')
  t.strictSame(seen.filter(item => item !== set).map(String), ['this', 'a', 'a', 'this', 'b', 'b'])
  for (const name of ['add', 'delete', 'clear']) t.equal(Reflect.get(set, name), undefined, name)
  t.equal(Reflect.set(set, 'size', 9), false)
  t.equal(Reflect.defineProperty(set, 'has', { value: () => true }), false)
  t.equal(immutableSet([]), immutableSet([]), 'there is one empty set')
})

t.test('set methods of ES2025, where there are any', async t => {
  const set = immutableSet(['a', 'b'])
  const method: unknown = Reflect.get(set, 'union')
  t.equal(typeof method, typeof Reflect.get(Set.prototype, 'union'))
  if (typeof method === 'function') t.strictSame([...method.call(set, new Set(['c']))], ['a', 'b', 'c'])
  t.strictSame([...set], ['a', 'b'])
})

t.test('frozen to the bottom, however deep', async t => {
  const value = deepFreeze({ a: [{ b: { c: 1 } }], d: null })
  t.ok([value, value.a, value.a[0], value.a[0]?.b].every(Object.isFrozen))
  const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
  t.doesNotThrow(() => deepFreeze(deep))
  t.ok(Object.isFrozen(deep))
})

t.test('the anonymous principal has nothing, and cannot get anything', async t => {
  t.strictSame([anonymous.kind, anonymous.scopes.size, anonymous.roles.size, anonymous.expiresAt], ['anonymous', 0, 0, Infinity])
  t.ok(Object.isFrozen(anonymous) && Object.isFrozen(anonymous.claims))
})
