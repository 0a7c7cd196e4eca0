import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { findSigner } from '../../../lib/tokens/signature.ts'
import { Place } from '../../../lib/tokens/place.ts'
import { createSigningKey, signToken, staticKeys } from '../../fixtures/forge.ts'

const key = createSigningKey('a', 'ES256')

/** A token as it is behind the gate. */
function candidate (forged = false) {
  const jws = signToken({ alg: 'ES256', kid: 'a' }, { sub: 'alice' }, key)
  const dot = jws.lastIndexOf('.')
  const signature = Buffer.from(jws.slice(dot + 1), 'base64url')
  if (forged) signature[40] = (signature[40] ?? 0) ^ 1
  return { header: { kid: 'a' }, algorithm: 'ES256', signingInput: jws.slice(0, dot), signature } as const
}

function setUp () {
  const clock = { now: 5000 }
  return { clock, keys: staticKeys(key), place: new Place(() => clock.now) }
}

t.test('issue 21: a signature is verified in place until one is forged, then for a second in the pool', async t => {
  const { clock, keys, place } = setUp()
  t.equal(findSigner(candidate(), keys, place), keys.peek('a', 'ES256')?.[0])
  t.equal(findSigner(candidate(true), keys, place), 'SECURE_API_TOKEN_SIGNATURE', 'the first forged one cannot be known')
  const late = findSigner(candidate(true), keys, place)
  t.ok(late instanceof Promise)
  t.equal(await late, 'SECURE_API_TOKEN_SIGNATURE')
  clock.now += 1000
  const good = findSigner(candidate(), keys, place)
  t.ok(good instanceof Promise)
  t.equal(await good, keys.peek('a', 'ES256')?.[0])
  clock.now += 1
  t.notOk(findSigner(candidate(), keys, place) instanceof Promise)
})

t.test('forged signatures that the pool finds keep verifications there', async t => {
  const { clock, keys, place } = setUp()
  findSigner(candidate(true), keys, place)
  for (let second = 0; second < 3; second++) {
    clock.now += 900
    t.equal(await findSigner(candidate(true), keys, place), 'SECURE_API_TOKEN_SIGNATURE')
    t.ok(findSigner(candidate(), keys, place) instanceof Promise)
  }
})

t.test('none overtakes those that the pool has', async t => {
  const { place } = setUp()
  let end = (_: boolean) => {}
  const running = place.count(new Promise<boolean>(resolve => { end = resolve }))
  t.notOk(place.isHere(key.publicKey, 'ES256'))
  end(true)
  t.equal(await running, true)
  t.ok(place.isHere(key.publicKey, 'ES256'))
  await t.rejects(place.count(Promise.reject(new Error('lost'))))
  t.ok(place.isHere(key.publicKey, 'ES256'), 'what has failed is not under way')
})

t.test('14: an RSA signature of 2048 bits is verified in place after a forged one too: the way to the pool takes as long', async t => {
  const rsa = createSigningKey('r', 'RS256')
  const keys = staticKeys(rsa)
  const { place } = setUp()
  const jws = signToken({ alg: 'RS256', kid: 'r' }, { sub: 'alice' }, rsa)
  const dot = jws.lastIndexOf('.')
  const parts = { header: { kid: 'r' }, algorithm: 'RS256', signingInput: jws.slice(0, dot) } as const
  const signature = Buffer.from(jws.slice(dot + 1), 'base64url')
  const forged = Buffer.from(signature).fill(1, 40, 50)
  for (let count = 0; count < 3; count++) {
    t.equal(findSigner({ ...parts, signature: forged }, keys, place), 'SECURE_API_TOKEN_SIGNATURE')
    t.equal(findSigner({ ...parts, signature }, keys, place), keys.peek('r', 'RS256')?.[0])
  }
  t.ok(findSigner(candidate(), staticKeys(key), place) instanceof Promise, 'others go to the pool')
})

t.test('slow algorithms and long keys are for the pool', async t => {
  const { place } = setUp()
  const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey
  t.ok(place.isHere(rsa(2048), 'RS256'))
  t.ok(place.isHere(rsa(2048), 'PS512'))
  t.notOk(place.isHere({ asymmetricKeyDetails: { modulusLength: 8192 } } as ReturnType<typeof rsa>, 'RS256'))
  t.notOk(place.isHere({} as ReturnType<typeof rsa>, 'RS256'), 'of which nobody knows how long it is')
  for (const algorithm of ['EdDSA', 'Ed25519'] as const) t.ok(place.isHere(createSigningKey('e', 'EdDSA').publicKey, algorithm))
  for (const algorithm of ['ES384', 'ES512'] as const) t.notOk(place.isHere(createSigningKey('p', algorithm).publicKey, algorithm))
})
