import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { finished, type Duplex } from 'node:stream'
import { scheduleTimer, type Schedule } from '../async/index.ts'

/** A request as its server, or a test double such as `app.injectWS()`, made it. */
interface RawRequest {
  readonly upgrade?: unknown
  headers: IncomingHttpHeaders
  rawHeaders?: readonly string[]
  socket?: unknown
}

/** How long a peer may take to close its side after the answer, in milliseconds. */
export const lingerMs = 1000

const kHandover = Symbol('secure-api.handover')
type Response = ServerResponse & { [kHandover]?: Handover }

/** A connection that the HTTP server has handed to an upgrade listener. Node no longer manages it. */
export interface Handover {
  /** Called when the response is sent, before the connection ends. */
  onAnswered: () => void
  /** Called once if a head is written without the response: 101 for an accepted socket, else the status of a refusal. */
  onTakenOver: (status: number) => void
  /** Called when the connection is closed. */
  onClose: () => void
}

/**
 * Whether the HTTP server does not own the response: Node sets `upgrade` when it hands the socket to an `upgrade` or `connect`
 * listener. The request of `app.injectWS()` has no raw headers.
 */
export function isUnowned ({ upgrade, rawHeaders }: Pick<RawRequest, 'upgrade' | 'rawHeaders'>): boolean {
  return upgrade === true || rawHeaders === undefined
}

/** The handover of a response that no HTTP server owns; undefined for all others. */
export function handoverOf (response: ServerResponse): Handover | undefined {
  return (response as Response)[kHandover]
}

/**
 * Does for such a response what the HTTP server does for its own: any answer ends the connection, a stream continues after `drain`,
 * and a broken socket does not end the process (Node removes its listener).
 */
export function tendUnowned (request: RawRequest, response: Response, schedule: Schedule = scheduleTimer): void {
  if (response[kHandover] !== undefined) return
  const socket = response.socket ?? request.socket
  if (!isDuplex(socket)) return
  fillIn(request, socket)
  const handover: Handover = { onAnswered () {}, onTakenOver () {}, onClose () {} }
  response[kHandover] = handover
  finished(socket, () => { handover.onClose() })
  // Node then sends `connection: close`, so proxies do not reuse the connection.
  response.shouldKeepAlive = false
  // The last write on a socket of `app.injectWS()` never finishes, because it does not track `cork` in the stream's state.
  response.once(socket instanceof Socket ? 'finish' : 'prefinish', () => {
    handover.onAnswered()
    endConnection(socket, schedule)
  })
  socket.on('error', () => { socket.destroy() })
  socket.on('drain', () => { if (response.writableNeedDrain) response.emit('drain') })
  watchHead(socket, status => { handover.onTakenOver(status) }, () => response.headersSent)
  process.nextTick(assignMissing, response, socket)
}

interface Answering extends Duplex { _httpMessage?: ServerResponse | null }

/**
 * Ends a connection on which a handshake follows an unanswered request (pipelining, RFC 9112 §9.3.2). Node has already given the socket
 * away: the first answer cannot be sent, a listener that assigns the socket to its own response would throw, and nobody would close it.
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

/** Adds what controls may read of a request and a test double lacks. */
function fillIn (request: RawRequest, socket: Duplex): void {
  request.rawHeaders ??= Object.entries(request.headers)
    .flatMap(([name, value]) => [value].flat().flatMap(one => one === undefined ? [] : [name, String(one)]))
  if (request.socket !== undefined && request.socket !== null) return
  if (!('remoteAddress' in socket)) Object.assign(socket, { remoteAddress: '127.0.0.1' })
  request.socket = socket
}

/** For a listener that made a response without a socket: its output would never be sent. */
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
 * A listener that accepts a socket writes `101` to it without the response. The first written head decides; then the socket's own
 * methods are restored.
 */
export function watchHead (socket: Duplex, onHead: (status: number) => void, isOurs: () => boolean = () => false): void {
  const methods = ['write', 'end'] as const
  const own = { write: socket.write, end: socket.end }
  const look = (chunk: unknown) => {
    const status = isOurs() ? 0 : statusOf(chunk)
    if (status === undefined) return
    for (const name of methods) Reflect.deleteProperty(socket, name)
    if (methods.some(name => socket[name] !== own[name])) Object.assign(socket, own)
    if (status !== 0) onHead(status)
  }
  for (const name of methods) {
    socket[name] = function (this: Duplex, ...given: unknown[]) {
      look(given[0])
      return Reflect.apply(own[name], this, given)
    }
  }
}

/** Undefined before the head: nothing yet, or an interim response (RFC 9110 §15.2). Other protocols have no status. */
function statusOf (chunk: unknown): number | undefined {
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return undefined
  const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk.subarray(0, 16)).toString('latin1')
  const [, code] = /^HTTP\/1\.[01] (\d{3})/.exec(text) ?? []
  const status = Number(code ?? 101)
  return status < 200 && status !== 101 ? undefined : status
}
