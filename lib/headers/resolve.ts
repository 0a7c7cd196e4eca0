import { milliseconds } from '../config/index.ts'
import { directiveName, layer, type Policy } from './csp.ts'
import type { Directives, EffectiveHeaders, HeadersOptions, RouteHeaders } from './options.ts'
import { directives, permissions } from './profiles.ts'

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

export function resolve (options: EffectiveHeaders): Resolved {
  const { profile = 'api', contentSecurityPolicy: csp, reportingEndpoints } = options
  const base = layer(follow(layer(new Map(), directives[profile]), options), reporting(options))
  const policy = csp === false ? undefined : layer(base, csp?.directives)
  return {
    policy,
    nonces: csp !== false && csp?.nonces === true,
    reportOnly: reportOnly(policy ?? layer(new Map(), reporting(options)), options),
    frameOptions: frameOptions(policy, options),
    permissions: features(options),
    endpoints: new Map(Object.entries({ ...collector(options), ...reportingEndpoints || {} })),
    hsts: strictTransport(options),
    originAgentCluster: options.originAgentCluster ?? profile === 'html'
  }
}

/** An X-Frame-Options laxer than the profile relaxes `frame-ancestors` too, unless that is stated. */
function follow (policy: Policy, { frameOptions }: EffectiveHeaders): Policy {
  return frameOptions === 'sameorigin' ? layer(policy, { 'frame-ancestors': ["'self'"] }) : policy
}

/** The name of the collector in `Reporting-Endpoints`. */
export const collectorName = 'csp'

/**
 * Reports that no header requests (deprecations, interventions, crashes, Permissions-Policy violations) go to the endpoint
 * `default` (Reporting §3.4). Only pages cause them.
 */
function collector ({ reports, profile }: EffectiveHeaders): Readonly<Record<string, string>> {
  if (!reports) return {}
  return { [collectorName]: reports.path, ...(profile === 'html' && { default: reports.path }) }
}

/** Browsers that support `report-to` ignore `report-uri` (CSP3 §6.5.1); Firefox and Safari added it late. */
function reporting ({ reports }: EffectiveHeaders): Directives {
  return reports ? { 'report-to': [collectorName], 'report-uri': [reports.path] } : {}
}

/** X-Frame-Options equivalent to `frame-ancestors`; a list of origins has none. */
function frameOptions (policy: Policy | undefined, { frameOptions: stated }: EffectiveHeaders): Resolved['frameOptions'] {
  if (stated !== undefined) return stated === false ? undefined : stated
  const ancestors = policy?.get('frame-ancestors')?.join(' ') ?? "'none'"
  if (ancestors === "'none'") return 'deny'
  return ancestors === "'self'" ? 'sameorigin' : undefined
}

function reportOnly (policy: Policy, { contentSecurityPolicyReportOnly: candidate }: EffectiveHeaders): Policy | undefined {
  if (candidate === undefined || candidate === false) return undefined
  return layer(policy, candidate.directives)
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

function strictTransport ({ hsts }: EffectiveHeaders): Resolved['hsts'] {
  if (hsts === false) return undefined
  const { maxAge = '365 days', includeSubDomains = true, preload = false } = hsts ?? {}
  return { maxAge: Math.floor(milliseconds(maxAge) / 1000), includeSubDomains, preload }
}

/**
 * A route's options laid over the application's. Directives, features and lists of the application that the route does
 * not mention stay in force.
 */
export function mergeHeaders (base: HeadersOptions, route: RouteHeaders): EffectiveHeaders {
  return Object.assign(Object.create(null), base, route, {
    ...member('contentSecurityPolicy', mergePolicy(base.contentSecurityPolicy, route.contentSecurityPolicy)),
    ...member('contentSecurityPolicyReportOnly', mergePolicy(base.contentSecurityPolicyReportOnly, route.contentSecurityPolicyReportOnly)),
    ...member('permissionsPolicy', mergeRecord(base.permissionsPolicy, route.permissionsPolicy)),
    ...(route.cacheControl === undefined ? undefined : { routeCacheControl: true })
  })
}

function member <K extends string, V> (name: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : { [name]: value } as Record<K, V>
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

function mergeRecord <R extends object> (base: Stated<R>, route: Stated<R>): Stated<R> {
  if (!base || !route) return route ?? base
  return { ...base, ...route }
}
