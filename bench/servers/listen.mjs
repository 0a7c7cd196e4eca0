import { once } from 'node:events'

/**
 * For frameworks whose `listen` returns a Node server.
 * @param {(port: number, host: string) => import('node:http').Server} listen
 */
export async function listenWith (listen) {
  const server = listen(0, '127.0.0.1')
  if (!server.listening) await once(server, 'listening')
  return { port: server.address().port, close: () => { server.closeAllConnections(); server.close() } }
}
