import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { HeaderPair } from '../http/index.ts'
import { edgeAnswers, edgeResponse, type EdgeStatus } from './response.ts'

export interface ClientErrorEvent {
  readonly status: EdgeStatus
  /** Node's code, such as `HPE_INVALID_METHOD`: a fixed list, never the caller's text. */
  readonly reason: string
  readonly address: string | undefined
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
    if (others.some(isOfApplication)) return
    if (status === undefined) {
      if (others.length === 0) socket.destroy(error)
      return
    }
    report?.({ status, reason: error.code ?? 'HPE_UNKNOWN', address: socket.remoteAddress })
    if (socket.writable && !answering(socket)) socket.write(texts[status]?.() ?? '')
    socket.destroy(error)
  }
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
