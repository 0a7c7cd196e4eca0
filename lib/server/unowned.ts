import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { finished, type Duplex } from 'node:stream'
import { scheduleTimer, type Schedule } from '../async/index.ts'

/** A request as its server, or a test double such as `app.injectWS()`, made it. */
export interface RawRequest {
  readonly upgrade?: unknown
  headers: IncomingHttpHeaders
  rawHeaders?: readonly string[]
  socket?: unknown
}

/** How long a peer may take to close its side once the answer is on its way. */
export const lingerMs = 1000

const kHandover = Symbol('secure-api.handover')
type Response = ServerResponse & { [kHandover]?: Handover }

/** A connection that the HTTP server handed to an upgrade listener. Node does nothing for it any more. */
export class Handover {
  /** Told when the response has left, and the connection is about to end. */
  onAnswered: () => void = () => {}
  /** Told once when somebody writes a head past the response: 101 where the socket is accepted, else the status of a refusal. */
  onTakenOver: (status: number) => void = () => {}
  /** Told when the connection is gone, whatever happened before. */
  onClose: () => void = () => {}

  constructor (socket: Duplex) {
    finished(socket, () => { this.onClose() })
  }
}

/**
 * Whether the HTTP server does not own the response: Node sets `upgrade` where it gives the socket to an `upgrade` or
 * `connect` listener. `app.injectWS()` makes a request of its own, without raw headers.
 */
export function isUnowned ({ upgrade, rawHeaders }: Pick<RawRequest, 'upgrade' | 'rawHeaders'>): boolean {
  return upgrade === true || rawHeaders === undefined
}

/** What is known of a response that no HTTP server owns; undefined for all others. */
export function handoverOf (response: ServerResponse): Handover | undefined {
  return (response as Response)[kHandover]
}

/**
 * Does for such a response what the HTTP server does for its own: whatever answer leaves on it ends the connection, a
 * stream goes on after `drain`, and a socket that breaks does not end the process (Node takes its listener away).
 */
export function tendUnowned (request: RawRequest, response: Response, schedule: Schedule = scheduleTimer): void {
  if (response[kHandover] !== undefined) return
  const socket = response.socket ?? request.socket
  if (!isDuplex(socket)) return
  fillIn(request, socket)
  const handover = new Handover(socket)
  response[kHandover] = handover
  // Node then announces `connection: close`, which keeps proxies from using the connection again.
  response.shouldKeepAlive = false
  response.once(lastEvent(socket), () => {
    handover.onAnswered()
    endConnection(socket, schedule)
  })
  socket.on('error', () => { socket.destroy() })
  socket.on('drain', () => { if (response.writableNeedDrain) response.emit('drain') })
  watchHead(socket, response, handover)
  process.nextTick(assignMissing, response, socket)
}

interface Answering extends Duplex { _httpMessage?: ServerResponse | null }

/**
 * Ends a connection on which a handshake came behind a request that is not answered yet (pipelining, RFC 9112 §9.3.2). Node
 * has given the socket away by then: the first answer could not leave any more, a listener that assigns the socket to a
 * response of its own would throw, and nobody would ever close it.
 */
export function endPipelined (socket: Answering): void {
  const { _httpMessage: first } = socket
  if (first === undefined || first === null) return
  socket.on('error', () => {})
  socket.destroy()
  first.detachSocket(socket as Socket)
  first.emit('close')
}

function isDuplex (socket: unknown): socket is Duplex {
  return typeof socket === 'object' && socket !== null && 'once' in socket && 'write' in socket && 'destroy' in socket
}

/** Node counts `cork` in the stream's state, where the sockets of `app.injectWS()` do not: their last write never ends. */
function lastEvent (socket: Duplex): 'finish' | 'prefinish' {
  return socket instanceof Socket ? 'finish' : 'prefinish'
}

/** What every control may read of a request, and a test double has not got. */
function fillIn (request: RawRequest, socket: Duplex): void {
  request.rawHeaders ??= Object.entries(request.headers)
    .flatMap(([name, value]) => [value].flat().flatMap(one => one === undefined ? [] : [name, String(one)]))
  if (request.socket !== undefined && request.socket !== null) return
  if (!('remoteAddress' in socket)) Object.assign(socket, { remoteAddress: '127.0.0.1' })
  request.socket = socket
}

/** A listener that made a response and gave it no socket: what is written there would never leave. */
function assignMissing (response: ServerResponse, socket: Duplex): void {
  const taken = '_httpMessage' in socket && socket._httpMessage !== null
  if (response.socket !== null || socket.destroyed || taken) return
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
}

/** The peer gets the time to read the answer: destroying a socket with unread bytes resets the connection (RFC 9112 §9.6). */
function endConnection (socket: Duplex, schedule: Schedule): void {
  if (socket.destroyed) return
  const cancel = schedule(() => { socket.destroy() }, lingerMs)
  socket.once('close', cancel)
  socket.end()
  socket.resume()
}

/**
 * Whoever accepts a socket writes `101` to it without the response. The first head that is written decides, and the
 * socket's own methods are back after that.
 */
function watchHead (socket: Duplex, response: ServerResponse, handover: Handover): void {
  const own = { write: socket.write, end: socket.end }
  const look = (chunk: unknown) => {
    const status = response.headersSent ? 0 : statusOf(chunk)
    if (status === undefined) return
    restore(socket, own)
    if (status !== 0) handover.onTakenOver(status)
  }
  socket.write = function (this: Duplex, ...given: unknown[]) {
    look(given[0])
    return Reflect.apply(own.write, this, given)
  }
  socket.end = function (this: Duplex, ...given: unknown[]) {
    look(given[0])
    return Reflect.apply(own.end, this, given)
  }
}

function restore (socket: Duplex, own: Pick<Duplex, 'write' | 'end'>): void {
  Reflect.deleteProperty(socket, 'write')
  Reflect.deleteProperty(socket, 'end')
  if (socket.write !== own.write || socket.end !== own.end) Object.assign(socket, own)
}

/** Undefined before the head: nothing is written, or an interim answer (RFC 9110 §15.2). Other protocols have no status. */
function statusOf (chunk: unknown): number | undefined {
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return undefined
  const [, code] = /^HTTP\/1\.[01] (\d{3})/.exec(typeof chunk === 'string' ? chunk : Buffer.from(chunk.subarray(0, 16)).toString('latin1')) ?? []
  const status = Number(code ?? 101)
  return status < 200 && status !== 101 ? undefined : status
}
