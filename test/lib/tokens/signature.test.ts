import { createPublicKey, sign } from 'node:crypto'
import t from 'tap'
import { algorithms, type Algorithm } from '../../../lib/keys/index.ts'
import { verifyJws } from '../../../lib/tokens/index.ts'
import { verifySignature } from '../../../lib/tokens/signature.ts'
import { createSigningKey, encode, signToken, withAlgorithm } from '../../fixtures/forge.ts'
import { joseVectors } from '../../fixtures/jose-vectors.ts'

/** Flips one bit of what is encoded in this part, and leaves the encoding canonical. */
function alter (jws: string, part: number, byte: number): string {
  const parts = jws.split('.')
  const bytes = Buffer.from(parts[part] ?? '', 'base64url')
  const index = (byte + bytes.length) % bytes.length
  bytes[index] = (bytes[index] ?? 0) ^ 1
  parts[part] = bytes.toString('base64url')
  return parts.join('.')
}

t.test('published examples verify, and nothing near them does', async t => {
  for (const { name, algorithm, jwk, jws } of joseVectors) {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    t.equal(verifyJws(jws, key, [algorithm]), true, name)
    t.equal(verifyJws(jws, key, algorithms), true, `${name}, among all algorithms`)
    t.equal(verifyJws(jws, key, algorithms.filter(other => other !== algorithm)), false, `${name}, its algorithm not allowed`)
    t.equal(verifyJws(jws, key, []), false, `${name}, no algorithm allowed`)
    for (const byte of [0, 1, -1]) {
      t.equal(verifyJws(alter(jws, 1, byte), key, [algorithm]), false, `${name}, payload altered at ${byte}`)
      t.equal(verifyJws(alter(jws, 2, byte), key, [algorithm]), false, `${name}, signature altered at ${byte}`)
    }
    t.equal(verifyJws(`${jws}=`, key, [algorithm]), false, `${name}, padded`)
    t.equal(verifyJws(jws.slice(0, jws.lastIndexOf('.') + 1), key, [algorithm]), false, `${name}, signature left out`)
  }
})

t.test('every algorithm verifies with its key, on both ways, and with no other key', async t => {
  const kinds: readonly Algorithm[] = ['RS256', 'RS256', 'ES256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'EdDSA']
  const keys = kinds.map((algorithm, index) => createSigningKey(`${algorithm} ${index}`, algorithm))
  for (const algorithm of algorithms) {
    const kind = algorithm.replace(/^[RP]S\d+/, 'RS256').replace('Ed25519', 'EdDSA')
    const { kid, ...pair } = keys.find(key => key.algorithm === kind) ?? createSigningKey()
    const jws = signToken({ alg: algorithm }, { sub: 'alice' }, { kid, ...pair, algorithm })
    const dot = jws.lastIndexOf('.')
    const parts = { signingInput: jws.slice(0, dot), signature: Buffer.from(jws.slice(dot + 1), 'base64url') }
    for (const other of keys) {
      const fits = other.kid === kid
      t.equal(verifyJws(jws, other.publicKey, [algorithm]), fits, `${algorithm} with the key of ${other.kid}`)
      t.equal(await verifySignature(parts, other.publicKey, algorithm), fits,
        `${algorithm} with the key of ${other.kid}, in the thread pool`)
    }
  }
})

t.test('an RSA signature is as long as its key: leading zeros cannot be left out', async t => {
  const key = createSigningKey('a', 'RS256')
  for (const algorithm of ['RS256', 'PS256', 'PS512'] as const) {
    const { input, signature } = startingWithZero(withAlgorithm(key, algorithm))
    const spelled = (bytes: Buffer) => `${input}.${bytes.toString('base64url')}`
    t.equal(verifyJws(spelled(signature), key.publicKey, [algorithm]), true, algorithm)
    for (const other of [signature.subarray(1), Buffer.concat([Buffer.alloc(1), signature])]) {
      t.equal(verifyJws(spelled(other), key.publicKey, [algorithm]), false, `${algorithm}, ${other.length} bytes`)
      t.equal(await verifySignature({ signingInput: input, signature: other }, key.publicKey, algorithm), false)
    }
  }
})

/** One signature of 256 does. */
function startingWithZero (key: ReturnType<typeof withAlgorithm>) {
  for (let count = 0; ; count++) {
    const jws = signToken({ alg: key.algorithm }, { count }, key)
    const dot = jws.lastIndexOf('.')
    const signature = Buffer.from(jws.slice(dot + 1), 'base64url')
    if (signature[0] === 0) return { input: jws.slice(0, dot), signature }
  }
}

t.test('one key, another scheme', async t => {
  const key = createSigningKey('a', 'RS256')
  const claims = { sub: 'alice' }
  const variants: ReadonlyArray<readonly [signed: Algorithm, announced: Algorithm]> = [['RS256', 'RS512'], ['RS256', 'PS256'],
    ['PS256', 'RS256'], ['PS256', 'PS512']]
  for (const [signed, announced] of variants) {
    t.equal(verifyJws(signToken({ alg: announced }, claims, withAlgorithm(key, signed)), key.publicKey, [announced]), false,
      `${signed} announced as ${announced}`)
  }
})

t.test('PSS with a salt of another length than the digest (RFC 7518 §3.5)', async t => {
  const key = createSigningKey('a', 'PS256')
  for (const saltLength of [0, 20, 64]) {
    const input = `${encode({ alg: 'PS256' })}.${encode({})}`
    const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, padding: 6, saltLength })
    t.equal(verifyJws(`${input}.${signature.toString('base64url')}`, key.publicKey, ['PS256']), false, `${saltLength} bytes`)
  }
})

t.test('ECDSA in DER, of zeros, and of another length', async t => {
  const key = createSigningKey('a', 'ES256')
  const input = `${encode({ alg: 'ES256' })}.${encode({})}`
  const raw = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  const signatures = {
    der: sign('sha256', Buffer.from(input), key.privateKey),
    zeros: Buffer.alloc(64),
    short: raw.subarray(1),
    long: Buffer.concat([raw, Buffer.alloc(1)]),
    ones: Buffer.alloc(64, 0xff)
  }
  t.equal(verifyJws(`${input}.${raw.toString('base64url')}`, key.publicKey, ['ES256']), true)
  for (const [name, signature] of Object.entries(signatures)) {
    t.equal(verifyJws(`${input}.${signature.toString('base64url')}`, key.publicKey, ['ES256']), false, name)
    t.equal(await verifySignature({ signingInput: input, signature }, key.publicKey, 'ES256'), false, `${name}, in the thread pool`)
  }
})

t.test('headers that ask for what is not understood', async t => {
  const key = createSigningKey('a', 'ES256')
  for (const header of [{ alg: 'ES256', crit: ['b64'], b64: false }, { alg: 'ES256', crit: [] }, { alg: ['ES256'] }, {}, ['ES256'],
    '{"alg":"ES256","alg":"ES256"}']) {
    t.equal(verifyJws(signToken(header, {}, key), key.publicKey, ['ES256']), false, JSON.stringify(header))
  }
  t.equal(verifyJws(signToken({ alg: 'ES256' }, {}, key), key.privateKey, ['ES256']), false, 'a private key is not what verifies')
})
