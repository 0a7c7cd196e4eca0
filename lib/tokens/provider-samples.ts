import type { TokenFailureCode } from '../http/index.ts'
import type { IssuerOptions } from './options.ts'
import type { PresetSample } from './samples.ts'

type Claims = PresetSample['claims']

/** A token of a provider without a preset, and the options that read it. */
export interface ProviderSample {
  readonly name: string
  readonly documentation: string
  /** What is unusual about these tokens, and what the options do about it. */
  readonly note: string
  readonly options: IssuerOptions
  readonly header: PresetSample['header']
  /** Without `exp`, `iat` and `nbf`. */
  readonly claims: Claims
  readonly principal: PresetSample['principal']
  /** Changes that make it a token that is not accepted; undefined leaves a claim out. */
  readonly refused: ReadonlyArray<{ readonly what: string, readonly change: Claims, readonly code: TokenFailureCode }>
}

const directory = 'd1f5a6b2-0c3e-4a7f-9b8d-2e6c4f1a0b3d'
const client = '6731de76-14a6-49ae-97bc-6eba6914391e'
const organization = '280000000000000005'
const workos = 'client_01EXAMPLE00000000000000000'
const stytch = 'project-test-00000000-0000-4000-8000-000000000000'

/** For the documentation and for tests. The claims are those that the providers document; names and ids are made up. */
export const providerSamples: readonly ProviderSample[] = [
  {
    name: 'WorkOS',
    documentation: 'https://workos.com/docs/reference/authkit/session-tokens',
    note: 'No `aud`. The issuer names the client id, and is for that application alone: it stands for the audience.',
    options: {
      issuer: `https://api.workos.com/user_management/${workos}`,
      jwksUri: `https://api.workos.com/sso/jwks/${workos}`,
      audience: `https://api.workos.com/user_management/${workos}`,
      audienceClaim: 'iss',
      scopeClaims: ['permissions'],
      algorithms: ['RS256']
    },
    header: {},
    claims: {
      iss: `https://api.workos.com/user_management/${workos}`, sub: 'user_01EXAMPLE0000000000000ALICE', sid: 'session_01EXAMPLE000000000000001', jti: '01EXAMPLE00000000000000001', org_id: 'org_01EXAMPLE00000000000000SHOP', role: 'member', roles: ['member'], permissions: ['orders:read', 'orders:write'], entitlements: ['audit-logs']
    },
    principal: { kind: 'user', subject: 'user_01EXAMPLE0000000000000ALICE', client: undefined, scopes: ['orders:read', 'orders:write'], roles: ['member'] },
    refused: [{ what: 'a token of another application', change: { iss: 'https://api.workos.com/user_management/client_01OTHER' }, code: 'SECURE_API_TOKEN_ISSUER' }]
  },
  {
    name: 'Clerk',
    documentation: 'https://clerk.com/docs/guides/sessions/session-tokens',
    note: 'No `aud`. `azp` is the origin of the web application that asked for the token, and stands for the audience.',
    options: { issuer: 'https://clerk.shop.example.com', audience: 'https://shop.example.com', audienceClaim: 'azp', scopeClaims: [], roleClaims: ['o.rol'], algorithms: ['RS256'] },
    header: { typ: 'JWT', cat: 'cl_B7d4PD111AAA' },
    claims: { v: 2, azp: 'https://shop.example.com', iss: 'https://clerk.shop.example.com', sub: 'user_example0alice', sid: 'sess_example1', sts: 'active', fva: [7, -1], pla: 'u:free', o: { id: 'org_example', rol: 'admin', slg: 'shop', per: 'read,manage', fpm: '3' }, fea: 'o:orders' },
    principal: { kind: 'user', subject: 'user_example0alice', client: 'https://shop.example.com', scopes: [], roles: ['admin'] },
    refused: [
      { what: 'a token that another origin asked for', change: { azp: 'https://evil.example' }, code: 'SECURE_API_TOKEN_AUDIENCE' },
      { what: 'a token of a request without `Origin`', change: { azp: undefined }, code: 'SECURE_API_TOKEN_AUDIENCE_MISSING' }
    ]
  },
  {
    name: 'Zitadel',
    documentation: 'https://zitadel.com/docs/apis/openidoauth/claims',
    note: 'Roles are the keys of an object. Ask for JWT access tokens in the settings of the application, and let them carry roles.',
    options: { issuer: 'https://shop.zitadel.example', audience: '280000000000000001', roleClaims: ['urn:zitadel:iam:org:project:roles'] },
    header: { typ: 'at+jwt' },
    claims: { iss: 'https://shop.zitadel.example', sub: '280000000000000002', aud: ['280000000000000003', '280000000000000001'], client_id: '280000000000000003', jti: 'V2_280000000000000004', scope: 'openid orders.read', 'urn:zitadel:iam:org:project:roles': { approver: { [organization]: 'shop.example.com' }, staff: { [organization]: 'shop.example.com' } } },
    principal: { kind: 'user', subject: '280000000000000002', client: '280000000000000003', scopes: ['openid', 'orders.read'], roles: ['approver', 'staff'] },
    refused: [{ what: 'a token of another project', change: { aud: ['280000000000000009'] }, code: 'SECURE_API_TOKEN_AUDIENCE' }]
  },
  {
    name: 'Firebase',
    documentation: 'https://firebase.google.com/docs/auth/admin/custom-claims',
    note: 'Custom claims are `true` or `false`: one that is `true` is a role of its name.',
    options: { issuer: 'https://securetoken.google.com/shop-example', audience: 'shop-example', roleClaims: ['admin', 'approver'], algorithms: ['RS256'] },
    header: { typ: 'JWT' },
    claims: { admin: true, approver: false, iss: 'https://securetoken.google.com/shop-example', aud: 'shop-example', auth_time: 1_700_000_000, user_id: 'AliceExampleUid000000000000', sub: 'AliceExampleUid000000000000', email: 'alice@example.com', email_verified: true, firebase: { identities: { email: ['alice@example.com'] }, sign_in_provider: 'password' } },
    principal: { kind: 'user', subject: 'AliceExampleUid000000000000', client: undefined, scopes: [], roles: ['admin'] },
    refused: [{ what: 'a token of another project', change: { aud: 'other-example' }, code: 'SECURE_API_TOKEN_AUDIENCE' }]
  },
  {
    name: 'Azure AD B2C',
    documentation: 'https://learn.microsoft.com/azure/active-directory-b2c/access-tokens',
    note: 'Access tokens carry the `nonce` of the sign-in, as ID tokens do; `scp` tells them apart. Keys are those of the user flow.',
    options: { issuer: `https://shop.b2clogin.com/${directory}/v2.0/`, jwksUri: 'https://shop.b2clogin.com/shop.onmicrosoft.com/b2c_1_signin/discovery/v2.0/keys', audience: client, algorithms: ['RS256'] },
    header: { typ: 'JWT' },
    claims: { iss: `https://shop.b2clogin.com/${directory}/v2.0/`, aud: client, sub: '690222be-ff1a-4d56-abd1-7e4f7d38e474', tfp: 'B2C_1_signin', nonce: 'defaultNonce', scp: 'orders.read', azp: '11112222-3333-4444-5555-666677778888', ver: '1.0' },
    principal: { kind: 'user', subject: '690222be-ff1a-4d56-abd1-7e4f7d38e474', client: '11112222-3333-4444-5555-666677778888', scopes: ['orders.read'], roles: [] },
    refused: [{ what: 'the ID token', change: { scp: undefined }, code: 'SECURE_API_TOKEN_TYPE' }]
  },
  {
    name: 'authentik',
    documentation: 'https://docs.goauthentik.io/add-secure-apps/providers/oauth2/',
    note: 'Access tokens carry `nonce` and the audience of ID tokens; `scope` tells them apart. The slash at the end of the issuer counts.',
    options: { issuer: 'https://sso.example.com/application/o/orders/', audience: 'exampleClientId0000000000000000000000000', roleClaims: ['groups'] },
    header: { typ: 'JWT' },
    claims: { iss: 'https://sso.example.com/application/o/orders/', sub: 'b4a1c0ffee', aud: 'exampleClientId0000000000000000000000000', auth_time: 1_700_000_000, acr: 'goauthentik.io/providers/oauth2/default', amr: ['pwd'], nonce: 'n-0S6_WzA2Mj', email: 'alice@example.com', groups: ['approvers'], azp: 'exampleClientId0000000000000000000000000', uid: 'exampleUid', scope: 'openid email orders.read' },
    principal: { kind: 'user', subject: 'b4a1c0ffee', client: 'exampleClientId0000000000000000000000000', scopes: ['openid', 'email', 'orders.read'], roles: ['approvers'] },
    refused: [
      { what: 'the ID token', change: { scope: undefined, at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }, code: 'SECURE_API_TOKEN_TYPE' },
      { what: 'an ID token with a scope, by its other marks', change: { at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }, code: 'SECURE_API_TOKEN_TYPE' }
    ]
  },
  {
    name: 'AD FS',
    documentation: 'https://learn.microsoft.com/windows-server/identity/ad-fs/overview/ad-fs-openid-connect-oauth-concepts',
    note: '`iss` is an http identifier that is never fetched. The keys are, over https.',
    options: { issuer: 'http://adfs.example.com/adfs/services/trust', jwksUri: 'https://adfs.example.com/adfs/discovery/keys', audience: 'microsoft:identityserver:orders-api', algorithms: ['RS256'] },
    header: { typ: 'JWT', x5t: 'ExampleThumbprint0000000000' },
    claims: { aud: 'microsoft:identityserver:orders-api', iss: 'http://adfs.example.com/adfs/services/trust', sub: 'SzRTd0V4YW1wbGU=', apptype: 'Public', appid: '11112222-3333-4444-5555-666677778888', authmethod: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport', ver: '1.0', scp: 'orders.read openid', roles: 'Domain Users' },
    principal: { kind: 'user', subject: 'SzRTd0V4YW1wbGU=', client: '11112222-3333-4444-5555-666677778888', scopes: ['orders.read', 'openid'], roles: ['Domain Users'] },
    refused: [{ what: 'the same issuer over https, which is another text', change: { iss: 'https://adfs.example.com/adfs/services/trust' }, code: 'SECURE_API_TOKEN_ISSUER' }]
  },
  {
    name: 'Stytch',
    documentation: 'https://stytch.com/docs/guides/sessions/using-jwts',
    note: '`iss` is no URL. Roles are inside a claim whose name is one, so that the path is a list.',
    options: { issuer: `stytch.com/${stytch}`, jwksUri: `https://test.stytch.com/v1/sessions/jwks/${stytch}`, audience: stytch, roleClaims: [['https://stytch.com/session', 'roles']], algorithms: ['RS256'] },
    header: { typ: 'JWT' },
    claims: { iss: `stytch.com/${stytch}`, aud: [stytch], sub: 'user-test-00000000-0000-4000-8000-000000000001', 'https://stytch.com/session': { id: 'session-test-00000000-0000-4000-8000-000000000002', started_at: '2026-01-01T00:00:00Z', roles: ['stytch_user', 'approver'], authentication_factors: [{ type: 'password' }] } },
    principal: { kind: 'user', subject: 'user-test-00000000-0000-4000-8000-000000000001', client: undefined, scopes: [], roles: ['stytch_user', 'approver'] },
    refused: [{ what: 'a token of another project', change: { aud: ['project-live-00000000-0000-4000-8000-000000000009'] }, code: 'SECURE_API_TOKEN_AUDIENCE' }]
  }
]
