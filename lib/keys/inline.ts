import { publishedIn, type Problems } from '../config/index.ts'
import { importKeys, type DropReason } from './import-keys.ts'
import { algorithms, type Algorithm } from './types.ts'

const fixes: Readonly<Record<DropReason, string>> = {
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
 * Checks a key set in the configuration. Every unusable key there is a mistake, since only the reader can correct it.
 * The messages hold no key material.
 */
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
  for (const { key } of importKeys(jwks, algorithms).keys) {
    const place = publishedIn(key)
    if (place !== undefined) {
      problems.add('SECURE_API_KEY_PUBLISHED', path,
        `the private half of one of its keys is printed in ${place}, and anyone can make tokens with it`,
        'Replace it with a key of the issuer.')
    }
  }
}
