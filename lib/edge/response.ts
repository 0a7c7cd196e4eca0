import { STATUS_CODES } from 'node:http'
import { refusal, type AnswerCode, type HeaderPair } from '../http/index.ts'

/** The part of a header table for answers at the edge, which are all errors. */
export interface EdgeHeaders {
  readonly headers: readonly HeaderPair[]
  /** Only over TLS. */
  readonly hsts: HeaderPair | undefined
  readonly cache: { readonly error: HeaderPair | undefined }
}

/** Answers to requests that the parser refuses, by status. */
export const edgeAnswers = {
  400: 'SECURE_API_REQUEST_MALFORMED',
  408: 'SECURE_API_REQUEST_TIMEOUT',
  413: 'SECURE_API_REQUEST_TOO_LARGE',
  431: 'SECURE_API_REQUEST_HEADERS_TOO_LARGE'
} as const satisfies Record<number, AnswerCode>

export type EdgeStatus = keyof typeof edgeAnswers

/** Headers of every answer at the edge of one server. */
export function edgePairs ({ headers, hsts, cache }: EdgeHeaders, secure: boolean): readonly HeaderPair[] {
  return [...headers, ...[secure ? hsts : undefined, cache.error].filter(pair => pair !== undefined)]
}

/** The same by request: HSTS only over TLS (RFC 6797 §7.2). */
export function edgePairsBy (table: EdgeHeaders): (secure: boolean) => readonly HeaderPair[] {
  const [plain, secured] = [edgePairs(table, false), edgePairs(table, true)]
  return secure => secure ? secured : plain
}

/**
 * A complete HTTP/1.1 answer as text, for sockets on which the parser gave up. Call it once per status; the returned function adds the
 * date (RFC 9110 §6.6.1).
 */
export function edgeResponse (status: EdgeStatus, pairs: readonly HeaderPair[]): (now?: Date) => string {
  const { headers, body } = refusal(edgeAnswers[status])
  const all = { ...headers, ...Object.fromEntries(pairs), 'content-length': String(Buffer.byteLength(body)), connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}date: `
  return (now = new Date()) => `${head}${now.toUTCString()}\r\n\r\n${body}`
}
