import t from 'tap'
import { KeysUnavailable, type KeySource, type VerificationKey } from '../../../lib/keys/index.ts'
import { tokenDigest } from '../../../lib/credentials/cache.ts'
import {
  compileIssuer, TokenAuthenticator, type IssuerOptions, type TokenAuthenticatorOptions,
  type Verified
} from '../../../lib/tokens/index.ts'
import { createSigningKey, signToken, staticKeys, type Json, type SigningKey } from '../../fixtures/forge.ts'

const issuer = 'https://login.example.com'
const start = 1_800_000_000_000
const key = createSigningKey('key-1', 'ES256')
const good = { iss: issuer, aud: 'api', exp: start / 1000 + 600, iat: start / 1000, sub: 'alice', client_id: 'app', jti: 't1' }

function token (change: Json = {}, signer: SigningKey = key, header: Json = {}) {
  return signToken({ alg: signer.algorithm, kid: signer.kid, typ: 'at+jwt', ...header }, { ...good, ...change }, signer)
}

interface Setup extends Partial<TokenAuthenticatorOptions> {
  readonly keys?: KeySource
  readonly options?: Partial<IssuerOptions>
}

function setUp ({ keys = staticKeys(key), options, ...rest }: Setup = {}) {
  const clock = { now: start }
  const issuers = compileIssuer({ issuer, audience: 'api', ...options }).map(rules => ({ rules, keys }))
  return { clock, authenticator: new TokenAuthenticator({ issuers, now: () => clock.now, ...rest }) }
}

/** The code, or the kind if there is none. */
async function resultOf (authenticator: TokenAuthenticator, text: string) {
  const outcome = await authenticator.authenticate(text)
  return outcome.kind === 'verified' ? 'verified' : outcome.code
}

t.test('a token is looked up once it has been verified, without a promise', async t => {
  const keys = staticKeys(key)
  const { authenticator } = setUp({ keys })
  const text = token()
  t.match(authenticator.lookup(text), { kind: 'unknown' })
  const outcome = await authenticator.authenticate(text)
  t.match(outcome, { kind: 'verified', principal: { subject: 'alice', client: 'app', issuer, expiresAt: start + 600_000 } })
  t.equal(authenticator.lookup(text), outcome, 'the very same')
  t.equal(await authenticator.authenticate(text), outcome)
  t.equal(keys.asked, 1)
  t.match(authenticator.lookup(`${text}=`), { kind: 'unknown' }, 'another spelling is unknown')
})

t.test('a new token is hashed once: its digest goes from the lookup to the verification', async t => {
  const { authenticator } = setUp()
  const text = token()
  t.match(authenticator.lookup(text), { kind: 'unknown', token: text, digest: tokenDigest(text) })
  await authenticator.authenticate({ kind: 'unknown', token: text, digest: 'not that of the token' })
  t.match(authenticator.lookup(text), { kind: 'unknown' }, 'stored under the digest that was given')
  t.notOk('digest' in setUp({ cache: false }).authenticator.lookup(text), 'without a cache there is nothing to look up')
  t.notOk('digest' in authenticator.lookup('a'.repeat(8193)), 'nor for a token that the gate refuses by its length')
})

t.test('without a cache each token is verified each time', async t => {
  const keys = staticKeys(key)
  const { authenticator } = setUp({ keys, cache: false })
  await authenticator.authenticate(token())
  const text = token()
  await authenticator.authenticate(text)
  t.match(authenticator.lookup(text), { kind: 'unknown' })
  t.equal(keys.asked, 2)
  t.strictSame([authenticator.size, authenticator.bytes, authenticator.forget(() => true)], [0, 0, 0])
})

t.test('a cached token ends with its time', async t => {
  for (const [options, end] of [[{}, 660_000], [{ clockTolerance: 0 }, 600_000], [{ maxTokenAge: '2 minutes' }, 180_000]] as const) {
    const { authenticator, clock } = setUp({ options })
    const text = token()
    await authenticator.authenticate(text)
    clock.now = start + end - 1
    t.match(authenticator.lookup(text), { kind: 'verified' })
    clock.now = start + end
    t.match(authenticator.lookup(text), { kind: 'unknown' })
    t.equal(authenticator.size, 0, 'and leaves the cache')
  }
})

t.test('a cached token ends with its key', async t => {
  const keys = staticKeys(key)
  const { authenticator } = setUp({ keys })
  const text = token()
  await authenticator.authenticate(text)
  const [published] = keys.verification
  if (published !== undefined) published.active = false
  t.match(authenticator.lookup(text), { kind: 'unknown' })
  t.equal(await resultOf(authenticator, text), 'SECURE_API_TOKEN_KEY')
})

t.test('requests with the same new token share one verification', async t => {
  const keys = staticKeys(key)
  const { authenticator } = setUp({ keys })
  const text = token()
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => authenticator.authenticate(text)))
  t.equal(keys.asked, 1)
  t.equal(new Set(outcomes).size, 1)
})

t.test('forged tokens take no place and displace nothing', async t => {
  const { authenticator } = setUp({ cache: { max: 10 } })
  const known = Array.from({ length: 10 }, (_, index) => token({ jti: `good-${index}` }))
  for (const text of known) await authenticator.authenticate(text)
  const forger = createSigningKey('key-1', 'ES256')
  for (let index = 0; index < 200; index++) {
    t.equal(await resultOf(authenticator, token({ jti: `bad-${index}` }, forger)),
      'SECURE_API_TOKEN_SIGNATURE')
  }
  for (const text of known) t.match(authenticator.lookup(text), { kind: 'verified' }, 'it is still there')
})

t.test('two issuers with the same kid keep apart', async t => {
  const [a, b] = [createSigningKey('shared', 'ES256'), createSigningKey('shared', 'ES256')]
  const trusted = (name: string, signer: SigningKey) =>
    compileIssuer({ issuer: name, audience: 'api' }).map(rules => ({ rules, keys: staticKeys(signer) }))
  const authenticator = new TokenAuthenticator({
    issuers: [...trusted('https://a.example', a), ...trusted('https://b.example', b)],
    now: () => start
  })
  const results: Record<string, string> = {}
  for (const [iss, signer, name] of [['https://a.example', a, 'a by a'], ['https://a.example', b, 'a by b'],
    ['https://b.example', a, 'b by a'], ['https://b.example', b, 'b by b']] as const) {
    results[name] = await resultOf(authenticator, token({ iss }, signer))
  }
  t.strictSame(results, {
    'a by a': 'verified',
    'a by b': 'SECURE_API_TOKEN_SIGNATURE',
    'b by a': 'SECURE_API_TOKEN_SIGNATURE',
    'b by b': 'verified'
  })
})

t.test('keys with the same kid are tried, four of them', async t => {
  const others = Array.from({ length: 4 }, () => createSigningKey('key-1', 'ES256'))
  const fourth = setUp({ keys: staticKeys(...others.slice(0, 3), key) })
  const fifth = setUp({ keys: staticKeys(...others, key) })
  t.equal(await resultOf(fourth.authenticator, token()), 'verified')
  t.equal(await resultOf(fifth.authenticator, token()), 'SECURE_API_TOKEN_SIGNATURE')
})

t.test('the issuer is asked when its keys are not known, and only then', async t => {
  const [published] = staticKeys(key).verification
  const found: readonly VerificationKey[] = published === undefined ? [] : [published]
  let asked = 0
  const source = (peeked: readonly VerificationKey[] | undefined, answer: () => Promise<readonly VerificationKey[]>): KeySource =>
    ({ peek: () => peeked, find: () => { asked++; return answer() } })
  t.equal(await resultOf(setUp({ keys: source(found, async () => []) }).authenticator, token()), 'verified')
  t.equal(asked, 0)
  t.equal(await resultOf(setUp({ keys: source([], async () => found) }).authenticator, token()), 'verified')
  t.equal(await resultOf(setUp({ keys: source(undefined, async () => found) }).authenticator, token()), 'verified')
  t.equal(await resultOf(setUp({ keys: source([], async () => []) }).authenticator, token()), 'SECURE_API_TOKEN_KEY')
  t.equal(asked, 3)
})

t.test('a source that gives a key for another algorithm, or one that has ended, is not believed', async t => {
  const [published] = staticKeys(key).verification
  if (published === undefined) throw new Error('no key')
  const give = (wrong: VerificationKey): KeySource => ({ peek: () => [wrong], find: async () => [wrong] })
  t.equal(await resultOf(setUp({ keys: give({ ...published, algorithms: ['ES384'] }) }).authenticator, token()), 'SECURE_API_TOKEN_KEY')
  t.equal(await resultOf(setUp({ keys: give({ ...published, active: false }) }).authenticator, token()), 'SECURE_API_TOKEN_KEY')
})

t.test('a key that ends while its signature is checked does not count', async t => {
  const keys = staticKeys(key)
  const { authenticator } = setUp({ keys })
  const running = authenticator.authenticate(token())
  for (const published of keys.verification) published.active = false
  t.match(await running, { kind: 'failed' })
  t.equal(authenticator.size, 0)
})

t.test('keys that cannot be had are 503, whatever the source throws', async t => {
  const failing = (error: unknown): KeySource => ({ peek: () => undefined, find: async () => { throw error } })
  const unavailable = await setUp({ keys: failing(new KeysUnavailable(issuer, 12_000)) }).authenticator.authenticate(token())
  t.match(unavailable, { kind: 'unavailable', code: 'SECURE_API_KEYS_UNAVAILABLE', retryAfter: 12_000 })
  const broken = await setUp({ keys: failing(new TypeError('bug')) }).authenticator.authenticate(token())
  t.match(broken, { kind: 'unavailable', code: 'SECURE_API_KEYS_UNAVAILABLE', retryAfter: 1000 })
  const throwing = await setUp({
    keys: {
      peek: () => { throw new Error('bug') },
      find: async () => []
    }
  }).authenticator.authenticate(token())
  t.equal(throwing.kind, 'unavailable')
})

t.test('an outage is not remembered', async t => {
  let down = true
  const keys = staticKeys(key)
  const { authenticator } = setUp({
    keys: {
      peek: (kid, algorithm) => down ? undefined : keys.peek(kid, algorithm),
      find: async () => { throw new KeysUnavailable(issuer, 1) }
    }
  })
  const text = token()
  t.equal(await resultOf(authenticator, text), 'SECURE_API_KEYS_UNAVAILABLE')
  down = false
  t.equal(await resultOf(authenticator, text), 'verified')
})

t.test('profile claims are asked for after the signature (RFC 9068 §2.2)', async t => {
  const { authenticator } = setUp({ options: { profile: 'at+jwt' } })
  t.equal(await resultOf(authenticator, token()), 'verified')
  for (const name of ['sub', 'client_id', 'iat', 'jti']) {
    t.equal(await resultOf(authenticator, token({ [name]: undefined })), 'SECURE_API_TOKEN_CLAIMS', name)
    t.equal(await resultOf(authenticator, token({ [name]: undefined }, createSigningKey('key-1', 'ES256'))), 'SECURE_API_TOKEN_SIGNATURE',
      `${name}, unsigned`)
  }
})

t.test('an ECDSA signature turned into its twin is the same token by its claims', async t => {
  const { authenticator } = setUp()
  const text = token()
  const dot = text.lastIndexOf('.') + 1
  const bytes = Buffer.from(text.slice(dot), 'base64url')
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')])
  const second = await authenticator.authenticate(text.slice(0, dot) + twin.toString('base64url'))
  const first = await authenticator.authenticate(text)
  t.equal(second.kind, 'verified')
  t.strictSame(claimsOf(first), claimsOf(second))
})

function claimsOf (outcome: { kind: string } | Verified): unknown {
  return 'principal' in outcome ? outcome.principal.claims : undefined
}

t.test('nothing in a principal can be changed', async t => {
  const { authenticator } = setUp()
  const text = token({ scope: 'a b', roles: ['r'], nested: { list: [{ x: 1 }] } })
  const outcome = await authenticator.authenticate(text)
  if (outcome.kind !== 'verified') throw new Error(outcome.code)
  const { principal } = outcome
  const mutations: Readonly<Record<string, () => unknown>> = {
    outcome: () => Reflect.set(outcome, 'principal', {}),
    subject: () => Reflect.set(principal, 'subject', 'root'),
    'new member': () => Reflect.set(principal, 'admin', true),
    scopes: () => Reflect.set(principal, 'scopes', new Set(['admin'])),
    claim: () => Reflect.set(principal.claims, 'scope', 'admin'),
    'new claim': () => Reflect.set(principal.claims, 'admin', true),
    'nested claim': () => Reflect.set(principal.claims.nested ?? {}, 'list', []),
    'method of the set': () => Reflect.set(principal.scopes, 'has', () => true),
    'method of all sets': () => Reflect.set(Object.getPrototypeOf(principal.scopes), 'has', () => true),
    prototype: () => Reflect.setPrototypeOf(principal.scopes, { has: () => true })
  }
  for (const [name, mutate] of Object.entries(mutations)) t.equal(mutate(), false, name)
  t.throws(() => Set.prototype.add.call(principal.scopes, 'admin'), TypeError, 'not a Set underneath')
  principal.scopes.forEach((_value, _key, set) => t.equal(set, principal.scopes, 'the inner set does not leak'))
  t.strictSame([...principal.scopes], ['a', 'b'])
  t.equal(principal.scopes.has('admin'), false)
})

t.test('how much it holds, and forgetting', async t => {
  const { authenticator } = setUp()
  for (const sub of ['alice', 'bob']) await authenticator.authenticate(token({ sub }))
  t.equal(authenticator.size, 2)
  t.ok(authenticator.bytes > 2000)
  t.equal(authenticator.forget(({ principal }) => principal.subject === 'alice'), 1)
  t.equal(authenticator.size, 1)
  t.match(authenticator.lookup(token({ sub: 'alice' })), { kind: 'unknown' })
})
