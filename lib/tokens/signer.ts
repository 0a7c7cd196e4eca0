import type { TokenFailureCode } from '../http/index.ts'
import type { KeySource, VerificationKey } from '../keys/index.ts'
import type { Candidate } from './gate.ts'
import { verifySignature } from './signature.ts'

/** Keys with the same `kid` are tried one after the other, up to so many (panva/jose#392). */
const MAX_KEYS = 4

/** The key that signed the token, or why there is none. Rejects when the source does. */
export async function findSigner (candidate: Candidate, source: KeySource): Promise<VerificationKey | TokenFailureCode> {
  const { header: { kid }, algorithm } = candidate
  const known = source.peek(kid, algorithm)
  const keys = known === undefined || known.length === 0 ? await source.find(kid, algorithm) : known
  const usable = keys.filter(key => key.active && key.algorithms.includes(algorithm)).slice(0, MAX_KEYS)
  for (const key of usable) {
    if (await verifySignature(candidate, key.key, algorithm) && key.active) return key
  }
  return usable.length === 0 ? 'SECURE_API_TOKEN_KEY' : 'SECURE_API_TOKEN_SIGNATURE'
}
