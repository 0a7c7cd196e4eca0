import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  compileIssuer, IssuerOptionsSchema, presets, TokenAuthenticator, validateIssuer, validateIssuers,
  type IssuerOptions
} from '../../../lib/tokens/index.ts'
import { createSigningKey, signToken, staticKeys, type Json } from '../../fixtures/forge.ts'
import { presetSamples, type PresetSample } from '../../fixtures/preset-samples.ts'

const now = 1_800_000_000_000
const seconds = now / 1000
const key = createSigningKey()
const good: IssuerOptions = { issuer: 'https://login.example.com', audience: 'api://orders' }

async function principalOf (options: IssuerOptions, claims: Json, header: Json = {}) {
  const issuers = compileIssuer(options).map(rules => ({ rules, keys: staticKeys(key) }))
  const authenticator = new TokenAuthenticator({ issuers, now: () => now })
  const dated = { exp: seconds + 600, iat: seconds, ...claims }
  const outcome = await authenticator.authenticate(signToken({ alg: 'RS256', kid: key.kid, ...header }, dated, key))
  if (outcome.kind !== 'verified') throw new Error(outcome.code)
  return outcome.principal
}

/** The first sample of a provider. */
function sampleOf (provider: string): PresetSample {
  const sample = presetSamples.find(({ name }) => name.startsWith(provider))
  if (sample === undefined) throw new Error(provider)
  return sample
}

function problemsOf (options: object, development = false) {
  const problems = new Problems()
  check(IssuerOptionsSchema, options, 'issuer', problems)
  validateIssuer(options as IssuerOptions, 'issuer', problems, { development })
  return problems.list().map(({ code, path }) => `${code} ${path}`)
}

t.test('presets read their providers\' documented tokens', async t => {
  for (const { name, preset, issuer, audience, header, claims, principal } of presetSamples) {
    const options = { preset, issuer, audience }
    t.strictSame(problemsOf(options), [], name)
    const { kind, subject, client, tenant, scopes, roles } = await principalOf(options, claims, header)
    const read = { kind, subject, client, ...(tenant === undefined ? undefined : { tenant }), scopes: [...scopes], roles: [...roles] }
    t.strictSame(read, principal, name)
  }
  t.strictSame([...new Set(presetSamples.map(({ preset }) => preset))].sort(), Object.keys(presets).sort(), 'each preset has a sample')
})

t.test('tokens of those providers that are no access tokens for this API', async t => {
  const refused = async (name: string, { preset, issuer, audience, header, claims }: PresetSample, change: Json, code: string) => {
    await t.rejects(principalOf({ preset, issuer, audience }, { ...claims, ...change }, header), { message: code }, name)
  }
  await refused('a Cognito ID token has aud and no client_id', sampleOf('Cognito'),
    { token_use: 'id', aud: '4example1client2id', client_id: undefined }, 'SECURE_API_TOKEN_TYPE')
  await refused('a Cognito token without its use', sampleOf('Cognito'), { token_use: undefined }, 'SECURE_API_TOKEN_TYPE')
  await refused('a Cognito token of another app', sampleOf('Cognito'), { client_id: 'other', aud: '4example1client2id' },
    'SECURE_API_TOKEN_AUDIENCE')
  await refused('a Keycloak ID token', sampleOf('Keycloak'), { typ: 'ID' }, 'SECURE_API_TOKEN_TYPE')
  await refused('a Keycloak refresh token', sampleOf('Keycloak'), { typ: 'Refresh' }, 'SECURE_API_TOKEN_TYPE')
  await refused('a Keycloak token bound by DPoP', sampleOf('Keycloak'), { typ: 'DPoP' }, 'SECURE_API_TOKEN_TYPE')
  await refused('a Keycloak token for account alone', sampleOf('Keycloak'), { aud: 'account' }, 'SECURE_API_TOKEN_AUDIENCE')
  await refused('a Google sign-in', sampleOf('Google'), { at_hash: 'x' }, 'SECURE_API_TOKEN_TYPE')
  await refused('an Entra ID token with a nonce', sampleOf('Entra'), { nonce: 'x', scp: undefined }, 'SECURE_API_TOKEN_TYPE')
})

t.test('an old Keycloak access token with a nonce is one by its typ', async t => {
  const { preset, issuer, audience, claims, principal } = sampleOf('Keycloak')
  t.equal((await principalOf({ preset, issuer, audience }, { ...claims, nonce: 'x' })).subject, principal.subject)
})

t.test('a user who takes the name of a service account is none', async t => {
  const options: IssuerOptions = { preset: 'keycloak', issuer: 'https://sso.example.com/realms/shop', audience: 'api' }
  const claims = {
    iss: options.issuer,
    aud: 'api',
    typ: 'Bearer',
    azp: 'importer',
    preferred_username: 'service-account-importer',
    sub: 'u1'
  }
  t.equal((await principalOf(options, { ...claims, sid: 's1' })).kind, 'user')
  t.equal((await principalOf(options, claims)).kind, 'service')
  t.equal((await principalOf(options, { ...claims, azp: 'other' })).kind, 'user')
})

t.test('17.10: everybody who is let in has a subject: sub, or the client of a service; nobody else', async t => {
  const claims = { iss: good.issuer, aud: good.audience }
  const subjectOf = async (change: Json) => (await principalOf(good, { ...claims, ...change })).subject
  t.equal(await subjectOf({ sub: 'alice', client_id: 'app' }), 'alice')
  for (const name of ['client_id', 'azp', 'cid']) t.equal(await subjectOf({ [name]: 'app' }), 'app', name)
  const keycloak = sampleOf('Keycloak')
  const nobody: Array<readonly [string, IssuerOptions, Json]> = [
    ['neither subject nor client', good, claims],
    ['a client of blanks', good, { ...claims, client_id: ' ' }],
    ['a user of Keycloak whose client lacks the scope `basic`',
      { preset: keycloak.preset, issuer: keycloak.issuer, audience: keycloak.audience }, { ...keycloak.claims, sub: undefined }]
  ]
  for (const [name, options, change] of nobody) {
    await t.rejects(principalOf(options, change, { typ: 'JWT' }), { message: 'SECURE_API_TOKEN_CLAIMS' }, name)
  }
})

t.test('18: a user is no service, whatever their name, and a service is no user', async t => {
  const entra = sampleOf('Entra ID v2, for an application')
  const auth0 = { iss: 'https://tenant.eu.auth0.com/', aud: 'api', azp: 'app1' }
  const google = { iss: 'https://accounts.google.com', aud: 'api' }
  const okta = { iss: 'https://dev.example.okta.com/oauth2/default', aud: 'api', cid: 'app1' }
  const cognito = { iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc', token_use: 'access', client_id: 'api' }
  const { oid, azp, ...idToken } = entra.claims
  const table: ReadonlyArray<readonly [what: string, preset: PresetSample['preset'] | undefined, claims: Json, kind: string]> = [
    ['an Entra ID token without a nonce', 'entra', { ...idToken, name: 'Alice', oid }, 'user'],
    ['an Entra token of a user for whom no scope is named', 'entra', { ...entra.claims, sub: 'pairwise' }, 'user'],
    ['an Entra token of an application', 'entra', { ...idToken, oid, azp }, 'service'],
    ['an Entra token that says it is of a user', 'entra', { ...entra.claims, idtyp: 'user' }, 'user'],
    ['an Auth0 user whose name ends like a client', 'auth0', { ...auth0, sub: 'samlp|conn|x@clients' }, 'user'],
    ['an Auth0 user who is called like another client', 'auth0', { ...auth0, sub: 'app2@clients' }, 'user'],
    ['an Auth0 client', 'auth0', { ...auth0, sub: 'app1@clients' }, 'service'],
    ['an Auth0 client, as it says', 'auth0', { ...auth0, sub: 'x', gty: 'client-credentials' }, 'service'],
    ['a Google user', 'google', { ...google, sub: '1', azp: 'x', email: 'a@example.com', email_verified: true }, 'user'],
    ['an address that is not verified', 'google', { ...google, sub: '1', azp: 'x', email: 'a@b.iam.gserviceaccount.com' }, 'user'],
    ['a Google service account', 'google', { ...google, sub: '1', azp: '1' }, 'service'],
    ['an Okta user who is called like the client', 'okta', { ...okta, sub: 'app1', uid: '00u1' }, 'user'],
    ['an Okta client', 'okta', { ...okta, sub: 'app1' }, 'service'],
    ['a Cognito user', 'cognito', { ...cognito, sub: 'u1', username: 'api' }, 'user'],
    ['a Cognito client', 'cognito', { ...cognito, sub: 'api' }, 'service'],
    ['a user who is called like the client', undefined, { sub: 'app', azp: 'app', amr: ['pwd'] }, 'user'],
    ['the same, in a session', undefined, { sub: 'app', client_id: 'app', sid: 's' }, 'user'],
    ['a client', undefined, { sub: 'app', azp: 'app' }, 'service']
  ]
  for (const [what, preset, claims, kind] of table) {
    const issuer = String(claims['iss'] ?? good.issuer)
    const audience = preset === 'entra' ? entra.audience : 'api'
    const options = { issuer, audience, ...preset !== undefined && { preset } }
    t.equal((await principalOf(options, { aud: audience, iss: issuer, ...claims })).kind, kind, what)
  }
  t.equal((await principalOf({ ...good, callers: 'service' }, { iss: good.issuer, aud: good.audience, sub: 'alice' })).kind, 'service')
})

t.test('without a preset', async t => {
  const claims = { iss: good.issuer, aud: good.audience, sub: 'alice', client_id: 'app' }
  const read = async (change: Json, options: Partial<IssuerOptions> = {}) => {
    const { kind, scopes, roles } = await principalOf({ ...good, ...options }, { ...claims, ...change })
    return { kind, scopes: [...scopes], roles: [...roles] }
  }
  const plain = { kind: 'user', scopes: [], roles: [] }
  t.strictSame(await read({ scope: 'a  b ', scp: ['c', 'a'] }), { ...plain, scopes: ['a', 'b', 'c'] }, 'scope and scp add up')
  t.strictSame(await read({ scope: [7, null, 'a', '', ['b'], { c: 1 }] }), { ...plain, scopes: ['a'] },
    'members that are no text do not count')
  t.strictSame(await read({ scope: { a: true }, roles: 7 }), plain, 'neither do other values')
  t.strictSame(await read({ roles: 'Domain Admins' }), { ...plain, roles: ['Domain Admins'] }, 'a role may hold a blank')
  t.strictSame(await read({ sub: 'app' }), { ...plain, kind: 'service' }, 'RFC 9068 §2.2: the client itself')
  const paths = {
    roleClaims: ['https://example.com/roles', ['a.b', 'c'], 'x.y.z', 'cognito:groups', 'resource.{audience}.roles',
      'constructor.name', 'x.length']
  }
  const nested = {
    'https://example.com/roles': ['r1'],
    'a.b': { c: ['r2'] },
    x: { y: { z: ['r3'] } },
    'cognito:groups': ['r4'],
    resource: { 'api://orders': { roles: ['r5'] }, other: { roles: ['r6'] } }
  }
  t.strictSame(await read(nested, paths), { ...plain, roles: ['r1', 'r2', 'r3', 'r4', 'r5'] }, 'paths')
  t.teardown(() => Reflect.deleteProperty(Object.prototype, 'inherited'))
  Reflect.defineProperty(Object.prototype, 'inherited', { value: ['admin'], configurable: true })
  t.strictSame(await read({ x: {} }, { roleClaims: ['inherited', 'x.inherited'], scopeClaims: ['inherited'] }), plain,
    'a polluted prototype gives nothing')
  t.strictSame(await read({ scope: 'a', roles: ['b'] }, { scopeClaims: [], roleClaims: [] }), plain, 'empty lists mean none')
})

t.test('mistakes in an issuer', async t => {
  const wrong: ReadonlyArray<readonly [change: object, expected: string]> = [
    [{ issuer: 'http://login.example.com' }, 'SECURE_API_URL_INSECURE issuer.issuer'],
    [{ issuer: 'http://127.0.0.1:3000' }, 'SECURE_API_URL_INSECURE issuer.issuer'],
    [{ issuer: 'login.example.com' }, 'SECURE_API_URL_INVALID issuer.issuer'],
    [{ issuer: 'login.example.com\n', jwksUri: 'https://keys.example.com' }, 'SECURE_API_OPTION_VALUE issuer.issuer'],
    [{ issuer: 'https://user:secret@login.example.com', jwksUri: 'https://keys.example.com' }, 'SECURE_API_URL_INVALID issuer.issuer'],
    [{ audienceClaim: 'sub' }, 'SECURE_API_ISSUER_AUDIENCE issuer.audienceClaim'],
    [{ audienceClaim: 'iss' }, 'SECURE_API_ISSUER_AUDIENCE issuer.audience'],
    [{ audienceClaim: '' }, 'SECURE_API_OPTION_EMPTY issuer.audienceClaim'],
    [{ tokens: { nonce: 'yes' } }, 'SECURE_API_OPTION_VALUE issuer.tokens.nonce'],
    [{ tokens: { nonces: 'allowed' } }, 'SECURE_API_OPTION_UNKNOWN issuer.tokens.nonces'],
    [{ preset: 'entra', issuer: 'https://login.microsoftonline.com/8EAEF023-2B34-4DA1-9BAA-8BC8C9D6A490/v2.0' },
      'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ keys: { insecureHosts: ['keycloak'] } }, 'SECURE_API_URL_INSECURE issuer.keys.insecureHosts'],
    [{ keys: { proxy: 'socks5://user:secret@proxy:1080' } }, 'SECURE_API_URL_INVALID issuer.keys.proxy'],
    [{ keys: { ca: '/does/not/exist.pem' } }, 'SECURE_API_OPTION_VALUE issuer.keys.ca'],
    [{ roleClaims: ['$.realm_access.roles'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ roleClaims: ['/realm_access/roles'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ roleClaims: ['groups[*].name'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ roleClaims: ['resource_access.{client}.roles'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ issuer: 'https://login.example.com?a=b' }, 'SECURE_API_URL_INVALID issuer.issuer'],
    [{ issuer: '' }, 'SECURE_API_OPTION_EMPTY issuer.issuer'],
    [{ issuer: 7 }, 'SECURE_API_OPTION_TYPE issuer.issuer'],
    [{ audience: [] }, 'SECURE_API_OPTION_EMPTY issuer.audience'],
    [{ audience: '*' }, 'SECURE_API_ISSUER_AUDIENCE issuer.audience'],
    [{ audience: undefined }, 'SECURE_API_OPTION_UNDEFINED issuer.audience'],
    [{ algorithms: ['HS256'] }, 'SECURE_API_OPTION_VALUE issuer.algorithms[0]'],
    [{ algorithms: ['none'] }, 'SECURE_API_OPTION_VALUE issuer.algorithms[0]'],
    [{ algorithms: [] }, 'SECURE_API_OPTION_EMPTY issuer.algorithms'],
    [{ jwksUri: 'http://keys.example.com' }, 'SECURE_API_URL_INSECURE issuer.jwksUri'],
    [{ jwksUri: 'https://keys.example.com', discovery: true }, 'SECURE_API_OPTION_CONFLICT issuer.jwksUri'],
    [{ discovery: false }, 'SECURE_API_OPTION_CONFLICT issuer.discovery'],
    [{ jwks: { keys: [] } }, 'SECURE_API_JWKS_EMPTY issuer.jwks'],
    [{ clockTolerance: '6 minutes' }, 'SECURE_API_OPTION_RANGE issuer.clockTolerance'],
    [{ clockTolerance: Infinity }, 'SECURE_API_OPTION_TYPE issuer.clockTolerance'],
    [{ maxTokenAge: 1000 }, 'SECURE_API_OPTION_RANGE issuer.maxTokenAge'],
    [{ tenants: ['t1'] }, 'SECURE_API_OPTION_CONFLICT issuer.tenants'],
    [{ issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }, 'SECURE_API_ISSUER_TENANTS issuer.tenants'],
    [{ issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', tenants: ['common'] }, 'SECURE_API_ISSUER_TENANTS issuer.tenants[0]'],
    [{ issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', tenants: ['a/../b'] }, 'SECURE_API_ISSUER_TENANTS issuer.tenants[0]'],
    [{ issuer: 'https://login.example.com/{tenant}' }, 'SECURE_API_ISSUER_TEMPLATE issuer.issuer'],
    [{ scopeClaims: ['a..b'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.scopeClaims[0]'],
    [{ roleClaims: [['a', 'b ']] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ roleClaims: ['.a'] }, 'SECURE_API_ISSUER_CLAIM_PATH issuer.roleClaims[0]'],
    [{ keys: { timeout: 50 } }, 'SECURE_API_OPTION_RANGE issuer.keys.timeout'],
    [{ preset: 'azure' }, 'SECURE_API_OPTION_VALUE issuer.preset'],
    [{ preset: 'entra', issuer: 'https://login.microsoftonline.com/common/v2.0' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'auth0', issuer: 'https://tenant.eu.auth0.com' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'keycloak', issuer: 'https://sso.example.com/realms/shop/' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'okta', issuer: 'https://dev.okta.com' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'cognito', issuer: 'https://shop.auth.eu-west-1.amazoncognito.com' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'google', issuer: 'https://google.com' }, 'SECURE_API_ISSUER_FORM issuer.issuer'],
    [{ preset: 'google', issuer: 'https://accounts.google.com', audience: '1-x.apps.googleusercontent.com' },
      'SECURE_API_ISSUER_AUDIENCE issuer.audience'],
    [{ clockTolerence: 0 }, 'SECURE_API_OPTION_UNKNOWN issuer.clockTolerence']
  ]
  for (const [change, expected] of wrong) t.strictSame(problemsOf({ ...good, ...change }), [expected], JSON.stringify(change))
  t.strictSame(problemsOf({}), ['SECURE_API_OPTION_MISSING issuer.issuer', 'SECURE_API_OPTION_MISSING issuer.audience'])
})

t.test('what is no mistake', async t => {
  const right: readonly object[] = [
    {}, { issuer: 'https://login.example.com/' }, { audience: ['a', 'b'] }, { algorithms: ['EdDSA'] }, { clockTolerance: 0 },
    { clockTolerance: '5 minutes' }, { maxTokenAge: '1 hour' },
    { jwksUri: 'https://keys.example.com/jwks' }, { discovery: true }, { jwksUri: 'https://keys.example.com', discovery: false },
    { jwks: { keys: [key.publicKey.export({ format: 'jwk' })] } },
    { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', preset: 'entra', tenants: ['8eaef023-2b34-4da1-9baa-8bc8c9d6a490'] },
    { profile: 'at+jwt' }, { scopeClaims: ['https://x.example/scopes'] }
  ]
  for (const change of right) t.strictSame(problemsOf({ ...good, ...change }), [], JSON.stringify(change))
  t.strictSame(problemsOf({ ...good, issuer: 'http://127.0.0.1:3000', jwksUri: 'http://[::1]:3000/jwks', preset: 'auth0' }, true), [],
    'loopback, in development')
})

t.test('two entries for the same tokens', async t => {
  const problems = new Problems()
  const template: IssuerOptions = { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0', audience: 'a', tenants: ['t1', 't2'] }
  validateIssuers([template, { issuer: 'https://login.microsoftonline.com/t2/v2.0', audience: 'b' }, good, good], 'issuers', problems,
    { development: false })
  t.strictSame(problems.list().map(({ code, path }) => `${code} ${path}`),
    ['SECURE_API_ISSUER_DUPLICATE issuers[1].issuer', 'SECURE_API_ISSUER_DUPLICATE issuers[3].issuer'])
  const rules = compileIssuer(good).map(entry => ({ rules: entry, keys: staticKeys(key) }))
  t.throws(() => new TokenAuthenticator({ issuers: [...rules, ...rules] }), TypeError)
})
