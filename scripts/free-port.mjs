import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that nobody listens on. It is below those that systems give to outgoing connections (from 32768 on Linux), one of
 * which could take it before the server starts, and above those of the tests and of their clusters, which run at the same time.
 */
export async function freePort () {
  for (;;) {
    const port = randomInt(30_000, 32_000)
    const server = createServer().listen(port, '127.0.0.1')
    if (!await once(server, 'listening').then(() => true, () => false)) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
