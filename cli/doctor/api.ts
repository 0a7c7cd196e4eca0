import type { IncomingHttpHeaders } from 'node:http'
import { exchange, failureOf, type Answer, type Exchange } from './exchange.ts'
import { Findings, type Examination } from './finding.ts'
import { examineFloor, examineTls, tlsTarget } from './tls.ts'

export interface ApiQuestion {
  /** A path that needs a token, best. */
  readonly url: string
  /** Web origins that should be allowed. */
  readonly origins: readonly string[]
}

type Asked = (options?: Exchange & { readonly at?: string }) => Promise<Answer>

interface Subject {
  readonly url: URL
  readonly ask: Asked
  readonly findings: Findings
  readonly origins: readonly string[]
  /** The plain GET. */
  readonly first: Answer
}

/** Looks at a running API as a stranger sees it. Only GET, OPTIONS and TRACE are sent, and no credential but a forged one. */
export async function examineApi ({ url: text, origins }: ApiQuestion): Promise<Examination> {
  const url = new URL(text)
  const findings = new Findings()
  const ask: Asked = ({ at, ...options } = {}) => exchange(at === undefined ? url : new URL(at, url), options)
  const title = `api ${url.origin}${url.pathname}`
  try {
    const first = await ask()
    findings.ok('API_REACHABLE', `GET ${url.pathname} answers ${first.status} in ${first.ms} ms`)
    await examineTransport(url, findings)
    for (const check of checks) await check({ url, ask, findings, origins, first })
  } catch (error) {
    findings.error('API_REACHABLE', failureOf(error), 'Check the address, and that the API runs.')
  }
  return { title, findings: findings.list }
}

async function examineTransport (url: URL, findings: Findings): Promise<void> {
  const target = tlsTarget(url)
  if (target === undefined) {
    if (isLoopback(url.hostname)) findings.note('API_TLS', 'plain http, on this machine')
    else findings.error('API_TLS', 'plain http: tokens travel unencrypted', 'Serve https, here or at a proxy in front.')
    return
  }
  findings.ok('API_TLS', 'https')
  await examineTls(target, findings, Date.now())
  await examineFloor(target, findings)
}

function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}

interface Wanted {
  readonly name: string
  readonly level: 'error' | 'warning'
  readonly holds: (headers: IncomingHttpHeaders) => boolean
  readonly when?: (url: URL) => boolean
}

const has = (name: string, form: RegExp) => (headers: IncomingHttpHeaders) => form.test(String(headers[name] ?? ''))

/** The OWASP Secure Headers recommendation, as far as it concerns an API. */
const wanted: readonly Wanted[] = [
  { name: 'X-Content-Type-Options: nosniff', level: 'error', holds: has('x-content-type-options', /^nosniff$/i) },
  {
    name: 'Strict-Transport-Security',
    level: 'error',
    holds: has('strict-transport-security',
      /max-age=[1-9]\d{5}/i),
    when: ({ protocol, hostname }) => protocol === 'https:' && !isLoopback(hostname)
  },
  { name: 'Content-Security-Policy', level: 'warning', holds: has('content-security-policy', /\S/) },
  {
    name: 'framing refused (frame-ancestors or X-Frame-Options)',
    level: 'warning',
    holds: headers => has('content-security-policy',
      /frame-ancestors/)(headers) || has('x-frame-options', /\S/)(headers)
  },
  { name: 'Referrer-Policy', level: 'warning', holds: has('referrer-policy', /\S/) },
  { name: 'Cross-Origin-Resource-Policy', level: 'warning', holds: has('cross-origin-resource-policy', /\S/) }
]

type Check = (subject: Subject) => Promise<void> | void

/** A 404, a bad URL and a bad request are answered by other code than a route, and often without its headers. */
const headers: Check = async ({ url, ask, findings, first }) => {
  judgeHeaders(`GET ${url.pathname}`, first, url, findings)
  judgeHeaders('404', await ask({ at: `/secure-api-doctor-${Date.now()}` }), url, findings)
  judgeHeaders('bad URL', await ask({ path: '/%zz' }), url, findings)
}

/** An answer that nginx makes itself: its page ends with its name. The API is not asked, and cannot put anything on it. */
function isOfNginx ({ headers, body }: Answer): boolean {
  return /^nginx\b/i.test(String(headers.server ?? '')) && /<center>nginx(?:\/[\d.]+)?<\/center>/i.test(body)
}

function judgeHeaders (subject: string, answer: Answer, url: URL, findings: Findings): void {
  const missing = wanted.filter(({ holds, when }) => when?.(url) !== false && !holds(answer.headers))
  const what = `${answer.status} without ${missing.map(({ name }) => name).join(', ')}`
  const fix = 'Send them from one place, on every answer: fastify-secure-api, with secureServer() for those that no hook sees.'
  if (missing.length > 0 && isOfNginx(answer)) {
    return findings.warning('API_HEADERS', `${what}; nginx answers this itself`,
      'Put them on with `add_header … always` in an `error_page` location of nginx, or leave it: docs/recipes/nginx.md.', subject)
  }
  if (missing.length === 0) findings.ok('API_HEADERS', `${answer.status} with all of them`, subject)
  else if (missing.some(({ level }) => level === 'error')) findings.error('API_HEADERS', what, fix, subject)
  else findings.warning('API_HEADERS', what, fix, subject)
}

/** The name of a proxy alone says little; with its version it says which exploits to try. */
const telling: ReadonlyArray<readonly [name: string, form: RegExp]> = [['server', /\d/], ['via', /\/\d+\.\d+\.\d/], ['x-powered-by', /./],
  ['x-aspnet-version', /./]]

/** Codes by which a framework's own error documents are known. */
const frameworkCode = /FST_ERR_\w+/

const banner: Check = async ({ ask, findings, first }) => {
  const [code] = frameworkCode.exec((await ask({ path: '/%zz' })).body) ?? []
  if (code !== undefined) {
    findings.warning('API_BANNER', `the answer to a bad URL says ${code}, which names the framework`,
      'Make the server with secureServer(), which answers framework errors itself.')
  }
  const told = telling.filter(([name, form]) => form.test(String(first.headers[name] ?? ''))).map(([name]) => name)
  if (told.length === 0 && code === undefined) findings.ok('API_BANNER', 'no header reveals software or version')
  else if (told.length > 0) {
    findings.warning('API_BANNER', told.map(name => `${name}: ${String(first.headers[name])}`).join('; '),
      'Remove these headers, here or at the proxy.')
  }
}

/** What only a program's inside looks like: a frame of a stack, a file of a package, a query that failed. */
const inside = new RegExp([
  /\n\s+at \S+.*:\d+:\d+|"stack"\s*:/,
  /node_modules[/\\]/,
  /(?:\/home|\/usr\/src|\/var|[A-Z]:\\)[\w/\\.-]+\.(?:js|ts|mjs|cjs)\b/,
  /SQLITE_|ER_[A-Z]+_ERROR/
].map(({ source }) => source).join('|'))

const leak: Check = async ({ ask, findings, first }) => {
  const answers = [first, await ask({ path: '/%zz' }), await ask({ headers: { authorization: 'Bearer .' } }),
    await ask({ headers: { accept: 'x/y;q=%', 'content-type': 'a;;' } })]
  const found = answers.map(({ body }) => inside.exec(body)?.[0].trim()).find(text => text !== undefined)
  const broken = answers.find(({ status }) => status >= 500 && status !== 503)
  if (found !== undefined) {
    findings.error('API_LEAK', `an answer contains ${JSON.stringify(found.slice(0, 60))}`,
      'Answer errors with a fixed text (RFC 9457), and log the rest.')
  }
  if (broken !== undefined) {
    findings.error('API_LEAK', `invalid input is answered ${broken.status}`,
      'Find the exception in the log; invalid input must be answered 4xx.')
  }
  if (found === undefined && broken === undefined) findings.ok('API_LEAK', 'errors reveal no internals')
}

const challenge: Check = ({ url, findings, first }) => {
  const header = String(first.headers['www-authenticate'] ?? '')
  if (first.status === 401 && /^Bearer\b/i.test(header) && !/error=/.test(header)) {
    return findings.ok('API_CHALLENGE',
    `401, WWW-Authenticate: ${header}`)
  }
  if (first.status === 401) {
    return findings.warning('API_CHALLENGE', header === ''
      ? '401 without WWW-Authenticate'
      : `401, WWW-Authenticate: ${header}`, 'Send `WWW-Authenticate: Bearer`, without an error where no token was sent (RFC 6750 §3).')
  }
  if (first.status < 400) {
    return findings.note('API_CHALLENGE',
    `${url.pathname} answers ${first.status} without a token; give an address that needs one`)
  }
  findings.note('API_CHALLENGE', `${url.pathname} answers ${first.status}; give an address that needs a token`)
}

/** Unsigned, and from an issuer that cannot exist: whoever accepts it accepts anything. */
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const forged = `${part({ alg: 'none', typ: 'at+jwt' })}.${part({ iss: 'https://doctor.invalid', sub: 'nobody', exp: 4_102_444_800 })}.AA`

const forgery: Check = async ({ ask, findings, first }) => {
  if (first.status !== 401) return
  const { status, headers } = await ask({ headers: { authorization: `Bearer ${forged}` } })
  if (status === 401 && /error="?invalid_token/.test(String(headers['www-authenticate']))) findings.ok('API_FORGED', '401 invalid_token')
  else if (status === 401 || status === 403) {
    findings.warning('API_FORGED', `${status}, without error="invalid_token"`,
      'Say 401 with error="invalid_token" (RFC 6750 §3.1), so that clients get a new token.')
  } else if (status === 429) findings.note('API_FORGED', '429: this address has used up its failures')
  else {
    findings.error('API_FORGED', `a forged token is answered ${status}`, status < 400
      ? 'The signature is not checked: take the API off the network.'
      : 'Answer a forged token with 401, never with a server error.')
  }
}

const stranger = 'https://stranger.invalid'
const preflightOf = (origin: string): Exchange =>
  ({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } })

const foreign: Check = async ({ ask, findings }) => {
  for (const origin of [stranger, 'null']) {
    const answers = [await ask(preflightOf(origin)), await ask({ headers: { origin } })]
    const allowed = answers.find(({ headers }) => headers['access-control-allow-origin'] !== undefined)
    judgeForeign(origin, allowed?.headers, findings)
  }
}

function judgeForeign (origin: string, headers: IncomingHttpHeaders | undefined, findings: Findings): void {
  const value = headers?.['access-control-allow-origin']
  if (value === undefined) return findings.ok('API_CORS_FOREIGN', 'no Access-Control-Allow-Origin', origin)
  const credentials = headers?.['access-control-allow-credentials'] === 'true'
  if (value === origin) {
    findings.error('API_CORS_FOREIGN',
    `the origin is allowed${credentials ? ', with credentials' : ''}: the server echoes any origin`,
    'List the origins that may read responses.', origin)
  } else if (value === '*') {
    findings.warning('API_CORS_FOREIGN', 'every origin may read responses (*)',
      'List the origins, unless everything here is public.', origin)
  } else findings.note('API_CORS_FOREIGN', `Access-Control-Allow-Origin is always ${value}`, origin)
}

const own: Check = async ({ ask, findings, origins }) => {
  for (const origin of origins) {
    const preflight = await ask(preflightOf(origin))
    const plain = await ask({ headers: { origin } })
    const faults = originFaults(origin, preflight, plain)
    if (faults.length === 0) findings.ok('API_CORS_ORIGIN', `preflight ${preflight.status}, answers can be read`, origin)
    else {
      findings.error('API_CORS_ORIGIN', faults.join('; '),
        'Add it to `cors.origins`, exactly as the browser sends it, and allow the header authorization.', origin)
    }
  }
}

function originFaults (origin: string, preflight: Answer, plain: Answer): string[] {
  const faults: string[] = []
  const allowedHeaders = String(preflight.headers['access-control-allow-headers'])
  const allows = ({ headers }: Answer) => [origin, '*'].includes(String(headers['access-control-allow-origin']))
  if (preflight.status >= 300 || !allows(preflight)) faults.push(`the preflight is answered ${preflight.status} without allowing it`)
  else if (!/(?:^|[\s,])authorization(?:$|[\s,])/i.test(allowedHeaders)) {
    faults.push('the preflight does not allow the header authorization')
  }
  if (!allows(plain)) faults.push(`the answer to GET (${plain.status}) cannot be read`)
  else if (plain.headers['access-control-allow-origin'] !== '*' &&
    !/origin/i.test(String(plain.headers.vary))) faults.push('Vary lacks Origin, so caches mix up origins')
  return faults
}

/** TRACE is safe (RFC 9110 §9.2.1) and no API has it: the one method that can be tried on a running system. */
const method: Check = async ({ ask, findings }) => {
  const answer = await ask({ method: 'TRACE' })
  const { status, headers } = answer
  if (status < 400) {
    findings.error('API_METHOD', `TRACE is answered ${status}`,
      'Refuse it: it echoes the headers of a request, credentials included.')
  } else if (status === 405 && headers.allow !== undefined) findings.ok('API_METHOD', `405, Allow: ${headers.allow}`)
  else if (status === 405 && isOfNginx(answer)) findings.note('API_METHOD', '405 by nginx; the request does not reach the API')
  else if (status === 405) findings.warning('API_METHOD', '405 without Allow', 'Send Allow with the supported methods (RFC 9110 §15.5.6).')
  else findings.note('API_METHOD', `TRACE is answered ${status}`)
}

const rateLimit: Check = ({ findings, first: { status, headers } }) => {
  const names = ['ratelimit', 'ratelimit-policy', 'ratelimit-limit', 'x-ratelimit-limit'].filter(name => headers[name] !== undefined)
  if (names.length > 0) findings.ok('API_RATE_LIMIT', names.map(name => `${name}: ${String(headers[name])}`).join('; '))
  else if (status === 401) findings.note('API_RATE_LIMIT', 'no limit is announced without a token')
  else findings.warning('API_RATE_LIMIT', 'no header announces a limit', 'Limit callers; if a proxy does, ignore this.')
}

const checks: readonly Check[] = [headers, banner, challenge, forgery, leak, foreign, own, method, rateLimit]
