import { createHash, type KeyObject } from 'node:crypto'

/** SHA-256 of the SubjectPublicKeyInfo of keys whose private half is published, and where. */
const published: Readonly<Record<string, string>> = {
  '6fd13c2435a361e7c588cd17f55f5ad3df0177a66c1727a6a200845f4d7ab88c': 'RFC 7515 A.2',
  '2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827': 'RFC 7515 A.3',
  '9146ce73d6abeda5e0ab6926e7bd9b563f2f2258b488d520534a0b84ba5871df': 'RFC 7515 A.4',
  '51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760': 'RFC 7517 A.1',
  ad32320cf6c596d884b05381ba573aba8ddd5749b4de8f4a23a79f9a89ddaeb2: 'RFC 7517 A.1',
  '627771f25da426d1f9ae315e42106d700b1529850eee1592acf39603959d795d': 'RFC 7520 3.4',
  c6479a15a50ac4cd9b6414e27c69bf37345dc1046dc648875c4898fbd35cc74b: 'RFC 7520 3.2',
  '06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9': 'RFC 8037 A.1',
  f56c8b01227f62ddbc16eb29a6ac0b310e276760a5e06302fa881a35146f6bc7: 'jwt.io, RS256',
  a40f0f2e2974dc76a82df6ffe08ed0d79955c79e7ad0c20d97ae8f9246ade1c1: 'jwt.io, ES256'
}

/** The document that publishes the private half of this key; undefined for all other keys. */
export function publishedIn (publicKey: KeyObject): string | undefined {
  const digest = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex')
  return Object.hasOwn(published, digest) ? published[digest] : undefined
}

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
 * Whether an RSA modulus has the fingerprint of CVE-2017-15361 (ROCA): primes of the form k·M + 65537^a mod M, which leave it a power of
 * 65537 modulo every small prime. Such keys can be factored. One ordinary modulus in about 130 million has it too.
 */
export function hasRocaFingerprint (key: KeyObject): boolean {
  const { n } = key.export({ format: 'jwk' })
  if (n === undefined) return false
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  return powers.every(([prime, found]) => found.has(Number(modulus % prime)))
}
