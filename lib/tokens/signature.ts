import { verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import type { MaybePromise } from '../async/index.ts'
import type { TokenFailureCode } from '../http/index.ts'
import { signatureSchemes as schemes, type Algorithm, type KeySource, type VerificationKey } from '../keys/index.ts'
import { decodeBase64url, readHeader, splitCompact, type SignedParts } from './gate.ts'
import { OwnSecret } from './own-secret.ts'
import { Place } from './place.ts'
import type { TokenAlgorithm } from './rules.ts'

/** Keys with the same `kid` are tried in turn, up to this number (panva/jose#392). */
const MAX_KEYS = 4

type Signed = SignedParts & { readonly header: { readonly kid: string | undefined }, readonly algorithm: TokenAlgorithm }

/** There is one event loop, whichever issuer a token names. */
const onlyPlace = new Place()

/** What has signed a token, and whether it still may. */
export type Signer = Pick<VerificationKey, 'active'>

/**
 * The key that signed the token, or why there is none; at once where its keys are known and quick. Rejects when the source does. A secret
 * verifies HS256 and nothing else, keys of a key set anything else: a public key that is taken for a secret would let everybody sign
 * (RFC 8725 §2.1).
 */
export function findSigner (candidate: Signed, source: KeySource | OwnSecret, place = onlyPlace): MaybePromise<Found> {
  const { header: { kid }, algorithm } = candidate
  if (source instanceof OwnSecret) {
    return (algorithm === 'HS256' && source.signerOf(candidate)) || 'SECURE_API_TOKEN_SIGNATURE'
  }
  if (algorithm === 'HS256') return 'SECURE_API_TOKEN_ALGORITHM'
  const known = source.peek(kid, algorithm)
  return known === undefined || known.length === 0
    ? source.find(kid, algorithm).then(keys => signerAmong(keys, candidate, algorithm, place))
    : signerAmong(known, candidate, algorithm, place)
}

type Found = Signer | TokenFailureCode

function signerAmong (keys: readonly VerificationKey[], candidate: Signed, algorithm: Algorithm, place: Place): MaybePromise<Found> {
  const usable = keys.filter(key => key.active && key.algorithms.includes(algorithm)).slice(0, MAX_KEYS)
  const [only] = usable
  if (only === undefined) return 'SECURE_API_TOKEN_KEY'
  if (usable.length > 1 || !place.isHere(only.key, algorithm)) return signerInPool(usable, candidate, algorithm, place)
  return place.note(verifyNow(candidate, only.key, algorithm)) ? only : 'SECURE_API_TOKEN_SIGNATURE'
}

async function signerInPool (keys: readonly VerificationKey[], candidate: Signed, algorithm: Algorithm, place: Place): Promise<Found> {
  for (const key of keys) {
    if (await place.count(verifySignature(candidate, key.key, algorithm)) && key.active) return key
  }
  return 'SECURE_API_TOKEN_SIGNATURE'
}

/**
 * Verifies one compact JWS (RFC 7515 §5.2). It never throws, and looks at the header and the signature only: any payload
 * will do. This is the engine behind the gate, exposed for public test vectors.
 *
 * @param compact the JWS in compact serialization; other spellings of the same bytes are refused
 * @param key a public key; its type and curve must be those of the algorithm
 * @param algorithms the accepted ones: the header may only choose among them (RFC 8725 §3.1)
 *
 * @example
 * verifyJws(token, createPublicKey({ key: jwk, format: 'jwk' }), ['RS256', 'ES256'])
 */
export function verifyJws (compact: string, key: KeyObject, algorithms: readonly Algorithm[]): boolean {
  const parts = splitCompact(compact)
  const header = parts && readHeader(parts.header)
  const signature = parts && decodeBase64url(parts.signature)
  if (parts === undefined || header === undefined || signature === undefined) return false
  const algorithm = algorithms.find(name => name === header.alg)
  if (algorithm === undefined || 'crit' in header || decodeBase64url(parts.payload) === undefined) return false
  return verifyNow({ signingInput: parts.signingInput, signature }, key, algorithm)
}

function verifyNow (parts: SignedParts, key: KeyObject, algorithm: Algorithm): boolean {
  const { hash } = schemes[algorithm]
  if (!plausible(parts, key, algorithm)) return false
  try {
    return verify(hash, Buffer.from(parts.signingInput, 'latin1'), optionsOf(key, algorithm), parts.signature)
  } catch {
    return false
  }
}

/**
 * Verifies parts that passed the gate, on libuv's thread pool: a flood of forged ES256 tokens then leaves the event loop
 * free (p99 2.4 instead of 64 ms at 5,000 a second). Never rejects.
 */
export function verifySignature (parts: SignedParts, key: KeyObject, algorithm: Algorithm): Promise<boolean> {
  const { hash } = schemes[algorithm]
  if (!plausible(parts, key, algorithm)) return Promise.resolve(false)
  return new Promise(resolve => {
    try {
      verify(hash, Buffer.from(parts.signingInput, 'latin1'), optionsOf(key, algorithm), parts.signature,
        (error, valid) => resolve(error === null && valid))
    } catch {
      resolve(false)
    }
  })
}

/** An object around a key takes Node 24 another 12 µs of RSA's 21. */
function optionsOf (key: KeyObject, algorithm: Algorithm): KeyObject | VerifyKeyObjectInput {
  const { options } = schemes[algorithm]
  return options === undefined ? key : { key, ...options }
}

/** Key type, curve and length must fit: no key is used beyond its purpose (RFC 8725 §3.1), and no signature has two forms. */
function plausible ({ signature }: SignedParts, key: KeyObject, algorithm: Algorithm): boolean {
  const { keyType, curve, length } = schemes[algorithm]
  if (key.type !== 'public' || key.asymmetricKeyType !== keyType) return false
  if (curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== curve) return false
  return signature.length === (length ?? modulusLength(key))
}

/** In bytes (RFC 8017 §8.1.2). OpenSSL takes PSS signatures without their leading zeros as well. */
function modulusLength ({ asymmetricKeyDetails }: KeyObject): number {
  return Math.ceil((asymmetricKeyDetails?.modulusLength ?? 0) / 8)
}
