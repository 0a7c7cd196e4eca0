import type { Algorithm } from '../keys/index.ts'
import { textClaim, type ClaimPath, type UncheckedClaims } from './claims.ts'

/** What is known of a provider's access tokens. The issuer's own options override every field. */
export interface Preset {
  /** Where the documentation of these tokens is. */
  readonly documentation: string
  /** What `iss` looks like; the commonest mistakes in configuring it do not fit. */
  readonly issuerForm: RegExp
  readonly issuerHint: string
  readonly algorithms: readonly Algorithm[]
  readonly scopeClaims: readonly ClaimPath[]
  /** `{audience}` stands for each configured audience. */
  readonly roleClaims: readonly ClaimPath[]
  /** The claim that is matched against `audience`. @default 'aud' */
  readonly audienceClaim?: string
  /** A claim by which the provider says what kind of token this is. */
  readonly tokenUse?: TokenUse
  /** True for a token that an application got for itself (RFC 6749 §4.4), false for one that stands for a user. */
  readonly isService: (claims: UncheckedClaims) => boolean
}

export interface TokenUse {
  readonly claim: string
  readonly accepted: readonly string[]
  /** Whether a token without the claim is refused. */
  readonly required: boolean
}

const text = textClaim

/** What only tokens of users have: a session, and how they logged in (RFC 9068 §2.2.1). Cognito gives applications an `auth_time` too. */
const userMarks = ['sid', 'amr']

/**
 * RFC 9068 §2.2: without a user, `sub` names the client; older providers leave it out then. A token that names neither
 * a subject nor a client is not taken for an application's, and neither is one of a login: users of some providers choose their `sub`, and
 * could choose the name of a client (RFC 9700 §4.15).
 */
export function isClientItself (claims: UncheckedClaims): boolean {
  if (userMarks.some(name => Object.hasOwn(claims, name))) return false
  const { sub, client_id: client, azp, cid } = claims
  const clients = [client, azp, cid].filter(name => name !== undefined && name !== '')
  return sub === undefined ? clients.length > 0 : clients.includes(sub)
}

/** Providers whose access tokens are known. `test/fixtures/preset-samples.ts` has tokens of each. */
export const presets = {
  /** Microsoft Entra ID, v1 (`https://sts.windows.net/{tenantid}/`) and v2 (`https://login.microsoftonline.com/{tenantid}/v2.0`). */
  entra: {
    documentation: 'https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference',
    // Lower case, as in tokens: issuers are compared literally.
    issuerForm: /^https:\/\/[^/A-Z]+\/(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\{tenantid\})\/(?:v2\.0\/?)?$/,
    issuerHint: 'Tokens carry the tenant\'s id in lower case, never `common`, `organizations` or a domain: ' +
      'https://login.microsoftonline.com/<tenant id>/v2.0, or {tenantid} with `tenants`.',
    algorithms: ['RS256'],
    scopeClaims: [['scp']],
    roleClaims: [['roles']],
    /**
     * `idtyp` is optional in configuration. Without it, application tokens have no `scp`, name their client, and their `sub` is their
     * `oid`; that of a user differs for each application. ID tokens have no `scp` either, and pass where the audience is a client id.
     */
    isService: claims => claims.idtyp === 'app' || (claims.idtyp === undefined && claims.scp === undefined &&
      (claims.azp ?? claims.appid) !== undefined && claims.oid !== undefined && claims.oid === claims.sub)
  },
  /**
   * Auth0. With RBAC, `permissions` lists all that the user may do whatever the client asked for: that is a role,
   * while `scope` is what this client was granted.
   */
  auth0: {
    documentation: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
    issuerForm: /^https:\/\/[^/]+\/$/,
    issuerHint: 'Auth0 issuers end with a slash: https://tenant.eu.auth0.com/.',
    algorithms: ['RS256', 'RS512', 'PS256'],
    scopeClaims: [['scope']],
    roleClaims: [['permissions']],
    /** `sub` is `<client id>@clients`. The end alone is not enough: connections take over the names of users as they are. */
    isService: claims => claims.gty === 'client-credentials' ||
      ['azp', 'client_id'].some(name => text(claims, name) !== undefined && claims.sub === `${text(claims, name)}@clients`)
  },
  /**
   * Keycloak. `aud` holds this API only if the client scope has an audience mapper; `account` alone is not enough.
   * Before release 25 access tokens carried `nonce`, so that `typ` is what tells them from ID tokens.
   */
  keycloak: {
    documentation: 'https://www.keycloak.org/docs/latest/server_admin/#_audience',
    issuerForm: /^https:\/\/.+\/realms\/[^/]+$/,
    issuerHint: 'Keycloak issuers are https://<host>/realms/<realm>, without a slash at the end.',
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
    scopeClaims: [['scope']],
    roleClaims: [['realm_access', 'roles'], ['resource_access', '{audience}', 'roles']],
    tokenUse: { claim: 'typ', accepted: ['Bearer'], required: true },
    /** The account of a client has no session, and bears the client's name. */
    isService: claims => claims.sid === undefined && claims.session_state === undefined &&
      text(claims, 'preferred_username') === `service-account-${(text(claims, 'azp') ?? '').toLowerCase()}`
  },
  /** Okta custom authorization servers. Tokens of the org server (no `/oauth2/…`) are opaque by contract. */
  okta: {
    documentation: 'https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/',
    issuerForm: /^https:\/\/[^/]+\/oauth2\/[^/]+$/,
    issuerHint: 'Only custom authorization servers issue tokens for your own API: https://<domain>/oauth2/default.',
    algorithms: ['RS256'],
    scopeClaims: [['scp']],
    roleClaims: [['groups']],
    isService: claims => claims.uid === undefined && isClientItself(claims)
  },
  /** Amazon Cognito user pools. Access tokens have no `aud`: `audience` lists the app client ids that may call. */
  cognito: {
    documentation: 'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html',
    issuerForm: /^https:\/\/cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?\/[\w-]+$/,
    issuerHint: 'The issuer is the user pool: https://cognito-idp.<region>.amazonaws.com/<pool id>, not the hosted login page.',
    algorithms: ['RS256'],
    scopeClaims: [['scope']],
    roleClaims: [['cognito:groups']],
    audienceClaim: 'client_id',
    tokenUse: { claim: 'token_use', accepted: ['access'], required: true },
    isService: isClientItself
  },
  /**
   * Google. Its access tokens are opaque; what a service can verify are the ID tokens that Google signs for calls between services, whose
   * `aud` is the address of the service. Those of a sign-in carry `at_hash` or `nonce` and are refused, as everywhere.
   */
  google: {
    documentation: 'https://cloud.google.com/run/docs/authenticating/service-to-service',
    issuerForm: /^https:\/\/accounts\.google\.com$/,
    issuerHint: 'The issuer is https://accounts.google.com.',
    algorithms: ['RS256'],
    scopeClaims: [],
    roleClaims: [],
    /** Tokens come without `email` unless it is asked for. `azp` is then the account itself; that of a user is the application. */
    isService: claims => (text(claims, 'azp') !== undefined && claims.azp === claims.sub) ||
      (claims.email_verified === true && text(claims, 'email')?.endsWith('.gserviceaccount.com') === true)
  }
} as const satisfies Record<string, Preset>

export type PresetName = keyof typeof presets
