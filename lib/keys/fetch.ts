import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { withDeadline } from '../async/index.ts'
import { Connections, send, type Message, type Route } from './connect.ts'
import { asFailure, FetchFailure } from './failure.ts'
import { withoutSecrets } from './url.ts'

/** Largest key set or metadata document that is read, in bytes. Real ones are below 30 KiB. */
export const MAX_DOCUMENT_BYTES = 512 * 1024

export interface FetchOptions {
  /** Limit in milliseconds for everything together: look-up, connection, headers and the last byte of the body. */
  readonly timeout: number
  /** Largest body in bytes, counted while it arrives. @default 512 KiB */
  readonly maxBytes?: number
  /** Ends the exchange; a `FetchFailure` as its reason becomes the result. */
  readonly signal?: AbortSignal | undefined
}

/** Gets one JSON document. Rejects with `FetchFailure`. */
export type FetchDocument = (url: string, options: FetchOptions) => Promise<unknown>

/** The answer to one request. */
export interface Reply {
  /** Lower case, without parameters. */
  readonly type: string
  readonly body: Buffer
}

/** Sends one request. Rejects with `FetchFailure`. */
export type Exchange = (url: string, options: FetchOptions & Message) => Promise<Reply>

/** Gets whatever the content type is. */
export function createFetch (route: Route = {}): FetchDocument {
  const exchange = createExchange(route)
  return async (url, options) => parseJson((await exchange(url, options)).body)
}

/**
 * No redirect is followed, only status 200 counts, no cookies, one connection that is closed afterwards. Not by the global
 * `fetch`: undici costs 45 ms and 14 MB at its first use, and limits no body without a dispatcher of its own.
 */
export function createExchange (route: Route = {}): Exchange {
  return async (url, { timeout, maxBytes = MAX_DOCUMENT_BYTES, signal, ...message }) => {
    const connections = new Connections()
    try {
      return await withDeadline(exchange(url, route, maxBytes, connections, message),
        { ms: timeout, late: () => new FetchFailure('timeout'), signal })
    } catch (error) {
      throw asFailure(error)
    } finally {
      connections.end()
    }
  }
}

/** Without a proxy, whatever the environment says. */
export const fetchDocument: FetchDocument = createFetch()

async function exchange (url: string, route: Route, maxBytes: number, connections: Connections, message: Message): Promise<Reply> {
  const incoming = await send(url, route, connections, message)
  if (incoming.socket instanceof TLSSocket) route.onPeer?.(new URL(url).host, incoming.socket.getPeerCertificate())
  refuse(incoming, maxBytes)
  const [type = ''] = (incoming.headers['content-type'] ?? '').split(';', 1)
  return { type: type.trim().toLowerCase(), body: await read(incoming, maxBytes) }
}

function refuse ({ statusCode = 0, headers: { 'content-length': length, location } }: IncomingMessage, maxBytes: number): void {
  if (statusCode >= 300 && statusCode < 400) {
    throw new FetchFailure('redirect', { status: statusCode, found: location && withoutSecrets(location) })
  }
  if (statusCode !== 200) throw new FetchFailure('status', { status: statusCode })
  if (Number(length) > maxBytes) throw new FetchFailure('oversize')
}

async function read (incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    if (size > maxBytes) throw new FetchFailure('oversize')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Throws a `FetchFailure`. */
export function parseJson (body: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch (cause) {
    throw new FetchFailure('parse', { cause })
  }
}
