import { createPrivateKey, randomUUID, sign, type KeyObject } from 'node:crypto'
import { algorithms, signatureSchemes, type Algorithm } from '../keys/index.ts'
import { textOf } from '../secrets/index.ts'
import { methodOf, type ClientMethod, type IntrospectionClientOptions, type IntrospectionOptions } from './options.ts'

/** What a request carries to show who asks. */
export interface ClientProof {
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string>>
}

/** Made for each request: an assertion is used once. */
export type ProveClient = () => ClientProof

interface Parties {
  readonly issuer: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Of validated options. */
export function proofOf (options: Pick<IntrospectionOptions, 'client' | 'method'>, parties: Parties): ProveClient {
  const method = methodOf(options)
  if (method === undefined) throw new TypeError('the client was not validated')
  return provers[method](options.client, parties)
}

const provers: Readonly<Record<ClientMethod, (client: IntrospectionClientOptions, parties: Parties) => ProveClient>> = {
  client_secret_basic ({ id, secret }) {
    const credentials = Buffer.from(`${formEncoded(id)}:${formEncoded(textOf(secret) ?? '')}`).toString('base64')
    return () => ({ headers: { authorization: `Basic ${credentials}` } })
  },
  client_secret_post ({ id, secret }) {
    const form = { client_id: id, client_secret: textOf(secret) ?? '' }
    return () => ({ form })
  },
  private_key_jwt: proveByAssertion,
  /** RFC 8705 §2: the connection shows the rest. */
  tls_client_auth: ({ id }) => () => ({ form: { client_id: id } })
}

/** RFC 6749 §2.3.1: encoded as in a form before they are joined, so that a colon in an id is not the one between the two. */
function formEncoded (text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** Seconds: enough for clocks that differ, too short to be of use to a thief. */
const LIFETIME = 60

/** RFC 7523 §3. The audience is the issuer, as draft-ietf-oauth-rfc7523bis asks: at no other place is the assertion good. */
function proveByAssertion ({ id, privateKey, algorithm, keyId }: IntrospectionClientOptions, { issuer, now }: Parties): ProveClient {
  const key = createPrivateKey(textOf(privateKey) ?? '')
  const alg = algorithm ?? algorithmFor(key)
  if (alg === undefined) throw new TypeError('the private key was not validated')
  const header = encode({ alg, typ: 'JWT', ...(keyId !== undefined && { kid: keyId }) })
  return () => {
    const iat = Math.floor(now() / 1000)
    const input = `${header}.${encode({ iss: id, sub: id, aud: issuer, jti: randomUUID(), iat, exp: iat + LIFETIME })}`
    const { hash, options } = signatureSchemes[alg]
    const signature = sign(hash, Buffer.from(input), { key, ...options }).toString('base64url')
    return {
      form: {
        client_id: id,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `${input}.${signature}`
      }
    }
  }
}

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The first algorithm that the key can be used with. */
export function algorithmFor (key: KeyObject): Algorithm | undefined {
  return algorithms.find(name => canSign(key, name))
}

/** Whether type, curve and size of a private key are those of the algorithm. */
export function canSign ({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject, algorithm: Algorithm): boolean {
  const { keyType, curve } = signatureSchemes[algorithm]
  if (asymmetricKeyType !== keyType || (curve !== undefined && details?.namedCurve !== curve)) return false
  return keyType !== 'rsa' || (details?.modulusLength ?? 0) >= 2048
}
