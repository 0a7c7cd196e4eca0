import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { hasRocaFingerprint, publishedIn, type Problems } from '../config/index.ts'
import { algorithms as allAlgorithms, type Algorithm } from './types.ts'

/** What the owner of an inline set does about a key that is not used. */
const fixes = {
  malformed: 'Give a JWK with public members of the right type (RFC 7517).',
  symmetric: 'Remove it: a shared secret cannot verify access tokens here; use an asymmetric key.',
  private: 'Give the public half only, and replace the key if this configuration was stored anywhere.',
  use: 'Remove it, or give a key with `use: "sig"`.',
  'key-ops': 'Remove it, or give a key whose `key_ops` has "verify".',
  type: 'Give a key of type RSA, EC or OKP.',
  curve: 'Give a key on P-256, P-384, P-521 or Ed25519.',
  algorithm: 'Correct its `alg`, or leave it out.',
  'rsa-size': 'Use an RSA key of 2048 to 8192 bits.',
  'rsa-exponent': 'Use an RSA key with the exponent 65537.',
  roca: 'Replace it: its private half can be computed (CVE-2017-15361). Make one with a current OpenSSL.',
  'not-configured': 'Add its algorithm to `algorithms`, or remove the key.',
  'too-many': 'Keep 100 keys at most.'
}

/**
 * Why a key of a set is not used.
 *
 * - `malformed`: not an object, a member of the wrong type, a `kid` over 256 characters, or key material that is none.
 * - `symmetric`: `kty: oct`; a secret in a public document, and the lever of algorithm confusion (RFC 8725 §2.1).
 * - `private`: private members are published with it: it must be taken as stolen.
 * - `use`, `key-ops`: meant for something else than verifying signatures (RFC 7517 §4.2, §4.3).
 * - `type`, `curve`: no algorithm here knows that key type or curve.
 * - `algorithm`: its own `alg` is unknown or does not fit its type.
 * - `rsa-size`: outside 2048 to 8192 bits (RFC 7518 §3.3; larger ones only cost time). `rsa-exponent`: even, 1, or over 32 bits.
 * - `roca`: its modulus can be factored (CVE-2017-15361).
 * - `not-configured`: sound, but not for an algorithm that is accepted here.
 * - `too-many`: the set has more than 100 entries; stands once for all that were not read.
 */
export type DropReason = keyof typeof fixes

export interface ImportedKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  readonly algorithms: readonly Algorithm[]
  /** Equal for equal keys: the members of the RFC 7638 thumbprint, with `kid` and algorithms. */
  readonly identity: string
}

export interface DroppedKey {
  /** Place in the set. */
  readonly index: number
  readonly kid: string | undefined
  readonly reason: DropReason
}

export interface ImportedKeys {
  readonly keys: readonly ImportedKey[]
  readonly dropped: readonly DroppedKey[]
}

type Members = Readonly<Record<string, unknown>>

const MAX_KEYS = 100
/** Tokens with a longer `kid` are refused before the key is looked up, and these names end up in logs. */
const MAX_KID_LENGTH = 256

/**
 * Reads an untrusted JWK set (RFC 7517 §5). Keys that must not verify tokens are dropped, each with its reason; repeated
 * entries count once. Never throws: a document that is not a key set has no keys.
 *
 * @param document the parsed JSON
 * @param accepted the algorithms of the issuer's configuration
 */
export function importKeys (document: unknown, accepted: readonly Algorithm[]): ImportedKeys {
  const entries = entriesOf(document)
  const keys = new Map<string, ImportedKey>()
  const dropped: DroppedKey[] = []
  entries.slice(0, MAX_KEYS).forEach((entry, index) => {
    const result = importKey(entry, accepted)
    if (typeof result === 'string') dropped.push({ index, kid: kidOf(entry), reason: result })
    else keys.set(result.identity, result)
  })
  if (entries.length > MAX_KEYS) dropped.push({ index: MAX_KEYS, kid: undefined, reason: 'too-many' })
  return { keys: [...keys.values()], dropped }
}

function entriesOf (document: unknown): readonly unknown[] {
  return isMembers(document) && Array.isArray(document.keys) ? document.keys : []
}

function kidOf (entry: unknown): string | undefined {
  return isMembers(entry) && typeof entry.kid === 'string' ? entry.kid.slice(0, MAX_KID_LENGTH) : undefined
}

function importKey (given: unknown, accepted: readonly Algorithm[]): ImportedKey | DropReason {
  if (!isMembers(given)) return 'malformed'
  const entry = withoutNulls(given)
  const refused = refusals.find(([, applies]) => applies(entry))
  if (refused !== undefined) return refused[0]
  const fitting = fittingAlgorithms(entry)
  if (fitting.length === 0) return 'algorithm'
  const algorithms = accepted.filter(algorithm => fitting.includes(algorithm))
  if (algorithms.length === 0) return 'not-configured'
  const key = createKey(entry)
  if (typeof key === 'string') return key
  const kid = kidOf(entry)
  return { kid, key, algorithms: Object.freeze(algorithms), identity: JSON.stringify([kid, algorithms, key.export({ format: 'jwk' })]) }
}

/** Some serializers (.NET, Go) write `"d": null` for an absent member: neither a private half nor a wrong type. */
function withoutNulls (jwk: Members): Members {
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== null))
}

/** RFC 7518 §6.2.2, §6.3.2, §6.4.1. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const stringMembers = ['kid', 'alg', 'use', 'crv']

const refusals: ReadonlyArray<readonly [DropReason, (jwk: Members) => boolean]> = [
  ['symmetric', jwk => jwk.kty === 'oct'],
  ['private', jwk => privateMembers.some(name => Object.hasOwn(jwk, name))],
  ['malformed', jwk => stringMembers.some(name => jwk[name] !== undefined && typeof jwk[name] !== 'string')],
  ['malformed', jwk => typeof jwk.kid === 'string' && jwk.kid.length > MAX_KID_LENGTH],
  ['use', jwk => jwk.use !== undefined && jwk.use !== 'sig'],
  ['key-ops', jwk => jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))],
  ['type', jwk => !(typeof jwk.kty === 'string' && keyTypes.has(jwk.kty))],
  ['curve', jwk => algorithmsOf(jwk) === undefined]
]

const edwards: readonly Algorithm[] = ['EdDSA', 'Ed25519']

/** By `kty`, or `kty` and `crv`. Ed448 and secp256k1 are left out: access tokens are hardly ever signed with them. */
const byKeyType: ReadonlyMap<string, readonly Algorithm[]> = new Map<string, readonly Algorithm[]>([
  ['RSA', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
  ['EC P-256', ['ES256']],
  ['EC P-384', ['ES384']],
  ['EC P-521', ['ES512']],
  ['OKP Ed25519', edwards]
])
const keyTypes: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP'])

function algorithmsOf ({ kty, crv }: Members): readonly Algorithm[] | undefined {
  return byKeyType.get(kty === 'RSA' ? 'RSA' : `${kty} ${crv}`)
}

/** The algorithms of its type and curve, or only the one it names. `EdDSA` and `Ed25519` name the same one (RFC 9864 §2.2). */
function fittingAlgorithms (jwk: Members): readonly Algorithm[] {
  const all = algorithmsOf(jwk) ?? []
  if (jwk.alg === undefined) return all
  return all === edwards && edwards.some(name => name === jwk.alg) ? edwards : all.filter(name => name === jwk.alg)
}

function createKey ({ kty, crv, n, e, x, y }: Members): KeyObject | DropReason {
  try {
    const key = createPublicKey({ key: { kty, crv, n, e, x, y } as JsonWebKey, format: 'jwk' })
    return rsaFault(key) ?? key
  } catch {
    return 'malformed'
  }
}

/** An exponent of 1 makes every signature valid; neither OpenSSL nor Node refuses it at import. */
function rsaFault (key: KeyObject): DropReason | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = key
  if (asymmetricKeyType !== 'rsa') return undefined
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {}
  if (modulusLength < 2048 || modulusLength > 8192) return 'rsa-size'
  if (publicExponent < 3n || publicExponent % 2n === 0n || publicExponent >= 2n ** 32n) return 'rsa-exponent'
  return hasRocaFingerprint(key) ? 'roca' : undefined
}

function isMembers (value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Checks a key set in the configuration, where every unusable key is a mistake. The messages hold no key material. */
export function checkInlineKeys (jwks: unknown, accepted: readonly Algorithm[], path: string, problems: Problems): void {
  const { keys, dropped } = importKeys(jwks, accepted)
  for (const { index, reason } of dropped) {
    problems.add('SECURE_API_JWKS_KEY', `${path}.keys[${index}]`, `this key cannot be used (${reason})`, fixes[reason])
  }
  if (keys.length === 0) {
    problems.add('SECURE_API_JWKS_EMPTY', path, 'the key set has no key that may verify tokens', 'Give a JWK set: { keys: [ … ] }.')
  }
}

/** Reports keys with which anyone can sign. Not for development, where tokens of jwt.io are handy. */
export function checkPublishedKeys (jwks: unknown, path: string, problems: Problems): void {
  for (const { key } of importKeys(jwks, allAlgorithms).keys) {
    const place = publishedIn(key)
    if (place === undefined) continue
    problems.add('SECURE_API_KEY_PUBLISHED', path,
      `the private half of one of its keys is printed in ${place}, and anyone can make tokens with it`,
      'Replace it with a key of the issuer.')
  }
}
