import { join } from 'node:path'
import autoload from '@fastify/autoload'
import type { FastifyPluginAsync } from 'fastify'
import { secureServer } from 'fastify-secure-api'
import { developmentLog } from './development-log.ts'
import { checkSettings, developing, list } from './settings.ts'

checkSettings()

/**
 * Options of the server, which `fastify start` takes over because of `-o`. With `skipOverride` the application is the
 * server itself and no child of it, so that answers to unknown paths are guarded too.
 */
export const options = {
  skipOverride: true,
  ...secureServer({ trustProxy: list('TRUST_PROXY') }),
  ...(developing && { logger: developmentLog })
}

const app: FastifyPluginAsync = async (fastify, _options) => {
  await fastify.register(autoload, { dir: join(import.meta.dirname, 'plugins') })
  await fastify.register(autoload, { dir: join(import.meta.dirname, 'routes') })
}

export default app
