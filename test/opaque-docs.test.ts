import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { SecureApiOptions } from '../plugins/index.ts'
import type { TestIssuer, TestIssuerOptions } from '../testing/index.ts'
import { recipe, runRecipe } from './helpers/recipes.ts'
import { codeOf, startIssuer } from './helpers/server.ts'
import { snippets } from './helpers/snippets.ts'

type Auth = Exclude<SecureApiOptions['auth'], false | undefined>

const root = fileURLToPath(new URL('..', import.meta.url))
const blocks = (page: string, language: string) => snippets(root, page).filter(block => block.language === language).map(({ code }) => code)

/** The code of a page, with the keys of a test issuer in place of the provider's. */
async function start (t: Test, code: string, options: TestIssuerOptions, change: (auth: Auth, issuer: TestIssuer) => Auth = auth => auth) {
  const issuer = await startIssuer(t, options)
  const app = Fastify()
  t.teardown(() => app.close())
  const suite = ({ auth = false, ...rest }: SecureApiOptions): SecureApiOptions => {
    const { jwksUri, ...given } = auth as Auth
    return { ...rest, environment: 'development', audit: { sink: () => {} }, auth: change({ ...given, jwks: issuer.jwks }, issuer) }
  }
  await runRecipe(code, { app, suite })
  await app.ready()
  const ask = async (headers: Record<string, string>, url = '/orders', method: 'GET' | 'DELETE' = 'GET') => {
    const response = await app.inject({ url, method, headers })
    return codeOf(response) ?? response.statusCode
  }
  return { issuer, ask }
}

t.test('docs/recipes/google-iap.md takes its token from the header of IAP alone', async t => {
  const { issuer, ask } = await start(t, recipe('google-iap')[0] ?? '', { alg: 'ES256' })
  const claims = { client_id: undefined, jti: undefined, ...JSON.parse(blocks('docs/recipes/google-iap.md', 'json')[0] ?? '') }
  const header = (changes: object = {}) => ({ 'x-goog-iap-jwt-assertion': issuer.sign({ ...claims, ...changes }, { typ: 'JWT' }) })
  t.equal(await ask(header()), 200)
  t.equal(await ask(header(), '/orders/1', 'DELETE'), 200)
  t.equal(await ask(header(), '/audit'), 200)
  t.equal(await ask(header({ hd: 'other.example' }), '/orders/1', 'DELETE'), 'SECURE_API_FORBIDDEN')
  t.equal(await ask(header({ google: {} }), '/audit'), 'SECURE_API_FORBIDDEN')
  t.equal(await ask(header({ aud: '/projects/1/global/backendServices/2' })), 'SECURE_API_TOKEN_AUDIENCE')
  t.equal(await ask({ authorization: `Bearer ${header()['x-goog-iap-jwt-assertion']}` }), 'SECURE_API_UNAUTHENTICATED')
  t.equal(await ask({ 'x-goog-authenticated-user-email': 'accounts.google.com:alice@example.com' }), 'SECURE_API_UNAUTHENTICATED')
})

t.test('docs/recipes/cloudflare-access.md takes its token from the header of Access alone', async t => {
  const { issuer, ask } = await start(t, recipe('cloudflare-access')[0] ?? '', {})
  const claims = { client_id: undefined, jti: undefined, ...JSON.parse(blocks('docs/recipes/cloudflare-access.md', 'json')[0] ?? '') }
  const header = (changes: object = {}) => ({ 'cf-access-jwt-assertion': issuer.sign({ ...claims, ...changes }, { typ: 'JWT' }) })
  t.equal(await ask(header()), 200)
  t.equal(await ask(header(), '/orders/1', 'DELETE'), 200)
  t.equal(await ask(header({ custom: {} }), '/orders/1', 'DELETE'), 'SECURE_API_FORBIDDEN')
  t.equal(await ask(header({ sub: '', common_name: 'e367826f.access' })), 'SECURE_API_TOKEN_CLAIMS', 'a service token')
  t.equal(await ask({ cookie: `CF_Authorization=${header()['cf-access-jwt-assertion']}` }), 'SECURE_API_UNAUTHENTICATED')
})

t.test('docs/recipes/aws-alb.md takes the access token; what the load balancer signs is no JWT', async t => {
  const { issuer, ask } = await start(t, recipe('aws-alb')[0] ?? '', {})
  const claims = {
    iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example',
    aud: undefined,
    client_id: '4example1client2id',
    token_use: 'access',
    scope: 'orders/read',
    'cognito:groups': ['admin']
  }
  const header = (changes: object = {}) =>
    ({ 'x-amzn-oidc-accesstoken': issuer.sign({ ...claims, ...changes }, { header: { typ: undefined } }) })
  t.equal(await ask(header()), 200)
  t.equal(await ask(header(), '/orders/1', 'DELETE'), 200)
  t.equal(await ask(header({ token_use: 'id' })), 'SECURE_API_TOKEN_TYPE')
  t.equal(await ask(header({ client_id: 'other' })), 'SECURE_API_TOKEN_AUDIENCE')
  const padded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64')
  const data = `${padded({ alg: 'ES256', kid: 'k', signer: 'arn:aws:x' })}.${padded({ sub: 'alice', iss: claims.iss })}.c2lnbg==`
  t.equal(await ask({ 'x-amzn-oidc-data': data }), 'SECURE_API_UNAUTHENTICATED', 'it is not read')
  t.match(String(await ask({ 'x-amzn-oidc-accesstoken': data })), /CREDENTIAL_AMBIGUOUS|TOKEN_MALFORMED/)
})

t.test('docs/opaque-tokens.md: its first block looks tokens up', async t => {
  const { issuer, ask } = await start(t, blocks('docs/opaque-tokens.md', 'ts')[0] ?? '', {}, ({ jwks, ...auth }, issuer) =>
    ({ ...auth, issuer: issuer.issuer, startup: 'lazy', introspection: { ...auth.introspection, ...issuer.introspection } }))
  const token = issuer.opaque({ aud: 'api://orders', scope: 'orders.read' })
  t.equal(await ask({ authorization: `Bearer ${token}` }), 200)
  issuer.revoke(token)
  t.equal(await ask({ authorization: `Bearer ${issuer.opaque({ aud: 'api://orders' })}` }), 'SECURE_API_FORBIDDEN')
  t.equal(await ask({ authorization: 'Bearer invented' }), 'SECURE_API_TOKEN_INACTIVE')
})
