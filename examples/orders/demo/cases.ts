import { origin, pause, type World } from './world.ts'

export interface Case {
  readonly title: string
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly token?: (world: World) => Promise<string>
  /** How often it is sent; all but the last answer must be a success, the last is the one that is shown. */
  readonly times?: number
  /** What happens before it, and what to say about that. */
  readonly before?: { readonly says: string, readonly run: (world: World) => Promise<void> }
  readonly expect: Expected
}

export interface Expected {
  readonly status: number
  /** The `code` of a problem document. */
  readonly code?: string
  /** A value, a pattern, or null for a header that must not be there. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>
}

const service = (scope: string) => (world: World) => world.token(`service ${scope}`, { scope })
const user = (name: string, scope: string) => (world: World) => world.token(`${name} ${scope}`, { scope, user: name })

/** The caller's own signature over other people's claims. */
const forged = async (world: World) => {
  const [header, , signature] = (await service('api.read')(world)).split('.')
  const claims = Buffer.from(JSON.stringify({
    iss: world.provider.issuer,
    aud: 'api://orders',
    sub: 'root',
    client_id: 'x',
    scope: 'api.admin',
    jti: 'x',
    iat: now(),
    exp: now() + 600
  }))
  return `${header}.${claims.toString('base64url')}.${signature}`
}

const now = () => Math.floor(Date.now() / 1000)
const tea = { item: 'green tea', quantity: 1 }
const invalidToken = { 'www-authenticate': /^Bearer error="invalid_token"/ }
const ask = (from: string, method: string) => ({
  origin: from,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type'
})

/** The cooldown of the demo's key set, and a little. */
const cooldown = 1200

const rotate = (keepOld: boolean) => async (world: World) => {
  await service('api.read')(world)
  await world.provider.rotate({ keepOld })
  await pause(cooldown)
}

/** What a caller of the orders API meets, in the order in which it is told. */
export const cases: readonly Case[] = [
  { title: 'a public route', method: 'GET', path: '/health', expect: { status: 200 } },
  {
    title: 'no token',
    method: 'GET',
    path: '/orders',
    expect: { status: 401, code: 'SECURE_API_UNAUTHENTICATED', headers: { 'www-authenticate': 'Bearer realm="api"' } }
  },
  {
    title: 'a malformed token',
    method: 'GET',
    path: '/orders',
    token: async () => 'not.a.token',
    expect: { status: 401, code: 'SECURE_API_TOKEN_MALFORMED', headers: invalidToken }
  },
  {
    title: 'a forged token',
    method: 'GET',
    path: '/orders',
    token: forged,
    expect: { status: 401, code: 'SECURE_API_TOKEN_SIGNATURE', headers: invalidToken }
  },
  {
    title: 'not a Bearer token',
    method: 'GET',
    path: '/orders',
    headers: { authorization: 'Bearer one two' },
    expect: { status: 400, code: 'SECURE_API_CREDENTIAL_AMBIGUOUS', headers: { 'www-authenticate': /error="invalid_request"/ } }
  },
  {
    title: 'the right scope',
    method: 'GET',
    path: '/orders',
    token: service('api.read'),
    expect: { status: 200, headers: { ratelimit: /./ } }
  },
  {
    title: 'the wrong scope',
    method: 'POST',
    path: '/orders',
    token: service('api.read'),
    body: tea,
    expect: {
      status: 403,
      code: 'SECURE_API_FORBIDDEN',
      headers: { 'www-authenticate': /error="insufficient_scope".*scope="api\.write"/ }
    }
  },
  {
    title: 'the right scope to write',
    method: 'POST',
    path: '/orders',
    token: service('api.write'),
    body: tea,
    expect: { status: 201, headers: { location: '/orders/3' } }
  },
  { title: 'a user with a token of her own', method: 'GET', path: '/me', token: user('alice', 'api.read'), expect: { status: 200 } },
  { title: 'her own order', method: 'GET', path: '/orders/1', token: user('alice', 'api.read'), expect: { status: 200 } },
  {
    title: "somebody else's order",
    method: 'GET',
    path: '/orders/2',
    token: user('alice', 'api.read'),
    expect: { status: 403, code: 'SECURE_API_FORBIDDEN' }
  },
  {
    title: 'a role she does not have',
    method: 'DELETE',
    path: '/orders/2',
    token: user('alice', 'api.read'),
    expect: { status: 403, code: 'SECURE_API_FORBIDDEN' }
  },
  { title: 'an admin', method: 'DELETE', path: '/orders/2', token: user('grace', 'api.admin'), expect: { status: 204 } },
  { title: 'an unknown route', method: 'GET', path: '/nowhere', token: service('api.read'), expect: { status: 404 } },
  {
    title: 'a preflight from the front end',
    method: 'OPTIONS',
    path: '/orders',
    headers: ask(origin, 'POST'),
    expect: { status: 204, headers: { 'access-control-allow-origin': origin, 'access-control-allow-methods': /POST/ } }
  },
  {
    title: 'a preflight from anywhere else',
    method: 'OPTIONS',
    path: '/orders',
    headers: ask('https://evil.example', 'POST'),
    expect: { status: 403, headers: { 'access-control-allow-origin': null, 'access-control-allow-methods': null } }
  },
  {
    title: 'a refusal that the front end can read',
    method: 'GET',
    path: '/orders',
    headers: { origin },
    expect: { status: 401, code: 'SECURE_API_UNAUTHENTICATED', headers: { 'access-control-allow-origin': origin } }
  },
  {
    title: 'ten writes in a minute, and one more',
    method: 'POST',
    path: '/orders',
    token: user('bob', 'api.write'),
    body: tea,
    times: 11,
    expect: {
      status: 429,
      code: 'SECURE_API_RATE_LIMITED',
      headers: { 'retry-after': /^[1-9]\d*$/, ratelimit: /./, 'ratelimit-policy': /./ }
    }
  },
  {
    title: 'a token of the new key',
    method: 'GET',
    path: '/orders',
    before: { says: 'the provider rotates its keys and keeps the old ones published', run: rotate(true) },
    token: world => world.token('after the rotation', { scope: 'api.read' }),
    expect: { status: 200 }
  },
  { title: 'a token of the old key, still published', method: 'GET', path: '/orders', token: service('api.read'), expect: { status: 200 } },
  {
    title: 'a token of the newest key',
    method: 'GET',
    path: '/orders',
    before: { says: 'the provider rotates its keys and withdraws the old ones', run: rotate(false) },
    token: world => world.token('after the withdrawal', { scope: 'api.read' }),
    expect: { status: 200 }
  },
  {
    title: 'a token of a key that was withdrawn',
    method: 'GET',
    path: '/orders',
    token: service('api.read'),
    expect: { status: 401, code: 'SECURE_API_TOKEN_KEY', headers: invalidToken }
  }
]
