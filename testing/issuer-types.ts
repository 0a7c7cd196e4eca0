import type { JsonWebKey } from 'node:crypto'
import type { PresetName } from '../lib/tokens/index.ts'
import type { TestCaller } from './callers.ts'
import type { IssuerFault } from './faults.ts'
import type { TestAlgorithm } from './keys.ts'

export interface TestIssuerOptions {
  /**
   * Algorithm of the first key, and of those that `rotate` makes: `'RS256'`, `'PS256'`, `'ES256'`, `'ES384'` or `'EdDSA'`.
   * @default 'RS256'
   */
  readonly alg?: TestAlgorithm
  /** `aud` of the tokens. @default 'api://test' */
  readonly audience?: string | string[]
  /** Makes the tokens of `asUser` and `asService` look like those of that provider. @default RFC 9068 */
  readonly preset?: PresetName
  /** Claims of every token, over the usual ones. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Path of the issuer, such as `/realms/test` or `/`. @default '' */
  readonly path?: string
  /**
   * Where the metadata is: `'openid-configuration'` (OpenID Connect Discovery), `'oauth-authorization-server'` (RFC 8414), or nowhere with
   * `false`.
   * @default 'openid-configuration'
   */
  readonly discovery?: 'openid-configuration' | 'oauth-authorization-server' | false
  /** @default a free one */
  readonly port?: number
}

export interface SignOptions {
  /** A key of this issuer, also one that was removed. @default the one that `rotate` made last, published or not */
  readonly kid?: string
  /** The newest published key of that algorithm; one is made and published, for this only, if there is none. */
  readonly alg?: TestAlgorithm
  /** @default 'at+jwt' */
  readonly typ?: string
  /** Members of the JOSE header, over the usual ones; `undefined` leaves one out. Signing goes on with the same key. */
  readonly header?: Readonly<Record<string, unknown>>
}

/** What a caller sends, for `app.inject` and for `fetch`. */
export interface CallerRequest {
  readonly headers: { readonly authorization: string }
}

export interface TestIssuer extends AsyncDisposable {
  /** The `iss` of its tokens, and its address. */
  readonly issuer: string
  readonly jwksUri: string
  readonly audience: string | string[]
  /** The option `auth` that trusts it. In development only, as no other issuer may be asked over http. */
  readonly auth: { readonly issuer: string, readonly audience: string | string[], readonly preset?: PresetName }
  /** For its opaque tokens, beside `auth`: `{ ...issuer.auth, introspection: issuer.introspection }`. */
  readonly introspection: { readonly client: { readonly id: string, readonly secret: string } }
  /** Variables for an application that reads its options from the environment: `Object.assign(process.env, issuer.env)`. */
  readonly env: { readonly NODE_ENV: 'test', readonly SECURE_API_ISSUER: string, readonly SECURE_API_AUDIENCE: string }
  /** The key set that it publishes now. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
  /** Requests so far, also those that a fault left unanswered. */
  readonly hits: { readonly discovery: number, readonly jwks: number, readonly introspection: number }
  /** Bytes that it has sent. */
  readonly bytesSent: number
  /**
   * An RFC 9068 access token for `audience`, valid for five minutes, of subject `test-user` through `test-client`.
   * @param claims over those claims; `undefined` leaves one out
   */
  sign (claims?: Readonly<Record<string, unknown>>, options?: SignOptions): string
  /**
   * A token that only the issuer can read: its introspection endpoint answers with these claims, for five minutes (RFC 7662).
   * @param claims over those of `sign`; `undefined` leaves one out
   */
  opaque (claims?: Readonly<Record<string, unknown>>): string
  /** Withdraws an opaque token: it is inactive from now on. */
  revoke (token: string): void
  /**
   * A user's request, with a token of these scopes and roles.
   * @example await app.inject({ url: '/orders', ...issuer.asUser({ scopes: ['api.read'] }) })
   */
  asUser (caller?: TestCaller): CallerRequest
  /** The request of an application that calls for itself (client credentials). */
  asService (caller?: TestCaller): CallerRequest
  /** Publishes one more key and signs with it from now on; the older ones stay published. Returns its `kid`. */
  rotate (options?: { readonly alg?: TestAlgorithm, readonly kid?: string }): string
  /** Stops publishing a key. It still signs, as a stolen key would. */
  remove (kid: string): void
  /** Publishes that instead of its key set; its own again without an argument. */
  publish (jwks?: object): void
  /** Changes members of its metadata: `metadata({ issuer: 'https://other.example' })`. */
  metadata (changes: Readonly<Record<string, unknown>>): void
  /** Cuts connections from now on. */
  down (): void
  /** Behaves badly from now on, everywhere or in one place. */
  fail (fault: IssuerFault, on?: 'discovery' | 'jwks' | 'introspection'): void
  /** Answers so many milliseconds late. */
  slow (ms: number): void
  /** All is well again: ends `down`, `fail` and `slow`. */
  up (): void
  /** Ends the server and every connection. */
  close (): Promise<void>
}
