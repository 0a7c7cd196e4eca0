import { Marks } from '../marks/index.ts'

/** What is looked at of a response, over either version of HTTP. */
export interface Ending {
  readonly closed?: boolean
  readonly destroyed?: boolean
  /** HTTP/2: the response itself says nothing after its end. */
  readonly stream?: Carrier | null
  once (event: 'close', listener: () => void): unknown
}

/** What carries one request: its stream over HTTP/2, else the connection. */
interface Carrier {
  readonly closed?: boolean
  readonly destroyed?: boolean
  once (event: 'close', listener: () => void): unknown
}

/** Whether a response has ended: answered, hijacked, destroyed, left by its caller. Its `close` does not come again. */
export function hasEnded (response: Ending): boolean {
  return isOver(response) || (response.stream !== undefined && response.stream !== null && isOver(response.stream))
}

/**
 * Calls once when a response ends, at once when it has. Whoever has waited for something must ask this way: the caller
 * may have left meanwhile, and a listener for `close` would then wait for ever.
 */
export function whenEnded (response: Ending, call: () => void): void {
  if (hasEnded(response)) call()
  else response.once('close', call)
}

/** The part of a raw request that shows whether its caller is still there. */
export interface Arrival {
  readonly stream?: Carrier | null
  readonly socket?: Carrier | null
}

/** Whether the caller of a request has left, and nobody is there to answer. */
export function hasLeft (request: Arrival): boolean {
  const carrier = request.stream ?? request.socket
  return carrier !== undefined && carrier !== null && isOver(carrier)
}

/** One listener a connection, since requests that are sent behind one another share it. */
const watched = new Marks<Carrier, Set<() => void>>()

/** Calls when the caller of a request leaves, unless it is cancelled before. */
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

function isOver ({ closed, destroyed }: Pick<Ending, 'closed' | 'destroyed'>): boolean {
  return closed === true || destroyed === true
}
