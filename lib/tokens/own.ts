import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import {
  DurationSchema, hasRocaFingerprint, milliseconds, parseDuration, Problems, publishedIn, Type, type Static
} from '../config/index.ts'
import type { Algorithm } from '../keys/index.ts'
import { SecretSourceSchema, textOf, weaknessOf } from '../secrets/index.ts'
import { IssuerOptionsSchema } from './options.ts'
import { LegacyTokensSchema, validateLegacy } from './legacy.ts'
import { checkClaimPaths } from './validate.ts'

/** Tokens that the application issues itself, for example after a login of its own. */
export const OwnTokensSchema = Type.Object({
  /** The `iss` of these tokens: the address of this API. */
  issuer: Type.String(),
  /** Their `aud`. */
  audience: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]),
  /**
   * The private key in PEM: RSA of 2048 bits or more (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA). A secret:
   * `{ file: '/run/secrets/signing-key.pem' }`, `{ env }` or `{ provider, name }`, never in the source. A new key of the same kind is used
   * without a restart.
   */
  privateKey: Type.Optional(SecretSourceSchema),
  /**
   * In place of `privateKey`: a random secret of at least 32 bytes, which signs with HS256. Whoever can check these tokens can make
   * them: for an API that checks its own tokens alone. `openssl rand -base64 48` makes one. Read and renewed as `privateKey`.
   */
  secret: Type.Optional(SecretSourceSchema),
  /** Accepts tokens of an old form for a while, so that nobody is signed out when an application moves here. @default none */
  legacy: Type.Optional(LegacyTokensSchema),
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
})
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
  const { expiresIn = SHORTEST, privateKey, secret, legacy } = options
  checkClaimPaths(options, path, problems)
  const ms = typeof expiresIn === 'string' || typeof expiresIn === 'number' ? parseDuration(expiresIn) : undefined
  if (ms !== undefined && (ms < SHORTEST || ms > LONGEST)) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.expiresIn`,
      `access tokens do not live ${ms} milliseconds`, "Give 1 second to 30 days, with a unit: '15 minutes'.")
  }
  if ((privateKey === undefined) === (secret === undefined)) {
    const [code, why] = secret === undefined
      ? ['SECURE_API_OPTION_MISSING', 'nothing signs these tokens'] as const
      : ['SECURE_API_OPTION_CONFLICT', 'there is a secret beside it, and tokens are signed by one of them'] as const
    problems.add(code, `${path}.privateKey`, why, 'Give `privateKey` or `secret`.')
  }
  const pem = textOf(privateKey)
  if (pem !== undefined) checkPrivateKey(readOwnKey(pem), `${path}.privateKey`, problems)
  checkSecret(secret, `${path}.secret`, problems)
  if (typeof legacy !== 'object' || legacy === null) return
  validateLegacy(legacy, `${path}.legacy`, problems)
  checkSecret(legacy.secret, `${path}.legacy.secret`, problems)
  if (secret === undefined && legacy.secret === undefined) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.legacy.secret`, 'nothing says which secret signed the old tokens', 'Give it.')
  }
}

function checkSecret (secret: unknown, path: string, problems: Problems): void {
  const text = textOf(secret)
  const weakness = text === undefined ? undefined : weaknessOf(text)
  if (weakness !== undefined) problems.add('SECURE_API_SECRET_WEAK', path, weakness, 'Make one: openssl rand -base64 48')
}

/** What is wrong with the key that follows another one. What signs is part of the rules, so that one of another kind needs a restart. */
export function faultOfNextKey (pem: string, algorithm: string): string | undefined {
  const problems = new Problems()
  const key = readOwnKey(pem)
  checkPrivateKey(key, '', problems)
  const [problem] = problems.list()
  if (problem !== undefined) return problem.why
  return key?.algorithm === algorithm ? undefined : `it signs with ${key?.algorithm}, and this process with ${algorithm} until a restart`
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
