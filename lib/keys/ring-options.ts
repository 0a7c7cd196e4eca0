import type { Schedule } from '../async/index.ts'
import type { KeyEvent } from './events.ts'
import type { KeyFailure } from './explain.ts'
import type { FetchDocument } from './fetch.ts'
import type { JwkSource } from './source.ts'
import type { Algorithm } from './types.ts'

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
  readonly insecureHosts?: readonly string[]
  readonly onEvent?: (event: KeyEvent) => void
  readonly now?: () => number
  readonly random?: () => number
  readonly schedule?: Schedule
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
