import { loadSuite } from '../lib/dist.mjs'
import { Fastify } from './fastify.mjs'
import { serve } from './suite.mjs'

const { secureServer } = await loadSuite()

/** The suite in a server made with `secureServer()`. */
export function start (setting) {
  return serve(Fastify(secureServer({ environment: 'development' })), setting)
}
