import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import {
  compileIssuer, createDenylist, DenylistFull, TokenAuthenticator, type AccessTokenClaims, type Denylist, type DenylistRedis,
  type IsRevoked
} from '../../../lib/tokens/index.ts'
import { holdClock } from '../../helpers/still-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { createSigningKey, signToken, staticKeys } from '../../fixtures/forge.ts'

const issuer = 'https://login.example.com'
const now = 1_800_000_000_000
const seconds = now / 1000
const key = createSigningKey('key-1', 'ES256')
const claims = { iss: issuer, aud: 'api', exp: seconds + 600, iat: seconds, sub: 'alice', jti: 't1', sid: 's1' } satisfies AccessTokenClaims
const token = signToken({ alg: 'ES256', kid: 'key-1' }, claims, key)

const server = await startRedis()
const client = new Redis(server.port, '127.0.0.1')
t.teardown(async () => {
  client.disconnect()
  await server.close()
})

/** Makers of a denylist for this process, and for another one that shares its store if there is any. */
function makers (): ReadonlyArray<{ readonly shared: boolean, readonly make: () => Denylist }> {
  const prefix = `${randomUUID()}:`
  return [
    { shared: false, make: () => createDenylist({ now: () => now }) },
    { shared: true, make: () => createDenylist({ redis: client, prefix, now: () => now }) }
  ]
}

function authenticatorWith (isRevoked: IsRevoked, more: { timeout?: number, onFailure?: 'deny' | 'allow' } = {}) {
  const issuers = compileIssuer({ issuer, audience: 'api' }).map(rules => ({ rules, keys: staticKeys(key) }))
  return new TokenAuthenticator({ issuers, revocation: { isRevoked, ...more }, now: () => now })
}

async function resultOf (authenticator: TokenAuthenticator) {
  const known = await authenticator.lookup(token)
  const outcome = known.kind === 'unknown' ? await authenticator.authenticate(known) : known
  return outcome.kind === 'verified' ? 'verified' : outcome.code
}

t.test('asked for every request, with the claims, and after the signature', async t => {
  const asked: AccessTokenClaims[] = []
  const authenticator = authenticatorWith(given => { asked.push(given); return false })
  t.equal(await resultOf(authenticator), 'verified')
  t.equal(await resultOf(authenticator), 'verified')
  t.strictSame(asked.map(({ jti }) => jti), ['t1', 't1'])
  await authenticator.authenticate(signToken({ alg: 'ES256', kid: 'key-1' }, claims, createSigningKey('key-1', 'ES256')))
  t.equal(asked.length, 2, 'not about a forged token')
})

t.test('a function that answers at once costs no promise', async t => {
  let revoked = false
  const authenticator = authenticatorWith(() => revoked)
  await authenticator.authenticate(token)
  t.match(authenticator.lookup(token), { kind: 'verified' })
  revoked = true
  t.match(authenticator.lookup(token), { kind: 'failed', code: 'SECURE_API_TOKEN_REVOKED' })
  t.match(await authenticator.authenticate(token), { kind: 'failed', code: 'SECURE_API_TOKEN_REVOKED' })
  revoked = false
  t.match(authenticator.lookup(token), { kind: 'verified' }, 'taken back')
})

t.test('a function that answers later', async t => {
  let revoked = false
  const authenticator = authenticatorWith(async () => revoked)
  t.equal(await resultOf(authenticator), 'verified')
  t.type(authenticator.lookup(token), Promise)
  revoked = true
  t.equal(await resultOf(authenticator), 'SECURE_API_TOKEN_REVOKED')
})

t.test('failures deny, unless they are to allow', async t => {
  const failures: Readonly<Record<string, IsRevoked>> = {
    throws: () => { throw new Error('store') },
    rejects: async () => { throw new Error('store') },
    'never answers': () => new Promise(() => {}),
    'answers too late': () => new Promise((_resolve, reject) => { setTimeout(() => reject(new Error('late')), 60) })
  }
  for (const [name, isRevoked] of Object.entries(failures)) {
    t.equal(await resultOf(authenticatorWith(isRevoked, { timeout: 20 })), 'SECURE_API_REVOCATION_UNAVAILABLE', name)
    t.equal(await resultOf(authenticatorWith(isRevoked, { timeout: 20, onFailure: 'allow' })), 'verified', `${name}, allowed`)
  }
  await new Promise(resolve => setTimeout(resolve, 80))
  t.pass('late rejections end nothing')
})

t.test('an answer that is none never lets a token in', async t => {
  for (const answer of [undefined, null, 0, '', 'false', {}, 1]) {
    for (const isRevoked of [() => answer, async () => answer]) {
      const authenticator = authenticatorWith(isRevoked as IsRevoked, { onFailure: 'allow' })
      t.equal(await resultOf(authenticator), 'SECURE_API_REVOCATION_UNAVAILABLE', JSON.stringify(answer) ?? 'undefined')
    }
  }
})

t.test('a denylist by token, session and subject', async t => {
  holdClock(t)
  const until = now + 600_000
  const cases = [
    { revocation: { jti: 't1', issuer, until }, revoked: true },
    { revocation: { sid: 's1', issuer, until }, revoked: true },
    { revocation: { sub: 'alice', issuer, until }, revoked: true },
    { revocation: { sub: 'alice', issuer, until, issuedBefore: new Date(now + 1000) }, revoked: true },
    { revocation: { sub: 'alice', issuer, until, issuedBefore: new Date(now + 999) }, revoked: false },
    { revocation: { sub: 'alice', issuer, until, issuedBefore: now - 1 }, revoked: false },
    { revocation: { jti: 't2', issuer, until }, revoked: false },
    { revocation: { jti: 's1', issuer, until }, revoked: false },
    { revocation: { jti: 't1', issuer: 'https://other.example', until }, revoked: false },
    { revocation: { sub: 'alice', issuer, until: now - 300_000 }, revoked: false }
  ]
  for (const { revocation, revoked } of cases) {
    for (const { shared, make } of makers()) {
      const denylist = make()
      await denylist.revoke(revocation)
      t.equal(await denylist.isRevoked(claims), revoked, JSON.stringify(revocation))
      t.equal(await make().isRevoked(claims), revoked && shared, 'in another process')
    }
  }
})

t.test('17.10: a service without `sub` is revoked by the subject that it has, its client', async t => {
  holdClock(t)
  const { sub, ...service } = claims
  for (const { make } of makers()) {
    const denylist = make()
    await denylist.revoke({ sub: 'app', issuer, until: now + 600_000 })
    t.equal(await denylist.isRevoked({ ...service, client_id: 'app' }), true)
    t.equal(await denylist.isRevoked({ ...claims, client_id: 'app' }), false, 'not what a user got through it')
    t.equal(await denylist.isRevoked({ ...service, client_id: 'other' }), false)
  }
})

t.test('tokens issued after a subject was revoked are good, tokens without iat are not', async t => {
  const denylist = createDenylist({ now: () => now })
  await denylist.revoke({ sub: 'alice', issuer, until: now + 600_000 })
  t.equal(denylist.isRevoked({ ...claims, iat: seconds + 61 }), false)
  const { iat, ...undated } = claims
  t.equal(denylist.isRevoked(undated), true)
  t.equal(denylist.isRevoked({ ...undated, sub: 'bob' }), false)
})

t.test('a later, weaker revocation takes nothing back', async t => {
  holdClock(t)
  for (const { shared, make } of makers()) {
    const denylist = make()
    await denylist.revoke({ sub: 'alice', issuer, until: now + 600_000 })
    await denylist.revoke({ sub: 'alice', issuer, until: now + 1000, issuedBefore: now - 60_000 })
    t.equal(await denylist.isRevoked(claims), true)
    if (shared) t.equal(await make().isRevoked(claims), true)
  }
})

t.test('entries outlive the tolerance for clocks, and then end', async t => {
  const clock = { now }
  const denylist = createDenylist({ now: () => clock.now })
  await denylist.revoke({ jti: 't1', issuer, until: claims.exp * 1000 })
  clock.now = claims.exp * 1000 + 299_999
  t.equal(denylist.isRevoked(claims), true)
  clock.now = claims.exp * 1000 + 300_000
  t.equal(denylist.isRevoked(claims), false)
})

t.test('a full memory drops nothing: it says so', async t => {
  holdClock(t)
  const clock = { now }
  const denylist = createDenylist({ now: () => clock.now, max: 2 })
  const revoke = (jti: string) => denylist.revoke({ jti, issuer, until: clock.now + 1000 })
  await revoke('t1')
  await revoke('t2')
  await t.rejects(revoke('t3'), DenylistFull)
  await t.rejects(revoke('t3'), { message: /raise max\. See \S+#secure_api_denylist_full$/ }, '17.8: it ends with the page of its code')
  await revoke('t2')
  t.equal(denylist.isRevoked(claims), true)
  clock.now += 301_001
  await revoke('t3')
  t.equal(denylist.size, 1, 'those that had ended made room')
  const shared = createDenylist({ now: () => now, max: 1, redis: client, prefix: randomUUID() })
  await shared.revoke({ jti: 't0', issuer, until: now + 1000 })
  await shared.revoke({ jti: 't1', issuer, until: now + 1000 })
  t.equal(await shared.isRevoked(claims), true, 'Redis has room')
})

t.test('what cannot be understood is not recorded in silence', async t => {
  const denylist = createDenylist({ now: () => now })
  const wrong = [{ issuer, until: now }, { jti: 7, issuer, until: now }, { jti: 't1', until: now }, { jti: 't1', issuer },
    { jti: 't1', issuer, until: NaN }, { sub: 'a', issuer, until: now, issuedBefore: 'today' }]
  for (const revocation of wrong) await t.rejects(denylist.revoke(revocation as never), TypeError, JSON.stringify(revocation))
})

t.test('Redis that fails is a failure to the one who revokes and to the one who asks', async t => {
  const broken: DenylistRedis = { get: async () => { throw new Error('down') }, eval: async () => { throw new Error('down') } }
  const denylist = createDenylist({ redis: broken, now: () => now })
  await t.rejects(denylist.revoke({ jti: 't1', issuer, until: now + 1000 }),
    { code: 'SECURE_API_DENYLIST_LOCAL_ONLY', cause: { name: 'StoreFailed', reason: 'unknown' } })
  t.equal(denylist.isRevoked(claims), true, '14 B2: it counts in this process')
  const silent: DenylistRedis = { get: () => new Promise(() => {}), eval: () => new Promise(() => {}) }
  const waiting = createDenylist({ redis: silent, now: () => now })
  await t.rejects(waiting.revoke({ jti: 't2', issuer, until: now + 1000 }), { code: 'SECURE_API_DENYLIST_LOCAL_ONLY' })
  await t.rejects(async () => await waiting.isRevoked(claims), 'a look-up ends too')
  t.equal(await resultOf(authenticatorWith(waiting.isRevoked)), 'SECURE_API_REVOCATION_UNAVAILABLE')
})

t.test('names in Redis tell nothing, and end with the longest life they were given', async t => {
  holdClock(t)
  const prefix = `${randomUUID()}:`
  const denylist = createDenylist({ redis: client, prefix, now: () => now })
  await denylist.revoke({ sub: 'alice', issuer, until: now + 600_000 })
  await denylist.revoke({ sub: 'alice', issuer, until: now + 1000, issuedBefore: now + 65_000 })
  const [name = ''] = await client.keys(`${prefix}*`)
  t.match(name.slice(prefix.length), /^[\w-]{43}$/)
  t.equal(await client.get(name), String(now + 64_999), 'the later date of the two')
  const life = await client.pttl(name)
  t.ok(life > 800_000 && life <= 900_000, `${life} ms`)
})

t.test('a key that Redis holds without end or with nonsense in it revokes', async t => {
  holdClock(t)
  const prefix = `${randomUUID()}:`
  const denylist = createDenylist({ redis: client, prefix, now: () => now })
  await createDenylist({ redis: client, prefix, now: () => now }).revoke({ jti: 't1', issuer, until: now + 1000 })
  const [name = ''] = await client.keys(`${prefix}*`)
  await client.set(name, 'nonsense')
  t.equal(await denylist.isRevoked(claims), true)
})

t.test('14 B2: a subject of an issuer whose clock is ahead is revoked, and an explicit date is exact', async t => {
  const ahead = { ...claims, iat: seconds + 59 }
  const by = async (revocation: object, options: object = {}) => {
    const denylist = createDenylist({ now: () => now + 500, ...options })
    await denylist.revoke({ sub: 'alice', issuer, until: now + 600_000, ...revocation })
    return denylist.isRevoked(ahead)
  }
  t.equal(await by({}), true)
  t.equal(await by({}, { clockTolerance: '30 seconds' }), false)
  t.equal(await by({ issuedBefore: now }), false)
  const denylist = createDenylist({ now: () => now + 500 })
  await denylist.revoke({ sub: 'alice', issuer, until: now + 600_000, issuedBefore: now + 500 })
  t.equal(denylist.isRevoked(claims), false, 'a token that is issued at once is good')
  t.equal(denylist.isRevoked({ ...claims, iat: seconds - 1 }), true)
  await t.rejects(denylist.revoke({ jti: 't1', issuer, until: claims.exp }), TypeError, '14 B1: seconds are no milliseconds')
})
