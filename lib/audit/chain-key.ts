import { createPrivateKey, createPublicKey, hash, sign, verify, KeyObject } from 'node:crypto'
import { Problems, publishedIn, type ConfigurationCode } from '../config/index.ts'
import { textOf, type SecretSource } from '../secrets/index.ts'

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
export function readChainKey (given: SecretSource | KeyObject, path: string): ChainKey {
  const problems = new Problems()
  const key = checkChainKey(given, path, problems)
  problems.throwIfAny()
  return key as ChainKey
}

/** Why a key cannot follow another one. */
export function faultOfChainKey (pem: string): string | undefined {
  const problems = new Problems()
  checkChainKey(pem, '', problems)
  return problems.list()[0]?.why
}

/** Undefined for what cannot sign a chain, which is reported. */
export function checkChainKey (given: SecretSource | KeyObject, path: string, problems: Problems): ChainKey | undefined {
  const refuse = (why: string, code: ConfigurationCode = 'SECURE_API_AUDIT_CHAIN_KEY') => {
    problems.add(code, path, why, fix)
    return undefined
  }
  const key = keyOf(given instanceof KeyObject ? given : textOf(given) ?? '', createPrivateKey)
  if (key?.type !== 'private') return refuse('it is not a private key in PEM')
  const kid = thumbprint(key)
  if (kid === undefined) return refuse('it is neither an Ed25519 key nor one of P-256')
  const place = publishedIn(createPublicKey(key))
  if (place !== undefined) return refuse(`it is printed in ${place}: anyone can sign your checkpoints`, 'SECURE_API_KEY_PUBLISHED')
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
