import { milliseconds } from '../config/index.ts'
import { algorithms, type Algorithm } from '../keys/index.ts'
import { expandAudience, parseClaimPath } from './claim-path.ts'
import type { ClaimPath, UncheckedClaims } from './claims.ts'
import type { IssuerOptions } from './options.ts'
import { isClientItself, presets, type Preset, type TokenUse } from './presets.ts'

/** What holds for the tokens of one exact `iss`: options, preset and defaults put together once. */
export interface IssuerRules {
  readonly issuer: string
  /** The tenant that stands in the issuer, where it was made from a template. */
  readonly tenant: string | undefined
  readonly audience: ReadonlySet<string>
  readonly audienceClaim: string
  readonly nonce: 'with-scope' | 'allowed' | 'refused'
  readonly algorithms: readonly Algorithm[]
  /** `own`: the type of RFC 9068 without all of its claims, and nothing that says another kind. */
  readonly profile: 'at+jwt' | 'any' | 'own'
  readonly tokenUse: TokenUse | undefined
  readonly scopeClaims: readonly ClaimPath[]
  readonly roleClaims: readonly ClaimPath[]
  /** The claims that the configuration names itself: one that never matches is a mistake. Shared by all tenants of an entry. */
  readonly stated: readonly StatedClaim[]
  /** Milliseconds. */
  readonly clockTolerance: number
  /** Milliseconds; Infinity where there is no limit. */
  readonly maxTokenAge: number
  /** The longest `exp − iat`, in seconds; Infinity where there is no limit. */
  readonly maxLifetime: number
  readonly isService: (claims: UncheckedClaims) => boolean
}

/** An entry of `scopeClaims` or `roleClaims`, as it was written and as it is looked up. */
export interface StatedClaim {
  readonly option: 'scopeClaims' | 'roleClaims'
  readonly claim: string
  readonly paths: readonly ClaimPath[]
}

/** What the templates of Entra ID hold, as its metadata writes it. */
export const TENANT = '{tenantid}'

type Defaults = Omit<Preset, 'documentation' | 'issuerForm' | 'issuerHint'>

const generic: Defaults = {
  algorithms,
  scopeClaims: [['scope'], ['scp']],
  roleClaims: [['roles']],
  audienceClaim: 'aud',
  isService: isClientItself
}

const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Each tenant once, as tokens write it: an id that was copied in capitals would never match. */
export function tenantsOf ({ tenants = [] }: Pick<IssuerOptions, 'tenants'>): string[] {
  return [...new Set(tenants.map(tenant => guid.test(tenant) ? tenant.toLowerCase() : tenant))]
}

/**
 * The rules of an entry of `issuers`, which has been validated: one for each exact issuer, so that a tenant template
 * is no pattern at run time but a handful of names.
 */
export function compileIssuer (options: IssuerOptions): IssuerRules[] {
  const stated = statedClaims(options)
  if (!options.issuer.includes(TENANT)) return [compileExact(options, options.issuer, undefined, stated)]
  return tenantsOf(options).map(tenant => compileExact(options, options.issuer.replace(TENANT, tenant), tenant, stated))
}

/** As `compileIssuer` for the application's own tokens, which live `lifetime` seconds: a longer life is that of another kind. */
export function compileOwn (options: IssuerOptions, lifetime: number): IssuerRules {
  const { scopeClaims = ['scope', 'scp'], roleClaims = ['role', 'roles'] } = options
  return Object.freeze({ ...compileExact({ ...options, scopeClaims, roleClaims }, options.issuer, undefined, statedClaims(options)), profile: 'own', maxLifetime: lifetime })
}

function statedClaims (options: Pick<IssuerOptions, 'audience' | StatedClaim['option']>): readonly StatedClaim[] {
  return Object.freeze((['scopeClaims', 'roleClaims'] as const).flatMap(option => (options[option] ?? []).map(path =>
    Object.freeze({ option, claim: typeof path === 'string' ? path : JSON.stringify(path), paths: expandAudience([parseClaimPath(path)], audiencesOf(options)) }))))
}

function audiencesOf ({ audience }: Pick<IssuerOptions, 'audience'>): readonly string[] {
  return typeof audience === 'string' ? [audience] : audience
}

function compileExact (options: IssuerOptions, issuer: string, tenant: string | undefined, stated: readonly StatedClaim[]): IssuerRules {
  const { preset, profile = 'any', clockTolerance = 60_000, maxTokenAge } = options
  const defaults: Defaults = preset === undefined ? generic : presets[preset]
  const audiences = audiencesOf(options)
  return Object.freeze({
    issuer,
    tenant,
    audience: new Set(audiences),
    audienceClaim: options.audienceClaim ?? defaults.audienceClaim,
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
    isService: defaults.isService
  })
}
