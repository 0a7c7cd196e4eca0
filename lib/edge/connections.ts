import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Schedule } from '../async/index.ts'

/** The last response of this connection, where requests came before the answer to the one before. */
const kLast = Symbol('secure-api.last')

/** What Node keeps on sockets: without a handle they are another process's; a parser, and a response, those of HTTP/1 until an upgrade. */
export type Connection = Socket & {
  readonly _handle?: object | null
  readonly parser?: { readonly incoming?: object | null } | null
  readonly _httpMessage?: ServerResponse | null
  [kLast]?: ServerResponse | undefined
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
/** From how many connections on it is looked for those that will never close. */
const PRUNE = 1000

/**
 * The connections of a server that closes. Node closes those that are idle at that moment and waits for the others without any time-out,
 * because `close()` also ends its checks of `headersTimeout` and `requestTimeout`: one that has sent nothing, half a head, or that becomes
 * idle a moment later holds the server for ever, or for `keepAliveTimeout`. Behind it waits all that is done at the end, such as the
 * writing of the audit trail.
 */
export class Connections {
  readonly #end: ConnectionsEnd | undefined
  readonly #unwatch: () => void
  readonly #sockets = new Set<Connection>()
  readonly #sessions = new Set<ServerHttp2Session>()
  #pruneAt = PRUNE
  #idle: ReadonlySet<Connection> = new Set()
  #leaving = false
  #ending = false
  #looking = false
  #late = false
  #cancels: Array<() => void> = []
  #whenEmpty: Array<() => void> = []

  constructor (server: Pick<EventEmitter, 'on' | 'off'>, end: ConnectionsEnd | undefined) {
    this.#end = end
    const add = (socket: Connection) => { this.add(socket) }
    const addSession = (session: ServerHttp2Session) => { this.#addSession(session) }
    const again = () => { this.#again() }
    // Of a TLS server both events count: a client may never begin its handshake.
    server.on('connection', add)
    server.on('secureConnection', add)
    server.on('session', addSession)
    server.on('listening', again)
    this.#unwatch = () => {
      server.off('connection', add)
      server.off('secureConnection', add)
      server.off('session', addSession)
      server.off('listening', again)
    }
  }

  add (socket: Connection): void {
    if (this.#sockets.has(socket)) return
    if (this.#sockets.size >= this.#pruneAt) this.#prune()
    this.#sockets.add(socket)
    socket.once('close', this.#onClose)
    if (this.#ending && !this.#looking) this.#lookAgain()
  }

  /** A request of HTTP/1, before it is handled. It may have come before the answer to the one before it (RFC 9112 §9.3.2). */
  begin (socket: Connection, response: ServerResponse): void {
    if (socket._httpMessage) this.#pipelined(socket, response)
    else if (this.#leaving) endWithAnswer(response)
  }

  #pipelined (socket: Connection, response: ServerResponse): void {
    const before = lastOf(socket)
    socket[kLast] = response
    // The response has its request, and that its body.
    response.once('close', () => { if (socket[kLast] === response) socket[kLast] = undefined })
    if (!this.#leaving || before === undefined || before.headersSent) return
    setKeepAlive(before, true)
    endWithAnswer(response)
  }

  /** From now on the last answer under way ends its connection (RFC 9112 §9.6). The server goes on. */
  drain (): void {
    if (this.#leaving) return
    this.#leaving = true
    for (const socket of this.#sockets) {
      const last = lastOf(socket)
      if (last !== undefined && !last.headersSent) endWithAnswer(last)
    }
  }

  /**
   * Runs what closes idle connections. Node takes a connection for idle whose answer has ended, also while that is still on its way to a
   * client that reads slowly, and would cut it, and a request that was pipelined behind it.
   */
  spareUnsent (closeIdle: () => void): void {
    if (this.#end === undefined) return closeIdle() // nobody would cut them later
    const sending = [...this.#sockets].filter(socket => !!socket._httpMessage && !Object.hasOwn(socket, 'destroy'))
    for (const socket of sending) socket.destroy = () => socket
    try {
      closeIdle()
    } finally {
      for (const socket of sending) Reflect.deleteProperty(socket, 'destroy')
    }
  }

  /** When the server stops to listen. */
  end (): void {
    if (this.#ending || this.#end === undefined) return
    this.drain()
    this.#ending = true
    for (const session of this.#sessions) session.close()
    const { within, schedule } = this.#end
    this.#cancels = [schedule(this.#whileEnding(() => { this.#cutAll() }), within())]
    this.#lookAgain()
  }

  /** Timers run before sockets are read: what has arrived while the process was busy is seen first. */
  #whileEnding (run: () => void): () => void {
    return () => setImmediate(() => { if (this.#ending) run() })
  }

  /** As long as there is a connection. */
  #lookAgain (): void {
    this.#looking = this.#sockets.size > 0
    if (!this.#looking || this.#end === undefined) return
    this.#cancels[1] = this.#end.schedule(this.#whileEnding(() => {
      this.#look()
      this.#lookAgain()
    }), INTERVAL)
  }

  /** Once all are closed, if they are ending. */
  whenEmpty (done: () => void): void {
    if (this.#sockets.size === 0 || !this.#ending) done()
    else this.#whenEmpty.push(done)
  }

  /** Whoever is still connected stays. */
  dispose (): void {
    this.#unwatch()
    this.#again()
    this.#sockets.clear()
    this.#sessions.clear()
  }

  /** The server listens again. */
  #again (): void {
    for (const cancel of this.#cancels) cancel()
    this.#leaving = this.#ending = this.#looking = this.#late = false
    this.#idle = new Set()
    this.#told()
  }

  /** One function for all sockets. */
  readonly #onClose = ((connections: Connections) => function forget (this: Connection) {
    connections.#forget(this)
  })(this) as () => void

  #addSession (session: ServerHttp2Session): void {
    // Before version 24 Node closes no session by itself.
    if (this.#ending) return session.close()
    this.#sessions.add(session)
    session.once('close', () => { this.#sessions.delete(session) })
  }

  #forget (socket: Connection): void {
    this.#sockets.delete(socket)
    if (this.#sockets.size === 0) this.#told()
  }

  #told (): void {
    for (const done of this.#whenEmpty.splice(0)) done()
  }

  /** Sockets that were sent to another process never close here, and whoever takes over an upgrade may remove our listener. */
  #prune (): void {
    for (const socket of this.#sockets) if (socket.closed || (!socket._handle && !socket.destroyed)) this.#forget(socket)
    this.#pruneAt = Math.max(PRUNE, 2 * this.#sockets.size)
  }

  /** Closes what is idle for the second time, as a request may have been on its way; at last, everything. */
  #look (): void {
    this.#prune()
    if (this.#late) {
      this.#cut([...this.#sockets])
      return this.#told() // whether or not they say that they are closed
    }
    const idle = [...this.#sockets].filter(isIdle)
    this.#cut(idle.filter(socket => this.#idle.has(socket)))
    this.#idle = new Set(idle.filter(socket => !socket.destroyed))
  }

  #cutAll (): void {
    this.#late = true
    this.#prune()
    const left = [...this.#sockets]
    this.#cut(left)
    // Of a TLS connection there are two sockets.
    if (left.length > 0) this.#tellLate(left.filter(socket => !(socket instanceof TLSSocket)).length)
  }

  /** It writes to a logger. Nobody could catch what it throws, and the audit trail has still to be written. */
  #tellLate (connections: number): void {
    try {
      this.#end?.onLate(connections)
    } catch {}
  }

  #cut (sockets: readonly Connection[]): void {
    for (const socket of sockets) socket.destroy()
  }
}

/** Of HTTP/1: the response whose answer is the last that this connection waits for. */
function lastOf ({ _httpMessage: first, [kLast]: last }: Connection): ServerResponse | undefined {
  return last ?? first ?? undefined
}

/**
 * The answer ends its connection, unless a part of the body has still to come when the head is written: bytes that nobody has read make the
 * kernel reset the connection, which can take the answer with it.
 */
export function endWithAnswer (response: ServerResponse): void {
  if (!response.shouldKeepAlive) return
  Object.defineProperty(response, 'shouldKeepAlive', {
    get: () => isComing(response.req),
    set: (keeps: boolean) => { setKeepAlive(response, keeps) },
    enumerable: true,
    configurable: true
  })
  // Only ever called with the arguments it passes on.
  const writeHead = response.writeHead as (...parts: unknown[]) => ServerResponse
  response.writeHead = function (...parts: unknown[]) {
    if (response.shouldKeepAlive || response.headersSent) return writeHead.apply(response, parts)
    if (saysKeepAlive('connection', response.getHeader('connection'))) response.setHeader('connection', 'close')
    return writeHead.apply(response, parts.map(withoutKeepAlive))
  } as typeof response.writeHead
}

/** Streams of events say so themselves, and gateways hand on what their upstream has said (RFC 9110 §7.6.1): Node would believe them. */
function saysKeepAlive (name: unknown, value: unknown): boolean {
  return String(name).toLowerCase() === 'connection' && String(value).trim().toLowerCase() === 'keep-alive'
}

/** What `writeHead()` takes as headers, in each of its forms; anything else as it is. */
function withoutKeepAlive (part: unknown): unknown {
  if (Array.isArray(part)) {
    const list: readonly unknown[] = part
    // In a list of names and values a value may be a list, too.
    if (Array.isArray(list[0])) return list.map(item => Array.isArray(item) ? byPair(item[0], item[1]) : item)
    return list.map((item, at) => at % 2 === 1 ? byPair(list[at - 1], item)[1] : item)
  }
  const pairs = typeof part === 'object' && part !== null ? Object.entries(part) : []
  if (!pairs.some(([name, value]) => saysKeepAlive(name, value))) return part
  return Object.fromEntries(pairs.map(([name, value]) => byPair(name, value)))
}

function byPair <Name> (name: Name, value: unknown): [Name, unknown] {
  return [name, saysKeepAlive(name, value) ? 'close' : value]
}

/** Whether some of a body is still to be read. A handler may answer before the parser has come to the end of a request without one. */
function isComing ({ complete, headers }: ServerResponse['req']): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
}

function setKeepAlive (response: ServerResponse, value: boolean): void {
  Object.defineProperty(response, 'shouldKeepAlive', { value, writable: true, enumerable: true, configurable: true })
}

/** No request under way: nothing sent yet, half a head, or between two. Not so after an upgrade, nor over HTTP/2. */
function isIdle ({ parser, _httpMessage: response }: Connection): boolean {
  // A body may still come after its answer.
  return !!parser && !response && !parser.incoming
}
