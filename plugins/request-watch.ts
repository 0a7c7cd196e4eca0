import { channel } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { outcomeOf } from '../lib/audit/index.ts'
import { hasEnded } from '../lib/http/index.ts'
import { refusalOf, type RouteInfo, type RouteOption } from '../lib/pipeline/index.ts'
import { handoverOf, type Handover } from '../lib/server/index.ts'
import type { RequestMessage } from '../lib/telemetry/index.ts'
import type { Frame } from './ports.ts'

type End<Route> = [route: Route, reply: FastifyReply, status: number, durationMs: number, aborted?: boolean]

interface Watching<Own, Route> {
  /** Of the control. */
  readonly name: string
  readonly option?: RouteOption<Own>
  /** Made once a route. Undefined: its requests are not watched. */
  routeOf (info: RouteInfo, own: Own): Route | undefined
  ended (...end: End<Route>): void
  /** A socket was accepted, which `ended` told of, and now it is closed. */
  closed (...end: End<Route>): void
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
  const { name, option, routeOf, ended, closed } = watching
  interface Seen { readonly route: Route, readonly url: string | undefined }
  const kSeen = Symbol('secure-api.seen')
  type Watched = FastifyReply & { [kSeen]?: Seen | null, [kStarted]?: number }
  app.decorateReply(kSeen, null)
  if (!app.hasReplyDecorator(kStarted)) app.decorateReply(kStarted, 0)

  /** What is known of a request that has not ended yet; from now on it has. */
  const take = (reply: Watched | undefined): Seen | undefined => {
    const seen = reply?.[kSeen] ?? undefined
    if (reply !== undefined) reply[kSeen] = null
    return seen
  }
  const tell = ({ route, url }: Seen, reply: Watched, status: number, aborted: boolean) => {
    const durationMs = since(reply)
    ended(route, reply, status, durationMs, aborted)
    if (requests.hasSubscribers) requests.publish(messageOf(url, reply, status, durationMs, aborted))
  }
  const end = (reply: Watched | undefined, aborted: boolean) => {
    const seen = take(reply)
    if (reply !== undefined && seen !== undefined) tell(seen, reply, aborted ? 499 : reply.statusCode, aborted)
  }
  /** A socket that is accepted is told of twice, when it opens and when it ends; whatever else becomes of it, once. */
  const watchHandover = (handover: Handover, reply: Watched) => {
    handover.onAnswered = () => { end(reply, false) }
    handover.onClose = () => { end(reply, true) }
    handover.onTakenOver = status => {
      const seen = take(reply)
      if (seen === undefined) return
      tell(seen, reply, status, false)
      if (status >= 400) return
      reply[kStarted] = performance.now()
      handover.onClose = () => { closed(seen.route, reply, status, since(reply)) }
    }
  }
  // HTTP/2 responses do not say more than that they were ended.
  function onClose (this: WatchedResponse): void {
    const { writableFinished = true, writableEnded } = this
    end(this[kReply], !(writableEnded && writableFinished))
  }
  // Responses of `app.inject()` have no connection that could close; some finish twice.
  function onFinish (this: WatchedResponse): void {
    end(this[kReply], false)
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
        handler (_request, reply: Watched) {
          const raw: WatchedResponse = reply.raw
          const handover = handoverOf(raw)
          reply[kSeen] = seen
          reply[kStarted] = performance.now()
          raw[kReply] = reply
          if (handover !== undefined) watchHandover(handover, reply)
          else if (hasEnded(raw)) end(reply, true) // while a hook before this one waited
          else if ('isLightMyRequest' in raw) raw.on('finish', onFinish)
          else raw.on('close', onClose)
          return undefined
        }
      }
    }
  })
}

function since (reply: FastifyReply & { [kStarted]?: number }): number {
  return performance.now() - (reply[kStarted] ?? 0)
}

function messageOf (route: string | undefined, reply: FastifyReply, status: number, durationMs: number, aborted: boolean): RequestMessage {
  const { request } = reply
  const outcome = outcomeOf(status, aborted)
  const reason = aborted ? 'client-aborted' : outcome === 'allowed' ? undefined : refusalOf(request)?.code
  return { outcome, route, reason, credential: request.auth?.credential, status, durationMs, request }
}
