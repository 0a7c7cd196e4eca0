import { constants, generateKeyPairSync, sign, type JsonWebKey, type KeyObject, type SignKeyObjectInput } from 'node:crypto'

/** What a test issuer can sign with. */
export type TestAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

interface Method {
  readonly family: 'rsa' | 'p256' | 'p384' | 'ed25519'
  readonly digest: string | null
  readonly parameters?: Omit<SignKeyObjectInput, 'key'>
}

/** RFC 7518 §3.3 to §3.5, RFC 8037 §3.1. ECDSA signatures are two plain numbers there, not DER. */
const methods: Readonly<Record<TestAlgorithm, Method>> = {
  RS256: { family: 'rsa', digest: 'sha256' },
  PS256: {
    family: 'rsa',
    digest: 'sha256',
    parameters: {
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST
    }
  },
  ES256: { family: 'p256', digest: 'sha256', parameters: { dsaEncoding: 'ieee-p1363' } },
  ES384: { family: 'p384', digest: 'sha384', parameters: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { family: 'ed25519', digest: null }
}

const generators: Readonly<Record<Method['family'], () => KeyPair>> = {
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ed25519: () => generateKeyPairSync('ed25519')
}

/**
 * RSA pairs that closed issuers gave back. Generating one takes a quarter of a second, and two issuers that live at
 * the same time must not share one.
 */
const idle: KeyPair[] = []

/** One key of a test issuer. */
export class TestKey {
  readonly kid: string
  readonly alg: TestAlgorithm
  readonly #pair: KeyPair

  constructor (kid: string, alg: TestAlgorithm) {
    const { family } = methods[alg]
    this.kid = kid
    this.alg = alg
    this.#pair = (family === 'rsa' ? idle.pop() : undefined) ?? generators[family]()
  }

  get jwk (): JsonWebKey {
    return { kid: this.kid, use: 'sig', alg: this.alg, ...this.#pair.publicKey.export({ format: 'jwk' }) }
  }

  sign (header: object, payload: object): string {
    const { digest, parameters } = methods[this.alg]
    const input = `${encode(header)}.${encode(payload)}`
    const signature = sign(digest, Buffer.from(input), { key: this.#pair.privateKey, ...parameters })
    return `${input}.${signature.toString('base64url')}`
  }

  giveBack (): void {
    if (methods[this.alg].family === 'rsa') idle.push(this.#pair)
  }
}

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
