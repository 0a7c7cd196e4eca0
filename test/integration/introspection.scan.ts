import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { type SecureApiOptions } from '../../plugins/index.ts'
import { loadProvider } from '../../examples/orders/load-provider.ts'
import { freePort } from '../helpers/free-port.ts'
import { program } from '../helpers/programs.ts'
import { codeOf, listenBare, startFastify, until } from '../helpers/server.ts'

type Auth = Exclude<SecureApiOptions['auth'], false | undefined>

const glewlwyd = program({ names: ['glewlwyd'], package: 'glewlwyd' })
const sqlite = program({ names: ['sqlite3'], package: 'sqlite3' })

/** An API for these tokens; asks it with one. */
async function startApi (t: Test, auth: Auth) {
  const app = startFastify(t)
  await app.register(secureApi, { environment: 'development', auth, audit: { sink: () => {} } })
  const me = async ({ auth: { credential, kind, client, subject, scopes } }: FastifyRequest) =>
    ({ credential, kind, client, subject, scopes: [...scopes] })
  app.get('/orders', { config: { scope: 'orders.read' } }, me)
  await app.ready()
  return async (token: string) => {
    const response = await app.inject({ url: '/orders', headers: { authorization: `Bearer ${token}` } })
    return response.statusCode === 200 ? JSON.parse(response.body) : codeOf(response)
  }
}

async function post (url: string, form: Record<string, string>, credentials: readonly [id: string, secret: string], headers = {}) {
  const authorization = `Basic ${Buffer.from(credentials.join(':')).toString('base64')}`
  const response = await fetch(url, { method: 'POST', headers: { authorization, ...headers }, body: new URLSearchParams(form) })
  return await response.json().catch(() => ({})) as Record<string, unknown>
}

const AUDIENCE = 'https://orders.example.com'
const shop = { id: 'shop', secret: 'secret-of-the-shop' }
const keyOf = (kid: string) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { privateKey: pem, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    signing: { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' },
    client: {
      pem: pem.export({ format: 'pem', type: 'pkcs8' }).toString(),
      jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'api-key', use: 'sig' }
    }
  }
}

/** oidc-provider, which gives opaque tokens and answers three clients of the API, each in its own way. */
async function startOidcProvider (t: Test) {
  const Provider = await loadProvider()
  const keys = keyOf('issuer')
  const server = createServer()
  const issuer = `http://127.0.0.1:${await listenBare(t, server)}`
  const api = { redirect_uris: [], response_types: [], grant_types: [] }
  const provider = new Provider(issuer, {
    jwks: { keys: [keys.signing] },
    cookies: { keys: ['unused'] },
    clients: [
      {
        ...api, client_id: shop.id, client_secret: shop.secret, grant_types: ['client_credentials'], scope: 'orders.read'
      },
      { ...api, client_id: 'api:basic', client_secret: 'a secret: +&%', token_endpoint_auth_method: 'client_secret_basic' },
      { ...api, client_id: 'api-post', client_secret: 'secret', token_endpoint_auth_method: 'client_secret_post' },
      {
        ...api,
        client_id: 'api-key',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [keys.client.jwk] },
        introspection_signed_response_alg: 'RS256'
      }
    ],
    scopes: ['orders.read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({ scope: 'orders.read', audience: AUDIENCE, accessTokenFormat: 'opaque' })
      }
    }
  })
  server.on('request', provider.callback())
  const ask = (path: string, form: Record<string, string>) => post(`${issuer}${path}`, form, [shop.id, shop.secret])
  return {
    issuer,
    key: keys.client.pem,
    token: async () => {
      const form = { grant_type: 'client_credentials', scope: 'orders.read', resource: AUDIENCE }
      return String((await ask('/token', form)).access_token)
    },
    revoke: (token: string) => ask('/token/revocation', { token })
  }
}

t.test('oidc-provider: opaque tokens are looked up, by each client, in JSON and signed', async t => {
  const provider = await startOidcProvider(t)
  const { issuer } = provider
  const clients: ReadonlyArray<readonly [string, NonNullable<Auth['introspection']>]> = [
    ['client_secret_basic', { client: { id: 'api:basic', secret: 'a secret: +&%' }, cache: 0 }],
    ['client_secret_post', { client: { id: 'api-post', secret: 'secret' }, method: 'client_secret_post', cache: 0 }],
    ['private_key_jwt', { client: { id: 'api-key', privateKey: provider.key }, cache: 0 }],
    ['a signed answer', { client: { id: 'api-key', privateKey: provider.key, keyId: 'api-key' }, signed: true, cache: 0 }]
  ]
  for (const [what, introspection] of clients) {
    const ask = await startApi(t, { issuer, audience: AUDIENCE, introspection })
    const token = await provider.token()
    t.equal(token.split('.').length, 1, 'the token is opaque')
    t.match(await ask(token), { credential: 'opaque', kind: 'service', client: 'shop', scopes: ['orders.read'] }, what)
    await provider.revoke(token)
    t.equal(await ask(token), 'SECURE_API_TOKEN_INACTIVE', `${what}: revoked`)
    t.equal(await ask('invented'), 'SECURE_API_TOKEN_INACTIVE', `${what}: invented`)
  }
  const wrong = { client: { id: 'api-post', secret: 'wrong' }, method: 'client_secret_post' } as const
  const stranger = await startApi(t, { issuer, audience: AUDIENCE, introspection: wrong })
  t.equal(await stranger(await provider.token()), 'SECURE_API_INTROSPECTION_UNAVAILABLE')
  const introspection = { client: { id: 'api-key', privateKey: provider.key } }
  const other = await startApi(t, { issuer, audience: 'https://other.example', introspection })
  t.equal(await other(await provider.token()), 'SECURE_API_TOKEN_AUDIENCE')
})

/** Glewlwyd of Debian, with a database of its own, set up over its administration API. */
async function startGlewlwyd (t: Test) {
  const folder = t.testdir({})
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const database = join(folder, 'glewlwyd.db')
  execFileSync(sqlite, [database], { input: gunzipSync(readFileSync('/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz')) })
  const config = readFileSync('/etc/glewlwyd/glewlwyd.conf', 'utf8')
    .replace(/^#?bind_address=.*$/m, 'bind_address="127.0.0.1"')
    .replace(/^port=.*$/m, `port=${port}`)
    .replace(/^external_url=.*$/m, `external_url="${origin}"`)
    .replace(/^log_mode=.*$/m, 'log_mode="console"')
    .replace(/^@include.*$/m, `database = { type = "sqlite3" path = "${database}" };`)
  const file = join(folder, 'glewlwyd.conf')
  writeFileSync(file, config)
  const server = spawn(glewlwyd, [`--config-file=${file}`], { stdio: 'ignore' })
  t.teardown(async () => {
    server.kill()
    await once(server, 'exit')
  })
  const call = async (path: string, body: object, cookie = '') => {
    const headers = { 'content-type': 'application/json', cookie }
    const response = await fetch(`${origin}/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.headers.get('set-cookie')?.split(';')[0] ?? ''
  }
  await until(() => fetch(`${origin}/config`).then(() => true, () => false), 'Glewlwyd')
  const admin = await call('auth/', { username: 'admin', password: 'password' })
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048, publicKeyEncoding: { format: 'pem', type: 'spki' }, privateKeyEncoding: { format: 'pem', type: 'pkcs8' }
  })
  const issuer = `${origin}/api/oidc`
  const parameters = { ...oidcPlugin, iss: issuer, key: privateKey, cert: publicKey }
  await call('mod/plugin/', { module: 'oidc', name: 'oidc', display_name: 'oidc', order_rank: 0, readonly: false, parameters }, admin)
  await call('scope/', { name: 'orders.read', display_name: 'orders', description: 'orders', password_required: false, scheme: {} }, admin)
  await call('client/?source=database', {
    client_id: shop.id,
    name: 'shop',
    confidential: true,
    password: shop.secret,
    authorization_type: ['client_credentials'],
    token_endpoint_auth_method: ['client_secret_basic'],
    redirect_uri: [],
    scope: ['orders.read'],
    enabled: true
  }, admin)
  const ask = (path: string, form: Record<string, string>) => post(`${issuer}/${path}`, form, [shop.id, shop.secret])
  return {
    issuer,
    token: async () => String((await ask('token', { grant_type: 'client_credentials', scope: 'orders.read' })).access_token),
    revoke: (token: string) => ask('revoke', { token })
  }
}

const oidcPlugin = {
  'jwt-type': 'rsa',
  'jwt-key-size': '256',
  'access-token-duration': 3600,
  'refresh-token-duration': 3600,
  'code-duration': 600,
  'allow-non-oidc': true,
  'auth-type-client-enabled': true,
  'auth-type-code-enabled': true,
  'auth-type-token-enabled': true,
  'auth-type-id-token-enabled': true,
  'auth-type-none-enabled': true,
  'auth-type-password-enabled': false,
  'auth-type-refresh-enabled': true,
  'introspection-revocation-allowed': true,
  'introspection-revocation-allow-target-client': true,
  'introspection-revocation-auth-scope': []
}

t.test("Glewlwyd: its tokens are JWTs, and with `when: 'always'` they end when it says so", async t => {
  const { issuer, token: get, revoke } = await startGlewlwyd(t)
  // Its `aud` names the scope.
  const auth: Auth = { issuer, audience: 'orders.read' }
  const client = { id: shop.id, secret: shop.secret }
  for (const signed of [false, true]) {
    const ask = await startApi(t, { ...auth, introspection: { client, when: 'always', cache: 0, signed, timeout: '30 seconds' } })
    const alone = await startApi(t, auth)
    const token = await get()
    t.match(await ask(token), { credential: 'jwt', kind: 'service', client: 'shop', scopes: ['orders.read'] })
    await revoke(token)
    // Where a signed answer is wanted, Glewlwyd 2.7 answers 400 for what is inactive: that opens nothing either.
    const refusal = signed ? 'SECURE_API_INTROSPECTION_UNAVAILABLE' : 'SECURE_API_TOKEN_INACTIVE'
    t.equal(await ask(token), refusal)
    t.match(await alone(token), { credential: 'jwt' }, 'whoever does not ask cannot know')
    t.equal(await ask('invented'), refusal)
  }
})
