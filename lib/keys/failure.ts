/**
 * Why a key set could not be fetched.
 *
 * - `timeout`, `transport`, `status`, `redirect`, `oversize`, `parse`: the document did not arrive.
 * - `proxy`: the proxy could not be reached, or refused the tunnel.
 * - `url`: the address is not https (nor loopback where that is allowed).
 * - `issuer`: the metadata names another issuer (RFC 8414 §3.3).
 * - `metadata`: the metadata has no `jwks_uri`.
 * - `empty`: the set has no key that may be used.
 */
export type FailureReason =
  | 'timeout' | 'transport' | 'status' | 'redirect' | 'oversize' | 'parse' | 'proxy' | 'url' | 'issuer' | 'metadata' | 'empty'

/** A document or key set could not be fetched. A key ring never throws it: it appears in events and in `status()`. */
export class FetchFailure extends Error {
  readonly reason: FailureReason
  /** The HTTP status, where one arrived. */
  readonly status: number | undefined
  /** What was there instead: the target of a redirect, the issuer of the metadata, the code of the network's error. Bounded. */
  readonly found: string | undefined
  /** What was asked, where that is not what was asked last. */
  url: string | undefined

  constructor (reason: FailureReason, { status, cause, found }: { status?: number, cause?: unknown, found?: string | undefined } = {}) {
    super(status === undefined ? reason : `${reason} ${status}`, cause === undefined ? undefined : { cause })
    this.name = 'FetchFailure'
    this.reason = reason
    this.status = status
    this.found = found === undefined ? networkCode(cause) : printable(found)
  }
}

/** The server chooses this text, and it ends up in logs. */
function printable (text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, 200)
}

/** `ECONNREFUSED`, `CERT_HAS_EXPIRED`. */
function networkCode (cause: unknown): string | undefined {
  const { code } = cause instanceof Error ? cause as NodeJS.ErrnoException : { code: undefined }
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : undefined
}

/** Any error as a failure. One without a reason is a failure of the transport. */
export function asFailure (error: unknown): FetchFailure {
  return error instanceof FetchFailure ? error : new FetchFailure('transport', { cause: error })
}

/** Why keys could not be fetched, and where. Holds no key material and no query of a URL that somebody else wrote. */
export type KeyFailure = Readonly<Pick<FetchFailure, 'reason' | 'url' | 'status' | 'found'>>

export function failedAt ({ reason, status, found, url }: FetchFailure, asked: string | undefined): KeyFailure {
  return { reason, url: url ?? asked, status, found }
}

const explanations: Readonly<Record<FailureReason, (failure: KeyFailure, issuer: string) => string>> = {
  timeout: () => 'gave no answer in time',
  transport: ({ found }) => `could not be asked (${found ?? 'the connection was closed'})`,
  status: ({ status }) => `answered ${status}`,
  redirect: ({ status, found }) => `answered ${status}, a redirect to ${found ?? 'nowhere'}, which is not followed`,
  oversize: () => 'is larger than any key set',
  parse: () => 'is no JSON object',
  proxy: ({ status, found }) => status === undefined
    ? `could not be asked: the proxy could not be reached (${found ?? 'the connection was closed'})`
    : `could not be asked: the proxy answered ${status}`,
  url: ({ found }) => `names ${found ?? 'an address'} for its keys, which is no https address`,
  issuer: ({ found }, issuer) => `names the issuer ${found}, and ${issuer} is configured; they must be equal, character by character`,
  metadata: () => 'has no jwks_uri',
  empty: () => 'has no key that may be used'
}

/** One sentence for a log or a message: which URL, what it said, and what shows more. */
export function explainFailure (failure: KeyFailure, issuer: string): string {
  return `${failure.url ?? issuer} ${explanations[failure.reason](failure, issuer)}. Run \`npx secure-api doctor issuer ${issuer}\``
}
