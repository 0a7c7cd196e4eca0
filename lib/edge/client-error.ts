import type { EventEmitter } from 'node:events'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { refusal, type AnswerCode, type HeaderPair } from '../http/index.ts'

/** The part of a header table for answers at the edge, which are all errors. */
export interface EdgeHeaders {
  readonly headers: readonly HeaderPair[]
  /** Only over TLS. */
  readonly hsts: HeaderPair | undefined
  readonly cache: { readonly error: HeaderPair | undefined }
}

/** Answers to requests that the parser refuses, and to CONNECT, by status. */
export const edgeAnswers = {
  400: 'SECURE_API_REQUEST_MALFORMED',
  405: 'SECURE_API_METHOD_NOT_ALLOWED',
  408: 'SECURE_API_REQUEST_TIMEOUT',
  413: 'SECURE_API_REQUEST_TOO_LARGE',
  431: 'SECURE_API_REQUEST_HEADERS_TOO_LARGE'
} as const satisfies Record<number, AnswerCode>

export type EdgeStatus = keyof typeof edgeAnswers

/** Headers of every answer at the edge of one server: HSTS only over TLS (RFC 6797 §7.2). */
export function edgePairsBy ({ headers, hsts, cache }: EdgeHeaders): (secure: boolean) => readonly HeaderPair[] {
  const pairs = (own: HeaderPair | undefined) => [...headers, ...[own, cache.error].filter(pair => pair !== undefined)]
  const [plain, secured] = [pairs(undefined), pairs(hsts)]
  return secure => secure ? secured : plain
}

export interface ClientErrorEvent {
  readonly status: EdgeStatus
  /** Node's code, such as `HPE_INVALID_METHOD`: a fixed list, never the caller's text. */
  readonly reason: string
  readonly address: string | undefined
  /** The request whose body was refused: its hooks may have run. */
  readonly request: object | undefined
  /** Whether the caller got the answer. */
  readonly answered: boolean
}

/** Node's codes (http.md, "Event: 'clientError'"); every other error of the parser is 400. */
const statuses: Readonly<Record<string, EdgeStatus>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408
}

type ParseError = Error & { readonly code?: string }

/**
 * Answers what the parser refuses, instead of Fastify's handler. A handler of the application takes precedence. Other errors (reset,
 * TLS handshake) get no answer: nobody could read it.
 */
export function createClientErrorHandler (
  server: EventEmitter, pairs: readonly HeaderPair[], report?: (event: ClientErrorEvent) => void
): (error: ParseError, socket: Socket) => void {
  const texts = Object.fromEntries(Object.keys(edgeAnswers).map(status => [status, edgeResponse(Number(status) as EdgeStatus, pairs)]))
  return function onClientError (error, socket) {
    const status = statusOf(error)
    const others = server.listeners('clientError').filter(listener => listener !== onClientError)
    const isTheirs = others.some(isOfApplication)
    if (status === undefined) {
      if (others.length === 0) socket.destroy(error)
      return
    }
    const answered = socket.writable && !answering(socket)
    report?.({ status, reason: error.code ?? 'HPE_UNKNOWN', address: socket.remoteAddress, answered, request: unfinished(socket) })
    if (isTheirs) return
    if (answered) socket.write(texts[status]?.() ?? '')
    socket.destroy(error)
  }
}

/**
 * A complete HTTP/1.1 answer as text, for sockets on which the parser gave up. Call it once per status; the returned function adds the
 * date (RFC 9110 §6.6.1).
 */
export function edgeResponse (status: EdgeStatus, pairs: readonly HeaderPair[]): (now?: Date) => string {
  // RFC 9110 §15.5.6: a 405 says which methods there are. To a tunnel there are none.
  const { headers, body } = refusal(edgeAnswers[status], status === 405 ? { headers: { allow: '' } } : {})
  const all = { ...headers, ...Object.fromEntries(pairs), 'content-length': String(Buffer.byteLength(body)), connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}date: `
  return (now = new Date()) => `${head}${now.toUTCString()}\r\n\r\n${body}`
}

function statusOf ({ code = '' }: ParseError): EdgeStatus | undefined {
  return statuses[code] ?? (code.startsWith('HPE_') ? 400 : undefined)
}

/** Fastify's default handler is a bound function; any other belongs to the application. */
function isOfApplication ({ name }: { name: string }): boolean {
  return name !== 'bound defaultClientErrorHandler'
}

/** An answer to an earlier request is under way: a second head would be read as its body. */
function answering (socket: Socket & { _httpMessage?: { headersSent: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true
}

/** The request that the parser was in the middle of, if it got as far as the body. */
function unfinished (socket: Socket & { parser?: { incoming?: { complete: boolean } | null } | null }): object | undefined {
  const incoming = socket.parser?.incoming ?? undefined
  return incoming?.complete === false ? incoming : undefined
}
