import { OutgoingMessage, ServerResponse } from 'node:http'

type Methods = Readonly<Record<'end' | 'writeHead' | '_send', unknown>>
const { end, _send: send } = OutgoingMessage.prototype as unknown as Methods
const { writeHead } = ServerResponse.prototype as unknown as Methods

/** Tools that watch all answers wrap these methods, mostly before anything else is loaded. A wrapper does not have the text of Node's. */
function isNodes (method: unknown, text: string): boolean {
  return typeof method === 'function' && Function.prototype.toString.call(method).includes(text)
}

const [ownsEnd, ownsWriteHead] = [isNodes(end, '_finish()') && isNodes(send, '_headerSent'), isNodes(writeHead, '_storeHeader(')]

/** Whether this is the `writeHead` of Node, which nobody else has wrapped. */
export function isNodesWriteHead (method: unknown): boolean {
  return ownsWriteHead && method === writeHead
}

/** Whether responses end as Node wrote it. */
export function endsAsNode (): boolean {
  const { end: now } = ServerResponse.prototype as unknown as Methods
  return ownsEnd && now === end && (OutgoingMessage.prototype as unknown as Methods)._send === send
}
