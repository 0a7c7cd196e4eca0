import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'

/** What every token of the benchmark says, and what every server is told to accept. */
export const issuer = 'https://login.bench.example/'
export const audience = 'api://orders'
export const scope = 'orders.read'
export const origin = 'https://app.bench.example'
export const algorithms = Object.freeze(['RS256', 'ES256', 'EdDSA'])

const cache = new URL('../.cache/', import.meta.url)
const TEN_YEARS = 315_360_000
const signAsync = promisify(sign)

const methods = {
  RS256: { digest: 'sha256', make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }) },
  ES256: { digest: 'sha256', make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), dsaEncoding: 'ieee-p1363' },
  EdDSA: { digest: null, make: () => generateKeyPairSync('ed25519') }
}

/**
 * Signing takes longer than measuring, so that keys and tokens are kept from run to run. They open nothing but servers of this benchmark.
 */
export function keySet () {
  return {
    keys: algorithms.map(alg => ({
      kid: kidOf(alg),
      use: 'sig',
      alg,
      ...createPublicKey(privateKey(alg)).export({ format: 'jwk' })
    }))
  }
}

/**
 * Distinct tokens of distinct subjects.
 * @param {string} alg
 * @param {number} count
 * @returns {Promise<readonly string[]>}
 */
export async function tokens (alg, count) {
  const file = new URL(`${alg}.tokens`, cache)
  const known = existsSync(file) ? readFileSync(file, 'latin1').split('\n').filter(Boolean) : []
  if (known.length >= count) return known.slice(0, count)
  const more = await signMany(alg, known.length, count)
  const all = [...known, ...more]
  writeFileSync(file, all.join('\n'))
  return all
}

/** Like the good ones in everything but the signature. */
export async function forged (alg, count) {
  const good = await tokens(alg, Math.min(count, 1000))
  return Array.from({ length: count }, (_, index) => {
    const [header, payload, signature] = good[index % good.length].split('.')
    return `${header}.${payload}.${randomBytes(Buffer.from(signature, 'base64url').length).toString('base64url')}`
  })
}

/**
 * One token with something wrong about it, for the checks before the timing.
 * @param {string} alg
 * @param {{ header?: object, claims?: object }} changes
 */
export async function token (alg, { header = {}, claims = {} } = {}) {
  const { digest, dsaEncoding } = methods[alg]
  // Hono refuses any other `typ`.
  const input = `${encode({ alg, typ: 'JWT', kid: kidOf(alg), ...header })}.${encode({ ...claimsOf(0), ...claims })}`
  const signature = await signAsync(digest, Buffer.from(input), { key: privateKey(alg), dsaEncoding })
  return `${input}.${signature.toString('base64url')}`
}

async function signMany (alg, from, to) {
  const made = []
  const size = 500
  for (let start = from; start < to; start += size) {
    const batch = Array.from({ length: Math.min(size, to - start) }, (_, index) => token(alg, { claims: claimsOf(start + index) }))
    made.push(...await Promise.all(batch))
  }
  return made
}

function claimsOf (index) {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: issuer,
    aud: audience,
    sub: `user-${index}`,
    client_id: 'bench',
    scope: `openid profile ${scope}`,
    iat: now,
    exp: now + TEN_YEARS,
    jti: randomUUID()
  }
}

const loaded = new Map()
function privateKey (alg) {
  const present = loaded.get(alg)
  if (present !== undefined) return present
  const key = readOrMake(alg)
  loaded.set(alg, key)
  return key
}

function readOrMake (alg) {
  const file = new URL(`${alg}.pem`, cache)
  if (existsSync(file)) return createPrivateKey(readFileSync(file))
  mkdirSync(cache, { recursive: true })
  const { privateKey } = methods[alg].make()
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  return privateKey
}

function kidOf (alg) {
  return `bench-${alg}`
}

function encode (value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
