import { ApiKeysOptionsSchema, validateApiKeys, type ApiKeysOptions } from '../api-keys/index.ts'
import { ClientCertificatesSchema, validateClientCertificates, type ClientCertificatesOptions } from '../certificates/index.ts'
import { Problems, Type, type Static } from '../config/index.ts'
import { checkProxyVariable } from '../keys/index.ts'
import {
  IssuerOptionsSchema, OwnTokensSchema, refuseSharedIssuer, RevocationOptionsSchema, TokenCacheOptionsSchema, validateIssuers,
  validateOwnTokens,
  type IssuerOptions, type IsRevoked, type OwnTokensOptions, type RevocationOptions, type TokenCacheOptions, type ValidationContext
} from '../tokens/index.ts'
import { AuthenticatorSchema, validateAuthenticators, type Authenticator } from './own-scheme.ts'

const TokenPlaceSchema = Type.Object({
  /** The header whose whole value is the token: `'x-goog-iap-jwt-assertion'`. */
  header: Type.String({ pattern: '^[A-Za-z0-9-]+$', hint: "Write the name of a header: 'x-goog-iap-jwt-assertion'." })
})
/** Where tokens stand, if not in the Authorization header. */
export type TokenPlace = Static<typeof TokenPlaceSchema>

/** The option `auth`. */
export const AuthenticationOptionsSchema = Type.Object({
  // One issuer may be written here directly.
  ...Type.Partial(IssuerOptionsSchema).properties,
  /** The providers whose tokens are accepted, where there are several. */
  issuers: Type.Optional(Type.Array(IssuerOptionsSchema, { minItems: 1 })),
  /**
   * Verified tokens that are remembered, so that a signature is checked once; `false` checks it on each request.
   * @default { max: 10_000 }
   */
  tokenCache: Type.Optional(Type.Union([Type.Literal(false), TokenCacheOptionsSchema])),
  /**
   * The longest token that is looked at, in bytes; longer ones are 401. For tokens with hundreds of groups. What stands
   * before this API must let them through: see `maxHeaderSize` of `secureServer()` and the limits of proxies. 1024 to 65,536.
   * @default 8192
   */
  maxTokenBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 65_536 })),
  /**
   * Where tokens stand, if not in the Authorization header: a proxy that signs users in puts them elsewhere (Google IAP, Cloudflare
   * Access, AWS ALB). Then Authorization is not read.
   * @default Authorization: Bearer
   */
  token: Type.Optional(TokenPlaceSchema),
  /** Tokens the application signs itself with `app.jwt.sign()`, accepted beside those of the providers. @default none */
  ownTokens: Type.Optional(OwnTokensSchema),
  /** Keys for machine clients, each with scopes and roles of its own. Never for users. @default none */
  apiKeys: Type.Optional(ApiKeysOptionsSchema),
  /**
   * Ways of authentication of your own: the session of a cookie, schemes that the suite does not know. Each gets the
   * request, and says who calls.
   * @default none
   */
  authenticators: Type.Optional(Type.Array(AuthenticatorSchema, { minItems: 1 })),
  /** Services that are known by their client certificate, from TLS or from a proxy's header. @default none */
  clientCertificates: Type.Optional(ClientCertificatesSchema),
  /** Says whether a token has been revoked: a function of yours, or that of `createDenylist()`. Asked on every request. */
  isRevoked: Type.Optional(Type.Function<IsRevoked>()),
  /** How long `isRevoked` may take, and what its failure means. */
  revocation: Type.Optional(RevocationOptionsSchema),
  /**
   * When keys are first fetched. `'warm'`: before the server is ready, which it becomes without them too; protected
   * routes then answer 503 until they are there. `'required'`: without keys the boot fails. `'lazy'`: with the first
   * token, whose sender waits. With `keys.source`, `'warm'` shows only whether the provider answers, and `'required'`
   * stops the boot: no key is known before its first token.
   * @default 'warm'
   */
  startup: Type.Optional(Type.Union([Type.Literal('warm'), Type.Literal('lazy'), Type.Literal('required')]))
})
type Written = Static<typeof AuthenticationOptionsSchema>

/** Types from other files, by name: written out in place they would lose their comments in declaration files. */
interface Nested {
  issuers: IssuerOptions[]
  tokenCache: false | TokenCacheOptions
  token: TokenPlace
  ownTokens: OwnTokensOptions
  authenticators: Authenticator[]
  apiKeys: ApiKeysOptions
  clientCertificates: ClientCertificatesOptions
  revocation: RevocationOptions
}
export type AuthenticationOptions = Partial<IssuerOptions> & {
  [Name in keyof Written as Exclude<Name, keyof IssuerOptions>]: Name extends keyof Nested ? Nested[Name] : Written[Name]
}

const issuerKeys = Object.keys(IssuerOptionsSchema.properties)

/** Where callers come from, beside providers. */
const otherCallers = ['ownTokens', 'apiKeys', 'clientCertificates', 'authenticators'] as const

/** What the schema of the section `auth` cannot say. */
export function validateAuthentication (
  options: AuthenticationOptions, path: string, problems: Problems, context: ValidationContext
): void {
  const direct = directIssuer(options)
  if (direct !== undefined && options.issuers !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.issuers`,
      'there are issuers here and one beside it', `Move \`${Object.keys(direct).join('`, `')}\` into an entry of \`issuers\`.`)
  }
  const others = otherCallers.some(name => options[name] !== undefined) && direct === undefined
  if (options.issuers === undefined && !others) requireIssuer(direct ?? {}, path, problems)
  if (options.ownTokens !== undefined && isObject(options.ownTokens)) validateOwnTokens(options.ownTokens, `${path}.ownTokens`, problems)
  const { authenticators, clientCertificates } = options
  if (Array.isArray(authenticators)) validateAuthenticators(authenticators.filter(isObject), `${path}.authenticators`, problems)
  if (options.apiKeys !== undefined) validateApiKeys(options.apiKeys, `${path}.apiKeys`, problems, context)
  checkTokenPlace(options, direct === undefined && options.issuers === undefined && options.ownTokens === undefined, path, problems)
  if (clientCertificates !== undefined) validateClientCertificates(clientCertificates, `${path}.clientCertificates`, problems)
  if (options.isRevoked === undefined && options.revocation !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.revocation`,
      'it has no effect without `isRevoked`', 'Add `isRevoked`, or leave `revocation` out.')
  }
  validateEntries(options, direct, path, problems, context)
  const list: unknown = options.issuers ?? [direct]
  const entries: ReadonlyArray<Partial<IssuerOptions>> = Array.isArray(list) ? list.filter(isObject) : []
  refuseSharedIssuer(options.ownTokens?.issuer, entries as IssuerOptions[], `${path}.ownTokens.issuer`, problems)
  // Whether the keys of any issuer are fetched through the proxy that the environment names.
  const overProxy = entries.some(({ jwks, keys, introspection }) =>
    keys?.proxy === undefined && (introspection !== undefined || (jwks === undefined && keys?.source === undefined)))
  if (overProxy) checkProxyVariable(problems)
  if (options.startup === 'required' && entries.some(({ keys }) => keys?.source !== undefined)) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.startup`,
      '`keys.source` gives one key at a time, when a token names it: none can be there at start',
      "Use `startup: 'warm'`, or leave `source` out.")
  }
}

/** Headers with a meaning of their own. */
const otherHeaders = ['authorization', 'cookie', 'host', 'proxy-authorization']

function checkTokenPlace ({ token }: AuthenticationOptions, unused: boolean, path: string, problems: Problems): void {
  const header: unknown = token?.header
  if (unused && token !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.token`, 'there is no issuer whose tokens could stand there', 'Leave it out.')
  }
  if (typeof header !== 'string' || !otherHeaders.includes(header.toLowerCase())) return
  problems.add('SECURE_API_OPTION_VALUE', `${path}.token.header`,
    `\`${header}\` has a meaning of its own`,
    "Name the header that holds nothing but the token, or leave `token` out for 'Authorization: Bearer'.")
}

function validateEntries (
  { issuers }: AuthenticationOptions, direct: object | undefined, path: string, problems: Problems, context: ValidationContext
): void {
  const list: unknown = issuers
  if (Array.isArray(list)) validateIssuers(list.filter(isObject), `${path}.issuers`, problems, context)
  if (direct === undefined) return
  const found = new Problems()
  validateIssuers([direct as IssuerOptions], path, found, context)
  for (const { code, path: at, why, fix } of found.list()) problems.add(code, at.replace(`${path}[0]`, path), why, fix)
}

function requireIssuer (direct: Partial<IssuerOptions>, path: string, problems: Problems): void {
  for (const name of ['issuer', 'audience'] as const) {
    if (name in direct) continue
    problems.add('SECURE_API_OPTION_MISSING', `${path}.${name}`,
      'without it nothing says which tokens are meant for this API', `Add \`${name}\`, or \`issuers\` with an entry for each provider.`)
  }
}

/** The entries of `issuers`, or the one written directly. Expects validated options. */
export function issuersOf (options: AuthenticationOptions): readonly IssuerOptions[] {
  const direct = directIssuer(options)
  return options.issuers ?? (direct === undefined ? [] : [direct as IssuerOptions])
}

function isObject (value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function directIssuer (options: AuthenticationOptions): Partial<IssuerOptions> | undefined {
  const direct = Object.entries(options).filter(([name]) => issuerKeys.includes(name))
  return direct.length === 0 ? undefined : Object.fromEntries(direct)
}
