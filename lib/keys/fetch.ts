import type { IncomingMessage } from 'node:http'
import { withDeadline } from '../async/index.ts'
import { Connections, send, type Route } from './connect.ts'
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

/**
 * Gets with `GET`: no redirect is followed, only status 200 counts, no cookies, one connection that is closed afterwards, whatever content
 * type. Not by the global `fetch`: undici costs 45 ms and 14 MB at its first use, and limits no body without a dispatcher of its own.
 */
export function createFetch (route: Route = {}): FetchDocument {
  return async (url, { timeout, maxBytes = MAX_DOCUMENT_BYTES, signal }) => {
    const connections = new Connections()
    try {
      return await withDeadline(exchange(url, route, maxBytes, connections),
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

async function exchange (url: string, route: Route, maxBytes: number, connections: Connections): Promise<unknown> {
  const incoming = await send(url, route, connections)
  refuse(incoming, maxBytes)
  return parse(await read(incoming, maxBytes))
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

function parse (body: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch (cause) {
    throw new FetchFailure('parse', { cause })
  }
}
