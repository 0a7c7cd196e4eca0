import { milliseconds, suggest, type ConfigurationCode, type Problems } from '../config/index.ts'
import { writable } from '../http/index.ts'
import type { Directives, EffectiveHeaders, HeadersOptions, RouteHeaders } from './options.ts'
import { directiveNames, keywords, permissions } from './profiles.ts'
import { collectorName, directiveName, mergeHeaders, resolve, sources, type Resolved } from './resolve.ts'
import { buildTable, unwritable, type HeadersContext } from './table.ts'

interface Subject {
  readonly options: EffectiveHeaders
  readonly resolved: Resolved
  readonly context: HeadersContext
  readonly report: Report
}

type Report = (code: ConfigurationCode, option: string, why: string, fix: string) => void

/** Checks beyond the schema, for options that passed `check`. */
export function validateHeaders (options: EffectiveHeaders, path: string, problems: Problems, context: HeadersContext): void {
  const isSound = problems.clean(found => {
    const report: Report = (code, option, why, fix) => found.add(code, `${path}.${option}`, why, fix)
    duplicates(options, report)
    const resolved = resolve(options)
    for (const rule of rules) rule({ options, resolved, context, report })
  })
  if (isSound) compiles(options, path, problems)
}

/** The same for a route: checks its options laid over those of the application, which are valid. */
export function validateRouteHeaders (
  base: HeadersOptions, route: RouteHeaders, path: string, problems: Problems, context: HeadersContext
): void {
  duplicates(route, (code, option, why, fix) => problems.add(code, `${path}.${option}`, why, fix))
  validateHeaders(mergeHeaders(base, route), path, problems, context)
}

function duplicates (options: HeadersOptions | RouteHeaders, report: Report): void {
  for (const [option, value] of policies(options)) {
    const names = Object.keys(value).map(directiveName)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice === undefined) continue
    report('SECURE_API_HEADERS_CSP_DUPLICATE', option, `${twice} is given twice, and browsers use only the first`, 'Merge the two.')
  }
}

function policies (options: HeadersOptions | RouteHeaders): ReadonlyArray<readonly [option: string, directives: Directives]> {
  return (['contentSecurityPolicy', 'contentSecurityPolicyReportOnly'] as const)
    .map(option => [`${option}.directives`, (options[option] || {}).directives ?? {}] as const)
}

const rules: ReadonlyArray<(subject: Subject) => void> = [
  directives, defaultSource, unsafeScripts, reporting, endpoints, reportOnlyReports, frames,
  permissionsPolicy, hstsAge, hstsPreload, hstsTransport, cacheText
]

function directives ({ options, report }: Subject): void {
  for (const [option, stated] of policies(options)) {
    for (const [name, value] of Object.entries(stated)) directive(`${option}.${name}`, directiveName(name), value, report)
  }
}

function directive (option: string, name: string, value: Directives[string], report: Report): void {
  const invalid = (why: string, fix: string) => report('SECURE_API_HEADERS_CSP_INVALID', option, why, fix)
  if (!directiveNames.includes(name)) {
    const meant = suggest(name, directiveNames)
    return invalid(`there is no directive ${name}`, meant === undefined ? 'Remove it.' : `Did you mean \`${meant}\`?`)
  }
  if (typeof value === 'boolean') return
  for (const source of sources(value)) {
    if (/[;,]/.test(source)) invalid(`the source ${JSON.stringify(source)} contains a separator`, 'Write one source per entry.')
    else if (needsQuotes(source, name)) invalid(`${source} without quotes is a host name`, `Write "'${source}'" with single quotes.`)
  }
}

function needsQuotes (source: string, name: string): boolean {
  if (!name.endsWith('-src') && !['base-uri', 'form-action', 'frame-ancestors'].includes(name)) return false
  return keywords.has(source) || /^(nonce|sha256|sha384|sha512)-/.test(source)
}

function resolvedPolicies ({ policy, reportOnly }: Resolved) {
  return [['contentSecurityPolicy', policy], ['contentSecurityPolicyReportOnly', reportOnly]] as const
}

function defaultSource ({ resolved, report }: Subject): void {
  for (const [option, rules] of resolvedPolicies(resolved)) {
    if (rules === undefined || rules.has('default-src')) continue
    report('SECURE_API_HEADERS_CSP_NO_DEFAULT', option, 'without default-src, everything without its own directive is allowed',
      "Keep it; \"'none'\" denies what no other directive allows.")
  }
}

function unsafeScripts ({ options, resolved: { policy, nonces }, report }: Subject): void {
  if (policy === undefined || options.dangerouslyAllowUnsafeScripts === true) return
  const allowed = policy.get('script-src') ?? policy.get('default-src') ?? []
  const guarded = nonces || allowed.some(source => /^'(nonce|sha256|sha384|sha512)-/.test(source))
  const unsafe = allowed.find(source => source === "'unsafe-inline'" ? !guarded : unsafeSource.test(source))
  if (unsafe === undefined) return
  report('SECURE_API_HEADERS_CSP_UNSAFE', 'contentSecurityPolicy', `${unsafe} lets injected scripts run`,
    'Use nonces or hashes and list the hosts, or set `dangerouslyAllowUnsafeScripts: true`.')
}

const unsafeSource = /^('unsafe-eval'|\*|https?:|data:|blob:)$/

function reporting ({ options, resolved, report }: Subject): void {
  for (const [option, rules] of resolvedPolicies(resolved)) {
    const [name] = rules?.get('report-to') ?? []
    if (name === undefined || resolved.endpoints.has(name) || !options[option]) continue
    report('SECURE_API_HEADERS_REPORTING_ENDPOINT', `${option}.directives.report-to`, `there is no reporting endpoint ${name}`,
      `Add \`reportingEndpoints: { ${name}: 'https://…' }\`.`)
  }
}

function endpoints ({ options, resolved: { endpoints }, context, report }: Subject): void {
  if (options.reports && options.reportingEndpoints && collectorName in options.reportingEndpoints) {
    report('SECURE_API_OPTION_CONFLICT', `reportingEndpoints.${collectorName}`, '`reports` uses this name for its own collector',
      'Choose another name, or omit `reports`.')
  }
  for (const [name, url] of endpoints) {
    const invalid = (why: string, fix: string) => report('SECURE_API_HEADERS_REPORTING_ENDPOINT', `reportingEndpoints.${name}`, why, fix)
    if (!/^[a-z*][a-z0-9_.*-]*$/.test(name)) {
      invalid('the name is not a structured-field key (RFC 9651 §3.1.2)', 'Use lower-case letters, digits, "_", "-", "." and "*".')
    }
    if (!reachable(url, context)) invalid('browsers send reports over https only', 'Use an https URL, or a path that starts with "/".')
  }
}

function reachable (url: string, { environment }: HeadersContext): boolean {
  if (/["\\\s]/.test(url)) return false
  if (url.startsWith('/')) return !url.startsWith('//')
  const scheme = URL.canParse(url) ? new URL(url).protocol : undefined
  return scheme === 'https:' || (environment === 'development' && scheme === 'http:')
}

function reportOnlyReports ({ resolved: { reportOnly }, report }: Subject): void {
  if (reportOnly === undefined || reportOnly.has('report-to') || reportOnly.has('report-uri')) return
  report('SECURE_API_HEADERS_CSP_REPORT_ONLY_WITHOUT_ENDPOINT', 'contentSecurityPolicyReportOnly',
    'the policy has no endpoint and enforces nothing', "Add `'report-to'` with the name of an entry of `reportingEndpoints`.")
}

function frames ({ options, resolved: { policy, frameOptions }, report }: Subject): void {
  const ancestors = policy?.get('frame-ancestors')?.join(' ')
  if (!options.frameOptions || ancestors === undefined) return
  if (ancestors === (frameOptions === 'deny' ? "'none'" : "'self'")) return
  report('SECURE_API_HEADERS_CONFLICT', 'frameOptions', `it contradicts frame-ancestors ${ancestors}; browsers differ in which one wins`,
    'Omit `frameOptions`: it then follows frame-ancestors.')
}

function permissionsPolicy ({ options: { permissionsPolicy: stated }, report }: Subject): void {
  for (const [feature, who] of Object.entries(stated || {})) {
    const invalid = (why: string, fix: string) => report('SECURE_API_HEADERS_PERMISSIONS_POLICY', `permissionsPolicy.${feature}`, why, fix)
    if (!/^[a-z][a-z0-9-]*$/.test(feature)) {
      const meant = suggest(feature, Object.keys(permissions))
      invalid('the feature is not a lower-case name', meant === undefined ? 'Write it as in `geolocation`.' : `Did you mean \`${meant}\`?`)
    }
    const wrong = who === false ? undefined : who.find(entry => !isAllowed(entry))
    if (wrong === undefined) continue
    invalid(`${JSON.stringify(wrong)} is not self, src, * or an origin`,
      'Write self without quotes and an origin as https://host; an empty list denies the feature to all.')
  }
}

function isAllowed (entry: string): boolean {
  return ['self', 'src', '*'].includes(entry) || /^https?:\/\/(\*\.)?[a-z0-9.-]+(:\d+)?$/.test(entry)
}

function hstsAge ({ options: { hsts }, report }: Subject): void {
  const maxAge = hsts ? hsts.maxAge : undefined
  const ms = maxAge === undefined ? 0 : milliseconds(maxAge)
  // A small number is most often a count of seconds.
  if (maxAge === undefined || ms === 0 || ms >= (typeof maxAge === 'number' ? day : 1000)) return
  report('SECURE_API_HEADERS_HSTS_MAX_AGE', 'hsts.maxAge',
    `${maxAge} ms protects nobody; the header counts seconds, this option milliseconds`, "Write it with a unit: '365 days'.")
}

const day = 86_400_000
const year = 365 * day

function hstsPreload ({ resolved: { hsts }, report }: Subject): void {
  if (hsts?.preload !== true || (hsts.includeSubDomains && hsts.maxAge >= year / 1000)) return
  report('SECURE_API_HEADERS_HSTS_PRELOAD', 'hsts.preload', 'browsers accept it only with a maxAge of a year and includeSubDomains',
    "Set `maxAge: '365 days'` and `includeSubDomains: true`, or omit `preload`.")
}

/** For explicit options only: the default is just not sent where browsers ignore it. */
function hstsTransport ({ options: { hsts }, context: { environment, secure }, report }: Subject): void {
  if (!hsts || environment !== 'production' || secure) return
  report('SECURE_API_HEADERS_HSTS_NO_TLS', 'hsts',
    'browsers ignore it over http, and neither https nor a trusted proxy is configured',
    'Configure `https`, or Fastify\'s `trustProxy` when a proxy terminates TLS, or set `hsts: false`.')
}

function cacheText ({ options: { cacheControl }, report }: Subject): void {
  if (typeof cacheControl !== 'string' || cacheControl.trim() === '' || !writable(cacheControl)) return
  const isKnown = (part: string) => cacheDirectives.includes(part.replace(/=\d+$/, '=N'))
  const wrong = cacheControl.split(',').map(part => part.trim().toLowerCase()).find(part => !isKnown(part))
  if (wrong === undefined) return
  report('SECURE_API_HEADERS_CACHE_CONTROL', 'cacheControl', `caches ignore the unknown directive ${JSON.stringify(wrong)}`,
    "Write directives of RFC 9111 §5.2.2, such as 'no-store' or 'public, max-age=60'.")
}

const cacheDirectives: readonly string[] = [
  'no-store', 'no-cache', 'no-transform', 'private', 'public', 'must-revalidate', 'must-understand', 'proxy-revalidate', 'immutable',
  'max-age=N', 's-maxage=N', 'stale-while-revalidate=N', 'stale-if-error=N'
]

/** helmet has the last word; then no value may split the response (RFC 9112 §11.1) or be refused by Node. */
function compiles (options: EffectiveHeaders, path: string, problems: Problems): void {
  try {
    for (const name of unwritable(buildTable(options, { environment: 'production', secure: true }))) {
      problems.add('SECURE_API_HEADERS_VALUE_CHARS', path, `the value of ${name} contains a line break or another forbidden character`,
        'Use printable ASCII only.')
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    problems.add('SECURE_API_HEADERS_INVALID', path, text, 'Correct the option named in the message.')
  }
}
