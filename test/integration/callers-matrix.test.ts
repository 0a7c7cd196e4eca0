import { join } from 'node:path'
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { answers, bearerChallenge, type AnswerCode } from '../../lib/http/index.ts'
import { createApiKey, type ApiKeyRow, type AuditEvent, type Authenticator, type CallerAnswer } from '../../plugins/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { listen, secured, startIssuer } from '../helpers/server.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'

// Each kind of credential, on each kind of route, with each fault, over sockets: status, challenge and reason in the trail.

const clock = createTestClock()
t.teardown(() => clock.close())
const issuer = await startIssuer(t)
const away = await startIssuer(t)

const scope = 'orders.read'
const ended = 1
const revokedIds = new Set(['revoked-jwt', 'revoked-opaque'])

const certificates = new Certificates(t.testdir({}))
const ca = certificates.issue({ name: 'clients', extensions: authority })
const issueClient = (name: string, days = 90) => certificates.issue(
  { name: 'client', days, issuer: ca, extensions: ['extendedKeyUsage=clientAuth', `subjectAltName=DNS:${name}`] })
const [client, expiredClient, revokedClient, unknownClient] =
  [issueClient('orders.internal'), issueClient('orders.internal', 1), issueClient('orders.internal'), issueClient('nobody.internal')]
const crl = join(t.testdirName, 'clients.crl')
certificates.revoke(ca, [revokedClient], crl)
const certificateHeader = ({ cert }: { cert: string }) => ({ 'x-ssl-client-cert': encodeURIComponent(cert) })

const keys = { good: createApiKey('shop'), expired: createApiKey('shop'), revoked: createApiKey('shop'), away: createApiKey('shop') }
const records: Record<string, ApiKeyRow> = Object.fromEntries(Object.values(keys)
  .map(({ id, hash }) => [id, { id, owner: 'machine', secrets: [{ hash }], scopes: [scope] }]))
records[keys.expired.id] = { id: keys.expired.id, secrets: [{ hash: keys.expired.hash }], expires: '2020-01-01T00:00:00Z' }
records[keys.revoked.id] = { id: keys.revoked.id, secrets: [{ hash: keys.revoked.hash }], revoked: '2020-01-01T00:00:00Z' }
async function lookup (id: string): Promise<ApiKeyRow | undefined> {
  if (id === keys.away.id) throw new Error('the database is away')
  return records[id]
}

const sessions: Record<string, () => CallerAnswer> = {
  good: () => ({ subject: 'alice', scopes: [scope] }),
  expired: () => ({ subject: 'alice', expiresAt: ended }),
  revoked: () => false,
  away: () => { throw new Error('the session store is away') }
}
const session: Authenticator = {
  name: 'session',
  authenticate: ({ headers: { cookie } }) => sessions[/^sid=(\w+)$/.exec(cookie ?? '')?.[1] ?? '']?.()
}

const token = (text: string) => ({ authorization: `Bearer ${text}` })
const key = ({ key }: { key: string }) => ({ 'x-api-key': key })
const user = { sub: 'alice', client_id: 'web', scope }
const service = { sub: 'robot', client_id: 'robot', scope }

type Fault = 'expired' | 'revoked' | 'away'
interface Kind {
  readonly credential: string
  readonly caller: 'user' | 'service' | 'api-key'
  readonly good: () => Record<string, string>
  readonly faults: Readonly<Partial<Record<Fault | 'forged', readonly [headers: () => Record<string, string>, code: AnswerCode]>>>
}

const kinds: Readonly<Record<string, Kind>> = {
  'the token of a user': {
    credential: 'jwt',
    caller: 'user',
    good: () => token(issuer.sign(user)),
    faults: {
      expired: [() => token(issuer.sign({ ...user, exp: ended })), 'SECURE_API_TOKEN_EXPIRED'],
      revoked: [() => token(issuer.sign({ ...user, jti: 'revoked-jwt' })), 'SECURE_API_TOKEN_REVOKED'],
      away: [() => token(away.sign(user)), 'SECURE_API_KEYS_UNAVAILABLE'],
      forged: [() => token(`${issuer.sign(user).slice(0, -8)}AAAAAAAA`), 'SECURE_API_TOKEN_SIGNATURE']
    }
  },
  'the token of a service': {
    credential: 'jwt',
    caller: 'service',
    good: () => token(issuer.sign(service)),
    faults: { expired: [() => token(issuer.sign({ ...service, exp: ended })), 'SECURE_API_TOKEN_EXPIRED'] }
  },
  'an opaque token': {
    credential: 'opaque',
    caller: 'user',
    good: () => token(issuer.opaque(user)),
    faults: {
      expired: [() => token(issuer.opaque({ ...user, exp: ended })), 'SECURE_API_TOKEN_INACTIVE'],
      revoked: [() => token(issuer.opaque({ ...user, jti: 'revoked-opaque' })), 'SECURE_API_TOKEN_REVOKED'],
      forged: [() => token('0123456789abcdef0123456789abcdef'), 'SECURE_API_TOKEN_INACTIVE']
    }
  },
  'an API key': {
    credential: 'api-key',
    caller: 'api-key',
    good: () => key(keys.good),
    faults: {
      expired: [() => key(keys.expired), 'SECURE_API_API_KEY_EXPIRED'],
      revoked: [() => key(keys.revoked), 'SECURE_API_API_KEY_REVOKED'],
      away: [() => key(keys.away), 'SECURE_API_API_KEYS_UNAVAILABLE'],
      forged: [() => key(createApiKey('shop')), 'SECURE_API_API_KEY_UNKNOWN']
    }
  },
  'a client certificate': {
    credential: 'certificate',
    caller: 'service',
    good: () => certificateHeader(client),
    faults: {
      expired: [() => certificateHeader(expiredClient), 'SECURE_API_CERTIFICATE_EXPIRED'],
      revoked: [() => certificateHeader(revokedClient), 'SECURE_API_CERTIFICATE_REVOKED'],
      forged: [() => certificateHeader(unknownClient), 'SECURE_API_CERTIFICATE_UNKNOWN']
    }
  },
  'the session of a cookie': {
    credential: 'session',
    caller: 'user',
    good: () => ({ cookie: 'sid=good' }),
    faults: {
      expired: [() => ({ cookie: 'sid=expired' }), 'SECURE_API_CREDENTIAL_INVALID'],
      revoked: [() => ({ cookie: 'sid=revoked' }), 'SECURE_API_CREDENTIAL_INVALID'],
      away: [() => ({ cookie: 'sid=away' }), 'SECURE_API_AUTHENTICATOR_UNAVAILABLE']
    }
  }
}

const bearers = bearerChallenge('none', '')
const apiKeys = 'ApiKey realm="api"'

/** A route, whom it lets in, and the challenge for strangers. */
interface Row { readonly config: FastifyContextConfig, readonly takes: (kind: Kind) => boolean, readonly challenge: string }
const both = `${bearers}, ${apiKeys}`
const rows: Readonly<Record<string, Row>> = {
  '/authenticated': { config: { authenticated: true }, takes: () => true, challenge: both },
  '/scope': { config: { scope }, takes: () => true, challenge: both },
  '/lacking': { config: { scope: 'orders.write' }, takes: () => false, challenge: both },
  '/user': { config: { caller: 'user' }, takes: ({ caller }) => caller === 'user', challenge: both },
  '/service': { config: { scope, caller: 'service' }, takes: ({ caller }) => caller === 'service', challenge: both },
  '/machine': { config: { caller: ['api-key', 'service'] }, takes: ({ caller }) => caller !== 'user', challenge: both },
  '/jwt': { config: { credential: 'jwt' }, takes: ({ credential }) => credential === 'jwt', challenge: bearers },
  '/bearer': {
    config: { scope, credential: ['jwt', 'opaque'] },
    takes: ({ credential }) => ['jwt', 'opaque'].includes(credential),
    challenge: bearers
  },
  '/key': { config: { credential: 'api-key' }, takes: ({ credential }) => credential === 'api-key', challenge: apiKeys },
  '/certificate': { config: { credential: 'certificate' }, takes: ({ credential }) => credential === 'certificate', challenge: bearers },
  '/session': { config: { credential: 'session' }, takes: ({ credential }) => credential === 'session', challenge: bearers },
  '/rule': { config: { policy: 'machines' }, takes: ({ caller }) => caller === 'api-key', challenge: both }
}

function routes (app: FastifyInstance): void {
  const me = async ({ auth: { kind, credential, subject } }: FastifyRequest) => ({ kind, credential, subject })
  for (const [url, { config }] of Object.entries(rows)) app.get(url, { config }, me)
  app.get('/public', { config: { public: true } }, me)
  app.get('/optional', { config: { public: true, authentication: 'optional' } }, me)
}

// The certificate that was made for a day is over before anybody asks for the issuer that is away: two days of attempts take long.
await secured(t, issuer, { suite: { auth: false } })
await clock.advance('2 days')

const logged: string[] = []
away.down()
const { app, events } = await secured(t, issuer, {
  routes,
  fastify: { trustProxy: '127.0.0.1', logger: { level: 'debug', stream: { write: line => { logged.push(line) } } } },
  suite: {
    auth: {
      issuers: [
        { issuer: issuer.issuer, audience: issuer.audience, introspection: issuer.introspection },
        { issuer: away.issuer, audience: away.audience }
      ],
      apiKeys: { prefix: 'shop', lookup },
      clientCertificates: {
        from: { header: 'x-ssl-client-cert', trusted: ['127.0.0.1'] },
        ca: ca.cert,
        crl,
        principals: [{ san: 'dns:orders.internal', subject: 'orders', scopes: [scope] }]
      },
      authenticators: [session],
      isRevoked: ({ jti }) => revokedIds.has(jti ?? '')
    },
    authorization: { policies: { machines: { caller: 'api-key', credential: 'api-key', scope } } },
    rateLimit: false
  }
})
const origin = await listen(app)

interface Answer {
  readonly status: number
  readonly code: string | undefined
  readonly challenge: string | null
  readonly event: AuditEvent
}

let asked = 0
/** Each from an address of its own: from one alone, all refusals after the twentieth are recorded together ten seconds later. */
async function ask (url: string, headers: Record<string, string>): Promise<Answer> {
  const before = events.length
  const address = `10.0.${++asked >> 8}.${asked & 255}`
  const response = await fetch(origin + url, { headers: { connection: 'close', 'x-forwarded-for': address, ...headers } })
  const body: { code?: string } = await response.json() as { code?: string }
  while (events.length === before) await new Promise(resolve => { setImmediate(resolve) })
  const event = events[before] as AuditEvent
  return { status: response.status, code: body.code, challenge: response.headers.get('www-authenticate'), event }
}

/** What the answer with this code says in its challenge. */
function challengeOf (code: AnswerCode): string | null {
  const answer: { challenge?: string, detail: string } = answers[code]
  if (answer.challenge === undefined) return null
  return answer.challenge === 'ApiKey' ? apiKeys : bearerChallenge(answer.challenge as 'invalid_token', answer.detail)
}

for (const [name, kind] of Object.entries(kinds)) {
  t.test(`${name}: routes that take it let it in, all others say 403 and why`, async t => {
    for (const [url, { config, takes }] of Object.entries(rows)) {
      const { status, code, challenge, event } = await ask(url, kind.good())
      const allowed = takes(kind)
      t.equal(status, allowed ? 200 : 403, url)
      t.match(event.principal, { kind: kind.caller, credential: kind.credential }, url)
      if (allowed) continue
      t.equal(code, 'SECURE_API_FORBIDDEN', url)
      t.equal(challenge !== null, ['jwt', 'opaque'].includes(kind.credential), `${url}: a token may be asked of who sent one`)
      const { required, present } = event.denial ?? {}
      t.match(required, config.policy === undefined ? config : { policy: 'machines' }, url)
      if ('caller' in config) t.equal(present?.caller, kind.caller, url)
      if ('credential' in config) t.equal(present?.credential, kind.credential, url)
    }
    t.match(await ask('/optional', kind.good()), { status: 200, event: { principal: { credential: kind.credential } } })
    t.match(await ask('/public', kind.good()), { status: 200, event: { principal: undefined } }, 'nobody looks at it there')
  })

  for (const [fault, [headers, expected]] of Object.entries(kind.faults)) {
    t.test(`${name}, ${fault}: ${expected}, whatever the route takes`, async t => {
      const { status } = answers[expected]
      for (const url of [...Object.keys(rows), '/optional']) {
        const answer = await ask(url, headers())
        t.match(answer, { status, code: expected, challenge: challengeOf(expected) }, url)
        t.match(answer.event, { reason: expected, principal: undefined }, url)
      }
      t.equal((await ask('/public', headers())).status, 200)
    })
  }
}

t.test('nobody: a 401 that asks for what the route takes', async t => {
  for (const [url, { challenge }] of Object.entries(rows)) {
    const code = 'SECURE_API_UNAUTHENTICATED'
    t.match(await ask(url, {}), { status: 401, code, challenge, event: { reason: code } }, url)
  }
  t.equal((await ask('/optional', {})).status, 200)
})

t.test('two that were put into one request are 400, good or bad', async t => {
  const explicit = Object.values(kinds).filter(({ credential }) => ['jwt', 'opaque'].includes(credential))
  for (const { good, faults } of explicit) {
    for (const headers of [good, ...Object.values(faults).map(([headers]) => headers)]) {
      for (const other of [keys.good, keys.revoked]) {
        const answer = await ask('/authenticated', { ...headers(), ...key(other) })
        t.match(answer, { status: 400, code: 'SECURE_API_CREDENTIAL_AMBIGUOUS', event: { event: 'authn_fail', principal: undefined } })
      }
    }
  }
  const twice = await ask('/authenticated', { ...key(keys.good), authorization: `ApiKey ${keys.good.key}` })
  t.match(twice, { status: 400, code: 'SECURE_API_CREDENTIAL_AMBIGUOUS' })
})

t.test('what was put into a request counts, whatever comes by itself, and a bad one is not rescued', async t => {
  const ambient = { ...certificateHeader(client), cookie: 'sid=good' }
  const explicit = Object.values(kinds).filter(({ credential }) => !['certificate', 'session'].includes(credential))
  for (const { good, credential, faults } of explicit) {
    t.match(await ask('/authenticated', { ...ambient, ...good() }), { status: 200, event: { principal: { credential } } }, credential)
    for (const [headers, code] of Object.values(faults)) t.match(await ask('/authenticated', { ...ambient, ...headers() }), { code })
  }
})

t.test('the introspection endpoint is away: 503, and known tokens go on within their time', async t => {
  const known = token(issuer.opaque(user))
  t.equal((await ask('/scope', known)).status, 200)
  issuer.fail('down', 'introspection')
  t.teardown(() => issuer.up())
  t.equal((await ask('/scope', known)).status, 200)
  const fresh = await ask('/scope', token(issuer.opaque(user)))
  t.match(fresh, { status: 503, code: 'SECURE_API_INTROSPECTION_UNAVAILABLE', challenge: null, event: { outcome: 'failed' } })
})

t.test('canary: no credential in the trail, the log or the state', async t => {
  const told = [...logged, JSON.stringify(events), JSON.stringify(app.secureApi.status())].join('\n')
  const secrets = [
    ...Object.values(keys).flatMap(({ key, hash }) => [key, key.slice(-38), hash, hash.slice('sha256:'.length)]),
    issuer.introspection.client.secret, 'MII', 'BEGIN CERTIFICATE', 'eyJ', '0123456789abcdef0123456789abcdef', 'sid=', '"active"'
  ]
  t.strictSame(secrets.filter(secret => told.includes(secret)), [])
  t.ok(told.length > 10_000, `${told.length} characters were read`)
})
