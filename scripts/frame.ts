import Fastify from 'fastify'
import type { Schema } from '../lib/config/index.ts'
import secureApi from '../plugins/index.ts'
import { pipelineOf } from '../plugins/pipeline.ts'

/** The controls of an application that has all of them, and the schema of the route options that they read. */
export async function frame (): Promise<{ controls: { phase: string, name: string }[], schema: Schema }> {
  const app = Fastify()
  await app.register(secureApi, {
    auth: { issuer: 'https://login.example.com', audience: 'api://orders', startup: 'lazy' },
    cors: { origins: ['https://app.example.com'] },
    environment: 'development'
  })
  const { controls, schema } = pipelineOf(app)
  await app.close()
  return { controls: controls.map(({ phase, name }) => ({ phase, name })), schema }
}
