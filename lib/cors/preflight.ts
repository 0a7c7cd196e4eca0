import type { HeaderPair } from '../http/index.ts'
import { safelistedMethods } from './names.ts'
import type { CorsPolicy } from './policy.ts'

export interface Preflight {
  readonly origin: string
  /** Access-Control-Request-Method. */
  readonly method: string
  /** Access-Control-Request-Headers. */
  readonly headers: string | undefined
}

export type PreflightRefusal = 'origin' | 'method' | 'headers' | 'malformed'

type PreflightDecision =
  | { readonly allowed: true, readonly headers: readonly HeaderPair[] }
  | { readonly allowed: false, readonly reason: PreflightRefusal }

/** What the response to a preflight depends on, allowed or not. */
export const preflightVary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

/** Fetch §3.2.3: OPTIONS with both headers. Every other OPTIONS goes to its own handler. */
export function isPreflight (method: string | undefined, headers: Readonly<Record<string, unknown>>): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined && headers['origin'] !== undefined
}

/** Decides a preflight by the policy of its route. The caller knows whether that route supports the method. */
export function preflight (policy: CorsPolicy, { origin, method, headers }: Preflight): PreflightDecision {
  const reason = refusalOf(policy, origin, method, headers)
  return reason === undefined ? { allowed: true, headers: preflightHeaders(policy, origin) } : { allowed: false, reason }
}

/** The origin first, so that a stranger learns nothing about methods and headers. */
function refusalOf (policy: CorsPolicy, origin: string, method: string, headers: string | undefined): PreflightRefusal | undefined {
  if (!policy.matches(origin)) return 'origin'
  if (!policy.methods.has(method) && !safelistedMethods.includes(method)) return 'method'
  return headers === undefined ? undefined : headersRefusal(policy, headers)
}

/** More than browsers send: each name once, sorted, without spaces (Fetch §4.8 step 4). */
const limits = { length: 4096, empty: 16 }

function headersRefusal (policy: CorsPolicy, requested: string): PreflightRefusal | undefined {
  if (requested.length > limits.length) return 'malformed'
  let empty = 0
  for (const element of requested.split(',')) {
    const name = element.trim().toLowerCase()
    if (name === '') {
      if (++empty > limits.empty) return 'malformed'
    } else if (!allowsHeader(policy, name)) return 'headers'
  }
  return undefined
}

/** Fetch §4.8: the wildcard covers every name but Authorization. */
function allowsHeader ({ requestHeaders, anyRequestHeader }: CorsPolicy, name: string): boolean {
  return requestHeaders.has(name) || (anyRequestHeader && name !== 'authorization')
}

export function allowOrigin (policy: CorsPolicy, origin: string): string {
  return policy.anyOrigin ? '*' : origin
}

function preflightHeaders (policy: CorsPolicy, origin: string): readonly HeaderPair[] {
  const headers: HeaderPair[] = [['vary', preflightVary], ['access-control-allow-origin', allowOrigin(policy, origin)]]
  if (policy.credentials) headers.push(['access-control-allow-credentials', 'true'])
  headers.push(
    ['access-control-allow-methods', policy.allowMethods],
    ['access-control-allow-headers', policy.allowHeaders],
    ['access-control-max-age', String(policy.maxAge)]
  )
  return headers
}

const explanations: Readonly<Record<PreflightRefusal, (policy: CorsPolicy, request: Preflight) => string>> = {
  origin: (_, { origin }) => `the origin ${origin} is not in cors.origins`,
  method: (policy, { method }) => `the method ${method} is not among ${policy.allowMethods}`,
  headers: (policy, { headers }) => `the headers ${headers} are not all among ${policy.allowHeaders}`,
  malformed: () => 'Access-Control-Request-Headers is malformed'
}

/** Why a preflight was refused, for `debug` in development and for the audit trail. Never sent in production. */
export function explain (reason: PreflightRefusal, policy: CorsPolicy, request: Preflight): string {
  return explanations[reason](policy, request)
}
