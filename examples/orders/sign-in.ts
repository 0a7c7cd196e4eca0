import { createHash, randomBytes } from 'node:crypto'

/** What a sign-in needs: the client as registered at the provider, and who signs in for what. */
export interface SignIn {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly redirectUri: string
  readonly resource: string
  readonly scope: string
  readonly user: string
}

/** Gets a user's access token as a browser and its web application would: authorization code with PKCE (RFC 7636). */
export async function signIn (request: SignIn): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(8).toString('hex')
  const answer = await followRedirects(authorizationUrl(request, verifier, state), request.redirectUri)
  const code = answer.searchParams.get('code')
  if (code === null || answer.searchParams.get('state') !== state) throw new Error(`sign-in failed: ${answer.search}`)
  return requestToken(request, {
    grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: request.redirectUri, resource: request.resource
  })
}

function authorizationUrl ({ issuer, clientId, redirectUri, resource, scope, user }: SignIn, verifier: string, state: string): URL {
  const url = new URL('/auth', issuer)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: `openid ${scope}`,
    resource,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: user
  }).toString()
  return url
}

/** Walks the redirects with the cookies a browser would keep, up to the one that leads back to the application. */
async function followRedirects (start: URL, end: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = start
  for (let hop = 0; hop < 10; hop++) {
    if (url.href.startsWith(end)) return url
    const response = await fetch(url, { redirect: 'manual', headers: { cookie: [...cookies].map(pair => pair.join('=')).join('; ') } })
    const location = response.headers.get('location')
    if (location === null) throw new Error(`sign-in stopped at ${url.pathname} with ${response.status}: ${await response.text()}`)
    keepCookies(cookies, response.headers.getSetCookie())
    url = new URL(location, url)
  }
  throw new Error('sign-in never came back to the application')
}

function keepCookies (cookies: Map<string, string>, lines: readonly string[]): void {
  for (const line of lines) {
    const [name = '', value = ''] = line.split(';', 1)[0]?.split(/=(.*)/s) ?? []
    if (value === '') cookies.delete(name)
    else cookies.set(name, value)
  }
}

/** Asks the token endpoint (RFC 6749 §3.2) with HTTP Basic client authentication. */
export async function requestToken (client: Pick<SignIn, 'issuer' | 'clientId' | 'clientSecret'>, parameters: Record<string,
  string>): Promise<string> {
  const credentials = Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64')
  const response = await fetch(new URL('/token', client.issuer), {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams(parameters)
  })
  const answer = await response.json() as { access_token?: string }
  if (answer.access_token === undefined) throw new Error(`no token: ${response.status} ${JSON.stringify(answer)}`)
  return answer.access_token
}
