import { immutableSet } from './immutable.ts'

/** Who calls: what `request.auth` holds. Frozen; its members are too, so that requests can share one. */
export interface Principal<Claims extends object = Readonly<Record<string, unknown>>> {
  readonly kind: 'user' | 'service' | 'api-key' | 'anonymous'
  /** How the caller proved it: `'jwt'`, `'opaque'`, `'api-key'`, `'certificate'`, or the name of an authenticator of the application. */
  readonly credential: string | undefined
  /** The `kid` of the key that signed the token, or the id of the API key: what is withdrawn when it leaks. */
  readonly keyId?: string
  /** The SHA-256 thumbprint of the certificate that the credential is bound to (RFC 8705 §3.1, `x5t#S256`). */
  readonly boundTo?: string
  /**
   * `sub`; unique only together with `issuer` (OpenID Connect Core §5.7). For a service whose token has none, its client. Empty if, and
   * only if, the kind is `anonymous`: whoever passes a rule has one.
   */
  readonly subject: string
  /** `client_id`, or `azp`: the application that asked for the token. */
  readonly client: string | undefined
  readonly issuer: string | undefined
  readonly tenant?: string
  readonly scopes: ReadonlySet<string>
  readonly roles: ReadonlySet<string>
  readonly claims: Claims
  /** Milliseconds since the epoch, or Infinity where nothing expires. */
  readonly expiresAt: number
}

/** Who calls a public route without a credential. */
export const anonymous: Principal = Object.freeze({
  kind: 'anonymous',
  credential: undefined,
  subject: '',
  client: undefined,
  issuer: undefined,
  scopes: immutableSet<string>([]),
  roles: immutableSet<string>([]),
  claims: Object.freeze({}),
  expiresAt: Infinity
})
