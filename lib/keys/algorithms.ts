import { constants, type KeyObject, type SigningOptions } from 'node:crypto'
import type { Algorithm } from './types.ts'

/** How an algorithm signs. */
interface SignatureScheme {
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly keyType: string
  readonly curve?: string
  /** In bytes, where the algorithm fixes it (RFC 7518 §3.4, RFC 8032 §5.1.6); for RSA the key does. */
  readonly length?: number
  /** Absent: what Node does by default, which for an RSA key is PKCS #1 v1.5 (RFC 7518 §3.3). */
  readonly options?: SigningOptions
}

/** RFC 7518 §3.5: the salt is as long as the digest. Node would accept any length. */
const pss: SigningOptions = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
/** RFC 7518 §3.4: R and S side by side, not DER. */
const ecdsa: SigningOptions = { dsaEncoding: 'ieee-p1363' }
const ed25519: SignatureScheme = { hash: null, keyType: 'ed25519', length: 64 }

export const signatureSchemes: Readonly<Record<Algorithm, SignatureScheme>> = {
  RS256: { hash: 'sha256', keyType: 'rsa' },
  RS384: { hash: 'sha384', keyType: 'rsa' },
  RS512: { hash: 'sha512', keyType: 'rsa' },
  PS256: { hash: 'sha256', keyType: 'rsa', options: pss },
  PS384: { hash: 'sha384', keyType: 'rsa', options: pss },
  PS512: { hash: 'sha512', keyType: 'rsa', options: pss },
  ES256: { hash: 'sha256', keyType: 'ec', curve: 'prime256v1', length: 64, options: ecdsa },
  ES384: { hash: 'sha384', keyType: 'ec', curve: 'secp384r1', length: 96, options: ecdsa },
  ES512: { hash: 'sha512', keyType: 'ec', curve: 'secp521r1', length: 132, options: ecdsa },
  EdDSA: ed25519,
  Ed25519: ed25519
}

/** In bits. Verifying with an RSA key twice as long takes three times as long. */
const QUICK_RSA = 4096
const quickCurves: ReadonlySet<unknown> = new Set(['prime256v1', 'ed25519'])

/**
 * Whether a verification takes less than a tenth of a millisecond (Node 20, measured): RSA 36 to 79 µs, P-256 74, Ed25519 82; P-384 takes
 * 600, P-521 1400. Handing one to libuv's thread pool takes 30.
 */
export function isQuick ({ asymmetricKeyDetails: details }: KeyObject, algorithm: Algorithm): boolean {
  const { keyType, curve = keyType } = signatureSchemes[algorithm]
  return keyType === 'rsa' ? (details?.modulusLength ?? Infinity) <= QUICK_RSA : quickCurves.has(curve)
}

const CHEAP_RSA = 2048

/**
 * Whether a verification takes the event loop no longer than handing it to the thread pool does: RSA of 2048 bits 34 µs beside 33
 * (Node 24, measured), where the pool takes another 35. P-256 takes 93 beside 53, RSA of 4096 bits 87 beside 33.
 */
export function isCheap ({ asymmetricKeyDetails: details }: KeyObject, algorithm: Algorithm): boolean {
  return signatureSchemes[algorithm].keyType === 'rsa' && (details?.modulusLength ?? Infinity) <= CHEAP_RSA
}
