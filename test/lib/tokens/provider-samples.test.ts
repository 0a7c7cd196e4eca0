import t from 'tap'
import { check, Problems } from '../../../lib/config/index.ts'
import {
  compileIssuer, IssuerOptionsSchema, TokenAuthenticator, validateIssuer, type IssuerOptions,
  type UnmatchedClaim
} from '../../../lib/tokens/index.ts'
import { createSigningKey, signToken, staticKeys, type Json } from '../../fixtures/forge.ts'
import { providerSamples } from '../../fixtures/provider-samples.ts'

const now = 1_800_000_000_000
const seconds = now / 1000
const key = createSigningKey()

function authenticatorOf (options: IssuerOptions, more: Partial<ConstructorParameters<typeof TokenAuthenticator>[0]> = {}) {
  const issuers = compileIssuer(options).map(rules => ({ rules, keys: staticKeys(key) }))
  const authenticator = new TokenAuthenticator({ issuers, now: () => now, ...more })
  return (claims: Json, header: Json = {}) =>
    authenticator.authenticate(signToken({ alg: 'RS256', kid: key.kid, ...header }, { exp: seconds + 600, iat: seconds, ...claims }, key))
}

async function read (options: IssuerOptions, claims: Json, header: Json = {}) {
  const outcome = await authenticatorOf(options)(claims, header)
  if (outcome.kind !== 'verified') return outcome.code
  const { kind, subject, client, tenant, scopes, roles } = outcome.principal
  return { kind, subject, client, ...(tenant === undefined ? undefined : { tenant }), scopes: [...scopes], roles: [...roles] }
}

function problemsOf (options: object, development = false) {
  const problems = new Problems()
  check(IssuerOptionsSchema, options, 'issuer', problems)
  validateIssuer(options as IssuerOptions, 'issuer', problems, { development })
  return problems.list()
}

const sampleOf = (name: string) => {
  const sample = providerSamples.find(sample => sample.name === name)
  if (sample === undefined) throw new Error(name)
  return sample
}

for (const { name, options, header, claims, principal, refused } of providerSamples) {
  t.test(`15 A: tokens of ${name} are read, and those that are not meant are refused`, async t => {
    t.strictSame(problemsOf(options), [], 'the options boot')
    t.strictSame(await read(options, claims, header), principal)
    for (const { what, change, code } of refused) t.equal(await read(options, { ...claims, ...change }, header), code, what)
  })
}

t.test('15 A1: a scope outweighs `nonce`, and an option says what a provider does', async t => {
  const { options, claims } = sampleOf('Azure AD B2C')
  const verdict = async (nonce: 'with-scope' | 'allowed' | 'refused' | undefined, change: Json) => {
    const outcome = await read({ ...options, ...(nonce && { tokens: { nonce } }) }, { ...claims, ...change })
    return typeof outcome === 'string' ? outcome : 'accepted'
  }
  t.strictSame(await Promise.all([verdict(undefined, {}), verdict('allowed', { scp: undefined }), verdict('refused', {})]),
    ['accepted', 'accepted', 'SECURE_API_TOKEN_TYPE'])
  for (const scp of ['', ' ', [], [7], {}, true]) {
    t.equal(await verdict(undefined, { scp }), 'SECURE_API_TOKEN_TYPE',
    `${JSON.stringify(scp)} is no scope`)
  }
  for (const mark of ['at_hash', 'c_hash', 's_hash', 'events']) {
    t.equal(await verdict('allowed', { [mark]: 'x' }), 'SECURE_API_TOKEN_TYPE',
    `${mark} still tells another kind`)
  }
  t.equal(await verdict('allowed', { token_use: 'id' }), 'SECURE_API_TOKEN_TYPE')
})

t.test('15 A2: `iss` is any text where the keys are told, and only what is fetched must be https', async t => {
  const jwksUri = 'https://keys.example.com/jwks'
  const codes = (change: object) => problemsOf({ audience: 'api', ...change }).map(({ code, path }) => `${code} ${path}`)
  for (const issuer of ['http://adfs.example.com/adfs/services/trust', 'acme.com', 'stytch.com/project-x', 'urn:example:sts', 'ACME Login',
    'https://login.example.com?p=b2c_1']) {
    t.strictSame(codes({ issuer, jwksUri }), [], issuer)
    t.strictSame(codes({ issuer, jwks: { keys: [key.publicKey.export({ format: 'jwk' })] } }), [], issuer)
    t.match(await read({ issuer, jwksUri, audience: 'api' }, { iss: issuer, aud: 'api', sub: 'alice' }), { subject: 'alice' }, issuer)
    t.equal(await read({ issuer, jwksUri, audience: 'api' }, { iss: `${issuer}/`, aud: 'api', sub: 'alice' }), 'SECURE_API_TOKEN_ISSUER',
      'exactly')
    const [problem, ...more] = problemsOf({ issuer, audience: 'api' })
    t.strictSame([problem?.path, more], ['issuer.issuer', []])
    t.match(problem?.fix, /`jwksUri` or `jwks`/, 'the boot says what is missing')
  }
  t.strictSame(codes({ issuer: 'acme.com', jwksUri: 'http://keys.example.com/jwks' }), ['SECURE_API_URL_INSECURE issuer.jwksUri'])
})

t.test('15 A3: `audienceClaim` names the claim, and a token without one is told so', async t => {
  const { options, claims } = sampleOf('Clerk')
  const { audienceClaim, ...plain } = options
  t.equal(audienceClaim, 'azp')
  t.equal(await read(plain, claims), 'SECURE_API_TOKEN_AUDIENCE_MISSING')
  t.equal(await read(plain, { ...claims, aud: 'https://shop.example.com' }) === 'SECURE_API_TOKEN_AUDIENCE', false)
  for (const azp of ['', null, [], undefined]) {
    const code = await read(options, { ...claims, azp, client_id: undefined, aud: options.audience })
    t.match(String(code), /AUDIENCE_MISSING|CLAIMS/, JSON.stringify(azp))
  }
  const cognito: IssuerOptions = {
    issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example',
    audience: 'c1',
    preset: 'cognito',
    audienceClaim: 'aud'
  }
  t.match(await read(cognito, { iss: cognito.issuer, aud: 'c1', client_id: 'other', token_use: 'access', sub: 'alice' }),
    { subject: 'alice' }, 'it wins over the preset')
})

t.test('15 A4: roles that are keys or `true`, and claims whose names hold dots', async t => {
  const roles = async (roleClaims: NonNullable<IssuerOptions['roleClaims']>, claims: Json) => {
    const found = await read({ issuer: 'https://login.example.com', audience: 'api', roleClaims },
      { iss: 'https://login.example.com', aud: 'api', sub: 'alice', ...claims })
    return typeof found === 'string' ? found : found.roles
  }
  t.strictSame(await roles(['roles'], {
    roles: {
      admin: { 1: 'shop.example.com' },
      staff: true,
      guest: false,
      none: null,
      empty: {},
      text: 'x'
    }
  }), ['admin', 'staff'])
  t.strictSame(await roles(['resource_access'], { resource_access: { admin: { roles: ['view'] } } }), [],
    'clients of Keycloak are no roles')
  t.strictSame(await roles(['admin', 'staff', 'app.owner'], { admin: true, staff: 'true', app: { owner: true } }),
    ['admin', 'true', 'owner'])
  t.strictSame(await roles(['admin'], { admin: false }), [])
  t.strictSame(await roles(['admin'], { admin: 1 }), [])
  t.strictSame(await roles(['example.com/roles', 'urn:example.com:roles', ['app.example', 'roles']],
    { 'example.com/roles': ['r1'], 'urn:example.com:roles': 'r2', 'app.example': { roles: ['r3'] } }), ['r1', 'r2', 'r3'])
})

t.test('15 A4: a configured claim that never matched is told once', async t => {
  const told: UnmatchedClaim[] = []
  const options: IssuerOptions = {
    issuer: 'https://login.example.com/{tenantid}',
    tenants: ['t1', 't2'],
    audience: ['api', 'orders'],
    roleClaims: ['groups', 'resource_access.{audience}.roles', 'permisions'],
    scopeClaims: ['scope', 'scp', 'grants']
  }
  const authenticate = authenticatorOf(options, { claims: { after: 4, onUnmatched: unmatched => { told.push(unmatched) } } })
  const send = (tenant: string, jti: number, more: Json = {}) =>
    authenticate({
      iss: `https://login.example.com/${tenant}`,
      aud: 'api',
      sub: 'alice',
      jti: `${jti}`,
      scope: 'a',
      grants: { a: true },
      ...more
    })
  await send('t1', 1)
  await send('t1', 1)
  await send('t1', 2, { resource_access: { orders: { roles: ['x'] } } })
  await send('t2', 3, { groups: ['g'] })
  t.strictSame(told, [], 'a cached token is looked at once')
  await send('t2', 4)
  const place = { issuer: 'https://login.example.com/t2', tokens: 4 }
  t.strictSame(told, [
    { ...place, option: 'scopeClaims', claim: 'scp' }, { ...place, option: 'scopeClaims', claim: 'grants' },
    { ...place, option: 'roleClaims', claim: 'permisions' }
  ])
  for (let jti = 5; jti < 20; jti++) await send('t1', jti)
  t.equal(told.length, 3)
})

t.test('15 A4: claims of a preset are not expected of every token', async t => {
  const told: UnmatchedClaim[] = []
  const authenticate = authenticatorOf({ issuer: 'https://login.example.com', audience: 'api' },
    { claims: { after: 1, onUnmatched: unmatched => { told.push(unmatched) } } })
  await authenticate({ iss: 'https://login.example.com', aud: 'api', sub: 'alice' })
  t.strictSame(told, [])
})

t.test('15 A7: tenant ids in capitals match as tokens write them', async t => {
  const tenant = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'
  const options: IssuerOptions = {
    issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0',
    tenants: [tenant.toUpperCase(), tenant],
    audience: 'api',
    preset: 'entra'
  }
  t.strictSame(problemsOf(options), [])
  t.equal(compileIssuer(options).length, 1)
  t.match(await read(options, {
    iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
    aud: 'api',
    sub: 'alice',
    tid: tenant,
    scp: 'a'
  }), { subject: 'alice', tenant })
})

t.test('15 A5: named hosts over http, in development only', async t => {
  const keycloak = { issuer: 'http://keycloak:8080/realms/shop', audience: 'api', preset: 'keycloak' }
  const codes = (change: object, development: boolean) => problemsOf({ ...keycloak, ...change },
    development).map(({ code, path }) => `${code} ${path}`)
  const keys = { insecureHosts: ['Keycloak'] }
  t.strictSame(codes({ keys }, true), [])
  t.strictSame(codes({ keys, issuer: 'http://localhost:8080/realms/shop', jwksUri: 'http://keycloak:8080/certs' }, true), [])
  t.strictSame(codes({}, true), ['SECURE_API_URL_INSECURE issuer.issuer', 'SECURE_API_ISSUER_FORM issuer.issuer'])
  t.strictSame(codes({
    keys: { insecureHosts: ['other'] },
    issuer: 'https://sso.example.com/realms/shop',
    jwksUri: 'http://keycloak:8080/certs'
  }, true), ['SECURE_API_URL_INSECURE issuer.jwksUri'])
  t.strictSame(codes({ keys, issuer: 'https://sso.example.com/realms/shop', jwksUri: 'http://keycloak:8080/certs' }, false),
    ['SECURE_API_URL_INSECURE issuer.jwksUri', 'SECURE_API_URL_INSECURE issuer.keys.insecureHosts'])
  for (const name of ['http://keycloak', 'keycloak:8080', '*', '.example.com/']) {
    t.strictSame(codes({ keys: { insecureHosts: [name] }, issuer: 'https://sso.example.com/realms/shop' }, true),
      ['SECURE_API_OPTION_VALUE issuer.keys.insecureHosts[0]'], name)
  }
})
