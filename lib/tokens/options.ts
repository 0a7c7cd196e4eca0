import { DurationSchema, Type, type Static } from '../config/index.ts'
import { IntrospectionOptionsSchema, type IntrospectionOptions } from '../introspection/index.ts'
import { algorithms, KeysOptionsSchema, type KeysOptions } from '../keys/index.ts'
import { presets, type PresetName } from './presets.ts'

const literals = <const Names extends readonly string[]>(names: Names) => Type.Union(names.map(name => Type.Literal<Names[number]>(name)))

const presetNames = Object.keys(presets).filter((name): name is PresetName => name in presets)

/**
 * Where a claim is: `'scp'`, or `'realm_access.roles'` for one inside another. A text that holds a slash or begins with
 * `urn:` is one name (`'example.com/roles'`); for other names with dots give a list: `['resource_access', 'my.api', 'roles']`.
 */
const ClaimPathSchema = Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })])

export const TokenFormSchema = Type.Object({
  /**
   * Whether access tokens may carry `nonce`, which is the mark of an ID token with most providers. `'with-scope'`: those
   * that carry a scope too, since ID tokens have none. `'allowed'`: all; then ID tokens must differ in their audience,
   * or clients could use them as access tokens. `'refused'`: none.
   * @default 'with-scope'
   */
  nonce: Type.Optional(literals(['with-scope', 'allowed', 'refused']))
})

/** What the access tokens of a provider look like, where that is not what the standards say. */
export type TokenForm = Static<typeof TokenFormSchema>

export const IssuerOptionsSchema = Type.Object({
  /**
   * The exact `iss` of the tokens; a slash at the end counts. With `jwksUri` or `jwks` it may be any text, otherwise it is the https
   * address where the provider's metadata is found. For Entra ID it may hold `{tenantid}`, with `tenants` listing those that may call.
   */
  issuer: Type.String(),
  /**
   * Who the tokens are for: this API's name at the provider, one or several. A token whose `aud` holds none of them is refused. Required,
   * since a token for any other API of the same provider would be accepted without. With the preset `cognito` these are app client ids.
   */
  audience: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })]),
  /**
   * The provider, for its claim names, algorithms and quirks. Whatever is given beside it wins.
   * @default none: `scope` and `scp` are scopes, `roles` are roles
   */
  preset: Type.Optional(literals(presetNames)),
  /**
   * The claim that is compared with `audience`, for a provider whose tokens have no `aud`: `'client_id'`, `'azp'`. With `'iss'` every token
   * of the issuer is accepted: only where each application has an issuer of its own, which `audience` then repeats.
   * @default that of the preset, else `aud`
   */
  audienceClaim: Type.Optional(Type.String()),
  /** What this provider's access tokens look like, where they differ from those of others. */
  tokens: Type.Optional(TokenFormSchema),
  /** The tenant ids that stand for `{tenantid}` in `issuer`. Needed with it: every Entra ID customer can get tokens otherwise. */
  tenants: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  /** The address of the key set, for a provider without metadata. @default discovery */
  jwksUri: Type.Optional(Type.String()),
  /** The key set itself, public keys only. It never changes, so that no key can be withdrawn without a restart. */
  jwks: Type.Optional(Type.Unsafe<object>({})),
  /**
   * Whether the key set's address is looked up in the issuer's metadata: OpenID Connect discovery, then RFC 8414. `false` beside
   * `introspection.endpoint` is for an issuer without keys, whose tokens are all opaque.
   * @default true, unless `jwksUri` or `jwks` is given
   */
  discovery: Type.Optional(Type.Boolean()),
  /**
   * The signature algorithms accepted. All are asymmetric: keys are public, and with HMAC they would be secrets.
   * Fewer leave less to go wrong; one that the provider does not use is of no use.
   * @default those of the preset, else all
   */
  algorithms: Type.Optional(Type.Array(literals(algorithms), { minItems: 1 })),
  /**
   * `'at+jwt'` accepts only tokens that say they are access tokens and carry all that RFC 9068 requires: give it when
   * your provider keeps to that RFC. `'any'` also accepts tokens of type `JWT` or none, and refuses those that bear
   * marks of an ID token, a logout token or another kind. Both need `sub`; with `'any'` the client stands in for it in a service's token.
   * @default 'any', as most providers do not keep to RFC 9068 yet
   */
  profile: Type.Optional(literals(['at+jwt', 'any'])),
  /** Claims that hold scopes, as a list or separated by spaces. Several add up. @default those of the preset, else `scope` and `scp` */
  scopeClaims: Type.Optional(Type.Array(ClaimPathSchema)),
  /**
   * Claims that hold roles: a list, one as text, an object whose keys are the roles, or `true` for a role of the claim's
   * name. `{audience}` in a path stands for the audience. Several add up.
   * @default those of the preset, else `roles`
   */
  roleClaims: Type.Optional(Type.Array(ClaimPathSchema)),
  /**
   * How far clocks may differ. Tokens live that much longer; without any, tokens fail that were issued a moment ago. At most 5 minutes.
   * @default '60 seconds'
   */
  clockTolerance: Type.Optional(DurationSchema),
  /** The greatest age of a token by `iat`, which it must have then, whatever its `exp` says. At least a minute. @default no limit */
  maxTokenAge: Type.Optional(DurationSchema),
  /**
   * `'service'`: every token of this issuer is an application's. For those that know no users: a Kubernetes cluster, the token service of a
   * cloud, a pipeline. @default by the claims of each token
   */
  callers: Type.Optional(Type.Literal('service')),
  /** When keys are fetched, and for how long they hold without. */
  keys: Type.Optional(KeysOptionsSchema),
  /**
   * Looks tokens up at the issuer (RFC 7662): those that are no JWT, which only it can read. One issuer may have it, since a token shown
   * to several would leak.
   * @default none: such tokens are refused
   */
  introspection: Type.Optional(IntrospectionOptionsSchema)
})

type WrittenIssuer = Static<typeof IssuerOptionsSchema>

interface Nested {
  keys: KeysOptions
  tokens: TokenForm
  introspection: IntrospectionOptions
}

/** One provider whose tokens are accepted. */
export type IssuerOptions = {
  // By their names, as their comments would be lost in declaration files otherwise.
  [Name in keyof WrittenIssuer]: Name extends keyof Nested ? Nested[Name] : WrittenIssuer[Name]
}

export const TokenCacheOptionsSchema = Type.Object({
  /**
   * How many verified tokens are remembered, so that a signature is checked once. When there are more, tokens seen
   * only once go first. 0 is not a value: give `tokenCache: false`.
   * @default 10_000
   */
  max: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /** About how many bytes of memory they may take. @default 67_108_864 (64 MiB) */
  maxBytes: Type.Optional(Type.Integer({ minimum: 65_536 }))
})

export type TokenCacheOptions = Static<typeof TokenCacheOptionsSchema>

export const RevocationOptionsSchema = Type.Object({
  /** How long `isRevoked` may take. @default '1 second' */
  timeout: Type.Optional(DurationSchema),
  /**
   * What happens when it fails or takes too long: `'deny'` answers 503, `'allow'` lets the token pass unchecked, so
   * that an outage of your store brings back what was revoked.
   * @default 'deny'
   */
  onFailure: Type.Optional(literals(['deny', 'allow']))
})

export type RevocationOptions = Static<typeof RevocationOptionsSchema>
