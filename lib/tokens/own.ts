import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { Type, type Static } from '@sinclair/typebox'
import { DurationSchema, hasRocaFingerprint, milliseconds, parseDuration, publishedIn, type Problems } from '../config/index.ts'
import type { Algorithm } from '../keys/index.ts'
import { IssuerOptionsSchema } from './options.ts'
import { checkClaimPaths } from './validate.ts'

/** Tokens that the application issues itself, for example after a login of its own. */
export const OwnTokensSchema = Type.Object({
  /** The `iss` of these tokens: the address of this API. */
  issuer: Type.String(),
  /** Their `aud`. */
  audience: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]),
  /**
   * The private key in PEM: RSA of 2048 bits or more (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA). A secret: from a
   * file or a vault, never from the source.
   */
  privateKey: Type.String({ secret: true }),
  /**
   * How long a token lives, in whole seconds (the rest is rounded up). A token that was signed for longer is no access
   * token: it is refused. A token cannot be taken back without `isRevoked`. 1 second to 30 days.
   * @default '15 minutes'
   */
  expiresIn: Type.Optional(DurationSchema),
  /** Claims that hold scopes, as a list or separated by spaces. Several add up. @default `scope` and `scp` */
  scopeClaims: IssuerOptionsSchema.properties.scopeClaims,
  /**
   * Claims that hold roles: a list, or one as text. `{audience}` in a path stands for the audience. Several add up.
   * @default `role` and `roles`
   */
  roleClaims: IssuerOptionsSchema.properties.roleClaims
}, { additionalProperties: false })
export type OwnTokensOptions = Static<typeof OwnTokensSchema>

const SHORTEST = 1000
const LONGEST = 30 * 86_400_000

/** The lifetime of own tokens in whole seconds, the unit of dates in tokens and of numbers given to @fastify/jwt. */
export function ownLifetime ({ expiresIn = '15 minutes' }: Pick<OwnTokensOptions, 'expiresIn'>): number {
  return Math.ceil(milliseconds(expiresIn) / 1000)
}

/** The key in the forms that its users need. */
export interface OwnKey {
  readonly algorithm: Algorithm
  /** RFC 7638 thumbprint. */
  readonly kid: string
  readonly privatePem: string
  readonly publicPem: string
  readonly publicJwk: JsonWebKey & { readonly kid: string, readonly alg: Algorithm, readonly use: 'sig' }
}

/** Reads the key; undefined when it cannot be used. */
export function readOwnKey (pem: string): OwnKey | undefined {
  const key = parse(pem)
  const algorithm = key && algorithmOf(key)
  if (key === undefined || algorithm === undefined) return undefined
  const publicKey = createPublicKey(key)
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = thumbprint(jwk)
  return {
    algorithm,
    kid,
    privatePem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    publicJwk: { ...jwk, kid, alg: algorithm, use: 'sig' }
  }
}

export function validateOwnTokens (options: OwnTokensOptions, path: string, problems: Problems): void {
  const { expiresIn = SHORTEST, privateKey } = options
  checkClaimPaths(options, path, problems)
  const ms = typeof expiresIn === 'string' || typeof expiresIn === 'number' ? parseDuration(expiresIn) : undefined
  if (ms !== undefined && (ms < SHORTEST || ms > LONGEST)) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.expiresIn`,
      `access tokens do not live ${ms} milliseconds`, "Give 1 second to 30 days, with a unit: '15 minutes'.")
  }
  if (typeof privateKey === 'string') checkPrivateKey(readOwnKey(privateKey), `${path}.privateKey`, problems)
}

function checkPrivateKey (key: OwnKey | undefined, path: string, problems: Problems): void {
  if (key === undefined) {
    return problems.add('SECURE_API_OPTION_VALUE', path, 'this is not a private key that can sign tokens',
      'Give the PEM of an RSA key of 2048 bits or more, of P-256 or P-384, or of Ed25519, without a passphrase.')
  }
  const fix = 'Make one: openssl genpkey -algorithm ed25519'
  const publicKey = createPublicKey(key.publicPem)
  const place = publishedIn(publicKey)
  if (place !== undefined) {
    problems.add('SECURE_API_KEY_PUBLISHED', path, `this key is printed in ${place}, and anyone can make your tokens with it`, fix)
  }
  if (key.publicJwk.kty === 'RSA' && hasRocaFingerprint(publicKey)) {
    problems.add('SECURE_API_OPTION_VALUE', path, 'anyone can compute this key from its public half (CVE-2017-15361)', fix)
  }
}

function parse (pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

const curves: Readonly<Record<string, Algorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384' }

function algorithmOf ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): Algorithm | undefined {
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= 2048 ? 'RS256' : undefined
  if (type === 'ec') return curves[details?.namedCurve ?? '']
  return type === 'ed25519' ? 'EdDSA' : undefined
}

/** RFC 7638 §3.2: the required members in alphabetical order; RFC 8037 §2 for OKP. */
function thumbprint ({ crv, e, kty, n, x, y }: JsonWebKey): string {
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}
