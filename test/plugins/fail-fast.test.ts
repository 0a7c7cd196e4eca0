import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { configurationCodes } from '../../lib/config/index.ts'
import secureApi, { Secret, secureServer, type SecureApiOptions } from '../../plugins/index.ts'
import { joseVectors } from '../fixtures/jose-vectors.ts'
import { mistakesOf } from '../helpers/server.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'

/** Everything here is started in production, as an application would start it. */
const origin = 'https://app.example.com'
const publicJwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
const auth = {
  issuer: 'https://login.example.com',
  audience: 'api://orders',
  jwks: { keys: [{ ...publicJwk, kid: '1', use: 'sig', alg: 'ES256' }] }
}

interface App {
  readonly options?: object
  readonly config?: object
  readonly fastify?: FastifyServerOptions
}

const app = ({ options = {}, config, fastify = {} }: App) => mistakesOf(async () => {
  const app: FastifyInstance = Fastify(fastify)
  t.teardown(() => app.close().catch(() => {}))
  await app.register(secureApi, { auth, audit: false, environment: 'production', ...options } as SecureApiOptions)
  if (config !== undefined) app.route({ method: 'POST', url: '/orders', config: { scope: 'a', ...config }, handler: async () => '' })
  await app.ready()
})
const cors = (options: object) => app({ options: { cors: { origins: [origin], ...options } } })
const origins = (...list: unknown[]) => cors({ origins: list })
const headers = (options: object) => app({ options: { headers: options } })
const csp = (directives: object, more: object = {}) => headers({ contentSecurityPolicy: { directives }, ...more })
const server = (options: object) => mistakesOf(async () => { secureServer({ environment: 'production', ...options } as object) })

const folder = t.testdir({})
const emptyFile = join(folder, 'empty')
writeFileSync(emptyFile, '', { mode: 0o600 })
const certificates = new Certificates(folder)
const pair = certificates.issue()
const other = certificates.issue()
const weak = certificates.issue({ algorithm: ['rsa:1024'] })
const open = certificates.issue()
chmodSync(open.keyFile, 0o644)
const tls = (options: object) => server({ tls: { cert: pair.cert, key: pair.key, ...options } })
const authorityOnly = certificates.issue({ name: 'authority', extensions: authority })

async function withEnvironment (values: Readonly<Record<string, string>>): Promise<string[]> {
  const before = { ...process.env }
  Object.assign(process.env, { NODE_ENV: 'production', ...values })
  try {
    return await mistakesOf(() => Fastify().register(secureApi))
  } finally {
    process.env = before
  }
}

const cases: ReadonlyArray<readonly [title: string, start: () => Promise<string[]>, ...codes: string[]]> = [
  ['1: no origins', () => app({ options: { cors: {} } }), 'SECURE_API_OPTION_MISSING'],
  ['1: an empty list', () => origins(), 'SECURE_API_OPTION_EMPTY'],
  ['2: an empty string', () => origins(origin, ''), 'SECURE_API_OPTION_EMPTY'],
  ['2: a variable that is not set', () => origins(undefined), 'SECURE_API_OPTION_UNDEFINED'],
  ['3: any origin with credentials', () => cors({ origins: ['*'], credentials: true }), 'SECURE_API_CORS_WILDCARD_WITH_CREDENTIALS'],
  ['4: any origin beside others', () => origins('*', origin), 'SECURE_API_CORS_WILDCARD_MIXED'],
  ['5: any origin', () => origins('*'), 'SECURE_API_CORS_WILDCARD'],
  ['6: the origin null', () => origins('null'), 'SECURE_API_CORS_NULL_ORIGIN'],
  ['7: an origin with a path', () => origins(`${origin}/`), 'SECURE_API_CORS_ORIGIN_INVALID'],
  ['8: a star inside a label', () => origins('https://api*.example.com'), 'SECURE_API_CORS_ORIGIN_PATTERN'],
  ['9: http with credentials', () => cors({ origins: ['http://example.com'], credentials: true }), 'SECURE_API_CORS_ORIGIN_INSECURE'],
  ['10: subdomains of a public suffix', () => cors({ origins: ['https://*.github.io'], credentials: true }),
    'SECURE_API_CORS_ORIGIN_PUBLIC_SUFFIX'],
  ['11: a regular expression', () => origins(/example\.com$/), 'SECURE_API_CORS_ORIGIN_REGEXP', 'SECURE_API_OPTION_TYPE'],
  ['12: true for every origin', () => cors({ origins: true }), 'SECURE_API_OPTION_TYPE'],
  ['13: localhost', () => origins('http://localhost:3000'), 'SECURE_API_CORS_ORIGIN_LOCALHOST'],
  ['14: what is no method', () => cors({ methods: ['G E T'] }), 'SECURE_API_CORS_METHOD_INVALID'],
  ['14: a forbidden method', () => cors({ methods: ['TRACE'] }), 'SECURE_API_CORS_METHOD_FORBIDDEN'],
  ['14: a method in small letters', () => cors({ methods: ['put'] }), 'SECURE_API_CORS_METHOD_CASE'],
  ['16: what is no header name', () => cors({ requestHeaders: ['x y'] }), 'SECURE_API_CORS_REQUEST_HEADER_INVALID'],
  ['16: a forbidden request header', () => cors({ requestHeaders: ['Cookie'] }), 'SECURE_API_CORS_REQUEST_HEADER_FORBIDDEN'],
  ['17: all request headers without Authorization', () => cors({ requestHeaders: ['*'] }), 'SECURE_API_CORS_REQUEST_HEADER_AUTHORIZATION'],
  ['18: Set-Cookie exposed', () => cors({ responseHeaders: ['Set-Cookie'] }), 'SECURE_API_CORS_RESPONSE_HEADER_FORBIDDEN'],
  ['19: all response headers with credentials', () => cors({ responseHeaders: ['*'], credentials: true }),
    'SECURE_API_CORS_RESPONSE_HEADER_WILDCARD'],
  ['20: a year', () => cors({ maxAge: '365 days' }), 'SECURE_API_CORS_MAX_AGE'],
  ['20: no number', () => cors({ maxAge: NaN }), 'SECURE_API_OPTION_TYPE'],
  ['21: an unknown option', () => cors({ allowedOrigins: [origin] }), 'SECURE_API_OPTION_UNKNOWN'],
  ['24: a route that widens the policy', () => app({
    options: { cors: { origins: [origin], credentials: true } },
    config: { cors: { origins: ['https://other.example'] } }
  }), 'SECURE_API_CORS_ROUTE_OVERRIDE'],
  ['25: self without quotes', () => csp({ 'default-src': ['self'] }), 'SECURE_API_HEADERS_CSP_INVALID'],
  ['26: unsafe-inline', () => csp({ 'script-src': ["'unsafe-inline'"] }), 'SECURE_API_HEADERS_CSP_UNSAFE'],
  ['26: no default-src', () => csp({ 'default-src': false }), 'SECURE_API_HEADERS_CSP_NO_DEFAULT'],
  ['26: a directive twice', () => csp({ imgSrc: ["'self'"], 'img-src': ["'none'"] }), 'SECURE_API_HEADERS_CSP_DUPLICATE'],
  ['27: report-only without an endpoint', () => headers({ contentSecurityPolicyReportOnly: { directives: {} } }),
    'SECURE_API_HEADERS_CSP_REPORT_ONLY_WITHOUT_ENDPOINT'],
  ['27: an endpoint that does not exist', () => csp({ 'report-to': 'x' }), 'SECURE_API_HEADERS_REPORTING_ENDPOINT'],
  ['27: an endpoint over http', () => headers({ reportingEndpoints: { x: 'http://reports.example.com' } }),
    'SECURE_API_HEADERS_REPORTING_ENDPOINT'],
  ['28: preload for a day', () => app({
    options: { headers: { hsts: { maxAge: '1 day', preload: true } } },
    fastify: { trustProxy: '10.0.0.0/8' }
  }), 'SECURE_API_HEADERS_HSTS_PRELOAD'],
  ['29: another name of hsts', () => headers({ strictTransportSecurity: { maxAge: '365 days' } }), 'SECURE_API_OPTION_UNKNOWN'],
  ['30: HSTS without TLS', () => headers({ hsts: { maxAge: '365 days' } }), 'SECURE_API_HEADERS_HSTS_NO_TLS'],
  ['31: X-Frame-Options', () => headers({ frameOptions: 'allow-from' }), 'SECURE_API_OPTION_VALUE'],
  ['31: Referrer-Policy', () => headers({ referrerPolicy: 'none' }), 'SECURE_API_OPTION_VALUE'],
  ['31: an unknown option', () => headers({ frameGuard: 'deny' }), 'SECURE_API_OPTION_UNKNOWN'],
  ['31: null at a route', () => app({ config: { headers: null } }), 'SECURE_API_OPTION_TYPE'],
  ['32: a line break', () => headers({ cacheControl: 'no-store\r\nx: 1' }), 'SECURE_API_HEADERS_VALUE_CHARS'],
  ['33: frame options against frame-ancestors', () => csp({ 'frame-ancestors': ["'self'"] }, { frameOptions: 'deny' }),
    'SECURE_API_HEADERS_CONFLICT'],
  ['34: variables that are not set', () => withEnvironment({}), 'SECURE_API_ENVIRONMENT_MISSING', 'SECURE_API_ENVIRONMENT_MISSING'],
  ['35: both forms of a variable', () => withEnvironment({
    SECURE_API_ISSUER: auth.issuer,
    SECURE_API_ISSUER_FILE: '/nowhere',
    SECURE_API_AUDIENCE: 'api'
  }), 'SECURE_API_ENVIRONMENT_BOTH_SET'],
  ['36: an RSA key of 1024 bits', () => app({
    options: {
      auth: {
        ownTokens: {
          issuer: 'https://a.example',
          audience: 'a',
          privateKey: new Secret(weak.key)
        }
      }
    }
  }), 'SECURE_API_OPTION_VALUE'],
  ['36: a shared secret among the keys', () => app({
    options: {
      auth: {
        ...auth,
        jwks: { keys: [{ kty: 'oct', k: 'c3VwZXJzZWNyZXQ' }] }
      }
    }
  }), 'SECURE_API_JWKS_EMPTY', 'SECURE_API_JWKS_KEY'],
  ['37: a key that is printed in an RFC', () => app({
    options: {
      auth: {
        ...auth,
        jwks: { keys: joseVectors.slice(0, 1).map(({ jwk }) => jwk) }
      }
    }
  }), 'SECURE_API_KEY_PUBLISHED'],
  ['37: a key of jwt.io to sign with', () => app({
    options: {
      auth: {
        ownTokens: {
          issuer: 'https://a.example',
          audience: 'a',
          privateKey: new Secret(jwtIo)
        }
      }
    }
  }), 'SECURE_API_KEY_PUBLISHED'],
  ['37: a private key in a key set', () => app({ options: { auth: { ...auth, jwks: { keys: [{ ...publicJwk, d: 'AA' }] } } } }),
    'SECURE_API_JWKS_EMPTY', 'SECURE_API_JWKS_KEY'],
  ['37: a password in an address', () => app({ options: { auth: { issuer: 'https://user:secret@login.example.com', audience: 'api' } } }),
    'SECURE_API_URL_INVALID'],
  ['38: a key that others can read', () => tls({ cert: open.certFile, key: open.keyFile }), 'SECURE_API_SECRET_FILE_MODE'],
  ['39: an empty file', () => withEnvironment({ SECURE_API_ISSUER: auth.issuer, SECURE_API_AUDIENCE_FILE: emptyFile }),
    'SECURE_API_ENVIRONMENT_FILE'],
  ['40: a provider that fails', () => server({ tls: { provider: () => { throw new Error('no') } } }), 'SECURE_API_TLS_UNREADABLE'],
  ['40: a provider that does not answer at once', () => server({ tls: { provider: async () => pair } }), 'SECURE_API_TLS_PROVIDER_ASYNC'],
  ['41: TLS 1.1', () => tls({ minVersion: 'TLSv1.1' }), 'SECURE_API_TLS_MIN_VERSION'],
  ['41: secureProtocol', () => tls({ secureProtocol: 'TLSv1_method' }), 'SECURE_API_OPTION_UNKNOWN'],
  ['42: a key of another certificate', () => tls({ key: other.key }), 'SECURE_API_TLS_KEY_MISMATCH'],
  ['45: a name that is not in the certificate', () => tls({ hosts: ['api.example.com'] }), 'SECURE_API_TLS_HOST_MISMATCH'],
  ['46: an RSA certificate of 1024 bits', () => tls({ cert: weak.cert, key: weak.key }), 'SECURE_API_TLS_WEAK'],
  ['47: plain HTTP', () => server({}), 'SECURE_API_SERVER_PLAINTEXT'],
  ['48: no certificate', () => server({ tls: {} }), 'SECURE_API_TLS_CERTIFICATE_MISSING'],
  ['48: no certificate for Fastify', () => app({ fastify: { https: {} } as FastifyServerOptions }), 'SECURE_API_TLS_CERTIFICATE_MISSING'],
  ['49: client certificates of nobody', () => tls({ clientCertificates: {} }), 'SECURE_API_OPTION_MISSING'],
  ['49: an authority that is none', () => tls({ clientCertificates: { ca: '-----BEGIN CERTIFICATE-----' } }), 'SECURE_API_TLS_CLIENT_CA'],
  ['51: a list of what to cut', () => app({ options: { audit: { redact: ['password'] } } }), 'SECURE_API_OPTION_UNKNOWN'],
  ['52: an action without a name', () => app({ options: { audit: { sink: () => {}, requireActions: true } }, config: {} }),
    'SECURE_API_AUDIT_UNNAMED_ROUTE'],
  ['nothing wrong', () => app({ options: { cors: { origins: [origin] } }, config: {} })],
  ['nothing wrong with the server', () => tls({ clientCertificates: { ca: authorityOnly.cert } })]
]

const jwtIo = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
`

t.test('each entry of the list, started as an application would start it', async t => {
  for (const [title, start, ...codes] of cases) t.strictSame(await start(), codes, title)
})

const page = fileURLToPath(new URL('../../docs/decisions/fail-fast.md', import.meta.url))

interface Row {
  readonly entry: number,
  readonly codes: readonly string[],
  readonly file: string | undefined,
  readonly title: string | undefined
}

function rowsOf (markdown: string): Row[] {
  return [...markdown.matchAll(/^\| (\d+) \|(.*)\|$/gm)].map(([, entry, cells = '']) => {
    const [, file, title] = /\]\(([^)]+)\): ([^|]+)/.exec(cells) ?? []
    return {
      entry: Number(entry),
      codes: [...cells.matchAll(/`(SECURE_API_\w+)`/g)].map(([, code = '']) => code),
      file,
      title: title?.trim()
    }
  })
}

t.test('the page names each of the 52 entries, with codes and tests that exist', async t => {
  const rows = rowsOf(readFileSync(page, 'utf8'))
  t.strictSame(rows.map(({ entry }) => entry), Array.from({ length: 52 }, (_, index) => index + 1))
  for (const { entry, codes, file = '', title = '?' } of rows) {
    t.strictSame(codes.filter(code => !(code in configurationCodes)), [], `${entry}: codes`)
    const path = join(dirname(page), file)
    t.ok(existsSync(path) && readFileSync(path, 'utf8').includes(title), `${entry}: ${file}: ${title}`)
  }
  const shown = new Map(rows.map(({ entry, codes }) => [entry, codes]))
  for (const [title, , ...codes] of cases) {
    const [, entry] = /^(\d+):/.exec(title) ?? []
    if (entry !== undefined) {
      t.strictSame(codes.filter(code => shown.get(Number(entry))?.includes(code) !== true), [],
      `${title}: on the page`)
    }
  }
})
