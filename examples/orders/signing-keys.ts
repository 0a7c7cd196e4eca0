import { generateKeyPair, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

export type SigningAlgorithm = 'RS256' | 'ES256'

/** A private JWK with what RFC 7517 §4 lets a key say about itself. */
export interface SigningKey extends JsonWebKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly use: 'sig'
}

/** One key of each algorithm; their `kid` ends in the generation. */
export async function signingKeys (generation: number): Promise<SigningKey[]> {
  const [rsa, ec] = await Promise.all([
    generate('rsa', { modulusLength: 2048 }),
    generate('ec', { namedCurve: 'P-256' })
  ])
  return [
    { ...rsa.privateKey.export({ format: 'jwk' }), kid: `rs256-${generation}`, alg: 'RS256', use: 'sig' },
    { ...ec.privateKey.export({ format: 'jwk' }), kid: `es256-${generation}`, alg: 'ES256', use: 'sig' }
  ]
}
