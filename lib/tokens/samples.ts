import type { PresetName } from './presets.ts'

/** A token as the provider's documentation shows it, and what this library reads from it. */
export interface PresetSample {
  readonly name: string
  readonly preset: PresetName
  readonly issuer: string
  readonly audience: string
  readonly header: Readonly<Record<string, unknown>>
  /** Without `exp`, `iat` and `nbf`, which depend on the day. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly principal: {
    readonly kind: 'user' | 'service'
    readonly subject: string
    readonly client: string | undefined
    readonly tenant?: string
    readonly scopes: readonly string[]
    readonly roles: readonly string[]
  }
}

const tenant = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'
const application = '6731de76-14a6-49ae-97bc-6eba6914391e'

/** At least one token of each preset, for the documentation and for tests. */
export const presetSamples: readonly PresetSample[] = [
  {
    name: 'Entra ID v2, for a user',
    preset: 'entra',
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    audience: application,
    header: { typ: 'JWT' },
    claims: {
      aud: application,
      iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
      aio: 'AXQAi/8IAAAAFm',
      azp: '11112222-3333-4444-5555-666677778888',
      azpacr: '0',
      name: 'Abe Lincoln',
      oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474',
      preferred_username: 'abeli@example.com',
      rh: 'I',
      scp: 'orders.read orders.write',
      roles: ['Approver'],
      sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
      tid: tenant,
      uti: 'fqiBqXLPj0eQa82S-IYFAA',
      ver: '2.0'
    },
    principal: { kind: 'user', subject: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ', client: '11112222-3333-4444-5555-666677778888', tenant, scopes: ['orders.read', 'orders.write'], roles: ['Approver'] }
  },
  {
    name: 'Entra ID v2, for an application',
    preset: 'entra',
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    audience: application,
    header: { typ: 'JWT' },
    claims: {
      aud: application, iss: `https://login.microsoftonline.com/${tenant}/v2.0`, azp: '11112222-3333-4444-5555-666677778888', azpacr: '1', oid: 'b6f6a4a5-0b6e-4bd9-9f7c-0d6d0a3a9e51', roles: ['Orders.Read.All'], sub: 'b6f6a4a5-0b6e-4bd9-9f7c-0d6d0a3a9e51', tid: tenant, ver: '2.0'
    },
    principal: { kind: 'service', subject: 'b6f6a4a5-0b6e-4bd9-9f7c-0d6d0a3a9e51', client: '11112222-3333-4444-5555-666677778888', tenant, scopes: [], roles: ['Orders.Read.All'] }
  },
  {
    name: 'Entra ID v1, for a user',
    preset: 'entra',
    issuer: `https://sts.windows.net/${tenant}/`,
    audience: 'api://orders',
    header: { typ: 'JWT' },
    claims: {
      aud: 'api://orders', iss: `https://sts.windows.net/${tenant}/`, acr: '1', amr: ['pwd'], appid: '11112222-3333-4444-5555-666677778888', appidacr: '0', ipaddr: '192.0.2.1', oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474', scp: 'orders.read', sub: 'l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA', tid: tenant, unique_name: 'abeli@example.com', ver: '1.0'
    },
    principal: { kind: 'user', subject: 'l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA', client: '11112222-3333-4444-5555-666677778888', tenant, scopes: ['orders.read'], roles: [] }
  },
  {
    name: 'Auth0, for a user, with RBAC',
    preset: 'auth0',
    issuer: 'https://tenant.eu.auth0.com/',
    audience: 'https://api.example.com/orders',
    header: { typ: 'JWT' },
    claims: {
      iss: 'https://tenant.eu.auth0.com/', sub: 'auth0|5f7c8ec7c33c6c004bbafe82', aud: ['https://api.example.com/orders', 'https://tenant.eu.auth0.com/userinfo'], azp: 'my_client_id', scope: 'openid profile read:orders', permissions: ['read:orders', 'delete:orders']
    },
    principal: { kind: 'user', subject: 'auth0|5f7c8ec7c33c6c004bbafe82', client: 'my_client_id', scopes: ['openid', 'profile', 'read:orders'], roles: ['read:orders', 'delete:orders'] }
  },
  {
    name: 'Auth0, for an application',
    preset: 'auth0',
    issuer: 'https://tenant.eu.auth0.com/',
    audience: 'https://api.example.com/orders',
    header: { typ: 'JWT' },
    claims: { iss: 'https://tenant.eu.auth0.com/', sub: 'my_client_id@clients', aud: 'https://api.example.com/orders', azp: 'my_client_id', scope: 'read:orders', gty: 'client-credentials' },
    principal: { kind: 'service', subject: 'my_client_id@clients', client: 'my_client_id', scopes: ['read:orders'], roles: [] }
  },
  {
    name: 'Keycloak, for a user',
    preset: 'keycloak',
    issuer: 'https://sso.example.com/realms/shop',
    audience: 'orders-api',
    header: { typ: 'JWT' },
    claims: {
      jti: 'onrtac:9ab2a4a1',
      iss: 'https://sso.example.com/realms/shop',
      aud: ['orders-api', 'account'],
      sub: '0b3e5a56-7b70-4e32-a3a5-3a2c2f0e3f1a',
      typ: 'Bearer',
      azp: 'storefront',
      sid: 'c1d6c7f0-3c0d-4bbb-8a5a-6a4f6a5f3c1b',
      acr: '1',
      scope: 'openid email orders.read',
      realm_access: { roles: ['offline_access', 'staff'] },
      resource_access: { 'orders-api': { roles: ['approver'] }, account: { roles: ['view-profile'] } },
      preferred_username: 'alice'
    },
    principal: { kind: 'user', subject: '0b3e5a56-7b70-4e32-a3a5-3a2c2f0e3f1a', client: 'storefront', scopes: ['openid', 'email', 'orders.read'], roles: ['offline_access', 'staff', 'approver'] }
  },
  {
    name: 'Keycloak, for a client\'s own account',
    preset: 'keycloak',
    issuer: 'https://sso.example.com/realms/shop',
    audience: 'orders-api',
    header: { typ: 'JWT' },
    claims: {
      jti: 'trrtcc:4b1d3f65', iss: 'https://sso.example.com/realms/shop', aud: 'orders-api', sub: '5a1f1c7e-6a0c-4f4e-8a0a-1d6f9f3b7a52', typ: 'Bearer', azp: 'Importer', acr: '1', scope: 'orders.write', clientHost: '192.0.2.7', client_id: 'Importer', preferred_username: 'service-account-importer', realm_access: { roles: ['batch'] }
    },
    principal: { kind: 'service', subject: '5a1f1c7e-6a0c-4f4e-8a0a-1d6f9f3b7a52', client: 'Importer', scopes: ['orders.write'], roles: ['batch'] }
  },
  {
    name: 'Okta, for a user',
    preset: 'okta',
    issuer: 'https://dev.example.okta.com/oauth2/default',
    audience: 'api://default',
    header: {},
    claims: { ver: 1, jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE', iss: 'https://dev.example.okta.com/oauth2/default', aud: 'api://default', cid: '0oa15uzifCZAyFj0h4x7', uid: '00ujmkLgagxeRrAg20g3', scp: ['openid', 'orders.read'], groups: ['Everyone'], sub: 'alice@example.com', auth_time: 1_700_000_000 },
    principal: { kind: 'user', subject: 'alice@example.com', client: '0oa15uzifCZAyFj0h4x7', scopes: ['openid', 'orders.read'], roles: ['Everyone'] }
  },
  {
    name: 'Okta, for an application',
    preset: 'okta',
    issuer: 'https://dev.example.okta.com/oauth2/default',
    audience: 'api://default',
    header: {},
    claims: { ver: 1, jti: 'AT.9mB4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE', iss: 'https://dev.example.okta.com/oauth2/default', aud: 'api://default', cid: '0oa15uzifCZAyFj0h4x7', scp: ['orders.write'], sub: '0oa15uzifCZAyFj0h4x7' },
    principal: { kind: 'service', subject: '0oa15uzifCZAyFj0h4x7', client: '0oa15uzifCZAyFj0h4x7', scopes: ['orders.write'], roles: [] }
  },
  {
    name: 'Cognito, for a user',
    preset: 'cognito',
    issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example',
    audience: '4example1client2id',
    header: {},
    claims: { sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', device_key: 'eu-west-1_device', 'cognito:groups': ['admin'], iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example', version: 2, client_id: '4example1client2id', origin_jti: 'origin', event_id: 'event', token_use: 'access', scope: 'orders/read openid', auth_time: 1_700_000_000, jti: 'aaaaaaaa-1111', username: 'alice' },
    principal: { kind: 'user', subject: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', client: '4example1client2id', scopes: ['orders/read', 'openid'], roles: ['admin'] }
  },
  {
    name: 'Cognito, for an application',
    preset: 'cognito',
    issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example',
    audience: '4example1client2id',
    header: {},
    claims: { sub: '4example1client2id', token_use: 'access', scope: 'orders/write', auth_time: 1_700_000_000, iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example', version: 2, jti: 'aaaaaaaa-2222', client_id: '4example1client2id' },
    principal: { kind: 'service', subject: '4example1client2id', client: '4example1client2id', scopes: ['orders/write'], roles: [] }
  },
  {
    name: 'Google, for a service account',
    preset: 'google',
    issuer: 'https://accounts.google.com',
    audience: 'https://orders-abc123-ew.a.run.app',
    header: { typ: 'JWT' },
    claims: { iss: 'https://accounts.google.com', aud: 'https://orders-abc123-ew.a.run.app', azp: '112010400000000710080', email: 'importer@project.iam.gserviceaccount.com', email_verified: true, sub: '112010400000000710080' },
    principal: { kind: 'service', subject: '112010400000000710080', client: '112010400000000710080', scopes: [], roles: [] }
  }
]
