import Fastify, { type FastifyInstance } from 'fastify'
import secureApi, { type AuditSink } from '../../plugins/index.ts'
import { maintenanceMode, type Maintenance } from './maintenance.ts'

export interface Options {
  readonly issuer: string
  readonly audience: string
  readonly sink: AuditSink
  /** @default NODE_ENV, and production when that is unset */
  readonly environment?: 'production' | 'development'
}

/** An orders API that can be closed for maintenance, and whose health check stays open then. */
export async function ordersApi ({ issuer, audience, sink, environment = 'production' }: Options): Promise<{
  app: FastifyInstance,
  maintenance: Maintenance
}> {
  const maintenance = maintenanceMode()
  const app = Fastify()
  await app.register(secureApi, { auth: { issuer, audience }, audit: { sink }, controls: [maintenance.control], environment })
  app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  app.get('/health', { config: { public: true, maintenance: false } }, async () => ({ status: 'ok' }))
  return { app, maintenance }
}
