import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Handshake {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The bytes of a WebSocket handshake (RFC 6455 §4.1). */
export function handshake ({ path = '/', method = 'GET', headers = {} }: Handshake = {}): string {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers
  }
  return `${method} ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

export interface Upgraded {
  readonly socket: Socket
  readonly status: number
  readonly head: string
  /** Resolves when the server has closed, with all that came. */
  readonly ended: Promise<string>
}

/** Sends a handshake and never closes by itself: what ends the connection is the server. */
export async function upgrade (url: string, given?: Handshake): Promise<Upgraded> {
  const { port, hostname } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  let received = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { received += chunk }).on('error', () => {})
  const ended = once(socket, 'end').then(() => received)
  ended.catch(() => {})
  socket.write(handshake(given))
  while (!received.includes('\r\n\r\n')) await Promise.race([once(socket, 'data'), ended])
  return { socket, status: Number(received.slice(9, 12)), head: received.slice(0, received.indexOf('\r\n\r\n')), ended }
}

/** A masked close frame (RFC 6455 §5.5.1), as a client sends it. */
export const closeFrame: Buffer = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])

/** How many connections the server holds. */
export async function connectionsOf (server: {
  getConnections (done: (error: Error | null, count: number) =>
  void): unknown
}): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.getConnections((error, count) => { if (error === null) resolve(count); else reject(error) })
  })
}
