import { ServerResponse, type IncomingMessage } from 'node:http'
import { writeOnce } from './final-write.ts'
import { kBlock, writeBlocks } from './head-block.ts'

/** Has the methods that work in this runtime, which is looked at once. */
class Hastened extends ServerResponse<IncomingMessage> {}
const [block, once] = [writeBlocks(Hastened), writeOnce(Hastened)]

interface Internals {
  _storeHeader (this: Internals, statusLine: string, headers: unknown): unknown
  end (this: Internals, chunk: unknown, encoding: unknown, callback: unknown): unknown
  [kBlock]?: string
}
const [node, hastened] = [ServerResponse.prototype, Hastened.prototype] as unknown as readonly [Internals, Internals]
const { _storeHeader: nodeStore, end: nodeEnd } = node

// Middleware may give a response another prototype, whose methods count from then on.
function store (this: Internals, statusLine: string, headers: unknown): unknown {
  const prototype = Object.getPrototypeOf(this) as Internals
  if (prototype === node) return hastened._storeHeader.call(this, statusLine, headers)
  return prototype._storeHeader.call(this, statusLine + (this[kBlock] ?? ''), headers)
}

function end (this: Internals, chunk: unknown, encoding: unknown, callback: unknown): unknown {
  const prototype = Object.getPrototypeOf(this) as Internals
  return (prototype === node ? hastened : prototype).end.call(this, chunk, encoding, callback)
}

/**
 * Gives one response of Node's own class the methods that those of `secureServer()` have from theirs: prepared headers as one text, and one
 * write. Responses of another class, and methods that somebody has replaced, are left alone.
 */
export function hasten (raw: ServerResponse): void {
  if (Object.getPrototypeOf(raw) !== node) return
  const own = raw as unknown as Internals
  if (block && own._storeHeader === nodeStore) {
    own._storeHeader = store
    own[kBlock] = ''
  }
  if (once && own.end === nodeEnd) own.end = end
}
