/** Run by tls.test.ts in a process that allows TLS 1.0: prints what a client of TLS 1.1 gets from two servers. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import tls from 'node:tls'
import Fastify from 'fastify'
import { secureServer } from '../../lib/server/index.ts'

const [cert = '', key = ''] = process.argv.slice(2)

async function outcome (server: Server): Promise<string> {
  const { port } = server.address() as AddressInfo
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0'
  })
  try {
    await once(socket, 'secureConnect')
    return socket.getProtocol() ?? 'none'
  } catch (error) {
    return String((error as { code?: string }).code)
  } finally {
    socket.destroy()
  }
}

const ordinary = createServer({ cert: readFileSync(cert), key: readFileSync(key), ciphers: 'DEFAULT@SECLEVEL=0' })
ordinary.listen(0, '127.0.0.1')
await once(ordinary, 'listening')
const app = Fastify(secureServer({ tls: { cert, key } }))
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(JSON.stringify({ floor: tls.DEFAULT_MIN_VERSION, ordinary: await outcome(ordinary), ours: await outcome(app.server) }))
ordinary.close()
await app.close()
