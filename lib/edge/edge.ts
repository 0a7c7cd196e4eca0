import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Server as HttpsServer } from 'node:https'
import { Server as TlsServer } from 'node:tls'
import { isHeadSent, refusal, type HeaderPair, type Refusal } from '../http/index.ts'
import { Marks } from '../marks/index.ts'
import { createClientErrorHandler, type ClientErrorEvent } from './client-error.ts'
import { overTls, type OverTls } from './over-tls.ts'
import { edgePairsBy, type EdgeHeaders } from './response.ts'

type NodeServer = HttpServer | HttpsServer | Http2Server
type NodeRequest = IncomingMessage | Http2ServerRequest
type NodeResponse = ServerResponse | Http2ServerResponse

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
  /** Called for each answer to an unparsable request, which no hook sees. */
  readonly onClientError?: (event: ClientErrorEvent) => void
}

export interface Edge {
  /** Call it when the application begins to close: the router may then answer 503 before any hook. */
  closing (): void
  /** Removes everything. */
  dispose (): void
}

/** State of one application: its servers share one handler, and `listen()` on localhost makes a second server. */
interface EdgeState {
  readonly options: EdgeOptions
  readonly handlers: ReadonlySet<unknown>
  readonly servers: Map<object, ServerState>
  /** Other servers, checked once. */
  readonly strangers: Marks<object, true>
  closing: boolean
}

/** State of one server. */
interface ServerState {
  readonly edge: EdgeState
  readonly server: NodeServer
  readonly pairs: (secure: boolean) => readonly HeaderPair[]
  readonly overTls: OverTls
  readonly maxParamLength: number
  detach (): void
}

/**
 * Puts the security headers on answers that no hook sees: bad URL, 414, missing Host, 417, 503 while closing, and refusals of the HTTP
 * parser. Also on the second server that Fastify makes for `::1`, which listeners of `app.server` do not reach (fastify/fastify#3536).
 *
 * Requests that only a route can answer cost one check of the URL and two headers.
 */
export function installEdge (server: NodeServer, options: EdgeOptions): Edge {
  const handlers = new Set(server.listeners('request'))
  const edge: EdgeState = { options, handlers, servers: new Map(), strangers: new Marks(), closing: false }
  const onSocket = (message: unknown) => { findSibling(edge, message) }
  const onRequestStart = (message: unknown) => { guardRequest(edge, message) }
  subscribe('net.server.socket', onSocket)
  subscribe('http.server.request.start', onRequestStart)
  attach(server, edge)
  return {
    closing: () => { edge.closing = true },
    dispose () {
      for (const { detach } of edge.servers.values()) detach()
      edge.servers.clear()
      unsubscribe('net.server.socket', onSocket)
      unsubscribe('http.server.request.start', onRequestStart)
    }
  }
}

/** A new connection, before its first byte: the moment to detect a second server. */
function findSibling (edge: EdgeState, message: unknown): void {
  const { server } = (message as { socket: { server?: NodeServer } }).socket
  if (server === undefined || edge.servers.has(server) || edge.strangers.of(server) === true) return
  if (isSibling(edge, server.listeners('request'))) attach(server, edge)
  else edge.strangers.set(server, true)
}

/** Fastify gives its second server only the handler of the first. Listeners that tools add to all servers prove nothing. */
function isSibling ({ handlers }: EdgeState, others: readonly unknown[]): boolean {
  return others.length > 0 && others.every(handler => handlers.has(handler))
}

/** HTTP/1 only. Runs before Node's own refusals: missing Host, 417, too many requests on a socket. */
function guardRequest (edge: EdgeState, message: unknown): void {
  const { request, response, server } = message as { request: IncomingMessage, response: ServerResponse, server: object }
  const state = edge.servers.get(server)
  if (state !== undefined && mayMissHooks(state, request)) guard(response, pairsFor(state, request), state.edge)
}

function mayMissHooks ({ edge, server, maxParamLength }: ServerState, { url = '', headers }: NodeRequest): boolean {
  return isClosing(edge) || !server.listening || url.length > maxParamLength || url.includes('%') ||
    headers.host === undefined || headers.expect !== undefined || limitsRequests(server)
}

/** Hooks of the application may run before the one that calls `closing()`. */
function isClosing ({ closing, options }: EdgeState): boolean {
  return closing || options.isClosing?.() === true
}

function limitsRequests (server: NodeServer): boolean {
  return 'maxRequestsPerSocket' in server && (server.maxRequestsPerSocket ?? 0) > 0
}

function pairsFor ({ edge, pairs, overTls }: ServerState, request: NodeRequest): readonly HeaderPair[] {
  const { originHeaders = () => [] } = edge.options
  return [...pairs(overTls(request)), ...originHeaders(request.headers.origin)]
}

/** Marks responses whose headers the edge still decides. */
const guarded = Symbol('secure-api.edge')
type Guarded = { [guarded]?: boolean }

/** Adds the headers when the head is written, unless a hook has claimed the response. */
function guard (response: NodeResponse & Guarded, pairs: readonly HeaderPair[], edge: EdgeState): void {
  // Only ever called with the arguments it passes on.
  const writeHead = response.writeHead as (...parts: unknown[]) => NodeResponse
  response[guarded] = true
  response.writeHead = function (...parts: unknown[]) {
    if (response[guarded] !== true || isHeadSent(response)) return writeHead.apply(response, parts)
    response[guarded] = false
    setMissing(response, pairs)
    const answer = isClosing(edge) && parts[0] === closing.status ? closing : houseAnswer(response, parts)
    if (answer === undefined) return writeHead.apply(response, parts)
    if (Array.isArray(parts[1])) response.setHeader('connection', 'close') // as Node does with the 400 for a missing Host
    return say(answer, response, writeHead)
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
  if (isRecord(given) && given['Content-Type'] === 'application/json') return byFastify[status]
  return given === undefined || (Array.isArray(given) && String(given) === 'Connection,close') ? byNode[status] : undefined
}

function isRecord (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Replaces the router's body too: the router passes its length to `writeHead`, where it would override any header. */
function say (answer: Refusal, response: NodeResponse, writeHead: (...parts: unknown[]) => NodeResponse): NodeResponse {
  // Only ever called with the arguments it passes on.
  const end = response.end as (...parts: unknown[]) => NodeResponse
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value)
  response.setHeader('content-length', Buffer.byteLength(answer.body))
  response.end = (() => end.call(response, answer.body, 'utf8')) as typeof response.end
  return writeHead.call(response, answer.status)
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

function attach (server: NodeServer, edge: EdgeState): void {
  const { table, maxParamLength = 100, onClientError } = edge.options
  const pairs = edgePairsBy(table)
  const onError = createClientErrorHandler(server, pairs(server instanceof TlsServer), onClientError)
  const state: ServerState = {
    edge,
    server,
    pairs,
    overTls: edge.options.overTls ?? overTls(false),
    maxParamLength,
    detach () {
      server.removeListener('clientError', onError)
      detachHttp2()
    }
  }
  edge.servers.set(server, state)
  server.prependListener('clientError', onError)
  const detachHttp2 = isHttp1(server) ? () => {} : attachHttp2(server, state)
}

function isHttp1 (server: NodeServer): boolean {
  return server instanceof HttpServer || server instanceof HttpsServer
}

/** The request channel has no HTTP/2 requests, but the HTTP/1 requests of the same server (`allowHTTP1`). */
function attachHttp2 (server: NodeServer, state: ServerState): () => void {
  const onRequest = (request: NodeRequest, response: NodeResponse) => {
    if (request.httpVersionMajor > 1 && mayMissHooks2(state, request)) guard(response, pairsFor(state, request), state.edge)
  }
  server.prependListener('request', onRequest)
  const detachExpectation = server.listenerCount('checkExpectation') > 0 ? () => {} : answerExpectation(server, state)
  return () => {
    server.removeListener('request', onRequest)
    detachExpectation()
  }
}

/** An HTTP/2 request has its host in `:authority`, and Node itself refuses none. */
function mayMissHooks2 ({ edge, server, maxParamLength }: ServerState, { url = '' }: NodeRequest): boolean {
  return isClosing(edge) || !server.listening || url.length > maxParamLength || url.includes('%')
}

/** In place of Node's empty answer (RFC 9110 §10.1.1). */
function answerExpectation (server: NodeServer, state: ServerState): () => void {
  const onExpectation = (request: NodeRequest, response: NodeResponse) => {
    const { status, headers, body } = expectation
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    setMissing(response, pairsFor(state, request))
    response.statusCode = status
    response.end(body)
  }
  server.on('checkExpectation', onExpectation)
  return () => { server.removeListener('checkExpectation', onExpectation) }
}
