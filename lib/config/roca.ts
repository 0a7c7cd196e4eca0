import type { KeyObject } from 'node:crypto'

const primes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167
]

/** The powers of 65537 modulo each prime. */
const powers = primes.map(prime => {
  const found = new Set<number>()
  for (let power = 1; !found.has(power); power = power * (65537 % prime) % prime) found.add(power)
  return [BigInt(prime), found] as const
})

/**
 * Whether an RSA modulus has the fingerprint of CVE-2017-15361 (ROCA): primes of the form k·M + 65537^a mod M, which
 * leave the modulus a power of 65537 modulo every small prime. Such keys can be factored. One ordinary modulus in about
 * 130 million has it too.
 */
export function hasRocaFingerprint (key: KeyObject): boolean {
  const { n } = key.export({ format: 'jwk' })
  if (n === undefined) return false
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  return powers.every(([prime, found]) => found.has(Number(modulus % prime)))
}
