import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { faultsOf } from '../../../cli/init/check-options.ts'
import { describe } from '../../../cli/init/describe.ts'
import { mapCors } from '../../../cli/init/map-cors.ts'
import { mapHelmet } from '../../../cli/init/map-helmet.ts'
import { mapJwt } from '../../../cli/init/map-jwt.ts'
import { mapRateLimit } from '../../../cli/init/map-rate-limit.ts'
import { mapVerifier } from '../../../cli/init/map-verifier.ts'
import type { Mapped, Value, ValueObject } from '../../../cli/init/value.ts'

/** Options of a plugin, what they become, and what is told of them. */
type Case = readonly [title: string, options: unknown, value: unknown, told?: RegExp]

/** Whatever comes out must be accepted by the suite, for a server behind TLS and for one that is not. */
async function accepted (section: string, value: Value, secure: boolean): Promise<readonly string[]> {
  const options: ValueObject = section === 'auth' ? { auth: value } : { auth: false, [section]: value }
  return await faultsOf(options, secure)
}

function table (section: string, map: (options: ReturnType<typeof describe>, secure: boolean) => Mapped, cases: readonly Case[]): void {
  t.test(section, async t => {
    for (const [title, options, value, told] of cases) {
      const mapped = map(describe(options), true)
      t.match(mapped.value, value, `${title}: ${JSON.stringify(mapped.value)}`)
      if (told !== undefined) t.match([...mapped.told, ...mapped.lost ?? []].join('\n'), told, `${title} is told`)
      for (const secure of [true, false]) {
        const faults = await accepted(section, map(describe(options), secure).value, secure)
        t.strictSame(faults, [], `${title} is accepted${secure ? '' : ' without TLS'}`)
      }
    }
  })
}

const policies = (limit: number, window: string | number) => ({
  policies: { read: { limit, window, by: 'address' }, write: { limit, window, by: 'address' } }
})
const functions = { max: async () => 5, key: () => 'x' }

table('rateLimit', mapRateLimit, [
  ['nothing', {}, policies(1000, '1 minute'), /a budget each/],
  ['a number and a text', { max: 20, timeWindow: '30 seconds' }, policies(20, '30 seconds')],
  ['a window of milliseconds', { max: 20, timeWindow: 5000 }, policies(20, 5000)],
  ['a short form', { max: 20, timeWindow: '15m' }, policies(20, '15m')],
  ['a window of half a second', { max: 50, timeWindow: 500 }, {}],
  ['a window of a month', { max: 50, timeWindow: '30 days' }, {}],
  ['a window that is none', { max: 50, timeWindow: 'soon' }, { policies: undefined }, /cannot be read/],
  ['a window by function', { max: 50, timeWindow: () => 5 }, { policies: undefined }, /is a function/],
  ['max by function', { max: functions.max, timeWindow: '1 minute' }, { policies: undefined }, /is a function/],
  ['no requests at all', { max: 0 }, { policies: undefined }, /cannot be read/],
  ['more than the limit of an address', { max: 5000, timeWindow: '1 minute' }, { perAddress: { limit: 5000 } }],
  ['a huge number', { max: 1e15, timeWindow: '1 minute' }, { policies: undefined }, /cannot be read/],
  ['redis', { max: 10, redis: new Map() }, policies(10, '1 minute'), /`redis` .*`rateLimit\.redis`/],
  ['a list of addresses', { max: 10, allowList: ['127.0.0.1'] }, policies(10, '1 minute'), /`allowList` .*`config: \{ rateLimit/],
  ['a list by function', { max: 10, allowList: () => true }, policies(10, '1 minute'), /`allowList`/],
  ['ban', { max: 10, ban: 2 }, policies(10, '1 minute'), /`ban` .*`rateLimit\.failures`/],
  ['a key by function', { max: 10, keyGenerator: functions.key }, policies(10, '1 minute'), /`keyGenerator` .*`by`/],
  ['not for all', { global: false, max: 10 }, { policies: undefined }, /only some routes/],
  ['a name space', { max: 10, nameSpace: 'api-' }, { keyPrefix: 'api-' }],
  ['open when the store fails', { max: 10, skipOnError: true }, { onStoreFailure: 'allow' }],
  ['what nobody knows', { max: 10, newest: true }, policies(10, '1 minute'), /`newest` .*no counterpart/]
])

const origin = 'https://app.example.com'
table('cors', mapCors, [
  ['nothing', {}, { origins: ['*'], dangerouslyAllowAnyOrigin: true }, /any web page/],
  ['true', { origin: true }, { origins: ['*'] }],
  ['a star', { origin: '*' }, { origins: ['*'] }],
  ['true, with credentials', { origin: true, credentials: true }, false, /any web page act for the user/],
  ['false', { origin: false }, false],
  ['one', { origin }, { origins: [origin] }],
  ['a list', { origin: [origin, 'https://b.example.com'] }, { origins: [origin, 'https://b.example.com'] }],
  ['a list with one twice', { origin: [origin, origin] }, { origins: [origin] }],
  ['a list with a star', { origin: [origin, '*'] }, { origins: ['*'] }],
  ['an empty list', { origin: [] }, false],
  ['with a slash at the end', { origin: `${origin}/` }, false, /none that a browser sends/],
  ['for development', { origin: 'http://localhost:5173' }, false, /NODE_ENV is 'development'/],
  ['over http', { origin: 'http://app.example.com' }, { origins: ['http://app.example.com'] }],
  ['over http, with credentials', { origin: 'http://app.example.com', credentials: true }, { dangerouslyAllowInsecureOrigins: true }],
  ['null', { origin: 'null' }, false, /none that a browser sends/],
  ['subdomains', { origin: /\.example\.com$/ }, { origins: ['https://*.example.com'] }, /became https:\/\/\*\.example\.com/],
  ['an exact expression', { origin: /^https:\/\/app\.example\.com$/ }, { origins: [origin] }],
  ['an expression without an end', { origin: /example\.com/ }, false, /no counterpart/],
  ['an expression that is wider than it looks', { origin: /app.example.com$/ }, false, /no counterpart/],
  ['every subdomain of a public suffix', { origin: /\.co\.uk$/ }, {}],
  ['a function', { origin: () => true }, false, /is a function/],
  ['options by function', () => ({}), false, /for each request/],
  ['credentials', { origin, credentials: true }, { credentials: true }],
  ['the rest, as lists', {
    origin, methods: ['get', 'PUT'], allowedHeaders: ['X-A'], exposedHeaders: ['X-B'], maxAge: 600
  }, { methods: ['GET', 'PUT'], requestHeaders: ['X-A'], responseHeaders: ['X-B'], maxAge: '600 seconds' }],
  ['the rest, as texts', { origin, methods: 'GET,PUT', allowedHeaders: 'X-A, X-C', exposedHeaders: 'X-B' }, {
    methods: ['GET', 'PUT'], requestHeaders: ['X-A', 'X-C']
  }],
  ['headers: a star', { origin, allowedHeaders: '*' }, { requestHeaders: ['*', 'authorization'] }],
  ['exposed: a star', { origin, exposedHeaders: '*' }, { responseHeaders: ['*'] }],
  ['methods: a star', { origin, methods: '*' }, { methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] }],
  ['credentials and a star for headers', { origin, credentials: true, allowedHeaders: '*', exposedHeaders: '*' }, {
    requestHeaders: undefined, responseHeaders: undefined
  }, /`allowedHeaders: '\*'` means nothing with credentials/],
  ['no age', { origin, maxAge: 0 }, {}],
  ['an age of a week', { origin, maxAge: 604_800 }, { maxAge: '86400 seconds' }],
  ['a negative age', { origin, maxAge: -1 }, {}],
  ['half a second', { origin, maxAge: 0.5 }, {}]
])

const self = ["'self'"]
const directives = (given: object) => ({ contentSecurityPolicy: { directives: given } })
table('headers', (options, secure) => mapHelmet(options, { pages: false, secure }), [
  ['nothing', {}, {}],
  ['no policy', { contentSecurityPolicy: false }, { contentSecurityPolicy: false }],
  ['a directive over those of helmet', directives({ imgSrc: self }), {
    profile: 'html', contentSecurityPolicy: { directives: { 'img-src': self, 'base-uri': self } }
  }],
  ['a directive alone', { contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: self } } }, {
    contentSecurityPolicy: { directives: { 'default-src': self, 'base-uri': undefined } }
  }],
  ['names with dashes', directives({ 'img-src': self }), { contentSecurityPolicy: { directives: { 'img-src': self } } }],
  ['a directive that is off', directives({ upgradeInsecureRequests: null }), {
    contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': false } }
  }],
  ['a directive without sources', directives({ upgradeInsecureRequests: [] }), {
    contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': true } }
  }],
  ['unsafe scripts', directives({ scriptSrc: [...self, "'unsafe-inline'"] }), { dangerouslyAllowUnsafeScripts: true }],
  ['a function as source', directives({ scriptSrc: [...self, () => "'nonce-x'"] }), {}, /`script-src` holds functions/],
  ['reports only', { contentSecurityPolicy: { reportOnly: true, directives: { imgSrc: self } } }, {}, /`reportOnly`/],
  ['nonces', { enableCSPNonces: true, ...directives({ scriptSrc: self }) }, { contentSecurityPolicy: { nonces: true } }],
  ['nonces alone', { enableCSPNonces: true }, {}],
  ['hsts', { hsts: { maxAge: 3600, includeSubDomains: false } }, { hsts: { maxAge: '3600 seconds', includeSubDomains: false } }],
  ['hsts by its long name', { strictTransportSecurity: { maxAge: 31_536_000 } }, { hsts: { maxAge: '31536000 seconds' } }],
  ['hsts, preloaded', { hsts: { maxAge: 31_536_000, includeSubDomains: true, preload: true } }, { hsts: { preload: true } }],
  ['hsts, preloaded for a day', { hsts: { maxAge: 86_400, preload: true } }, { hsts: { preload: false } }, /`hsts\.preload` is off/],
  ['hsts, preloaded by the defaults', { hsts: { preload: true } }, { hsts: { preload: true } }],
  ['hsts that ends', { hsts: { maxAge: 0 } }, {}],
  ['no hsts', { hsts: false }, { hsts: false }],
  ['hsts as it is', { hsts: true }, { hsts: undefined }],
  ['no frames', { frameguard: { action: 'deny' } }, { frameOptions: 'deny' }],
  ['frames of the same origin', { xFrameOptions: { action: 'SAMEORIGIN' } }, {}],
  ['frames, with a policy', { frameguard: { action: 'deny' }, ...directives({ imgSrc: self }) }, {
    frameOptions: undefined
  }, /`frame-ancestors`/],
  ['no X-Frame-Options', { frameguard: false }, {}],
  ['a referrer policy', { referrerPolicy: { policy: 'same-origin' } }, { referrerPolicy: 'same-origin' }],
  ['referrer policies', { referrerPolicy: { policy: ['no-referrer', 'same-origin'] } }, { referrerPolicy: 'same-origin' }],
  ['an unsafe referrer policy', { referrerPolicy: { policy: 'unsafe-url' } }, {}],
  ['cross-origin policies', {
    crossOriginOpenerPolicy: { policy: 'same-origin-allow-popups' },
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    crossOriginEmbedderPolicy: { policy: 'credentialless' }
  }, { crossOriginResourcePolicy: 'cross-origin' }],
  ['cross-origin policies off', { crossOriginOpenerPolicy: false, crossOriginResourcePolicy: false, crossOriginEmbedderPolicy: false }, {}],
  ['DNS', { dnsPrefetchControl: { allow: true } }, { dnsPrefetchControl: 'on' }],
  ['no DNS header', { dnsPrefetchControl: false }, {}],
  ['no sniffing header', { noSniff: false }, {}],
  ['other files', { permittedCrossDomainPolicies: { permittedPolicies: 'none' } }, {}],
  ['only some replies', { global: false }, {}, /only some replies/],
  ['what has no meaning any more', { hidePoweredBy: true, xssFilter: true, ieNoOpen: true }, {}]
])

const [rsa, ed] = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ed25519')]
const pem = ({ privateKey, publicKey }: typeof rsa) => ({
  private: privateKey.export({ type: 'pkcs8', format: 'pem' }), public: publicKey.export({ type: 'spki', format: 'pem' })
})
const sign = { iss: 'https://api.example.com', aud: 'api://orders', expiresIn: '10m' }
const verify = { allowedIss: 'https://id.example.com', allowedAud: ['api://orders', 'api://other'] }

table('auth', options => mapJwt(options, true, []), [
  ['a shared secret', { secret: 'a shared secret', sign }, {
    ownTokens: { issuer: sign.iss, audience: sign.aud, expiresIn: '10m', privateKey: { $code: 'privateKey' } }
  }, /HS256/],
  ['a shared secret alone', { secret: 'a shared secret' }, { ownTokens: { issuer: { $code: 'issuer' } } }, /HS256[^]*had no end/],
  ['a pair of RSA', { secret: pem(rsa), sign: { ...sign, algorithm: 'RS256' } }, { ownTokens: { issuer: sign.iss } }],
  ['a pair of Ed25519', { secret: pem(ed), sign }, { ownTokens: { issuer: sign.iss } }],
  ['tokens for a year', { secret: pem(rsa), sign: { ...sign, expiresIn: '1y' } }, { ownTokens: { expiresIn: undefined } }, /lived 1y/],
  ['seconds', { secret: pem(rsa), sign: { ...sign, expiresIn: 600 } }, { ownTokens: { expiresIn: '600 seconds' } }],
  ['milliseconds as a text', { secret: pem(rsa), sign: { ...sign, expiresIn: '60000' } }, {}],
  ['a cookie', { secret: 'x', sign, cookie: { cookieName: 'token', signed: false } }, {}, /`cookie` .*Bearer/],
  ['another name space', { secret: 'x', sign, namespace: 'other' }, {}, /`namespace`/],
  ['trusted', { secret: 'x', sign, trusted: () => true }, {}, /`auth\.isRevoked`/]
])

const several = { allowedIss: ['https://a.example', 'https://b.example'] }
const jwksUrl = 'https://id.example.com/keys'
const fromKeys = () => 'a key'
const jwks: ReadonlyArray<readonly [string, () => Mapped, unknown]> = [
  ['get-jwks: secret is a function', () => mapJwt(describe({ secret: fromKeys, verify }), false, []), {
    issuer: verify.allowedIss, audience: verify.allowedAud
  }],
  ['a public key alone', () => mapJwt(describe({ secret: { public: pem(rsa).public }, verify }), false, []), { issuer: verify.allowedIss }],
  ['nothing said of the issuer', () => mapJwt(describe({ secret: fromKeys }), false, []), {
    issuer: { $code: 'issuer' }, audience: { $code: 'audience' }
  }],
  ['an issuer that is no address', () => mapJwt(describe({ secret: fromKeys, verify: { allowedIss: 'me' } }), false, []), {
    issuer: { $code: 'issuer' }
  }],
  ['several issuers', () => mapJwt(describe({ secret: fromKeys, verify: several }), false, []), {
    issuer: { $code: 'issuer' }
  }],
  ['a claim for roles', () => mapJwt(describe({ secret: fromKeys, verify }), false, ['role']), { roleClaims: ['role', 'roles'] }],
  ['fastify-jwt-jwks', () => mapVerifier(describe({ jwksUrl, issuer: 'https://id.example.com', audience: 'api' }), []), {
    issuer: 'https://id.example.com', audience: 'api', jwksUri: jwksUrl
  }],
  ['fastify-jwt-jwks without issuer', () => mapVerifier(describe({ jwksUrl: new URL(jwksUrl), audience: true }), []), {
    issuer: 'https://id.example.com/', audience: 'https://id.example.com/', jwksUri: jwksUrl
  }],
  ['fastify-auth0-verify', () => mapVerifier(describe({ domain: 'tenant.auth0.com', audience: 'api' }), []), {
    issuer: 'https://tenant.auth0.com/'
  }],
  ['fastify-auth0-verify with a whole address', () => mapVerifier(describe({ domain: 'https://tenant.auth0.com/', audience: 'api' }), []), {
    issuer: 'https://tenant.auth0.com/'
  }]
]

t.test('tokens of somebody else', async t => {
  for (const [title, mapped, value] of jwks) {
    t.match(mapped().value, value, `${title}: ${JSON.stringify(mapped().value)}`)
    t.strictSame(await accepted('auth', mapped().value, true), [], `${title} is accepted`)
  }
})

t.test('the secrets of @fastify/jwt stay in the process of the application', async t => {
  const text = 'very secret'
  for (const secret of [text, { private: text, public: text }, { private: { key: text, passphrase: text } }]) {
    t.notMatch(JSON.stringify(describe({ secret })), text)
  }
})
