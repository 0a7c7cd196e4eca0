import type { FailureReason, FetchFailure } from '../keys/index.ts'

/**
 * Why a token could not be looked up. Beside the reasons of a fetch: `answer`: what came is no introspection response;
 * `unsigned`, `forged`: signed answers are wanted; `busy`: too many look-ups are under way; `open`: the endpoint failed repeatedly.
 */
export type IntrospectionReason = FailureReason | 'answer' | 'unsigned' | 'forged' | 'busy' | 'open'

export type IntrospectionFacts = Partial<Pick<FetchFailure, 'status' | 'found'>> & { readonly retryAfter?: number }

/** Nothing of the answer is in it, nor the error behind it: a parser's message quotes what it could not parse. */
export class IntrospectionFailure extends Error {
  readonly reason: IntrospectionReason
  /** When asking again makes sense, in milliseconds. */
  readonly retryAfter: number

  constructor (reason: IntrospectionReason, url: string, { status, found, retryAfter = 1000 }: IntrospectionFacts = {}) {
    super(`${url} ${explanations[reason]({ status, found })}`)
    this.name = 'IntrospectionFailure'
    this.reason = reason
    this.retryAfter = retryAfter
  }
}

const explanations: Readonly<Record<IntrospectionReason, (facts: IntrospectionFacts) => string>> = {
  timeout: () => 'gave no answer within `introspection.timeout`',
  transport: ({ found }) => `could not be asked (${found ?? 'the connection was closed'})`,
  proxy: ({ status, found }) => `could not be asked: the proxy answered ${status ?? found ?? 'nothing'}`,
  status: ({ status }) => status === 401
    ? 'answered 401: it does not accept this client. Check `introspection.client` and `introspection.method`'
    : `answered ${status}${status === 403 ? ': may this client introspect tokens?' : ''}`,
  redirect: ({ status }) => `answered ${status}, a redirect, which is not followed. Is \`introspection.endpoint\` right?`,
  oversize: () => 'gave an answer that is larger than any introspection response',
  parse: () => 'gave an answer that is no JSON. Is `introspection.endpoint` right?',
  url: () => 'has metadata that names an introspection endpoint that is no https address',
  issuer: ({ found }) => `has metadata of the issuer ${found}`,
  metadata: () => 'has no introspection_endpoint in its metadata. Give `introspection.endpoint`',
  empty: () => 'gave an empty answer',
  answer: () => 'gave an answer without `active`. Is `introspection.endpoint` right?',
  unsigned: () => 'gave an answer that is not signed, and `introspection.signed` is true',
  forged: () => 'gave a signed answer that is not the issuer\'s, not meant for this client, or not of now',
  busy: () => 'is being asked about too many tokens at once',
  open: () => 'failed repeatedly, and is asked once a second until it answers'
}
