import fc from 'fast-check'
import t, { type Test } from 'tap'
import { readBearer } from '../../../lib/credentials/index.ts'
import { answers } from '../../../lib/http/index.ts'
import { createGate, decodeBase64url, readHeader, readPayload } from '../../../lib/tokens/gate.ts'
import { compileIssuer, TokenAuthenticator, type IssuerOptions } from '../../../lib/tokens/index.ts'
import { createForge } from '../../fixtures/attacks.ts'
import { createSigningKey, encode, signToken, staticKeys } from '../../fixtures/forge.ts'

const issuer = 'https://login.example.com'
const audience = 'api://orders'
const now = 1_800_000_000_000
const seconds = now / 1000
const key = createSigningKey()
const { genuine, claims, header } = createForge({
  issuer,
  audience,
  kid: key.kid,
  privateKey: key.privateKey,
  publicKey: key.publicKey,
  now
})

function holds<Ts> (t: Test, property: fc.IProperty<Ts>, numRuns = 200) {
  t.doesNotThrow(() => fc.assert(property, { numRuns }))
}

function gateFor (options: Partial<IssuerOptions> = {}) {
  const rules = compileIssuer({ issuer, audience, ...options })
  return createGate(new Map(rules.map(rule => [rule.issuer, rule])))
}

/** The failure, or `passed`. */
function pass (token: string, options: Partial<IssuerOptions> = {}, at = now) {
  const result = gateFor(options)(token, at)
  return typeof result === 'string' ? result : 'passed'
}

t.test('what passes', async t => {
  const tokens: Readonly<Record<string, string>> = {
    'typ at+jwt': genuine(),
    'typ in capitals': genuine({}, { typ: 'AT+JWT' }),
    'typ as media type': genuine({}, { typ: 'application/at+jwt' }),
    'typ JWT': genuine({}, { typ: 'JWT' }),
    'typ jwt': genuine({}, { typ: 'jwt' }),
    'no typ': genuine({}, { typ: undefined }),
    'no kid': genuine({}, { kid: undefined }),
    'the longest kid': genuine({}, { kid: 'k'.repeat(256) }),
    'b64 as it always was': genuine({}, { b64: true }),
    'guests in the header': genuine({}, { jku: 'https://evil.example', x5t: 'x', cty: 'x' }),
    'several audiences': genuine({ aud: ['other', audience] }),
    'the clients of Keycloak as audiences': genuine({ aud: [...Array.from({ length: 150 }, (_, index) => `client-${index}`), audience] }),
    'no iat, no sub': genuine({ iat: undefined, sub: undefined, jti: undefined }),
    'fractions of a second': genuine({ exp: seconds + 0.5, iat: seconds - 0.5 }),
    'an explicit type with a nonce': genuine({ nonce: 'x' }),
    'members repeated in the payload': signToken(header, JSON.stringify(claims).replace('{', '{"scope":"first",'), key)
  }
  for (const [name, token] of Object.entries(tokens)) t.equal(pass(token), 'passed', name)
})

t.test('the edges of time', async t => {
  const at = (change: object, ms: number, options: Partial<IssuerOptions> = {}) => pass(genuine({ ...change }), options, ms)
  const exp = seconds + 600
  t.equal(at({ exp }, exp * 1000 + 59_999), 'passed', 'the last millisecond of the tolerance')
  t.equal(at({ exp }, exp * 1000 + 60_000), 'SECURE_API_TOKEN_EXPIRED')
  t.equal(at({ exp }, exp * 1000 - 1, { clockTolerance: 0 }), 'passed')
  t.equal(at({ exp }, exp * 1000, { clockTolerance: 0 }), 'SECURE_API_TOKEN_EXPIRED', 'RFC 7519 §4.1.4: on or after')
  t.equal(at({ nbf: seconds + 60 }, now), 'passed')
  t.equal(at({ nbf: seconds + 61 }, now), 'SECURE_API_TOKEN_NOT_YET_VALID')
  t.equal(at({ iat: seconds + 60 }, now), 'passed')
  t.equal(at({ iat: seconds + 61 }, now), 'SECURE_API_TOKEN_NOT_YET_VALID')
  t.equal(at({ iat: seconds - 3600 }, now, { maxTokenAge: '1 hour', clockTolerance: 1 }), 'passed')
  t.equal(at({ iat: seconds - 3600 }, now, { maxTokenAge: '1 hour', clockTolerance: 0 }), 'SECURE_API_TOKEN_TOO_OLD')
  t.equal(at({ iat: undefined }, now, { maxTokenAge: '1 hour' }), 'SECURE_API_TOKEN_CLAIMS', 'an age needs an iat')
  t.equal(at({ exp: 253_402_300_799 }, now), 'passed', 'the last second of the year 9999')
  t.equal(at({ exp: 253_402_300_800 }, now), 'SECURE_API_TOKEN_CLAIMS')
})

t.test('profile at+jwt (RFC 9068 §2.1, §4)', async t => {
  const profile = 'at+jwt'
  t.equal(pass(genuine(), { profile }), 'passed')
  t.equal(pass(genuine({}, { typ: 'application/AT+jwt' }), { profile }), 'passed')
  for (const typ of ['JWT', undefined]) t.equal(pass(genuine({}, { typ }), { profile }), 'SECURE_API_TOKEN_TYPE', String(typ))
})

t.test('each issuer has its own list of algorithms', async t => {
  const rules = [...compileIssuer({ issuer, audience, algorithms: ['ES256'] }),
    ...compileIssuer({ issuer: 'https://other.example', audience, algorithms: ['RS256'] })]
  const gate = createGate(new Map(rules.map(rule => [rule.issuer, rule])))
  t.equal(gate(genuine(), now), 'SECURE_API_TOKEN_ALGORITHM', 'RS256 is accepted from the other one')
  t.type(gate(genuine({ iss: 'https://other.example' }), now), 'object')
})

t.test('a tenant template is a list of exact issuers', async t => {
  const options: Partial<IssuerOptions> = { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', tenants: ['t1', 't2'] }
  const of = (tenant: string, tid = tenant) => genuine({ iss: `https://login.microsoftonline.com/${tenant}/v2.0`, tid })
  t.equal(pass(of('t1'), options), 'passed')
  t.equal(pass(of('t2'), options), 'passed')
  for (const tenant of ['t3', '', 'T1', '{tenantid}', 't1/v2.0/../t3', 'common']) {
    t.equal(pass(of(tenant), options),
      'SECURE_API_TOKEN_ISSUER', tenant)
  }
  t.equal(pass(of('t1', 't2'), options), 'SECURE_API_TOKEN_ISSUER', 'the tenant in tid is another one')
})

t.test('a foreign token never reaches a key set (auth0/express-jwt#214)', async t => {
  const keys = staticKeys(key)
  const [rules] = compileIssuer({ issuer, audience })
  const authenticator = new TokenAuthenticator({ issuers: rules === undefined ? [] : [{ rules, keys }], now: () => now })
  for (const change of [{ iss: 'https://evil.example' }, { aud: 'other' }, { exp: 0 }]) await authenticator.authenticate(genuine(change))
  t.equal(keys.asked, 0)
  await authenticator.authenticate(genuine())
  t.equal(keys.asked, 1)
})

t.test('one spelling only', async t => {
  holds(t, fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
    const text = Buffer.from(bytes).toString('base64url')
    return decodeBase64url(text)?.equals(bytes) === true
  }))
  holds(t, fc.property(fc.string({ maxLength: 40 }), text => {
    const bytes = decodeBase64url(text)
    return bytes === undefined || bytes.toString('base64url') === text
  }))
})

t.test('a header counts when no member is repeated, whatever its values hold', async t => {
  holds(t, fc.property(fc.dictionary(fc.string(), fc.jsonValue()), object => {
    const text = JSON.stringify(object)
    return readHeader(encode(text)) !== undefined
  }))
  holds(t, fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), object => {
    const text = JSON.stringify(object)
    const [name] = Object.keys(object)
    return readHeader(encode(`${text.slice(0, -1)},${JSON.stringify(name)}:0}`)) === undefined
  }))
})

t.test('14 C1: what costs a parser most is refused before it: a header of many members, claims of many brackets', async t => {
  const members = (count: number) => encode(`{${Array.from({ length: count }, (_, index) => `"m${index}":0`).join()}}`)
  t.ok(readHeader(members(100)))
  t.notOk(readHeader(members(101)))
  const nested = (depth: number, inside: string) => encode(`{"a":${'['.repeat(depth - 1)}${inside}${']'.repeat(depth - 1)}}`)
  const long = JSON.stringify('x'.repeat(600))
  t.ok(readPayload(nested(64, long)))
  t.notOk(readPayload(nested(65, long)))
  t.ok(readPayload(nested(65, '0')), 'what is short costs little')
  t.ok(readPayload(encode(JSON.stringify({ a: '[{"'.repeat(300), '\\': '\\"['.repeat(200) }))), 'brackets of a text are no brackets')
  const groups = (count: number, group: string) => encode(`{"groups":[${Array<string>(count).fill(group).join()}]}`)
  t.ok(readPayload(groups(1019, '1')))
  t.notOk(readPayload(groups(1020, '1')))
  t.notOk(readPayload(groups(600, '[]')))
  t.ok(readPayload(groups(3000, '"admin"')), 'where longer tokens are taken, they may hold more')
  const broken = ['{"a":"', `{"a":"${'x'.repeat(600)}`, `{"a":"${'\\'.repeat(601)}`, `${'['.repeat(600)}`]
  for (const text of broken) t.notOk(readPayload(encode(text)))
})

t.test('a token for more than a thousand audiences is nobody\'s', async t => {
  const many = (count: number) => genuine({ aud: [...Array<string>(count - 1).fill('a'), audience] })
  t.equal(pass(many(1000)), 'passed')
  t.equal(pass(many(1001)), 'SECURE_API_TOKEN_AUDIENCE')
})

t.test('no real token is too heavy: as many groups and roles as its size allows, in the forms of the providers', async t => {
  const ids = Array.from({ length: 150 }, (_, index) => `6f2c1f6e-0000-4000-8000-${String(index).padStart(12, '0')}`)
  const list = (length: number) => Array.from({ length }, (_, index) => `role-${index}`)
  const named = (length: number, value: (index: number) => unknown) =>
    Object.fromEntries(list(length).map((name, index) => [name, value(index)]))
  const samples: Record<string, object> = {
    'object ids of Entra ID': { groups: ids },
    'names of groups': { groups: list(600) },
    'roles of Keycloak': { resource_access: named(100, index => ({ roles: [`view-${index}`, `edit-${index}`] })) },
    'roles of Zitadel': { 'urn:zitadel:iam:org:project:roles': named(110, () => ({ 3215874312: 'orders.example' })) },
    'custom claims': named(300, () => true),
    'one role of each client in Keycloak': oneRoleEach(150),
    'the same, with a higher maxTokenBytes': oneRoleEach(800)
  }
  for (const [name, sample] of Object.entries(samples)) t.ok(readPayload(encode(JSON.stringify(sample))), name)
})

/** By default Keycloak puts all roles of the user into each token. */
function oneRoleEach (clients: number): object {
  return { resource_access: Object.fromEntries(Array.from({ length: clients }, (_, index) => [`inventory-${index}`, { roles: ['user'] }])) }
}

// The lone surrogate and the pair are apart: Node's type stripping takes an escape of code points after a surrogate for a mistake.
const alphabet = fc.constantFrom(...'abcAZ09-_.=+/ ,;"\t\u00e9\ud800', '\u{1f511}')
const part = fc.oneof(fc.string({ unit: alphabet }), fc.jsonValue().map(encode),
  fc.uint8Array().map(bytes => Buffer.from(bytes).toString('base64url')), fc.constantFrom(...genuine().split('.')))
const token = fc.oneof(fc.string({ unit: 'binary' }), fc.array(part, { maxLength: 6 }).map(parts => parts.join('.')),
  fc.record({ header: fc.jsonValue(), claims: fc.jsonValue() }).map(({ header: h, claims: c }) => `${encode(h)}.${encode(c)}.AAAA`))

t.test('fuzz: any text gives an answer from the list', async t => {
  const gate = gateFor()
  holds(t, fc.property(token, text => {
    const result = gate(text, now)
    return typeof result === 'object' ? text === `${result.signingInput}.${result.signature.toString('base64url')}` : result in answers
  }), 2000)
})

t.test('fuzz: any claims that the issuer signs give an answer from the list, and never none', async t => {
  const [rules] = compileIssuer({ issuer, audience })
  const authenticator = new TokenAuthenticator({ issuers: rules === undefined ? [] : [{ rules, keys: staticKeys(key) }], now: () => now })
  const member = fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'sub', 'scope', 'scp', 'roles', 'typ', 'cnf', 'tid', '__proto__')
  await t.resolves(fc.assert(fc.asyncProperty(fc.dictionary(member, fc.jsonValue()), async change => {
    const outcome = await authenticator.authenticate(genuine(change))
    return outcome.kind === 'verified' ? outcome.principal.claims.iss === issuer : outcome.kind === 'failed' && outcome.code in answers
  }), { numRuns: 300 }))
})

t.test('fuzz: any headers give one token, none, or a refusal', async t => {
  const name = fc.oneof(fc.constantFrom('Authorization', 'authorization', 'AUTHORIZATION', 'Host', 'x'), fc.string())
  const value = fc.oneof(fc.string({ unit: 'binary' }), token.map(text => `Bearer ${text}`), fc.string().map(text => `bearer${text}`))
  holds(t, fc.property(fc.array(fc.tuple(name, value)), fc.string({ unit: 'binary' }), (headers, url) => {
    const authorization = headers.find(([header]) => header.toLowerCase() === 'authorization')?.[1]
    const count = headers.filter(([header]) => header.toLowerCase() === 'authorization').length
    const bearer = readBearer(headers.flat(), authorization, url)
    return typeof bearer === 'object'
      ? count === 1 && bearer.token !== '' && !bearer.token.includes(' ')
      : bearer === 'none' ||
      bearer in answers
  }), 2000)
})
