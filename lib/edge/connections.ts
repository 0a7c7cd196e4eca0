import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Schedule } from '../async/index.ts'

/** What Node's HTTP server keeps on the sockets of HTTP/1, until an upgrade. */
type Connection = Socket & { readonly parser?: object | null, readonly _httpMessage?: ServerResponse | null }

interface Watched {
  on (event: 'connection' | 'secureConnection', listener: (socket: Connection) => void): unknown
  off (event: 'connection' | 'secureConnection', listener: (socket: Connection) => void): unknown
}

export interface ConnectionsEnd {
  /** Milliseconds for requests under way, upgraded connections, and HTTP/2; asked when the server closes. */
  readonly within: () => number
  readonly schedule: Schedule
  /** Called once with the number of connections that had to be closed. */
  readonly onLate: (connections: number) => void
}

/** How often connections are looked at while the server closes. */
const SWEEP = 500

/**
 * The connections of a server that closes. Node closes those that are idle at that moment and waits for the others without any time-out,
 * because `close()` also ends its checks of `headersTimeout` and `requestTimeout`: one that has sent nothing, half a head, or that becomes
 * idle a moment later holds the server for ever, or for `keepAliveTimeout`. Behind it waits all that is done at the end, such as the
 * writing of the audit trail.
 */
export class Connections {
  readonly #sockets = new Set<Connection>()
  readonly #onConnection = (socket: Connection) => {
    this.#sockets.add(socket)
    socket.once('close', this.#onClose)
  }

  readonly #onClose: () => void
  #cancel = () => {}

  constructor () {
    const sockets = this.#sockets
    // One function for all of them.
    this.#onClose = function forget (this: Connection) { sockets.delete(this) } as () => void
  }

  /** Both events of a TLS server count: a client may never begin its handshake. */
  watch (server: Watched): () => void {
    server.on('connection', this.#onConnection)
    server.on('secureConnection', this.#onConnection)
    return () => {
      server.off('connection', this.#onConnection)
      server.off('secureConnection', this.#onConnection)
    }
  }

  /** Before the server stops to listen. Answers under way end their connection (RFC 9112 §9.6). */
  end ({ within, schedule, onLate }: ConnectionsEnd): void {
    for (const { _httpMessage: response } of this.#sockets) {
      if (response && !response.headersSent) response.shouldKeepAlive = false
    }
    const cancelLate = schedule(() => {
      const left = [...this.#sockets]
      for (const socket of left) socket.destroy()
      if (left.length > 0) onLate(left.length)
    }, within())
    let cancelSweep = () => {}
    const again = (before: ReadonlySet<Connection>) => {
      cancelSweep = schedule(() => { again(this.#sweep(before)) }, SWEEP)
    }
    again(new Set())
    this.#cancel = () => {
      cancelLate()
      cancelSweep()
    }
  }

  dispose (): void {
    this.#cancel()
  }

  /** Closes what is idle for the second time: a request may have been on its way. Gives what is idle for the first. */
  #sweep (before: ReadonlySet<Connection>): ReadonlySet<Connection> {
    const idle = [...this.#sockets].filter(isIdle)
    for (const socket of idle) if (before.has(socket)) socket.destroy()
    return new Set(idle.filter(socket => !socket.destroyed))
  }
}

/** No request under way: nothing sent yet, half a head, or between two. Not so after an upgrade, nor over HTTP/2. */
function isIdle ({ parser, _httpMessage: response }: Connection): boolean {
  return !!parser && !response
}
