import type { FailureReason, FetchFailure } from './failure.ts'

/** Why keys could not be fetched, and where. Holds no key material and no query of a URL that somebody else wrote. */
export interface KeyFailure {
  readonly reason: FailureReason
  /** What was asked. */
  readonly url: string | undefined
  /** The HTTP status, where one arrived. */
  readonly status: number | undefined
  /** What was there instead: the target of a redirect, the issuer of the metadata, the code of the network's error. */
  readonly found: string | undefined
}

export function failedAt ({ reason, status, found, url }: FetchFailure, asked: string | undefined): KeyFailure {
  return { reason, url: url ?? asked, status, found }
}

type Explain = (failure: KeyFailure, issuer: string) => string

const explanations: Readonly<Record<FailureReason, Explain>> = {
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
  return `${failure.url ?? issuer} ${explanations[failure.reason](failure, issuer)}; \`secure-api doctor issuer ${issuer}\` shows more`
}
