import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { isCrossSite, type CookieRules } from '../../../lib/authentication/index.ts'

interface Asked {
  readonly method?: string
  readonly protocol?: string
  readonly host?: string
  readonly headers: Readonly<Record<string, string>>
}

const trusted = 'https://app.example.com'

function ask ({ method = 'POST', protocol = 'https', host = 'api.example.com', headers }: Asked, rules: CookieRules = {}): boolean {
  const request = { method, protocol, host, headers } as unknown as FastifyRequest
  return isCrossSite(request, rules, origin => origin === trusted)
}

t.test('what a browser says of the page decides, for unsafe methods and upgrades', async t => {
  const [site, origin] = ['sec-fetch-site', 'origin']
  const own = 'https://api.example.com'
  const cases: ReadonlyArray<readonly [boolean, string, Asked]> = [
    [false, 'same origin', { headers: { [site]: 'same-origin' } }],
    [false, 'the user', { headers: { [site]: 'none' } }],
    [true, 'another site', { headers: { [site]: 'cross-site', origin: 'https://evil.example' } }],
    [true, 'a neighbour', { headers: { [site]: 'same-site', origin: 'https://blog.example.com' } }],
    [true, 'another site that hides its origin', { headers: { [site]: 'cross-site', origin: 'null' } }],
    [true, 'another site without Origin', { headers: { [site]: 'cross-site' } }],
    [true, 'another site that names ours', { headers: { [site]: 'cross-site', origin: own } }],
    [false, 'a page that CORS lets use credentials', { headers: { [site]: 'same-site', origin: trusted } }],
    [false, 'the same in an old browser', { headers: { [origin]: trusted } }],
    [true, 'two values', { headers: { [site]: 'same-origin, cross-site', origin: own } }],
    [true, 'a value that nobody knows', { headers: { [site]: 'Same-Origin' } }],
    [false, 'an old browser, own page', { headers: { [origin]: own } }],
    [true, 'an old browser, foreign page', { headers: { [origin]: 'https://evil.example' } }],
    [true, 'an old browser, hidden page', { headers: { [origin]: 'null' } }],
    [true, 'nothing', { headers: {} }],
    [true, 'an empty origin', { headers: { [origin]: '' } }],
    [true, 'another port', { headers: { [origin]: 'https://api.example.com:8443' } }],
    [true, 'a longer host', { headers: { [origin]: 'https://api.example.com.evil.example' } }],
    [true, 'two origins', { headers: { [origin]: `${own}, https://evil.example` } }],
    [true, 'another scheme', { headers: { [origin]: 'chrome-extension://api.example.com' } }],
    [true, 'a page that was not encrypted', { headers: { [origin]: 'http://api.example.com' } }],
    [false, 'TLS ends in front, unknown to us', { protocol: 'http', headers: { [origin]: own } }],
    [false, 'plain HTTP', { protocol: 'http', headers: { [origin]: 'http://api.example.com' } }],
    [false, 'a port', { host: 'api.example.com:8443', headers: { [origin]: 'https://api.example.com:8443' } }],
    [false, 'the default port, written out', { host: 'API.example.com:443', headers: { [origin]: own } }],
    [true, 'the default port of another scheme', { host: 'api.example.com:80', headers: { [origin]: own } }],
    [true, 'no Host', { host: '', headers: { [origin]: 'https://' } }],
    [false, 'GET', { method: 'GET', headers: { [site]: 'cross-site' } }],
    [false, 'HEAD', { method: 'HEAD', headers: {} }],
    [false, 'OPTIONS', { method: 'OPTIONS', headers: {} }],
    [true, 'QUERY, which may change something', { method: 'QUERY', headers: {} }],
    [true, 'a WebSocket of another site', { method: 'GET', headers: { upgrade: 'websocket', origin: 'https://evil.example' } }],
    [true, 'a WebSocket of nobody', { method: 'GET', headers: { upgrade: 'websocket' } }],
    [false, 'a WebSocket of ours', { method: 'GET', headers: { upgrade: 'websocket', origin: own } }]
  ]
  for (const [refused, what, asked] of cases) t.equal(ask(asked), refused, what)
})

t.test('`allowWithoutOrigin` lets nobody pass who says that he comes from elsewhere', async t => {
  const rules = { allowWithoutOrigin: true }
  t.equal(ask({ headers: {} }, rules), false)
  t.equal(ask({ method: 'GET', headers: { upgrade: 'websocket' } }, rules), false)
  t.equal(ask({ headers: { 'sec-fetch-site': 'cross-site' } }, rules), true)
  t.equal(ask({ headers: { origin: 'null' } }, rules), true)
})
