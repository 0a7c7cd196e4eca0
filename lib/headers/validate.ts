import { milliseconds, suggest, type ConfigurationCode, type Problems } from '../config/index.ts'
import { writable } from '../http/index.ts'
import { directiveName, scriptSources, sources } from './csp.ts'
import type { Directives, EffectiveHeaders, HeadersOptions, RouteHeaders } from './options.ts'
import { directiveNames, keywords, permissions } from './profiles.ts'
import { collectorName, mergeHeaders, resolve, type Resolved } from './resolve.ts'
import { buildTable, unwritable, type HeadersContext } from './table.ts'

/** What the checks of one option need. */
interface Subject {
  readonly options: EffectiveHeaders
  readonly resolved: Resolved
  readonly context: HeadersContext
  readonly report: (code: ConfigurationCode, option: string, why: string, fix: string) => void
}

/**
 * What the schema cannot say. Call it only on options that passed `check`.
 * `secure` is whether TLS or a trusted proxy is configured.
 */
export function validateHeaders (options: EffectiveHeaders, path: string, problems: Problems, context: HeadersContext): void {
  const report: Subject['report'] = (code, option, why, fix) => problems.add(code, `${path}.${option}`, why, fix)
  const before = problems.list().length
  duplicates(options, report)
  const resolved = resolve(options)
  for (const rule of rules) rule({ options, resolved, context, report })
  if (problems.list().length === before) compiles(options, path, problems)
}

/** The same for a route, also only after `check`: looks at what results when its options are laid over the application's (which are valid). */
export function validateRouteHeaders (base: HeadersOptions, route: RouteHeaders, path: string, problems: Problems, context: HeadersContext): void {
  duplicates(route, (code, option, why, fix) => problems.add(code, `${path}.${option}`, why, fix))
  validateHeaders(mergeHeaders(base, route), path, problems, context)
}

function duplicates (options: HeadersOptions | RouteHeaders, report: Subject['report']): void {
  for (const [option, value] of policies(options)) {
    const names = Object.keys(value).map(directiveName)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) report('SECURE_API_HEADERS_CSP_DUPLICATE', option, `the directive ${twice} is given twice`, 'Browsers heed only the first; put all its sources in one.')
  }
}

function policies ({ contentSecurityPolicy: csp, contentSecurityPolicyReportOnly: candidate }: HeadersOptions | RouteHeaders): Array<[option: string, directives: Directives]> {
  return [
    ['contentSecurityPolicy.directives', (csp || {}).directives ?? {}],
    ['contentSecurityPolicyReportOnly.directives', (candidate || {}).directives ?? {}]
  ]
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

function directive (option: string, name: string, value: Directives[string], report: Subject['report']): void {
  const invalid = (why: string, fix: string) => report('SECURE_API_HEADERS_CSP_INVALID', option, why, fix)
  if (!directiveNames.includes(name)) {
    const meant = suggest(name, directiveNames)
    return invalid(`browsers know no directive ${name}`, meant === undefined ? 'Remove it.' : `Did you mean \`${meant}\`?`)
  }
  if (typeof value === 'boolean') return
  for (const source of sources(value)) {
    if (/[;,]/.test(source)) invalid(`the source ${JSON.stringify(source)} holds a separator`, 'Write one source for each entry.')
    else if (needsQuotes(source, name)) invalid(`${source} without quotes is the name of a host`, `Write "'${source}'", with the single quotes inside.`)
  }
}

function needsQuotes (source: string, name: string): boolean {
  if (!name.endsWith('-src') && !['base-uri', 'form-action', 'frame-ancestors'].includes(name)) return false
  return keywords.has(source) || /^(nonce|sha256|sha384|sha512)-/.test(source)
}

function defaultSource ({ resolved: { policy, reportOnly }, report }: Subject): void {
  const fix = "Keep it; \"'none'\" denies what no other directive allows."
  for (const [option, rules] of [['contentSecurityPolicy', policy], ['contentSecurityPolicyReportOnly', reportOnly]] as const) {
    if (rules !== undefined && !rules.has('default-src')) report('SECURE_API_HEADERS_CSP_NO_DEFAULT', option, 'without default-src everything that no directive names is allowed', fix)
  }
}

function unsafeScripts ({ options, resolved: { policy, nonces }, report }: Subject): void {
  if (policy === undefined || options.dangerouslyAllowUnsafeScripts === true) return
  const allowed = scriptSources(policy)
  const guarded = nonces || allowed.some(source => /^'(nonce|sha256|sha384|sha512)-/.test(source))
  const unsafe = allowed.find(source => source === "'unsafe-inline'" ? !guarded : unsafeSource.test(source))
  if (unsafe === undefined) return
  report('SECURE_API_HEADERS_CSP_UNSAFE', 'contentSecurityPolicy', `${unsafe} lets injected scripts run`, 'Use nonces or hashes and name the hosts, or set `dangerouslyAllowUnsafeScripts: true`.')
}

const unsafeSource = /^('unsafe-eval'|\*|https?:|data:|blob:)$/

function reporting ({ options, resolved: { policy, reportOnly, endpoints }, report }: Subject): void {
  for (const [option, rules] of [['contentSecurityPolicy', policy], ['contentSecurityPolicyReportOnly', reportOnly]] as const) {
    const [name] = rules?.get('report-to') ?? []
    if (name === undefined || endpoints.has(name) || !options[option]) continue
    report('SECURE_API_HEADERS_REPORTING_ENDPOINT', `${option}.directives.report-to`, `there is no reporting endpoint ${name}`, `Add \`reportingEndpoints: { ${name}: 'https://…' }\`.`)
  }
}

function endpoints ({ options, resolved: { endpoints }, context, report }: Subject): void {
  if (options.reports && options.reportingEndpoints && collectorName in options.reportingEndpoints) {
    report('SECURE_API_OPTION_CONFLICT', `reportingEndpoints.${collectorName}`, '`reports` gives that name to its own collector', 'Choose another name, or leave `reports` out.')
  }
  for (const [name, url] of endpoints) {
    const option = `reportingEndpoints.${name}`
    if (!/^[a-z*][a-z0-9_.*-]*$/.test(name)) report('SECURE_API_HEADERS_REPORTING_ENDPOINT', option, 'the name is not a structured-field key (RFC 9651 §3.1.2)', 'Use lower-case letters, digits, "_", "-", "." and "*".')
    if (!reachable(url, context)) report('SECURE_API_HEADERS_REPORTING_ENDPOINT', option, 'browsers send reports to https only', 'Give an https URL, or a path of this server that begins with "/".')
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
  report('SECURE_API_HEADERS_CSP_REPORT_ONLY_WITHOUT_ENDPOINT', 'contentSecurityPolicyReportOnly', 'the policy reports to nobody and enforces nothing', "Add `'report-to'` with the name of an entry of `reportingEndpoints`.")
}

function frames ({ options, resolved: { policy, frameOptions }, report }: Subject): void {
  const ancestors = policy?.get('frame-ancestors')?.join(' ')
  if (!options.frameOptions || ancestors === undefined) return
  if (ancestors === (frameOptions === 'deny' ? "'none'" : "'self'")) return
  report('SECURE_API_HEADERS_CONFLICT', 'frameOptions', `it contradicts frame-ancestors ${ancestors}, and browsers differ in which they heed`, 'Leave `frameOptions` out: it then follows frame-ancestors.')
}

function permissionsPolicy ({ options: { permissionsPolicy: stated }, report }: Subject): void {
  for (const [feature, who] of Object.entries(stated || {})) {
    const invalid = (why: string, fix: string) => report('SECURE_API_HEADERS_PERMISSIONS_POLICY', `permissionsPolicy.${feature}`, why, fix)
    const meant = suggest(feature, Object.keys(permissions))
    if (!/^[a-z][a-z0-9-]*$/.test(feature)) invalid('the feature is not a lower-case name', meant === undefined ? 'Write it as in `geolocation` or `screen-wake-lock`.' : `Did you mean \`${meant}\`?`)
    const wrong = who === false ? undefined : who.find(entry => !isAllowed(entry))
    if (wrong !== undefined) invalid(`${JSON.stringify(wrong)} is neither self, src, * nor an origin`, 'Write self without quotes, and an origin as https://host; an empty list denies the feature to all.')
  }
}

function isAllowed (entry: string): boolean {
  return ['self', 'src', '*'].includes(entry) || /^https?:\/\/(\*\.)?[a-z0-9.-]+(:\d+)?$/.test(entry)
}

function statedHsts ({ options: { hsts } }: Subject) {
  return hsts === undefined || hsts === false ? undefined : hsts
}

function hstsAge (subject: Subject): void {
  const maxAge = statedHsts(subject)?.maxAge
  if (maxAge === undefined || milliseconds(maxAge) === 0 || (typeof maxAge === 'string' && milliseconds(maxAge) >= 1000)) return
  if (typeof maxAge === 'number' && milliseconds(maxAge) >= day) return
  subject.report('SECURE_API_HEADERS_HSTS_MAX_AGE', 'hsts.maxAge', `${maxAge} milliseconds would protect nobody; the header counts in seconds, this option does not`, "Write it with a unit: '365 days'.")
}

const day = 86_400_000
const year = 365 * day

function hstsPreload (subject: Subject): void {
  const { hsts } = subject.resolved
  if (hsts?.preload !== true || (hsts.includeSubDomains && hsts.maxAge >= year / 1000)) return
  subject.report('SECURE_API_HEADERS_HSTS_PRELOAD', 'hsts.preload', 'browsers accept it only with a maxAge of a year and includeSubDomains', "Set `maxAge: '365 days'` and `includeSubDomains: true`, or leave `preload` out.")
}

/** Only what was asked for: the default is simply not sent where it would not be heeded. */
function hstsTransport (subject: Subject): void {
  const { environment, secure } = subject.context
  if (statedHsts(subject) === undefined || environment !== 'production' || secure) return
  subject.report('SECURE_API_HEADERS_HSTS_NO_TLS', 'hsts', 'browsers ignore it over http, and neither https nor a trusted proxy is configured', 'Configure `https`, or `trustProxy` of Fastify when a proxy ends TLS; or set `hsts: false`.')
}

function cacheText ({ options: { cacheControl }, report }: Subject): void {
  if (typeof cacheControl !== 'string' || cacheControl.trim() === '' || !writable(cacheControl)) return
  const known = /^(no-store|no-cache|no-transform|private|public|must-revalidate|must-understand|proxy-revalidate|immutable|(max-age|s-maxage|stale-while-revalidate|stale-if-error)=\d+)$/
  const wrong = cacheControl.split(',').map(part => part.trim().toLowerCase()).find(part => !known.test(part))
  if (wrong !== undefined) report('SECURE_API_HEADERS_CACHE_CONTROL', 'cacheControl', `caches do not know ${JSON.stringify(wrong)}, and what they do not know they ignore`, "Write directives of RFC 9111 §5.2.2, such as 'no-store' or 'public, max-age=60'.")
}

/** The last word is helmet's; then no header may hold what would split it (RFC 9112 §11.1) or what Node refuses. */
function compiles (options: EffectiveHeaders, path: string, problems: Problems): void {
  try {
    for (const name of unwritable(buildTable(options, { environment: 'production', secure: true }))) {
      problems.add('SECURE_API_HEADERS_VALUE_CHARS', path, `the value of ${name} holds a line break or another character that no header may hold`, 'Use printable ASCII only.')
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    problems.add('SECURE_API_HEADERS_INVALID', path, text, 'Correct the option that the message names.')
  }
}
