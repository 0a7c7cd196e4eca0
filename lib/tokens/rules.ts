import { milliseconds } from '../config/index.ts'
import { algorithms, type Algorithm } from '../keys/index.ts'
import { expandAudience, parseClaimPath, type ClaimPath, type UncheckedClaims } from './claims.ts'
import type { IssuerOptions } from './options.ts'
import { isClientItself, presets, type Preset, type TokenUse } from './presets.ts'

/** HS256 is for the application's own tokens alone: rules made of `IssuerOptions` cannot name it. */
export type TokenAlgorithm = Algorithm | 'HS256'

/** The rules for tokens of one exact `iss`: options, preset and defaults, merged once. */
export interface IssuerRules<Name extends TokenAlgorithm = TokenAlgorithm> {
  readonly issuer: string
  /** The tenant in the issuer, if that was made from a template. */
  readonly tenant: string | undefined
  readonly audience: ReadonlySet<string>
  readonly audienceClaim: string
  readonly nonce: 'with-scope' | 'allowed' | 'refused'
  readonly algorithms: readonly Name[]
  /**
   * `own`: the type of RFC 9068, not all of its claims, and no other kind named anywhere. `legacy`: the same without a type.
   */
  readonly profile: 'at+jwt' | 'any' | 'own' | 'legacy'
  readonly tokenUse: TokenUse | undefined
  readonly scopeClaims: readonly ClaimPath[]
  readonly roleClaims: readonly ClaimPath[]
  /** The claims that the configuration names: one that never matches is a mistake. Shared by all tenants of an entry. */
  readonly stated: readonly StatedClaim[]
  /** Milliseconds. */
  readonly clockTolerance: number
  /** Milliseconds; Infinity where there is no limit. */
  readonly maxTokenAge: number
  /** The longest `exp − iat`, in seconds; Infinity where there is no limit. */
  readonly maxLifetime: number
  readonly isService: (claims: UncheckedClaims) => boolean
}

/** An entry of `scopeClaims` or `roleClaims`, as written and as looked up. */
export interface StatedClaim {
  readonly option: 'scopeClaims' | 'roleClaims'
  readonly claim: string
  readonly paths: readonly ClaimPath[]
}

/** In issuers of Entra ID, as its metadata writes it. */
export const TENANT = '{tenantid}'

/** The `iss` of tokens for development. Nobody can own a name under `.invalid` (RFC 2606 §2, RFC 6761 §6.4). */
export const DEVELOPMENT_ISSUER = 'https://development.invalid'

/** Whether this is the development issuer, in any spelling of its URL. */
export function isDevelopmentIssuer (issuer: string): boolean {
  return URL.canParse(issuer) && new URL(issuer).hostname.replace(/\.$/, '') === 'development.invalid'
}

type Defaults = Omit<Preset, 'documentation' | 'issuerForm' | 'issuerHint'>

const generic: Defaults = { algorithms, scopeClaims: [['scope'], ['scp']], roleClaims: [['roles']], isService: isClientItself }

const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Each tenant once, in lower case as in tokens: an id in capitals would never match. */
export function tenantsOf ({ tenants = [] }: Pick<IssuerOptions, 'tenants'>): string[] {
  return [...new Set(tenants.map(tenant => guid.test(tenant) ? tenant.toLowerCase() : tenant))]
}

/** The rules of a validated entry: one set for each exact issuer, so that at run time a template is a list of names, not a pattern. */
export function compileIssuer (options: IssuerOptions): IssuerRules<Algorithm>[] {
  const stated = statedClaims(options)
  if (!options.issuer.includes(TENANT)) return [compileExact(options, options.issuer, undefined, stated)]
  return tenantsOf(options).map(tenant => compileExact(options, options.issuer.replace(TENANT, tenant), tenant, stated))
}

/** The rules of the application's own tokens, which live `lifetime` seconds: a token with a longer life is of another kind. */
export function compileOwn<Name extends TokenAlgorithm> (options: IssuerOptions, lifetime: number, algorithm: Name): IssuerRules<Name> {
  const { scopeClaims = ['scope', 'scp'], roleClaims = ['role', 'roles'] } = options
  const rules = compileExact({ ...options, scopeClaims, roleClaims }, options.issuer, undefined, statedClaims(options))
  return Object.freeze({ ...rules, profile: 'own', maxLifetime: lifetime, algorithms: [algorithm] })
}

function statedClaims (options: Pick<IssuerOptions, 'audience' | StatedClaim['option']>): readonly StatedClaim[] {
  const names = ['scopeClaims', 'roleClaims'] as const
  return names.flatMap(option => (options[option] ?? []).map(path => {
    const claim = typeof path === 'string' ? path : JSON.stringify(path)
    return { option, claim, paths: expandAudience([parseClaimPath(path)], audiencesOf(options)) }
  }))
}

function audiencesOf ({ audience }: Pick<IssuerOptions, 'audience'>): readonly string[] {
  return typeof audience === 'string' ? [audience] : audience
}

function compileExact (options: IssuerOptions, issuer: string, tenant: string | undefined, stated: readonly StatedClaim[]):
IssuerRules<Algorithm> {
  const { preset, profile = 'any', clockTolerance = 60_000, maxTokenAge } = options
  const defaults: Defaults = preset === undefined ? generic : presets[preset]
  const audiences = audiencesOf(options)
  return Object.freeze({
    issuer,
    tenant,
    audience: new Set(audiences),
    audienceClaim: options.audienceClaim ?? defaults.audienceClaim ?? 'aud',
    nonce: options.tokens?.nonce ?? 'with-scope',
    algorithms: options.algorithms ?? defaults.algorithms,
    profile,
    tokenUse: defaults.tokenUse,
    scopeClaims: expandAudience(options.scopeClaims?.map(parseClaimPath) ?? defaults.scopeClaims, audiences),
    roleClaims: expandAudience(options.roleClaims?.map(parseClaimPath) ?? defaults.roleClaims, audiences),
    stated,
    clockTolerance: milliseconds(clockTolerance),
    maxTokenAge: maxTokenAge === undefined ? Infinity : milliseconds(maxTokenAge),
    maxLifetime: Infinity,
    isService: options.callers === 'service' ? () => true : defaults.isService
  })
}
