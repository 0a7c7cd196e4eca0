import { randomBytes, type JsonWebKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type Provider from 'oidc-provider'
import type { Context, Grant, Token } from 'oidc-provider'
import { loadProvider } from './load-provider.ts'
import { requestToken, signIn } from './sign-in.ts'
import { signingKeys, type SigningAlgorithm, type SigningKey } from './signing-keys.ts'
import { memoryStorage } from './storage.ts'

const scopes = 'api.read api.write api.admin'

/** Who may sign in, and with which roles. */
const accounts: Readonly<Record<string, readonly string[]>> = { alice: ['customer'], bob: ['customer'], grace: ['admin'] }

export interface ProviderOptions {
  /** The API that tokens are for: their `aud`. */
  readonly audience: string
  /** A free one unless given. */
  readonly port?: number
  /** What access tokens are signed with, RS256 unless given. */
  readonly algorithm?: SigningAlgorithm
  /** The first keys; new ones unless given. A test that plays an issuer who errs has to sign with them. */
  readonly keys?: readonly SigningKey[]
}

export interface TokenRequest {
  /** Space-separated, some of `api.read api.write api.admin`. */
  readonly scope: string
  /** `alice`, `bob` or `grace` (an admin); the service client's own token unless given. */
  readonly user?: string
}

export interface RunningProvider {
  readonly issuer: string
  /** An access token (RFC 9068): client credentials for the service, authorization code with PKCE for a user. */
  token (request: TokenRequest): Promise<string>
  /** Signs with new keys from now on. The old ones stay published unless `keepOld` is false. */
  rotate (options?: { keepOld?: boolean }): Promise<void>
  /** The key set as anyone may read it. */
  jwks (): Promise<{ keys: JsonWebKey[] }>
  close (): Promise<void>
}

/** Starts an OpenID provider on loopback, for the demo and the tests: everyone in `accounts` signs in without a password. */
export async function startProvider (options: ProviderOptions): Promise<RunningProvider> {
  const OidcProvider = await loadProvider()
  const server = createServer()
  server.keepAliveTimeout = 0 // after a pause of its machine it would end the connection on which somebody asks just then
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const setup = prepare(options, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  let generation = 1
  let keys = options.keys ?? await signingKeys(generation)
  let provider = new OidcProvider(setup.issuer, configuration(setup, keys))
  server.on('request', (request, response) => serve(provider, request, response))

  return {
    issuer: setup.issuer,
    token: request => requestFor(setup, request),
    async rotate ({ keepOld = true } = {}) {
      keys = [...await signingKeys(++generation), ...keepOld ? keys : []]
      // The key set is fixed when a provider is made, so a new one takes over the same address.
      provider = new OidcProvider(setup.issuer, configuration(setup, keys))
    },
    jwks: async () => (await fetch(`${setup.issuer}/jwks`)).json() as Promise<{ keys: JsonWebKey[] }>,
    close: () => close(server)
  }
}

type Setup = ReturnType<typeof prepare>

function prepare ({ audience, algorithm = 'RS256' }: ProviderOptions, issuer: string) {
  return {
    issuer,
    audience,
    algorithm,
    redirectUri: `${issuer}/signed-in`,
    secret: randomBytes(24).toString('base64url'),
    cookieKey: randomBytes(24).toString('base64url'),
    adapter: memoryStorage()
  }
}

function requestFor ({ issuer, audience, redirectUri, secret }: Setup, { scope, user }: TokenRequest): Promise<string> {
  if (user !== undefined) {
    return signIn({ issuer, clientId: 'orders-web', clientSecret: secret, redirectUri, resource: audience, scope, user })
  }
  return requestToken({ issuer, clientId: 'orders-service', clientSecret: secret },
    { grant_type: 'client_credentials', scope, resource: audience })
}

function configuration (setup: Setup, keys: readonly SigningKey[]): object {
  return {
    adapter: setup.adapter,
    jwks: { keys },
    clients: clients(setup),
    cookies: { keys: [setup.cookieKey] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: resourceIndicators(setup, keys)
    },
    findAccount: (_: Context, id: string) => id in accounts ? { accountId: id, claims: () => ({ sub: id }) } : undefined,
    // RFC 9068 §2.2.3.1: authorization by roles.
    extraTokenClaims: (_: Context, { accountId }: Token) => accountId === undefined ? undefined : { roles: accounts[accountId] },
    loadExistingGrant: (context: Context & { oidc: { provider: Provider } }) => grantAll(context, setup.audience),
    interactions: { url: (_: Context, { uid }: { uid: string }) => `/interaction/${uid}` },
    ttl: { AccessToken: 600, ClientCredentials: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 60, Session: 600, Grant: 600 }
  }
}

function clients ({ secret, redirectUri }: Setup): object[] {
  return [
    { client_id: 'orders-service', client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    {
      client_id: 'orders-web',
      client_secret: secret,
      grant_types: ['authorization_code'],
      redirect_uris: [redirectUri],
      response_types: ['code']
    }
  ]
}

/** RFC 8707: naming the API as `resource` gets a JWT that is meant for it alone. */
function resourceIndicators ({ audience, algorithm }: Setup, keys: readonly SigningKey[]): object {
  const kid = keys.find(({ alg }) => alg === algorithm)?.kid
  return {
    enabled: true,
    defaultResource: () => audience,
    useGrantedResource: () => true,
    getResourceServerInfo: () => ({
      scope: scopes,
      audience,
      accessTokenFormat: 'jwt',
      accessTokenTTL: 600,
      jwt: { sign: { alg: algorithm, kid } }
    })
  }
}

/** Consent to whatever is asked for, in place of a consent page. */
async function grantAll ({ oidc }: Context & { oidc: { provider: Provider } }, resource: string): Promise<Grant> {
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
  grant.addOIDCScope('openid')
  grant.addResourceScope(resource, oidc.params.scope ?? '')
  await grant.save()
  return grant
}

function serve (provider: Provider, request: IncomingMessage, response: ServerResponse): void {
  if (request.url?.startsWith('/interaction/') !== true) return provider.callback()(request, response)
  enter(provider, request, response).catch((error: unknown) => {
    response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error))
  })
}

/** In place of a login page: whoever the application hinted at is signed in. */
async function enter (provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { params: { login_hint: accountId = '' } } = await provider.interactionDetails(request, response)
  const result = accountId in accounts ? { login: { accountId } } : { error: 'access_denied' }
  await provider.interactionFinished(request, response, result)
}

async function close (server: Server): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}
