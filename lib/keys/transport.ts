import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { asFailure, FetchFailure } from './failure.ts'

/** Largest key set or metadata document that is read, in bytes. Real ones are below 30 KiB. */
export const MAX_DOCUMENT_BYTES = 512 * 1024

export interface FetchOptions {
  /** Limit in milliseconds for everything together: look-up, connection, headers and the last byte of the body. */
  readonly timeout: number
  /** Largest body in bytes, counted while it arrives. @default 512 KiB */
  readonly maxBytes?: number
  /** Ends the exchange; a `FetchFailure` as its reason becomes the result. */
  readonly signal?: AbortSignal
}

/** Gets one JSON document. Rejects with `FetchFailure`. */
export type FetchDocument = (url: string, options: FetchOptions) => Promise<unknown>

/**
 * Gets one JSON document with `GET`: no redirect is followed, only status 200 counts, no cookies, one connection
 * that is closed afterwards, whatever content type.
 *
 * Over node:http and not the global `fetch`, because undici costs 45 ms and 14 MB at its first use, and has no
 * limit for the size of a body without a dispatcher of its own.
 */
export const fetchDocument: FetchDocument = async (url, { timeout, maxBytes = MAX_DOCUMENT_BYTES, signal }) => {
  const outgoing = open(url)
  const { promise: interrupted, reject: interrupt } = interruption()
  const onAbort = () => interrupt(asFailure(signal?.reason))
  const timer = setTimeout(() => interrupt(new FetchFailure('timeout')), timeout)
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([interrupted, exchange(outgoing, maxBytes)])
  } catch (error) {
    throw asFailure(error)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    outgoing.destroy()
  }
}

const headers = {
  accept: 'application/json, application/jwk-set+json',
  'accept-encoding': 'identity',
  'user-agent': 'fastify-secure-api'
}

/** `agent: false`: a connection of its own, so that a dead one in a pool cannot fail the attempt. */
function open (url: string): ClientRequest {
  try {
    return (url.startsWith('https:') ? https : http).get(url, { agent: false, headers })
  } catch (cause) {
    throw new FetchFailure('url', { cause })
  }
}

function interruption () {
  let reject: (failure: FetchFailure) => void = () => {}
  const promise = new Promise<never>((_resolve, _reject) => { reject = _reject })
  return { promise, reject }
}

async function exchange (outgoing: ClientRequest, maxBytes: number): Promise<unknown> {
  const incoming = await response(outgoing)
  refuse(incoming, maxBytes)
  return parse(await read(incoming, maxBytes))
}

function response (outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    // Stays for the whole exchange: destroying a request may emit an error later.
    outgoing.on('error', reject)
    outgoing.once('close', () => reject(new FetchFailure('transport')))
  })
}

function refuse ({ statusCode = 0, headers: { 'content-length': length, location } }: IncomingMessage, maxBytes: number): void {
  if (statusCode >= 300 && statusCode < 400) throw new FetchFailure('redirect', { status: statusCode, ...(location === undefined ? undefined : { found: withoutQuery(location) }) })
  if (statusCode !== 200) throw new FetchFailure('status', { status: statusCode })
  if (Number(length) > maxBytes) throw new FetchFailure('oversize')
}

/** A redirect to a login page carries state that is nobody's business. */
function withoutQuery (location: string): string {
  return location.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//')
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
