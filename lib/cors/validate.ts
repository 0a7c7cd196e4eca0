import { parseDuration, type ConfigurationCode, type Problems } from '../config/index.ts'
import { forbiddenMethods, forbiddenResponseHeaders, isForbiddenRequestHeader, isResponseOnly, isToken, knownMethods } from './names.ts'
import type { CorsOptions } from './options.ts'
import { isFault, isLoopback, parseOrigin, type OriginPattern } from './origins.ts'
import type { IsPublicSuffix } from './public-suffixes.ts'

export interface CorsValidationContext {
  readonly environment: 'production' | 'development'
  /** Without it nobody knows whose a domain is, and a subdomain pattern with credentials is refused. */
  readonly isPublicSuffix?: IsPublicSuffix
}

type Report = (code: ConfigurationCode, option: string, why: string, fix: string) => void

interface Subject {
  readonly options: CorsOptions
  readonly context: CorsValidationContext
  readonly report: Report
}

/** What the schema cannot say. Call it beside `check`, whose findings it does not repeat. */
export function validateCors (options: CorsOptions, path: string, problems: Problems, context: CorsValidationContext): void {
  const report: Report = (code, option, why, fix) => problems.add(code, `${path}.${option}`, why, fix)
  for (const rule of [origins, methods, requestHeaders, responseHeaders, maxAge, enforcement]) rule({ options, context, report })
}

/** The strings of a list; others have been reported by `check`. */
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
    if (isFault(parsed)) report(parsed.code, option, `'${shorten(text)}' cannot be used: ${parsed.why}`, parsed.fix)
    else for (const rule of originRules) rule(parsed, option, subject)
  }
}

function shorten (text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

function regularExpressions (list: unknown, report: Report): void {
  if (!Array.isArray(list)) return
  const index = list.findIndex(entry => entry instanceof RegExp)
  if (index !== -1) report('SECURE_API_CORS_ORIGIN_REGEXP', `origins[${index}]`, 'a regular expression lets in more than it shows', "List the origins, or use a pattern such as 'https://*.example.com'.")
}

type OriginRule = (origin: OriginPattern, option: string, subject: Subject) => void

const originRules: readonly OriginRule[] = [
  function any ({ any, text }, option, { options, report }) {
    if (!any) return
    if (options.credentials === true) return report('SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS', option, 'every web page could act in the name of whoever is signed in', 'List the origins that need credentials, or leave `credentials` out; bearer tokens do not need it.')
    if (options.origins.length > 1) return report('SECURE_API_CORS_WILDCARD_MIXED', option, `'${text}' beside others makes them meaningless`, 'Remove it, or the others.')
    if (options.dangerouslyAllowAnyOrigin !== true) report('SECURE_API_CORS_WILDCARD', option, 'every web page could read what this API answers', 'List the origins, or set `dangerouslyAllowAnyOrigin: true` for a public API.')
  },

  function insecure (origin, option, { options, report }) {
    if (origin.scheme !== 'http' || isLoopback(origin) || options.credentials !== true || options.dangerouslyAllowInsecureOrigins === true) return
    report('SECURE_API_CORS_ORIGIN_INSECURE', option, `whoever is on the network path can pose as '${origin.text}' and use the user's session`, `Write 'https://${origin.text.slice(7)}', or set \`dangerouslyAllowInsecureOrigins: true\`.`)
  },

  function localhost (origin, option, { options, context, report }) {
    if (context.environment !== 'production' || origin.scheme !== 'http' || !isLoopback(origin) || options.dangerouslyAllowInsecureOrigins === true) return
    report('SECURE_API_CORS_ORIGIN_LOCALHOST', option, `'${origin.text}' in production trusts every program on a user's machine`, "Remove it, run with NODE_ENV=development (or `environment: 'development'`), or set `dangerouslyAllowInsecureOrigins: true`.")
  },

  function publicSuffix ({ any, subdomains, host, text }, option, { options, context, report }) {
    if (any || !subdomains || options.credentials !== true || options.dangerouslyAllowPublicSuffixes === true || isOwn(host, context)) return
    report('SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX', option, `strangers can register names that '${text}' covers (publicsuffix.org), and with credentials each could act for your users`, 'List the origins; or, if the domain is yours alone, set `dangerouslyAllowPublicSuffixes: true`.')
  }
]

/** Known not to be a public suffix. A name of one label is one, but for those that never leave the machine. */
function isOwn (host: string, { isPublicSuffix }: CorsValidationContext): boolean {
  if (host === 'localhost') return true
  return host.includes('.') && isPublicSuffix?.(host) === false
}

function methods ({ options, report }: Subject): void {
  for (const [method, index] of texts(options.methods)) {
    const option = `methods[${index}]`
    const upper = method.toUpperCase()
    if (!isToken(method) || method === '*') report('SECURE_API_CORS_METHOD_INVALID', option, `'${shorten(method)}' is not a method`, 'Name each method, in capitals.')
    else if (forbiddenMethods.has(upper)) report('SECURE_API_CORS_METHOD_FORBIDDEN', option, `browsers never send ${upper}`, 'Remove it.')
    else if (method !== upper && knownMethods.has(upper)) report('SECURE_API_CORS_METHOD_CASE', option, `methods are case-sensitive, and '${method}' matches no request`, `Write '${upper}'.`)
  }
}

function requestHeaders ({ options, report }: Subject): void {
  const listed = texts(options.requestHeaders)
  for (const [name, index] of listed) requestHeader(name.toLowerCase(), `requestHeaders[${index}]`, options, report)
  const names = listed.map(([name]) => name.toLowerCase())
  if (!names.includes('*') || options.credentials === true || options.dangerouslyAllowAnyOrigin === true || names.includes('authorization')) return
  report('SECURE_API_CORS_REQUEST_HEADER_AUTHORIZATION', 'requestHeaders', "'*' does not cover Authorization (Fetch §4.8), so no token could be sent", "Add 'authorization', or name the headers instead of '*'.")
}

function requestHeader (name: string, option: string, { credentials }: CorsOptions, report: Report): void {
  if (!isToken(name)) report('SECURE_API_CORS_REQUEST_HEADER_INVALID', option, `'${shorten(name)}' is not a header name`, 'Give one header name for each entry.')
  else if (isForbiddenRequestHeader(name)) report('SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN', option, `scripts cannot set ${name}, so it is never asked for`, 'Remove it.')
  else if (isResponseOnly(name)) report('SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN', option, `${name} is a header of the answer`, 'Remove it; it is sent when it is due.')
  else if (name === '*' && credentials === true) report('SECURE_API_CORS_REQUEST_HEADER_WILDCARD', option, "with credentials browsers take '*' for a header of that name", 'Name the headers.')
}

function responseHeaders ({ options, report }: Subject): void {
  for (const [name, index] of texts(options.responseHeaders)) {
    const option = `responseHeaders[${index}]`
    if (!isToken(name)) report('SECURE_API_CORS_RESPONSE_HEADER_INVALID', option, `'${shorten(name)}' is not a header name`, 'Give one header name for each entry.')
    else if (isResponseOnly(name.toLowerCase())) report('SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN', option, `${name} speaks to the browser, which acts on it, and not to the script`, 'Remove it; it is sent when it is due.')
    else if (forbiddenResponseHeaders.has(name.toLowerCase())) report('SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN', option, `scripts can never read ${name}`, 'Remove it.')
    else if (name === '*' && options.credentials === true) report('SECURE_API_CORS_RESPONSE_HEADER_WILDCARD', option, "with credentials browsers take '*' for a header of that name", 'Name the headers.')
  }
}

/** Browsers cap it themselves: Firefox at a day, Chromium at two hours, WebKit at ten minutes. */
const longest = 86_400_000

function maxAge ({ options, report }: Subject): void {
  const ms = typeof options.maxAge === 'string' || typeof options.maxAge === 'number' ? parseDuration(options.maxAge) : undefined
  if (ms === undefined || (ms <= longest && ms % 1000 === 0)) return
  const why = ms > longest ? 'browsers remember a preflight for a day at most' : `${ms} milliseconds are not whole seconds, in which the header counts`
  report('SECURE_API_CORS_MAX_AGE', 'maxAge', why, "Write it with a unit: '10 minutes'; at most '24 hours'.")
}

function enforcement ({ options, report }: Subject): void {
  if (options.enforceOrigin !== true || !texts(options.origins).some(([text]) => text === '*')) return
  report('SECURE_API_OPTION_CONFLICT', 'enforceOrigin', "it has nothing to enforce when origins is ['*']", 'Remove it, or list the origins.')
}
