import { OutgoingMessage, ServerResponse, type IncomingMessage } from 'node:http'
import { writeOnce } from './final-write.ts'
import { kBlock, writeBlocks } from './head-block.ts'

/** Has the methods that work in this runtime, which is looked at once. */
class Hastened extends ServerResponse<IncomingMessage> {}
const [block, once] = [writeBlocks(Hastened), writeOnce(Hastened)]

type Internals = { _storeHeader?: unknown, end: unknown, [kBlock]?: string }
const [node, hastened] = [ServerResponse.prototype, Hastened.prototype] as unknown as readonly [Internals, Internals]
const { _storeHeader: nodeStore, end: nodeEnd } = OutgoingMessage.prototype as unknown as Internals

/**
 * Gives one response of Node's own class the methods that those of `secureServer()` have from theirs: prepared headers as one text, and one
 * write. Responses of another class, and methods that somebody has replaced, are left alone.
 */
export function hasten (raw: ServerResponse): void {
  if (Object.getPrototypeOf(raw) !== node) return
  const own = raw as unknown as Internals
  if (block && own._storeHeader === nodeStore) {
    own._storeHeader = hastened._storeHeader
    own[kBlock] = ''
  }
  if (once && own.end === nodeEnd) own.end = hastened.end
}
