import type { Schedule } from '../async/index.ts'
import type { KeyFailure } from './failure.ts'
import type { FetchDocument } from './fetch.ts'
import type { DropReason } from './import-keys.ts'
import type { Algorithm } from './types.ts'

/** An instance of `get-jwks`, or any object with its `getJwk`. */
export interface JwkSource {
  /** The public JWK of that `kid`; undefined, or a rejection with the code `JWK_NOT_FOUND`, when the issuer has none. */
  getJwk (wanted: { domain: string, alg: string, kid: string }): Promise<unknown>
  /** The caches of `get-jwks`: without them, an answer may be as old as the source likes. */
  generateCacheKey? (alg: string, kid: string, domain: string): string
  readonly cache?: { delete (key: string): unknown }
  readonly staleCache?: { delete (key: string): unknown }
}

/** Where an issuer's keys come from: the document itself, its address, metadata that names the address, or an object that is asked. */
export type KeysLocation = { readonly jwks: object } | { readonly jwksUri: string } | 'discovery' | { readonly askFor: JwkSource }

/** All times in milliseconds. */
export interface KeyRingOptions {
  readonly issuer: string
  readonly source: KeysLocation
  readonly algorithms: readonly Algorithm[]
  readonly refresh: number
  readonly cooldown: number
  readonly maxStale: number
  readonly timeout: number
  /** Lets http addresses of this machine be asked; only in development. */
  readonly allowLoopback: boolean
  /** Further hosts that may be asked over http; only in development. */
  readonly insecureHosts?: readonly string[] | undefined
  readonly onEvent?: (event: KeyEvent) => void
  readonly now?: (() => number) | undefined
  readonly random?: () => number
  readonly schedule?: Schedule | undefined
  readonly fetch?: FetchDocument
}

/** The state of a ring, for health endpoints. Holds no key material. Times are milliseconds since the epoch. */
export interface KeyRingStatus {
  readonly issuer: string
  /** `stale`: the set is older than `refresh`, because fetching failed since; still in use until `maxStale`. */
  readonly state: 'fresh' | 'stale' | 'empty'
  readonly keys: ReadonlyArray<{ readonly kid: string | undefined, readonly algorithms: readonly Algorithm[] }>
  readonly lastSuccess: number | undefined
  readonly lastFailure?: KeyFailure & { readonly at: number }
  readonly nextRefresh: number | undefined
  /** Attempts to load the set since the start; one is at most three requests. */
  readonly fetches: number
}

type Kids = ReadonlyArray<string | undefined>

/** What happens to a key ring: for the log, the metrics and the audit trail. Holds no key material. */
export type KeyEvent = KeyNews & { readonly issuer: string }

/** A message on the diagnostics channel `secure-api:keys`: an event of a ring, or the end of an attempt to load its set. */
export type KeyMessage = KeyEvent |
  { readonly type: 'keys.fetched', readonly issuer: string, readonly ok: boolean, readonly durationMs: number }

export type KeyNews =
  /** A usable set was fetched: the first one, or the first after a failure. */
  | { readonly type: 'keys.loaded', readonly kids: Kids }
  /** A good set differs from the one before. Removed keys are refused from now on. */
  | { readonly type: 'keys.changed', readonly added: Kids, readonly removed: Kids }
  /** A key of the document is not used. Told once for as long as the document keeps it. */
  | { readonly type: 'keys.dropped', readonly kid: string | undefined, readonly reason: DropReason }
  /** An attempt failed; `usable` says whether a last good set bridges it. */
  | KeyFailure & { readonly type: 'keys.failed', readonly usable: boolean }
  /** The last good set is older than `maxStale`: every key is refused from now on. `lastSuccess` is epoch milliseconds. */
  | { readonly type: 'keys.expired', readonly lastSuccess: number }
