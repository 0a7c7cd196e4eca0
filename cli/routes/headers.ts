import type { RouteHeaders } from '../../lib/headers/index.ts'

/** For each option the values that protect less than the profiles do. */
const weak: Readonly<Partial<Record<keyof RouteHeaders, readonly unknown[]>>> = {
  contentSecurityPolicy: [false],
  contentTypeOptions: [false],
  permissionsPolicy: [false],
  dangerouslyAllowUnsafeScripts: [true],
  referrerPolicy: [false, 'unsafe-url', 'no-referrer-when-downgrade', 'origin', 'origin-when-cross-origin'],
  crossOriginOpenerPolicy: [false, 'unsafe-none'],
  crossOriginResourcePolicy: [false],
  permittedCrossDomainPolicies: [false, 'all', 'by-content-type'],
  cacheControl: [false]
}

/** What a route states that makes its answers less safe. A value that merely differs, as pages need it, is none. */
export function weakenings (headers: RouteHeaders): readonly string[] {
  const stated = Object.entries(weak).filter(([option, values]) => values.includes(headers[option as keyof RouteHeaders]))
  return [...stated.map(([option]) => `${option}: ${JSON.stringify(headers[option as keyof RouteHeaders])}`), ...framing(headers)]
}

/** Any site could frame the page, and lead clicks on it. */
function framing ({ contentSecurityPolicy: csp }: RouteHeaders): readonly string[] {
  const directives = csp ? csp.directives ?? {} : {}
  const ancestors = directives['frame-ancestors'] ?? directives['frameAncestors']
  const open = ancestors === false || [ancestors ?? []].flat().some(source => source === '*' || /^https?:$/.test(String(source)))
  return open ? [`frame-ancestors ${String(ancestors)}`] : []
}
