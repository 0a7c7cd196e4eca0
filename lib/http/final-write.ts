import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { endsAsNode } from './node-methods.ts'

/** What Node keeps on a response, and does not document. */
interface Internals {
  readonly _header: string | null
  _headerSent: boolean
  readonly _hasBody: boolean
  readonly chunkedEncoding: boolean
  readonly outputData: readonly unknown[]
  readonly _httpMessage: unknown
  _finish (): void
}
type Response = Omit<ServerResponse, 'socket' | 'finished'> & Internals & {
  readonly socket: Socket & { readonly _httpMessage?: unknown, readonly _hadError?: boolean } | null
  finished: boolean
}
type Whole = Response & { readonly socket: NonNullable<Response['socket']>, readonly _header: string }
type End = (this: Response, chunk?: unknown, encoding?: unknown, callback?: unknown) => Response

/**
 * Lets responses of a class write head and body as one text. Up to version 22 Node ends each response with a second, empty write for its
 * event `finish`, and hands both to the system as a list, which costs a tenth of a request. Later versions do by themselves what is done
 * here; there, and where a runtime works otherwise, the class stays as it is (docs/decisions/performance.md).
 */
export function writeOnce (Response: { readonly prototype: ServerResponse }): boolean {
  const { prototype } = Response
  if (!endsAsNode()) return false
  const before = probe(prototype)
  if (before.writes < 2) return false
  const endOnce: End = function (chunk, encoding, callback) {
    if (!endsAsNode() || !isWhole(this, chunk, encoding, callback)) return usual(this, chunk, encoding, callback)
    const { socket, _header: head } = this
    this._headerSent = true
    socket.write(head + String(chunk), 'utf8', () => { finish(this) })
    this.finished = true
    this._finish()
    return this
  }
  Object.assign(prototype, { end: endOnce })
  const after = probe(prototype)
  if (after.writes === 1 && after.text === before.text && after.finished) return true
  return Reflect.deleteProperty(prototype, 'end') && false
}

function usual (response: Response, ...parts: Parameters<End>): Response {
  return (ServerResponse.prototype.end as unknown as End).apply(response, parts)
}

/** Whether the head is known and waits, the text is all of the body, and nothing else is before it on the connection. */
function isWhole (response: Response, chunk: unknown, encoding: unknown, callback: unknown): response is Whole {
  const { socket } = response
  return typeof chunk === 'string' && chunk !== '' && (encoding ?? 'utf8') === 'utf8' && (callback === undefined || callback === null) &&
    response._header !== null && !response._headerSent && response._hasBody && !response.chunkedEncoding && !response.finished &&
    !response.destroyed && !response.strictContentLength && response.outputData.length === 0 &&
    socket !== null && socket._httpMessage === response && socket.writable && !socket.destroyed && socket.writableCorked === 0
}

/** As Node 20 and 22 do, which do not look whether the write failed: hooks at the end of a request run for a caller who has gone, too. */
function finish (response: Response): void {
  if (response.socket?._hadError !== true) response.emit('finish')
}

interface Probe {
  readonly writes: number
  readonly text: string
  readonly finished: boolean
}

/** Answers a request that nobody sent, on a connection that leads nowhere. */
function probe (prototype: ServerResponse): Probe {
  const seen = { writes: 0, text: '', finished: false }
  const take = (chunks: readonly unknown[]) => {
    seen.writes += chunks.length
    seen.text += chunks.join('')
  }
  const nowhere = new Duplex({
    decodeStrings: false,
    read () {},
    write (chunk, _encoding, done) { take([chunk]); done() },
    writev (chunks, done) { take(chunks.map(({ chunk }) => chunk as unknown)); done() }
  }) as Socket
  try {
    const response = new ServerResponse(new IncomingMessage(nowhere))
    Object.setPrototypeOf(response, prototype)
    response.assignSocket(nowhere)
    response.on('prefinish', () => { seen.finished = true })
    response.writeHead(200, { 'content-length': '2', date: 'now', connection: 'close' }).end('ok')
  } catch {
    return { writes: 0, text: '', finished: false }
  }
  return seen
}
