/**
 * Why a key set could not be had.
 *
 * - `timeout`, `transport`, `status`, `redirect`, `oversize`, `parse`: the document did not arrive.
 * - `proxy`: the proxy could not be reached, or refused the tunnel.
 * - `url`: the address is not https (nor loopback where that is allowed).
 * - `issuer`: the metadata names another issuer (RFC 8414 §3.3).
 * - `metadata`: the metadata has no `jwks_uri`.
 * - `empty`: the set has no key that may be used.
 */
export type FailureReason = 'timeout' | 'transport' | 'status' | 'redirect' | 'oversize' | 'parse' | 'proxy' | 'url' | 'issuer' | 'metadata' | 'empty'

/** A document or key set that could not be had. Never thrown out of a key ring: it appears in events and in `status()`. */
export class FetchFailure extends Error {
  readonly reason: FailureReason
  /** The HTTP status, where one arrived. */
  readonly status: number | undefined

  constructor (reason: FailureReason, { status, cause }: { status?: number, cause?: unknown } = {}) {
    super(status === undefined ? reason : `${reason} ${status}`, cause === undefined ? undefined : { cause })
    this.name = 'FetchFailure'
    this.reason = reason
    this.status = status
  }
}

/** Any error as a failure; one that names no reason is of the transport. */
export function asFailure (error: unknown): FetchFailure {
  return error instanceof FetchFailure ? error : new FetchFailure('transport', { cause: error })
}
