import { Marks } from '../marks/index.ts'

/** What carries a request: its stream over HTTP/2, else the connection. */
interface Carrier {
  readonly closed?: boolean
  readonly destroyed?: boolean
  once (event: 'close', listener: () => void): unknown
}

/** The part of a response that tells whether it has ended: over HTTP/2, its stream tells. */
type Ending = Carrier & { readonly stream?: Carrier | null }

/** Whether a response has ended (answered, destroyed, or its caller left): `close` is not emitted again. */
export function hasEnded (response: Ending): boolean {
  return isOver(response) || isOver(response.stream)
}

/**
 * Calls once when a response ends, at once if it has. Use it after any wait: the caller may have left meanwhile, and a listener
 * for `close` would then never run.
 */
export function whenEnded (response: Ending, call: () => void): void {
  if (hasEnded(response)) call()
  else response.once('close', call)
}

/** The part of a closed response that tells how it ended. Over HTTP/2 it does not say more than that it was ended. */
interface Closed {
  readonly writableEnded: boolean
  readonly writableFinished?: boolean
  readonly req?: { readonly httpVersionMajor: number, readonly socket: Connection | null }
}
interface Connection { readonly errored?: Error | null, readonly destroyed?: boolean, readonly writableFinished?: boolean }

/** Whether a response that is closed was sent whole. Node 20 takes for sent what its connection still had to send when it was cut. */
export function wasSent ({ writableEnded, writableFinished = true, req }: Closed): boolean {
  return writableEnded && writableFinished && !(req !== undefined && req.httpVersionMajor < 2 && wasCut(req.socket))
}

/** Since version 22 a response says so itself, also where a handler ends its connection right behind it. */
const saysSo = Number(process.versions.node.split('.', 1)[0]) >= 22

/** A response that was sent is mostly closed before its connection. */
function wasCut (socket: Connection | null): boolean {
  return Boolean(socket?.errored) || (!saysSo && socket?.destroyed === true && socket.writableFinished !== true)
}

/** The part of a raw request that shows whether its caller is still there. */
interface Arrival {
  readonly stream?: Carrier | null
  readonly socket?: Carrier | null
}

/** Whether the caller of a request has left. */
export function hasLeft (request: Arrival): boolean {
  return isOver(request.stream ?? request.socket)
}

/** One listener per connection: pipelined requests share it. */
const watched = new Marks<Carrier, Set<() => void>>()

/** Calls when the caller of a request leaves. Returns how to cancel that. */
export function whenLeft (request: Arrival, call: () => void): () => void {
  const carrier = request.stream ?? request.socket
  if (carrier === undefined || carrier === null) return () => {}
  const calls = watched.ofOr(carrier, watch)
  calls.add(call)
  return () => { calls.delete(call) }
}

function watch (carrier: Carrier): Set<() => void> {
  const calls = new Set<() => void>()
  carrier.once('close', () => { for (const call of calls) call() })
  return calls
}

function isOver (carrier: Carrier | null | undefined): boolean {
  return carrier?.closed === true || carrier?.destroyed === true
}
