import { createRequire } from 'node:module'

/** The same Fastify for all of them: that of the project, whatever other version a peer brings along. */
const require = createRequire(new URL('../../package.json', import.meta.url))
export const Fastify = require('fastify')
export const pino = createRequire(require.resolve('fastify'))('pino')

/** @param {import('fastify').FastifyInstance} app */
export async function listen (app) {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { server: app.server, port: app.server.address().port, close: () => app.close() }
}
