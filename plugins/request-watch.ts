import { channel } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { outcomeOf, type AuditEvent } from '../lib/audit/index.ts'
import { hasEnded, wasSent } from '../lib/http/index.ts'
import { refusalOf, type RouteInfo, type RouteOption } from '../lib/pipeline/index.ts'
import { handoverOf, type Handover } from '../lib/server/index.ts'
import type { RequestMessage } from '../lib/telemetry/index.ts'
import type { End } from './audit-events.ts'
import { begun, claimHandshake, watchOutside } from './audit-outside.ts'
import type { Frame } from './ports.ts'

interface Watching<Own, Route> {
  /** Of the control. */
  readonly name: string
  readonly option?: RouteOption<Own>
  /** Made once a route. Undefined: its requests are not watched. */
  routeOf (info: RouteInfo, own: Own): Route | undefined
  ended (route: Route, reply: FastifyReply, end: End): void
  /** A socket was accepted, which `ended` told of, and now it is closed. */
  closed (route: Route, reply: FastifyReply, end: End): void
  /** What ended before any hook of the suite saw it. Absent: nobody asks. */
  outside? (event: AuditEvent): void
}

/** On the raw response, whose `close` has to find the reply again. */
const kReply = Symbol('secure-api.reply')
const kStarted = Symbol('secure-api.started')
type WatchedResponse = FastifyReply['raw'] & { [kReply]?: FastifyReply }

const requests = channel('secure-api:request')

/**
 * Every way a request can end closes its response: answered, hijacked, destroyed, left by its caller. One listener for
 * all of them; the hooks `onResponse` and `onRequestAbort` add three, and times of their own.
 */
export function watchRequests<Own, Route> (app: FastifyInstance, pipeline: Frame, watching: Watching<Own, Route>): void {
  const { name, option, routeOf, ended, closed, outside } = watching
  interface Seen { readonly route: Route, readonly url: string | undefined }
  const kSeen = Symbol('secure-api.seen')
  type Watched = FastifyReply & { [kSeen]?: Seen | null, [kStarted]?: number }
  app.decorateReply(kSeen, null)
  if (!app.hasReplyDecorator(kStarted)) app.decorateReply(kStarted, 0)

  /** What is known of a request that has not ended yet; from now on it has. */
  const take = (reply: Watched): Seen | undefined => {
    const seen = reply[kSeen] ?? undefined
    reply[kSeen] = null
    return seen
  }
  const tell = ({ route, url }: Seen, reply: FastifyReply, end: End) => {
    ended(route, reply, end)
    if (requests.hasSubscribers) requests.publish(messageOf(url, reply, end))
  }
  const finish = (reply: Watched, end: End) => {
    const seen = take(reply)
    if (seen !== undefined) tell(seen, reply, end)
  }
  const inside = ({ [kReply]: reply }: WatchedResponse, end: End) => {
    if (reply !== undefined) finish(reply, end)
    return reply !== undefined
  }
  type Inside = Parameters<typeof watchOutside>[2]['inside']
  if (outside !== undefined) watchOutside(app, pipeline, { record: outside, inside: inside as Inside })
  const end = (reply: Watched | undefined, aborted: boolean) => {
    if (reply !== undefined) finish(reply, aborted ? left(reply) : { status: reply.statusCode, durationMs: since(reply) })
  }
  /** A socket that is accepted is told of twice, when it opens and when it ends; whatever else becomes of it, once. */
  const watchHandover = (handover: Handover, reply: Watched) => {
    handover.onAnswered = () => { end(reply, false) }
    handover.onClose = () => { end(reply, true) }
    handover.onTakenOver = status => {
      const seen = take(reply)
      if (seen === undefined) return
      tell(seen, reply, { status, durationMs: since(reply) })
      if (status >= 400) return
      reply[kStarted] = performance.now()
      handover.onClose = () => { closed(seen.route, reply, { status, durationMs: since(reply) }) }
    }
  }
  function onClose (this: WatchedResponse): void {
    end(this[kReply], !wasSent(this))
  }
  // Responses of `app.inject()` have no connection that could close; some finish twice.
  function onFinish (this: WatchedResponse): void {
    end(this[kReply], false)
  }
  /** Where the edge has not watched the response since before the hooks: in a scope, in a handshake, of `app.inject()`. */
  function watch (raw: WatchedResponse, request: FastifyRequest, reply: Watched): void {
    const handover = handoverOf(raw)
    reply[kStarted] = performance.now()
    if (handover !== undefined) {
      claimHandshake(request.raw)
      watchHandover(handover, reply)
    } else if (hasEnded(raw)) end(reply, true) // while a hook before this one waited
    else if ('isLightMyRequest' in raw) raw.on('finish', onFinish)
    else raw.on('close', onClose)
  }
  pipeline.add<Own>({
    name,
    phase: 'audit',
    ...(option !== undefined && { option }),
    compile ({ route: info, own }) {
      const route = routeOf(info, own)
      if (route === undefined) return undefined
      const seen: Seen = { route, url: info.kind === 'unknown' ? undefined : info.url }
      return {
        hook: 'begin',
        handler (request, reply: Watched) {
          const raw: WatchedResponse = reply.raw
          const watched = begun(raw)
          // What has ended while an earlier hook waited has been told of.
          if (watched?.told === true) return undefined
          reply[kSeen] = seen
          raw[kReply] = reply
          if (watched === undefined) watch(raw, request, reply)
          return undefined
        }
      }
    }
  })
}

function since (reply: FastifyReply & { [kStarted]?: number }): number {
  return performance.now() - (reply[kStarted] ?? 0)
}

function left (reply: FastifyReply): End {
  return { status: 499, durationMs: since(reply), reason: 'client-aborted' }
}

function messageOf (route: string | undefined, { request }: FastifyReply, { status, durationMs, reason: cut }: End): RequestMessage {
  const outcome = outcomeOf(status, cut === 'client-aborted')
  const reason = cut ?? (outcome === 'allowed' ? undefined : refusalOf(request)?.code)
  return { outcome, route, reason, credential: request.auth?.credential, status, durationMs, request }
}
