import { Type, type Static } from '@sinclair/typebox'
import { Problems } from '../config/index.ts'
import { checkProxyVariable } from '../keys/index.ts'
import {
  IssuerOptionsSchema, OwnTokensSchema, refuseSharedIssuer, RevocationOptionsSchema, TokenCacheOptionsSchema, validateIssuers,
  validateOwnTokens,
  type IssuerOptions, type IsRevoked, type OwnTokensOptions, type RevocationOptions, type TokenCacheOptions, type ValidationContext
} from '../tokens/index.ts'
import { AuthenticatorSchema, validateAuthenticators, type Authenticator } from './own-scheme.ts'

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
  /** Tokens the application signs itself with `app.jwt.sign()`, accepted beside those of the providers. @default none */
  ownTokens: Type.Optional(OwnTokensSchema),
  /**
   * Ways of authentication of your own: the session of a cookie, schemes that the suite does not know. Each gets the
   * request, and says who calls.
   * @default none
   */
  authenticators: Type.Optional(Type.Array(AuthenticatorSchema, { minItems: 1 })),
  /** Says whether a token has been revoked: a function of yours, or that of `createDenylist()`. Asked on every request. */
  isRevoked: Type.Optional(Type.Unsafe<IsRevoked>(Type.Function([], Type.Any()))),
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
}, { additionalProperties: false })
type Written = Static<typeof AuthenticationOptionsSchema>

/** Types from other files, by name: written out in place they would lose their comments in declaration files. */
interface Nested {
  issuers: IssuerOptions[]
  tokenCache: false | TokenCacheOptions
  ownTokens: OwnTokensOptions
  authenticators: Authenticator[]
  revocation: RevocationOptions
}
export type AuthenticationOptions = Partial<IssuerOptions> & {
  [Name in keyof Written as Exclude<Name, keyof IssuerOptions>]: Name extends keyof Nested ? Nested[Name] : Written[Name]
}

const issuerKeys = Object.keys(IssuerOptionsSchema.properties)

/** Where callers come from, beside providers. */
const otherCallers = ['ownTokens', 'authenticators'] as const

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
  const { authenticators } = options
  if (Array.isArray(authenticators)) validateAuthenticators(authenticators.filter(isObject), `${path}.authenticators`, problems)
  if (options.isRevoked === undefined && options.revocation !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.revocation`,
      'it has no effect without `isRevoked`', 'Add `isRevoked`, or leave `revocation` out.')
  }
  validateEntries(options, direct, path, problems, context)
  const list: unknown = options.issuers ?? [direct]
  const entries: ReadonlyArray<Partial<IssuerOptions>> = Array.isArray(list) ? list.filter(isObject) : []
  refuseSharedIssuer(options.ownTokens?.issuer, entries as IssuerOptions[], `${path}.ownTokens.issuer`, problems)
  // Whether the keys of any issuer are fetched through the proxy that the environment names.
  const overProxy = entries.some(({ jwks, keys }) => jwks === undefined && keys?.proxy === undefined && keys?.source === undefined)
  if (overProxy) checkProxyVariable(problems)
  if (options.startup === 'required' && entries.some(({ keys }) => keys?.source !== undefined)) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.startup`,
      '`keys.source` gives one key at a time, when a token names it: none can be there at start',
      "Use `startup: 'warm'`, or leave `source` out.")
  }
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
