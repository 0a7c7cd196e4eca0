import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** The text that a `_storeHeader` of ours writes after the status line. Responses that have none are written by the public API. */
export const kBlock: unique symbol = Symbol('secure-api.block')

type StoreHeader = (this: WithBlock, statusLine: string, headers: unknown) => void
type WithBlock = ServerResponse & { [kBlock]?: string }

/**
 * Lets responses of a class write the headers known at boot as one text after the status line, instead of a dozen that Node checks
 * and joins for each response (docs/decisions/performance.md). Node has no public API for this: `_storeHeader` gets the status line.
 * Where a runtime works differently, the class stays unchanged and the headers use the public API.
 */
export function writeBlocks (Response: { readonly prototype: ServerResponse }): boolean {
  const store: unknown = Reflect.get(ServerResponse.prototype, '_storeHeader')
  if (typeof store !== 'function') return false
  const { prototype } = Response
  const storeWithBlock: StoreHeader = function (statusLine, headers) {
    (store as StoreHeader).call(this, statusLine + (this[kBlock] ?? ''), headers)
  }
  Object.assign(prototype, { [kBlock]: '', _storeHeader: storeWithBlock })
  if (worksIn(prototype)) return true
  Reflect.deleteProperty(prototype, '_storeHeader')
  return Reflect.deleteProperty(prototype, kBlock) && false
}

/** Writes a head to an unconnected socket and checks it. */
function worksIn (prototype: ServerResponse): boolean {
  const probe: WithBlock = new ServerResponse(new IncomingMessage(new Socket()))
  Object.setPrototypeOf(probe, prototype)
  probe[kBlock] = 'x-block: 1\r\n'
  try {
    probe.writeHead(200, { 'x-after': '2' })
  } catch {
    return false
  }
  return String(Reflect.get(probe, '_header')).startsWith('HTTP/1.1 200 OK\r\nx-block: 1\r\nx-after: 2\r\n')
}
