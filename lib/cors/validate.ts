import { parseDuration, type ConfigurationCode, type Problems } from '../config/index.ts'
import { compileOrigins } from './matcher.ts'
import { forbiddenMethods, forbiddenResponseHeaders, isForbiddenRequestHeader, knownMethods } from './names.ts'
import type { CorsOptions, RouteCors } from './options.ts'
import { isFault, isLoopback, parseOrigin, type OriginPattern } from './origins.ts'
import type { IsPublicSuffix } from './public-suffixes.ts'

export interface CorsValidationContext {
  readonly environment: 'production' | 'development'
  /** Without it, every subdomain pattern with credentials is refused. */
  readonly isPublicSuffix?: IsPublicSuffix
}

type Report = (code: ConfigurationCode, option: string, why: string, fix: string) => void

interface Subject {
  readonly options: CorsOptions
  readonly context: CorsValidationContext
  readonly report: Report
}

/** Checks beyond the schema. Runs beside `check`, whose findings it does not repeat. */
export function validateCors (options: CorsOptions, path: string, problems: Problems, context: CorsValidationContext): void {
  const report: Report = (code, option, why, fix) => problems.add(code, `${path}.${option}`, why, fix)
  const subject = { options, context, report }
  origins(subject)
  entries('methods', methodRules, subject)
  entries('requestHeaders', requestHeaderRules, subject)
  authorization(subject)
  entries('responseHeaders', responseHeaderRules, subject)
  maxAge(subject)
  if (options.enforceOrigin !== true || !texts(options.origins).some(([text]) => text === '*')) return
  report('SECURE_API_OPTION_CONFLICT', 'enforceOrigin', "with origins ['*'] there is nothing to enforce", 'Remove it, or list the origins.')
}

/** The strings of a list; `check` reports the others. */
function texts (list: unknown): ReadonlyArray<readonly [text: string, index: number]> {
  if (!Array.isArray(list)) return []
  return list.flatMap((entry: unknown, index) => typeof entry === 'string' && entry.trim() !== '' ? [[entry, index] as const] : [])
}

function origins (subject: Subject): void {
  const { options, report } = subject
  regularExpressions(options.origins, report)
  for (const [text, index] of texts(options.origins)) {
    const option = `origins[${index}]`
    const parsed = parseOrigin(text)
    if (isFault(parsed)) report(parsed.code, option, `'${shorten(text)}' is not a valid entry: ${parsed.why}`, parsed.fix)
    else for (const rule of originRules) rule(parsed, option, subject)
  }
}

function shorten (text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

function regularExpressions (list: unknown, report: Report): void {
  const index = Array.isArray(list) ? list.findIndex(entry => entry instanceof RegExp) : -1
  if (index === -1) return
  report('SECURE_API_CORS_ORIGIN_REGEXP', `origins[${index}]`, 'a regular expression can match more origins than it seems to',
    "List the origins, or use a pattern such as 'https://*.example.com'.")
}

type OriginRule = (origin: OriginPattern, option: string, subject: Subject) => void

const originRules: readonly OriginRule[] = [
  function any ({ any, text }, option, { options, report }) {
    if (!any) return
    if (options.credentials === true) {
      return report('SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS', option, 'every web page could act on behalf of a signed-in user',
        'List the origins that need credentials, or omit `credentials`; bearer tokens do not need it.')
    }
    if (options.origins.length > 1) {
      return report('SECURE_API_CORS_WILDCARD_MIXED', option, `'${text}' makes the other origins meaningless`, 'Remove it, or the others.')
    }
    if (options.dangerouslyAllowAnyOrigin === true) return
    report('SECURE_API_CORS_WILDCARD', option, 'every web page could read the responses of this API',
      'List the origins, or set `dangerouslyAllowAnyOrigin: true` for a public API.')
  },

  function insecure (origin, option, { options, report }) {
    if (origin.scheme !== 'http' || isLoopback(origin) || options.credentials !== true) return
    if (options.dangerouslyAllowInsecureOrigins === true) return
    report('SECURE_API_CORS_ORIGIN_INSECURE', option, `anyone on the network path can pose as '${origin.text}' and use the user's session`,
      `Write 'https://${origin.text.slice(7)}', or set \`dangerouslyAllowInsecureOrigins: true\`.`)
  },

  function localhost (origin, option, { options, context, report }) {
    if (context.environment !== 'production' || origin.scheme !== 'http' || !isLoopback(origin)) return
    if (options.dangerouslyAllowInsecureOrigins === true) return
    report('SECURE_API_CORS_ORIGIN_LOCALHOST', option, `'${origin.text}' in production trusts every program on a user's machine`,
      "Remove it, run with `environment: 'development'` (or NODE_ENV=development), or set `dangerouslyAllowInsecureOrigins: true`.")
  },

  function publicSuffix ({ any, subdomains, host, text }, option, { options, context, report }) {
    if (any || !subdomains || options.credentials !== true || isOwn(host, context)) return
    if (options.dangerouslyAllowPublicSuffixes === true) return
    report('SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX', option,
      `strangers can register names that '${text}' covers (publicsuffix.org) and, with credentials, act for your users`,
      'List the origins, or set `dangerouslyAllowPublicSuffixes: true` if the domain is yours alone.')
  }
]

/** Known not to be a public suffix. A name of one label is one, except `localhost`. */
function isOwn (host: string, { isPublicSuffix }: CorsValidationContext): boolean {
  if (host === 'localhost') return true
  return host.includes('.') && isPublicSuffix?.(host) === false
}

/** What can be wrong with an entry of a list. The first rule that applies is reported. */
type EntryRule = readonly [
  applies: (name: string, options: CorsOptions) => boolean, code: ConfigurationCode, why: (name: string) => string, fix: string
]

type List = 'methods' | 'requestHeaders' | 'responseHeaders'

function entries (option: List, rules: readonly EntryRule[], { options, report }: Subject): void {
  for (const [name, index] of texts(options[option])) {
    const rule = rules.find(([applies]) => applies(name, options))
    if (rule !== undefined) report(rule[1], `${option}[${index}]`, rule[2](name), rule[3])
  }
}

/** RFC 9110 §5.6.2. */
const noToken = (name: string) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
const noHeaderName = (name: string) => `'${shorten(name)}' is not a header name`
const isLiteralStar = (name: string, { credentials }: CorsOptions) => name === '*' && credentials === true
const literalStar = () => "with credentials, browsers take '*' as a header of that name"
const isCorsHeader = (name: string) => name.toLowerCase().startsWith('access-control-')
const sentAnyway = 'Remove it; the suite sends it where needed.'
const oneName = 'Write one header name per entry.'

const methodRules: readonly EntryRule[] = [
  [name => noToken(name) || name === '*', 'SECURE_API_CORS_METHOD_INVALID',
    name => `'${shorten(name)}' is not a method`, 'List each method, in capitals.'],
  [name => forbiddenMethods.has(name.toUpperCase()), 'SECURE_API_CORS_METHOD_FORBIDDEN',
    name => `browsers never send ${name}`, 'Remove it.'],
  [name => name !== name.toUpperCase() && knownMethods.has(name.toUpperCase()), 'SECURE_API_CORS_METHOD_CASE',
    name => `methods are case-sensitive; '${name}' matches no request`, 'Write it in capitals.']
]

const requestHeaderRules: readonly EntryRule[] = [
  [noToken, 'SECURE_API_CORS_REQUEST_HEADER_INVALID', noHeaderName, oneName],
  [name => isForbiddenRequestHeader(name.toLowerCase()), 'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN',
    name => `scripts cannot set ${name}`, 'Remove it.'],
  [isCorsHeader, 'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN', name => `${name} is a response header`, sentAnyway],
  [isLiteralStar, 'SECURE_API_CORS_REQUEST_HEADER_WILDCARD', literalStar, 'List the headers.']
]

const responseHeaderRules: readonly EntryRule[] = [
  [noToken, 'SECURE_API_CORS_RESPONSE_HEADER_INVALID', noHeaderName, oneName],
  [isCorsHeader, 'SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN', name => `${name} is for the browser, not for scripts`, sentAnyway],
  [name => forbiddenResponseHeaders.has(name.toLowerCase()), 'SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN',
    name => `scripts can never read ${name}`, 'Remove it.'],
  [isLiteralStar, 'SECURE_API_CORS_RESPONSE_HEADER_WILDCARD', literalStar, 'List the headers.']
]

function authorization ({ options, report }: Subject): void {
  const names = texts(options.requestHeaders).map(([name]) => name.toLowerCase())
  if (!names.includes('*') || names.includes('authorization')) return
  if (options.credentials === true || options.dangerouslyAllowAnyOrigin === true) return
  report('SECURE_API_CORS_REQUEST_HEADER_AUTHORIZATION', 'requestHeaders',
    "'*' does not cover Authorization (Fetch §4.8), so scripts cannot send a token",
    "Add 'authorization', or list the headers instead of '*'.")
}

/** Browsers cap it themselves: Firefox at a day, Chromium at two hours, WebKit at ten minutes. */
const longest = 86_400_000

function maxAge ({ options, report }: Subject): void {
  const ms = typeof options.maxAge === 'string' || typeof options.maxAge === 'number' ? parseDuration(options.maxAge) : undefined
  if (ms === undefined || (ms <= longest && ms % 1000 === 0)) return
  const why = ms > longest ? 'browsers cache a preflight for a day at most' : `${ms} ms is not a whole number of seconds`
  report('SECURE_API_CORS_MAX_AGE', 'maxAge', why, "Write it with a unit: '10 minutes'; at most '24 hours'.")
}

/**
 * A route's options laid over the application's and checked together: options that are valid apart can conflict.
 * `base` is undefined when the application allows no other origin; the route then lists its own.
 */
export function mergeCors (
  base: CorsOptions | undefined, route: Exclude<RouteCors, false>, path: string, problems: Problems, context: CorsValidationContext
): CorsOptions {
  const merged: CorsOptions = Object.assign(Object.create(null), base, route, { origins: route.origins ?? base?.origins ?? [] })
  if (merged.origins.length === 0) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.origins`, 'neither the route nor the application lists an origin',
      'Add the origins, or remove `cors` from the route.')
  }
  validateCors(merged, path, problems, context)
  if (widensSilently(base, route)) {
    problems.add('SECURE_API_CORS_ROUTE_OVERRIDE', `${path}.origins`,
      "the application's `credentials: true` would apply to origins that the application does not allow",
      'State `credentials` on the route as well, true or false.')
  }
  return merged
}

/** Inherited credentials were meant for the application's own origins. */
function widensSilently (base: CorsOptions | undefined, route: Exclude<RouteCors, false>): boolean {
  if (base?.credentials !== true || route.credentials !== undefined || route.origins === undefined) return false
  const parsed = base.origins.map(parseOrigin).filter((origin): origin is OriginPattern => !isFault(origin))
  const allowed = compileOrigins(parsed)
  return route.origins.some(origin => !base.origins.includes(origin) && !allowed(origin))
}
