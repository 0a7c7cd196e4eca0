import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { finished } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { AuditEvent } from '../lib/audit/index.ts'
import { callerBy, edgeAnswers, edgeCodeOf, type EdgeStatus, type NodeRequest, type NodeResponse } from '../lib/edge/index.ts'
import { wasSent, whenLeft } from '../lib/http/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { watchHead } from '../lib/server/index.ts'
import { edgeEvent, outsideEvent, type End } from './audit-events.ts'
import { serverOptionsOf } from './fastify-internals.ts'
import type { Frame } from './ports.ts'
import { onHandshake } from './upgrades.ts'

/** On a raw response, from before anything can answer it. */
const kBegun = Symbol('secure-api.begun')
interface Begun {
  readonly at: number
  /** A socket that is closed, or an HTTP/2 session, has no address any more. */
  readonly from: string | undefined
  readonly request: NodeRequest
  told: boolean
  cancel: (() => void) | undefined
}
type Response = NodeResponse & { [kBegun]?: Begun }

/** Whether the end of this response is watched since before the hooks, and whether it has been told. */
export function begun (response: object): { readonly told: boolean } | undefined {
  return (response as Response)[kBegun]
}

/** Requests on a connection that is given away, whose route the trail knows. */
const claimed = new Marks<object, true>()

export function claimHandshake (request: object): void {
  claimed.set(request, true)
}

interface Watching {
  readonly record: (event: AuditEvent) => void
  /** Records the end of a response whose request has reached the suite; false for any other. */
  readonly inside: (response: NodeResponse, end: End) => boolean
}

/**
 * The ends of requests that no hook of the suite may see: what Node and Fastify answer by themselves, the hooks of the application that
 * come first, and its listeners for handshakes. Every way a request can end closes its response, so one listener is enough for all.
 */
export function watchOutside (app: FastifyInstance, pipeline: Frame, { record, inside }: Watching): void {
  const caller = callerBy(serverOptionsOf(app)?.trustProxy)
  /** Requests that the parser gave up in their body, with the answer that their callers got. */
  const cut = new Marks<object, EdgeStatus>()
  const close = (response: Response, aborted: boolean) => {
    const begun = response[kBegun]
    if (begun === undefined || begun.told) return
    begun.told = true
    begun.cancel?.()
    const durationMs = performance.now() - begun.at
    const end = aborted ? endOf(cut.of(begun.request), durationMs) : { status: response.statusCode, durationMs }
    if (inside(response, end)) return
    const { method, headers } = begun.request
    const address = caller({ headers, socket: { remoteAddress: begun.from } })
    record(outsideEvent({ reason: edgeCodeOf(response), ...end, method, address }))
  }
  function onClose (this: Response): void {
    close(this, !wasSent(this))
  }
  pipeline.offer({
    onRequestStart (request, response: Response) {
      if (response[kBegun] !== undefined) return
      const { socket } = request
      response[kBegun] = { at: performance.now(), from: socket.remoteAddress, request, told: false, cancel: undefined }
      response.on('close', onClose)
      if (isBusy(socket)) response[kBegun].cancel = whenLeft({ socket }, () => { close(response, true) })
    },
    onEdgeAnswer (answer) {
      const { status, request, answered } = answer
      if (request === undefined) record(edgeEvent(answer))
      else if (answered) cut.set(request, status)
    },
    onConnect: watchConnection
  })
  if (Object.hasOwn(app, 'server')) onHandshake(app, watchConnection)

  /** An accepted connection is two events, as in docs/audit.md; nothing is told of one that comes to a route. */
  function watchConnection (request: IncomingMessage, socket: Socket): void {
    let [at, status] = [performance.now(), 0]
    const address = caller({ headers: request.headers, socket }) // `app.injectWS()` gives a request without one
    const tell = (end: Omit<End, 'durationMs'>, more?: Partial<AuditEvent>) => {
      if (claimed.of(request) === true) return
      const { method } = request
      record({ ...outsideEvent({ reason: undefined, ...end, durationMs: performance.now() - at, method, address }), ...more })
    }
    watchHead(socket, head => {
      tell({ status: head });
      [at, status] = [performance.now(), head]
    })
    finished(socket, () => {
      if (status === 0) tell(endOf(undefined, 0))
      else if (status < 400) tell({ status }, { event: 'api_connection_closed' })
    })
  }
}

function endOf (status: EdgeStatus | undefined, durationMs: number): End {
  return status === undefined
    ? { status: 499, durationMs, reason: 'client-aborted' }
    : { status, durationMs, reason: edgeAnswers[status] }
}

/** Whether a response waits behind that of an earlier request (pipelining): it does not learn that the connection has closed. */
function isBusy (socket: object): boolean {
  return '_httpMessage' in socket && Boolean(socket._httpMessage)
}
