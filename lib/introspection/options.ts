import { DurationSchema, milliseconds, Type, type Duration, type Static } from '../config/index.ts'
import { algorithms } from '../keys/index.ts'
import { SecretSourceSchema } from '../secrets/index.ts'

const literals = <const Names extends readonly string[]>(names: Names) => Type.Union(names.map(name => Type.Literal<Names[number]>(name)))

export const clientMethods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'] as const
export type ClientMethod = typeof clientMethods[number]

/** How this API shows the issuer who it is: the issuer must not answer strangers (RFC 7662 §2.1). */
export const IntrospectionClientSchema = Type.Object({
  /** The client id of this API at the issuer: a client of its own, not that of an application whose tokens are looked up. */
  id: Type.String(),
  /**
   * Its secret: `{ env }`, `{ file }` or `{ provider, name }`, never in the source. A new one is used at once; while the issuer refuses it,
   * the one before is tried too.
   */
  secret: Type.Optional(SecretSourceSchema),
  /** A private key in PEM, in place of a secret: it signs assertions, or belongs to `certificate`. A secret too. */
  privateKey: Type.Optional(SecretSourceSchema),
  /** How assertions are signed. @default RS256, ES256, ES384, ES512 or EdDSA, by the key */
  algorithm: Type.Optional(literals(algorithms)),
  /** The `kid` of assertions, where the issuer knows several keys of this client. @default none */
  keyId: Type.Optional(Type.String()),
  /** The client certificate in PEM, with its chain: then `privateKey` is its key, and no secret is sent (RFC 8705). */
  certificate: Type.Optional(Type.String())
})
export type IntrospectionClientOptions = Static<typeof IntrospectionClientSchema>

export const IntrospectionOptionsSchema = Type.Object({
  /** Where tokens are looked up. @default `introspection_endpoint` of the issuer's metadata */
  endpoint: Type.Optional(Type.String()),
  /** How this API shows the issuer who it is. */
  client: IntrospectionClientSchema,
  /** How the client authenticates. @default by what `client` holds: basic for `secret`, TLS for `certificate`, else an assertion */
  method: Type.Optional(literals(clientMethods)),
  /**
   * How long an answer is believed, and never longer than the token lives. A token that is withdrawn works that much longer;
   * with 0 each request asks, and waits. At most 1 hour.
   * @default '1 minute'
   */
  cache: Type.Optional(DurationSchema),
  /**
   * `'opaque'`: tokens that are no JWT are looked up. `'always'`: JWTs of this issuer too, after their signature and claims
   * have been checked; then a withdrawn one ends within `cache`.
   * @default 'opaque'
   */
  when: Type.Optional(literals(['opaque', 'always'])),
  /** Limit for one look-up, metadata included. Longer is 503. 100 milliseconds to 30 seconds. @default '2 seconds' */
  timeout: Type.Optional(DurationSchema),
  /**
   * Whether answers must be signed by the issuer (RFC 9701), so that nothing between it and this API can change them.
   * @default false
   */
  signed: Type.Optional(Type.Boolean())
})

type Written = Static<typeof IntrospectionOptionsSchema>

/** How tokens of an issuer are looked up there (RFC 7662). */
export type IntrospectionOptions = { [Name in keyof Written]: Name extends 'client' ? IntrospectionClientOptions : Written[Name] }

export const defaults = { cache: 60_000, timeout: 2000 } as const

/** `cache` and `timeout` in milliseconds. */
export function timesOf ({ cache, timeout }: Pick<IntrospectionOptions, 'cache' | 'timeout'>): { cache: number, timeout: number } {
  const ms = (value: Duration | undefined, otherwise: number) => value === undefined ? otherwise : milliseconds(value)
  return { cache: ms(cache, defaults.cache), timeout: ms(timeout, defaults.timeout) }
}

/** The method that is stated, or that the credentials are for; undefined where there are none. */
export function methodOf ({ client, method }: Pick<IntrospectionOptions, 'client' | 'method'>): ClientMethod | undefined {
  if (method !== undefined) return method
  if (client.secret !== undefined) return 'client_secret_basic'
  if (client.privateKey === undefined) return undefined
  return client.certificate === undefined ? 'private_key_jwt' : 'tls_client_auth'
}
