import type { ServerResponse } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Schedule } from '../async/index.ts'

/** The last response of this connection, where requests came before the answer to the one before. */
const kLast = Symbol('secure-api.last')

/** What Node's HTTP server keeps on the sockets of HTTP/1, until an upgrade. */
export type Connection = Socket & {
  readonly parser?: { readonly incoming?: object | null } | null
  readonly _httpMessage?: ServerResponse | null
  [kLast]?: ServerResponse
}

interface Watched {
  on (event: 'connection' | 'secureConnection', listener: (socket: Connection) => void): unknown
  on (event: 'session', listener: (session: ServerHttp2Session) => void): unknown
  off (event: 'connection' | 'secureConnection', listener: (socket: Connection) => void): unknown
  off (event: 'session', listener: (session: ServerHttp2Session) => void): unknown
}

export interface ConnectionsEnd {
  /** Milliseconds for requests under way, upgraded connections, and HTTP/2; asked when the server closes. */
  readonly within: () => number
  readonly schedule: Schedule
  /** Called once with the number of connections that had to be closed. */
  readonly onLate: (connections: number) => void
}

/** How often connections are looked at while the server closes. */
const INTERVAL = 500

/**
 * The connections of an application that closes. Node closes those that are idle at that moment and waits for the others without any
 * time-out, because `close()` also ends its checks of `headersTimeout` and `requestTimeout`: one that has sent nothing, half a head, or
 * that becomes idle a moment later holds the server for ever, or for `keepAliveTimeout`. Behind it waits all that is done at the end, such
 * as the writing of the audit trail.
 */
export class Connections {
  readonly #end: ConnectionsEnd | undefined
  readonly #sockets = new Set<Connection>()
  readonly #sessions = new Set<ServerHttp2Session>()
  #idle: ReadonlySet<Connection> = new Set()
  #ending = false
  #late = false
  #cancels: Array<() => void> = []
  #whenEmpty: Array<() => void> = []

  constructor (end: ConnectionsEnd | undefined) {
    this.#end = end
  }

  /** Both events of a TLS server count: a client may never begin its handshake. */
  watch (server: Watched): () => void {
    server.on('connection', this.#onConnection)
    server.on('secureConnection', this.#onConnection)
    server.on('session', this.#onSession)
    return () => {
      server.off('connection', this.#onConnection)
      server.off('secureConnection', this.#onConnection)
      server.off('session', this.#onSession)
    }
  }

  /** A request has come before the answer to the one before it (RFC 9112 §9.3.2). */
  pipelined (socket: Connection, response: ServerResponse): void {
    const before = lastOf(socket)
    socket[kLast] = response
    if (!this.#ending || before === undefined || before.headersSent) return
    before.shouldKeepAlive = true
    response.shouldKeepAlive = false
  }

  /** When a server stops to listen, until it listens again. The last answer under way ends its connection (RFC 9112 §9.6). */
  end (server: { readonly listening: boolean }): void {
    if (this.#ending || this.#end === undefined) return
    this.#ending = true
    for (const session of this.#sessions) session.close()
    for (const socket of this.#sockets) {
      const last = lastOf(socket)
      if (last !== undefined && !last.headersSent) last.shouldKeepAlive = false
    }
    const { within, schedule } = this.#end
    const whileClosed = (look: () => void) => () => setImmediate(() => {
      if (server.listening) this.dispose()
      else if (this.#ending) look()
    })
    const again = whileClosed(() => {
      this.#look()
      this.#cancels[1] = schedule(again, INTERVAL)
    })
    // Timers run before sockets are read: what has arrived while the process was busy is seen first.
    this.#cancels = [schedule(whileClosed(() => { this.#cutAll() }), within()), schedule(again, INTERVAL)]
  }

  /** When all are closed, those of other servers of the application too. */
  whenEmpty (done: () => void): void {
    if (this.#sockets.size === 0 || this.#end === undefined) done()
    else this.#whenEmpty.push(done)
  }

  /** Whoever is still connected stays. */
  dispose (): void {
    for (const cancel of this.#cancels) cancel()
    this.#ending = this.#late = false
    this.#idle = new Set()
  }

  readonly #onConnection = (socket: Connection) => {
    this.#sockets.add(socket)
    socket.once('close', this.#onClose)
  }

  /** One function for all of them. */
  readonly #onClose = ((connections: Connections) => function forget (this: Connection) {
    connections.#forget(this)
  })(this) as () => void

  readonly #onSession = (session: ServerHttp2Session) => {
    // Before version 24 Node closes no session by itself.
    if (this.#ending) return session.close()
    this.#sessions.add(session)
    session.once('close', () => { this.#sessions.delete(session) })
  }

  #forget (socket: Connection): void {
    this.#sockets.delete(socket)
    if (this.#sockets.size === 0) for (const done of this.#whenEmpty.splice(0)) done()
  }

  /** Closes what is idle for the second time, as a request may have been on its way; at last, everything. */
  #look (): void {
    if (this.#late) return this.#cut([...this.#sockets])
    const idle = [...this.#sockets].filter(isIdle)
    this.#cut(idle.filter(socket => this.#idle.has(socket)))
    this.#idle = new Set(idle.filter(socket => !socket.destroyed))
  }

  #cutAll (): void {
    this.#late = true
    const left = [...this.#sockets]
    this.#cut(left)
    // Of a TLS connection there are two sockets.
    if (left.length > 0) this.#end?.onLate(left.filter(socket => !(socket instanceof TLSSocket)).length)
  }

  #cut (sockets: readonly Connection[]): void {
    for (const socket of sockets) socket.destroy()
  }
}

/** Of HTTP/1: the response whose answer is the last that this connection waits for. */
function lastOf ({ _httpMessage: first, [kLast]: last }: Connection): ServerResponse | undefined {
  if (first === undefined || first === null) return undefined
  return last === undefined || last.writableFinished ? first : last
}

/** No request under way: nothing sent yet, half a head, or between two. Not so after an upgrade, nor over HTTP/2. */
function isIdle ({ parser, _httpMessage: response }: Connection): boolean {
  // A body may still come after its answer.
  return !!parser && !response && !parser.incoming
}
