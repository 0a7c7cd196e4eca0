import { createPrivateKey, createPublicKey, hash, sign, verify, KeyObject } from 'node:crypto'
import { mistake, publishedIn } from '../config/index.ts'

/** Signs the checkpoints of a chain. */
export interface ChainKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string
  sign (text: string): string
}

/** Checks the checkpoints of a chain. */
export interface ChainVerifier {
  readonly kid: string
  verify (bytes: Buffer, signature: string): boolean
}

const fix = 'Make one with `secure-api audit key --file audit-key.pem`, and give its text or a KeyObject.'

/**
 * @param path of the option
 * @throws ConfigurationError `SECURE_API_AUDIT_CHAIN_KEY`
 */
export function readChainKey (given: string | KeyObject, path: string): ChainKey {
  const key = keyOf(given, createPrivateKey)
  if (key?.type !== 'private') throw mistake('SECURE_API_AUDIT_CHAIN_KEY', path, 'it is not a private key in PEM', fix)
  const kid = thumbprint(key)
  if (kid === undefined) throw mistake('SECURE_API_AUDIT_CHAIN_KEY', path, 'it is neither an Ed25519 key nor one of P-256', fix)
  const place = publishedIn(createPublicKey(key))
  if (place !== undefined) {
    throw mistake('SECURE_API_KEY_PUBLISHED', path, `this key is printed in ${place}, and anyone can sign your checkpoints with it`, fix)
  }
  const algorithm = algorithmOf(key)
  return { kid, sign: text => sign(algorithm, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url') }
}

/** The public key of a PEM, private or public; undefined for anything that cannot sign a chain. */
export function chainVerifier (given: string | KeyObject): ChainVerifier | undefined {
  const key = keyOf(given, createPublicKey)
  const kid = key && thumbprint(key)
  if (key === undefined || kid === undefined) return undefined
  const algorithm = algorithmOf(key)
  return {
    kid,
    verify: (bytes, signature) => verify(algorithm, bytes, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
  }
}

function keyOf (given: string | KeyObject, create: (pem: string) => KeyObject): KeyObject | undefined {
  if (given instanceof KeyObject) return given
  try {
    return create(given)
  } catch {
    return undefined
  }
}

function algorithmOf ({ asymmetricKeyType }: KeyObject): 'sha256' | null {
  return asymmetricKeyType === 'ec' ? 'sha256' : null
}

/** RFC 7638 §3.2: the required members in alphabetical order; RFC 8037 §2 for OKP. */
function thumbprint (key: KeyObject): string | undefined {
  if (key.type === 'secret') return undefined
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  if (key.asymmetricKeyType !== 'ed25519' && key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
}
