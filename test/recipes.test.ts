import Fastify from 'fastify'
import t, { type Test } from 'tap'
import type { Json } from './fixtures/forge.ts'
import { presetSamples } from './fixtures/preset-samples.ts'
import { providerSamples } from './fixtures/provider-samples.ts'
import { recipe, recipeIssuer, runRecipe } from './helpers/recipes.ts'

const { suite, token } = recipeIssuer()
const samples = [...providerSamples, ...presetSamples]

interface Case {
  readonly page: string
  readonly sample: string
  /** What each route of the page answers to the sample token. */
  readonly answers: Readonly<Record<string, number>>
  /** Changes to the sample token, and the answers then. */
  readonly changes?: ReadonlyArray<readonly [what: string, change: Json, answers: Readonly<Record<string, number>>]>
}

const cases: readonly Case[] = [
  {
    page: 'supabase',
    sample: 'Supabase',
    answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 },
    changes: [
      ['an anonymous user', { is_anonymous: true, user_role: undefined }, { 'GET /orders': 403, 'DELETE /orders/1': 403 }],
      ['a role that the user wrote', { user_role: undefined, user_metadata: { user_role: 'moderator' } }, { 'DELETE /orders/1': 403 }],
      ['a role of Postgres', { role: 'moderator', user_role: undefined }, { 'DELETE /orders/1': 403 }]
    ]
  },
  {
    page: 'firebase',
    sample: 'Firebase',
    answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 },
    changes: [
      ['a claim that is false', { admin: false }, { 'GET /orders': 200, 'DELETE /orders/1': 403 }],
      ['a session cookie', { iss: 'https://session.firebase.google.com/shop-example' }, { 'GET /orders': 401 }]
    ]
  },
  {
    page: 'zitadel',
    sample: 'Zitadel',
    answers: { 'GET /orders': 200, 'POST /orders/1/approve': 200 },
    changes: [['no role', { 'urn:zitadel:iam:org:project:roles': undefined }, { 'GET /orders': 200, 'POST /orders/1/approve': 403 }]]
  },
  { page: 'authentik', sample: 'authentik', answers: { 'GET /orders': 200, 'POST /orders/1/approve': 200 } },
  {
    page: 'ad-fs',
    sample: 'AD FS',
    answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 },
    changes: [
      ['two roles, as a list', { roles: ['Staff', 'Domain Users'] }, { 'DELETE /orders/1': 200 }],
      ['another role', { roles: 'Domain Guests' }, { 'DELETE /orders/1': 403 }]
    ]
  },
  {
    page: 'azure-ad-b2c',
    sample: 'Azure AD B2C',
    answers: { 'GET /orders': 200, 'POST /orders': 403 },
    changes: [['without a scope', { scp: undefined }, { 'GET /orders': 401 }]]
  },
  {
    page: 'entra-external-id',
    sample: 'Entra External ID, for a customer',
    answers: { 'GET /orders': 200, 'POST /orders/1/approve': 200 },
    changes: [[
      'the issuer with the name of the tenant',
      { iss: 'https://shop.ciamlogin.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0' },
      { 'GET /orders': 401 }
    ]]
  },
  { page: 'workos', sample: 'WorkOS', answers: { 'GET /orders': 200, 'DELETE /orders/1': 403 } },
  { page: 'clerk', sample: 'Clerk', answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 } },
  { page: 'entra-id', sample: 'Entra ID v2, for a user', answers: { 'GET /orders': 200, 'POST /import': 403 } },
  { page: 'auth0', sample: 'Auth0, for a user, with RBAC', answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 } },
  { page: 'keycloak', sample: 'Keycloak, for a user', answers: { 'GET /orders': 200, 'POST /orders/1/approve': 200 } },
  { page: 'okta', sample: 'Okta, for a user', answers: { 'GET /orders': 200, 'DELETE /orders/1': 403 } },
  {
    page: 'entra-workload-identity',
    sample: 'Entra ID v2, for a managed identity',
    answers: { 'POST /import': 200, 'GET /orders': 403 },
    changes: [
      ['no role was given to it', { roles: undefined }, { 'POST /import': 403 }],
      ['without idtyp', { idtyp: undefined }, { 'POST /import': 200 }],
      ['a user with the role', { idtyp: undefined, scp: 'orders.read', sub: 'u1' }, { 'POST /import': 403, 'GET /orders': 200 }],
      ['an ID token of a user', { idtyp: undefined, azp: undefined, sub: 'u1' }, { 'POST /import': 403, 'GET /orders': 403 }]
    ]
  },
  {
    page: 'google-service-accounts',
    sample: 'Google, for a service account',
    answers: { 'POST /import': 200 },
    changes: [
      ['another account', { email: 'other@project.iam.gserviceaccount.com' }, { 'POST /import': 403 }],
      ['without its address', { email: undefined, email_verified: undefined }, { 'POST /import': 403 }],
      ['a user', { email: 'alice@example.com', azp: 'x.apps.googleusercontent.com' }, { 'POST /import': 403 }],
      ['the sign-in of a user', { email: 'alice@example.com', at_hash: 'x' }, { 'POST /import': 401 }]
    ]
  },
  {
    page: 'kubernetes-service-accounts',
    sample: 'Kubernetes, for a service account',
    answers: { 'POST /import': 200 },
    changes: [
      ['another account', { sub: 'system:serviceaccount:shop:default' }, { 'POST /import': 403 }],
      ['the same name in another namespace', { sub: 'system:serviceaccount:other:importer' }, { 'POST /import': 403 }],
      ['a token for the cluster', { aud: ['https://kubernetes.default.svc'] }, { 'POST /import': 401 }]
    ]
  },
  {
    page: 'aws-iam',
    sample: 'AWS STS, for a role',
    answers: { 'POST /import': 200 },
    changes: [
      ['another role', { sub: 'arn:aws:iam::123456789012:role/other' }, { 'POST /import': 403 }],
      ['a token for somebody else', { aud: 'https://other.example.com' }, { 'POST /import': 401 }]
    ]
  },
  { page: 'cognito', sample: 'Cognito, for a user', answers: { 'GET /orders': 200, 'DELETE /orders/1': 200 } }
]

async function start (t: Test, page: string, block = 0) {
  const app = Fastify()
  t.teardown(() => app.close())
  await runRecipe(recipe(page)[block] ?? '', { app, suite })
  await app.ready()
  return app
}

for (const { page, sample: name, answers, changes = [] } of cases) {
  t.test(`17.12: docs/recipes/${page}.md answers tokens of ${name} as its rules say`, async t => {
    const app = await start(t, page)
    const sample = samples.find(sample => sample.name === name)
    const ask = async (route: string, change?: Json) => {
      const [method = '', url = ''] = route.split(' ')
      const headers = change === undefined ? {} : token({ ...sample?.claims, ...change }, sample?.header)
      return (await app.inject({ method: method as 'GET', url, headers })).statusCode
    }
    for (const [route, status] of Object.entries(answers)) {
      t.equal(await ask(route), 401, `${route} without a token`)
      t.equal(await ask(route, {}), status, route)
    }
    for (const [what, change, expected] of changes) {
      for (const [route, status] of Object.entries(expected)) t.equal(await ask(route, change), status, `${route}: ${what}`)
    }
  })
}
