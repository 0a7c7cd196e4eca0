import { milliseconds } from '../config/index.ts'
import type { Directives, EffectiveHeaders, HeadersOptions, RouteHeaders } from './options.ts'
import { directives, permissions } from './profiles.ts'

/** Directives by kebab-case name, each with its sources; empty for a directive without a value. */
export type Policy = ReadonlyMap<string, readonly string[]>

/** Every header with defaults filled in, not yet serialized. `undefined`: the header is not sent. */
export interface Resolved {
  readonly policy: Policy | undefined
  readonly nonces: boolean
  readonly reportOnly: Policy | undefined
  readonly frameOptions: 'deny' | 'sameorigin' | undefined
  readonly permissions: ReadonlyMap<string, readonly string[]> | undefined
  readonly endpoints: ReadonlyMap<string, string>
  readonly hsts: { readonly maxAge: number, readonly includeSubDomains: boolean, readonly preload: boolean } | undefined
  readonly originAgentCluster: boolean
}

/** The name of the collector in `Reporting-Endpoints`. */
export const collectorName = 'csp'

export function resolve (options: EffectiveHeaders): Resolved {
  const { profile = 'api', contentSecurityPolicy: csp, contentSecurityPolicyReportOnly: candidate, reports, hsts = {} } = options
  const { maxAge = '365 days', includeSubDomains = true, preload = false } = hsts || {}
  // An X-Frame-Options laxer than the profile relaxes `frame-ancestors` too, unless that is stated.
  const followed = options.frameOptions === 'sameorigin' ? { 'frame-ancestors': ["'self'"] } : undefined
  // Browsers that support `report-to` ignore `report-uri` (CSP3 §6.5.1); Firefox and Safari added it late.
  const reporting = reports ? { 'report-to': [collectorName], 'report-uri': [reports.path] } : undefined
  const policy = csp === false ? undefined : layer(new Map(), directives[profile], followed, reporting, csp?.directives)
  return {
    policy,
    nonces: csp !== false && csp?.nonces === true,
    reportOnly: candidate ? layer(policy ?? new Map(), policy === undefined ? reporting : undefined, candidate.directives) : undefined,
    frameOptions: frameOptions(policy, options),
    permissions: features(options),
    endpoints: new Map(Object.entries({ ...collector(options), ...options.reportingEndpoints || {} })),
    hsts: hsts === false ? undefined : { maxAge: Math.floor(milliseconds(maxAge) / 1000), includeSubDomains, preload },
    originAgentCluster: options.originAgentCluster ?? profile === 'html'
  }
}

/** Lays directives over a policy one by one; the others stay (helmetjs/helmet#487). */
function layer (base: Policy, ...layers: ReadonlyArray<Directives | undefined>): Policy {
  const policy = new Map(base)
  for (const [name, value] of layers.flatMap(directives => Object.entries(directives ?? {}))) {
    if (value === false) policy.delete(directiveName(name))
    else policy.set(directiveName(name), value === true ? [] : sources(value))
  }
  return policy
}

/** `imgSrc` and `img-src` are the same directive. */
export function directiveName (name: string): string {
  return name.replace(/[A-Z]/g, capital => `-${capital.toLowerCase()}`)
}

/** Sources of a directive as a list; a string may contain several, separated by spaces as in the header. */
export function sources (value: string | readonly string[]): readonly string[] {
  return [value].flat().flatMap(source => source.split(' ')).filter(source => source !== '')
}

/**
 * Reports that no header requests (deprecations, interventions, crashes, Permissions-Policy violations) go to the endpoint
 * `default` (Reporting §3.4). Only pages cause them.
 */
function collector ({ reports, profile }: EffectiveHeaders): Readonly<Record<string, string>> {
  return reports ? { [collectorName]: reports.path, ...(profile === 'html' && { default: reports.path }) } : {}
}

/** X-Frame-Options equivalent to `frame-ancestors`; a list of origins has none. */
function frameOptions (policy: Policy | undefined, { frameOptions: stated }: EffectiveHeaders): Resolved['frameOptions'] {
  if (stated !== undefined) return stated === false ? undefined : stated
  const ancestors = policy?.get('frame-ancestors')?.join(' ') ?? "'none'"
  if (ancestors === "'none'") return 'deny'
  return ancestors === "'self'" ? 'sameorigin' : undefined
}

function features ({ permissionsPolicy: stated }: EffectiveHeaders): Resolved['permissions'] {
  if (stated === false) return undefined
  const result = new Map(Object.entries(permissions))
  for (const [feature, who] of Object.entries(stated ?? {})) {
    if (who === false) result.delete(feature)
    else result.set(feature, who)
  }
  return result.size === 0 ? undefined : result
}

/**
 * A route's options laid over the application's. Directives, features and lists of the application that the route does
 * not mention stay in force.
 */
export function mergeHeaders (base: HeadersOptions, route: RouteHeaders): EffectiveHeaders {
  const { permissionsPolicy: features } = route
  return Object.assign(Object.create(null), base, route, {
    contentSecurityPolicy: mergePolicy(base.contentSecurityPolicy, route.contentSecurityPolicy),
    contentSecurityPolicyReportOnly: mergePolicy(base.contentSecurityPolicyReportOnly, route.contentSecurityPolicyReportOnly),
    permissionsPolicy: features ? { ...base.permissionsPolicy || {}, ...features } : features ?? base.permissionsPolicy,
    ...(route.cacheControl !== undefined && { routeCacheControl: true })
  })
}

type Stated<P> = P | false | undefined

function mergePolicy <P extends { directives?: object }> (base: Stated<P>, route: Stated<P>): Stated<P> {
  if (!route) return route ?? base
  const under: P | undefined = base || undefined
  return Object.assign(Object.create(null), under, route, { directives: { ...kebab(under?.directives), ...kebab(route.directives) } })
}

function kebab (directives: object = {}): object {
  return Object.fromEntries(Object.entries(directives).map(([name, value]) => [directiveName(name), value]))
}
