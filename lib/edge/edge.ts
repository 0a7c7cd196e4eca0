import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { Server as HttpsServer } from 'node:https'
import { Server as TlsServer } from 'node:tls'
import { isHeadSent, refusal, type AnswerCode, type HeaderPair, type Refusal } from '../http/index.ts'
import { Marks } from '../marks/index.ts'
import { createClientErrorHandler, edgePairsBy, edgeResponse, type ClientErrorEvent, type EdgeHeaders } from './client-error.ts'
import { Connections, type Connection, type ConnectionsEnd } from './connections.ts'
import { overTls, type OverTls } from './over-tls.ts'

type NodeServer = HttpServer | HttpsServer | Http2Server
export type NodeRequest = IncomingMessage | Http2ServerRequest
export type NodeResponse = ServerResponse | Http2ServerResponse

export interface EdgeOptions {
  /** The application's header table. */
  readonly table: EdgeHeaders
  /** `maxParamLength` of the router: a shorter URL never gets 414. @default 100 */
  readonly maxParamLength?: number
  /** The CORS headers for an origin, so that its pages can read these answers too. */
  readonly originHeaders?: (origin: string | undefined) => readonly HeaderPair[]
  /** Whether a request came over TLS. @default by its socket */
  readonly overTls?: OverTls
  /** Whether the application has begun to close, for requests before `closing()` is called. */
  readonly isClosing?: () => boolean
  /** How connections end when the application closes. @default as Node ends them */
  readonly end?: ConnectionsEnd
  /** Called for each answer to an unparsable request, and to CONNECT, which no hook sees. */
  readonly onClientError?: (event: ClientErrorEvent) => void
  /** Called for each request before anything can answer it; for those of one connection that is given away, `onConnect`. */
  readonly onRequest?: (request: NodeRequest, response: NodeResponse) => void
  /** Called for CONNECT over HTTP/1 where the application has a listener. */
  readonly onConnect?: (request: IncomingMessage, socket: Socket) => void
}

export interface Edge {
  /** Call it when the application begins to close: the router may then answer 503 before any hook. */
  closing (): void
  /** From now on answers end their connections, of pipelined requests the last one. */
  drain (): void
  /** Removes everything. */
  dispose (): void
}

/** State of one application: its servers share one handler, and `listen()` on localhost makes a second server. */
interface EdgeState {
  readonly options: EdgeOptions
  readonly handlers: ReadonlySet<unknown>
  readonly servers: Map<NodeServer, Attached>
  /** Other servers, checked once. */
  readonly strangers: Marks<object, true>
  readonly pairsBy: (secure: boolean) => readonly HeaderPair[]
  readonly overTls: OverTls
  closing: boolean
  draining: boolean
}

interface Attached {
  readonly connections: Connections
  /** Leaves the server as it was. */
  readonly detach: () => void
}

/**
 * Puts the security headers on answers that no hook sees: bad URL, 414, missing Host, 417, 503 while closing, and refusals of the HTTP
 * parser. Also on the second server that Fastify makes for `::1`, which listeners of `app.server` do not reach (fastify/fastify#3536).
 *
 * Requests that only a route can answer cost one check of the URL and two headers.
 */
export function installEdge (server: NodeServer, options: EdgeOptions): Edge {
  const edge: EdgeState = {
    options,
    handlers: new Set(server.listeners('request')),
    servers: new Map(),
    strangers: new Marks(),
    pairsBy: edgePairsBy(options.table),
    overTls: options.overTls ?? overTls(false),
    closing: false,
    draining: false
  }
  const onSocket = (message: unknown) => { findSibling(edge, message) }
  const onRequestStart = (message: unknown) => { guardRequest(edge, message) }
  subscribe('net.server.socket', onSocket)
  subscribe('http.server.request.start', onRequestStart)
  attach(server, edge)
  return {
    closing: () => { edge.closing = true },
    drain () {
      edge.draining = true
      for (const { connections } of edge.servers.values()) connections.drain()
    },
    dispose () {
      for (const { detach } of edge.servers.values()) detach()
      edge.servers.clear()
      unsubscribe('net.server.socket', onSocket)
      unsubscribe('http.server.request.start', onRequestStart)
    }
  }
}

/**
 * A new connection, before its first byte: the moment to detect a second server. Fastify gives it only the handler of the first.
 * Listeners that tools add to all servers prove nothing.
 */
function findSibling (edge: EdgeState, message: unknown): void {
  const { socket } = message as { socket: Connection & { server?: NodeServer } }
  const { server } = socket
  if (server === undefined || edge.servers.has(server) || edge.strangers.of(server) === true) return
  const handlers = server.listeners('request')
  // Its `connection` has been emitted already.
  if (handlers.length > 0 && handlers.every(handler => edge.handlers.has(handler))) attach(server, edge).connections.add(socket)
  else edge.strangers.set(server, true)
}

interface RequestStart {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly server: NodeServer
  readonly socket: Connection
}

/** HTTP/1 only. Runs before Node's own refusals: missing Host, 417, too many requests on a socket. */
function guardRequest (edge: EdgeState, message: unknown): void {
  const { request, response, server, socket } = message as RequestStart
  const attached = edge.servers.get(server)
  if (attached === undefined) return
  attached.connections.begin(socket, response)
  edge.options.onRequest?.(request, response)
  const { host, expect } = request.headers
  const limitsRequests = 'maxRequestsPerSocket' in server && (server.maxRequestsPerSocket ?? 0) > 0
  if (host === undefined || expect !== undefined || limitsRequests || mayMissHooks(edge, server, request)) guard(response, request, edge)
}

/** For either version of HTTP. An HTTP/2 request has its host in `:authority`, and Node itself refuses none. */
function mayMissHooks (edge: EdgeState, { listening }: NodeServer, { url = '' }: NodeRequest): boolean {
  return isClosing(edge) || !listening || url.length > (edge.options.maxParamLength ?? 100) || url.includes('%')
}

/** Hooks of the application may run before the one that calls `closing()`. */
function isClosing ({ closing, options }: EdgeState): boolean {
  return closing || options.isClosing?.() === true
}

function pairsFor ({ options, pairsBy, overTls }: EdgeState, request: NodeRequest): readonly HeaderPair[] {
  return [...pairsBy(overTls(request)), ...options.originHeaders?.(request.headers.origin) ?? []]
}

/** Marks responses whose headers the edge still decides. */
const guarded = Symbol('secure-api.edge')
const kCode = Symbol('secure-api.edge-code')
type Guarded = { [guarded]?: boolean, [kCode]?: string }

/** Which refusal of the edge a response carries, for the audit trail. */
export function edgeCodeOf (response: object): string | undefined {
  return (response as Guarded)[kCode]
}

export function noteEdgeCode (response: object, code: AnswerCode | (string & {})): void {
  (response as Guarded)[kCode] = code
}

/** Adds the headers when the head is written, unless a hook has claimed the response. */
function guard (response: NodeResponse & Guarded, request: NodeRequest, edge: EdgeState): void {
  const pairs = pairsFor(edge, request)
  // Only ever called with the arguments it passes on.
  const writeHead = response.writeHead as (...parts: unknown[]) => NodeResponse
  response[guarded] = true
  response.writeHead = function (...parts: unknown[]) {
    if (response[guarded] !== true || isHeadSent(response)) return writeHead.apply(response, parts)
    response[guarded] = false
    setMissing(response, pairs)
    const answer = isClosing(edge) && parts[0] === closing.status ? closing : houseAnswer(response, parts)
    if (answer === undefined) return writeHead.apply(response, parts)
    noteEdgeCode(response, answer.code)
    if (Array.isArray(parts[1])) response.setHeader('connection', 'close') // as Node does with the 400 for a missing Host
    return say(answer, response, writeHead, [answer.status])
  } as typeof response.writeHead
}

const closing = refusal('SECURE_API_SERVER_CLOSING', { headers: { 'retry-after': '1' } })

type ByStatus = Readonly<Record<number, Refusal>>
const expectation = refusal('SECURE_API_REQUEST_EXPECTATION')
const byFastify: ByStatus = { 400: refusal('SECURE_API_REQUEST_URL'), 414: refusal('SECURE_API_REQUEST_PARAMETER_TOO_LONG') }
const byNode: ByStatus = { 400: refusal('SECURE_API_REQUEST_HOST'), 417: expectation }

/**
 * Replaces Fastify's answer to a bad URL, which repeats the URL, and the empty answers of Node. Both are recognized by their head:
 * only Fastify writes `Content-Type` in capitals (`fastify.js`, onBadUrl), only Node a 400 with nothing but `Connection`.
 */
function houseAnswer (response: NodeResponse, [status, given]: readonly unknown[]): Refusal | undefined {
  if (typeof status !== 'number' || response.hasHeader('content-type')) return undefined
  const { 'Content-Type': type } = Object(given) as { readonly 'Content-Type'?: unknown }
  if (type === 'application/json') return byFastify[status]
  return given === undefined || (Array.isArray(given) && String(given) === 'Connection,close') ? byNode[status] : undefined
}

type WriteHead<Response> = (...parts: unknown[]) => Response

/** Replaces the body of an answer too: the router passes its length to `writeHead`, where it would override any header. */
export function say <R extends NodeResponse> (
  { headers, body }: Pick<Refusal, 'headers' | 'body'>, response: R, writeHead: WriteHead<R>, parts: readonly unknown[]
): R {
  // Only ever called with the arguments it passes on.
  const end = response.end as WriteHead<R>
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end = (() => end.call(response, body, 'utf8')) as typeof response.end
  return writeHead.apply(response, [...parts])
}

function setMissing (response: NodeResponse, pairs: readonly HeaderPair[]): void {
  for (const [name, value] of pairs) {
    if (!response.hasHeader(name)) response.setHeader(name, value)
  }
}

/** Called by the headers hook: from here on the route's table decides, not the edge. */
export function claim (response: object): void {
  const { [guarded]: held } = response as Guarded
  if (held === true) (response as Guarded)[guarded] = false
}

function attach (server: NodeServer, edge: EdgeState): Attached {
  const onError = createClientErrorHandler(server, edge.pairsBy(server instanceof TlsServer), edge.options.onClientError)
  server.prependListener('clientError', onError)
  const detachHttp2 = server instanceof HttpServer || server instanceof HttpsServer ? () => {} : attachHttp2(server, edge)
  const onConnect = connectHandler(server, edge)
  server.prependListener('connect', onConnect)
  const connections = new Connections(server, edge.options.end)
  if (edge.draining) connections.drain()
  const uncover = coverClose(server, connections, edge)
  const detach = () => {
    uncover()
    connections.dispose()
    server.removeListener('clientError', onError)
    server.removeListener('connect', onConnect)
    detachHttp2()
  }
  const attached = { connections, detach }
  edge.servers.set(server, attached)
  return attached
}

type Close = (done?: (this: unknown, error?: Error) => void) => unknown

/**
 * Connections begin to end when the server stops to listen, and not with `preClose`: hooks of the application may take their time there, or
 * fail. Fastify closes its second server, for another address of localhost, with the first, but waits for the first alone.
 */
function coverClose (server: NodeServer, connections: Connections, { servers }: EdgeState): () => void {
  const uncoverIdle = cover(server, 'closeIdleConnections', (closeIdle: () => void) => () => {
    connections.spareUnsent(() => { closeIdle.call(server) })
  })
  const uncoverClose = cover(server, 'close', (close: Close): Close => done => {
    connections.end()
    if (typeof done !== 'function') return close.call(server, done)
    return close.call(server, error => { whenEmpty(servers, () => { done.call(server, error) }) })
  })
  return () => {
    uncoverClose()
    uncoverIdle()
  }
}

/** Puts a method in the place of another one, until the function is called that it returns. */
function cover <Method extends (...given: never[]) => unknown> (
  target: object, name: string, make: (covered: Method) => Method
): () => void {
  const methods = target as Record<string, Method>
  const { [name]: former } = methods
  if (former === undefined) return () => {}
  const isOwn = Object.hasOwn(target, name)
  const made = make(former)
  let isCovered = true
  const covering = function (this: unknown, ...given: never[]) {
    return (isCovered ? made : former).apply(this, given)
  } as Method
  methods[name] = covering
  return () => {
    isCovered = false
    if (methods[name] !== covering) return // somebody else has covered it since
    if (isOwn) methods[name] = former
    else Reflect.deleteProperty(target, name)
  }
}

/** Of all servers that have begun to close. */
function whenEmpty (servers: EdgeState['servers'], done: () => void): void {
  let waiting = servers.size + 1
  const one = () => { if (--waiting === 0) done() }
  for (const { connections } of [...servers.values()]) connections.whenEmpty(one)
  one()
}

const noTunnel = refusal('SECURE_API_METHOD_NOT_ALLOWED', { headers: { allow: '' } })
type Tunnel = Socket & { _httpMessage?: ServerResponse | null }

/**
 * CONNECT asks for a tunnel, which no route can be. Node sends 405 without any header over HTTP/2, and over HTTP/1 closes the connection.
 * A listener of the application takes precedence.
 */
function connectHandler (server: NodeServer, edge: EdgeState) {
  const text = edgeResponse(405, edge.pairsBy(server instanceof TlsServer))
  return function onConnect (request: NodeRequest, carrier: Tunnel | Http2ServerResponse): void {
    const isAlone = server.listenerCount('connect') === 1
    if ('stream' in carrier) {
      edge.options.onRequest?.(request, carrier)
      if (isAlone) answerAt(edge, request, carrier, noTunnel)
    } else if (isAlone) refuseTunnel(carrier, text(), edge)
    else edge.options.onConnect?.(request as IncomingMessage, carrier)
  }
}

/** After an unanswered request (pipelining) nothing can be sent any more, and only this ends the answer that waits. */
function refuseTunnel (socket: Tunnel, text: string, { options }: EdgeState): void {
  const { _httpMessage: first } = socket
  options.onClientError?.({ status: 405, reason: 'CONNECT', address: socket.remoteAddress, answered: !first, request: undefined })
  socket.on('error', () => {})
  if (!first) return socket.end(text).resume().destroySoon()
  socket.destroy()
  first.detachSocket(socket)
  first.emit('close')
}

function answerAt (edge: EdgeState, request: NodeRequest, response: NodeResponse, { code, status, headers, body }: Refusal): void {
  noteEdgeCode(response, code)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  setMissing(response, pairsFor(edge, request))
  response.statusCode = status
  response.end(body)
}

/** The request channel has no HTTP/2 requests, but the HTTP/1 requests of the same server (`allowHTTP1`). */
function attachHttp2 (server: NodeServer, edge: EdgeState): () => void {
  const onRequest = (request: NodeRequest, response: NodeResponse) => {
    if (request.httpVersionMajor < 2) return
    edge.options.onRequest?.(request, response)
    if (mayMissHooks(edge, server, request)) guard(response, request, edge)
  }
  /** In place of Node's empty answer (RFC 9110 §10.1.1). A listener of the application takes precedence. */
  const onExpectation = (request: NodeRequest, response: NodeResponse) => {
    if (request.httpVersionMajor > 1) edge.options.onRequest?.(request, response)
    if (server.listenerCount('checkExpectation') === 1) answerAt(edge, request, response, expectation)
  }
  server.prependListener('request', onRequest)
  server.prependListener('checkExpectation', onExpectation)
  return () => {
    server.removeListener('request', onRequest)
    server.removeListener('checkExpectation', onExpectation)
  }
}
