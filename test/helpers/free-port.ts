import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that nobody listens on, for a program that cannot choose one itself. It is below those that systems give to outgoing
 * connections (from 32768 on Linux, from 49152 by RFC 6335): one of them could take it before the program starts, or while it is down.
 * So is the port 10,000 above it, where a node of a Redis Cluster listens for the others, and which this never gives.
 */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 20_000)
    const server = createServer().listen(port, '127.0.0.1')
    if (!await once(server, 'listening').then(() => true, () => false)) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
