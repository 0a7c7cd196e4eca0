import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import secureApi from '../../plugins/index.ts'
import { KeyTable } from './key-table.ts'

export const prefix = 'shop'

export interface Options {
  /** Where PostgreSQL is: `host`, `port`, `user`, `database`, `password`, `ssl`. */
  readonly database: pg.PoolConfig
  /** @default NODE_ENV, and production when that is unset */
  readonly environment?: 'production' | 'development'
}

/** An orders API whose callers have API keys, and a route that revokes one. */
export async function keyedApi ({ database, environment = 'production' }: Options): Promise<{ app: FastifyInstance, keys: KeyTable }> {
  const app = Fastify()
  const pool = new pg.Pool({ max: 4, connectionTimeoutMillis: 900, ...database })
  // A connection that breaks while nobody uses it would end the process.
  pool.on('error', error => app.log.warn(error, 'PostgreSQL closed a connection'))
  const keys = new KeyTable(pool)
  // Before the suite is registered: hooks of the end run in reverse, and the suite reports the last uses when the application closes.
  app.addHook('onClose', async () => { await pool.end() })
  await app.register(secureApi, {
    auth: { apiKeys: { prefix, lookup: keys.lookup, onUse: keys.onUse, cache: { ttl: '1 minute' } } },
    environment
  })

  app.get('/orders', { config: { scope: 'orders.read' } }, async ({ auth }) => ({ owner: auth.subject }))

  app.delete<{ Params: { id: string } }>('/keys/:id', {
    config: { role: 'admin', audit: 'keys.revoke' }
  }, async ({ params: { id } }, reply) => {
    const revoked = await keys.revoke(id)
    app.apiKeys.forget(id)
    return reply.code(revoked ? 204 : 404).send()
  })
  return { app, keys }
}
