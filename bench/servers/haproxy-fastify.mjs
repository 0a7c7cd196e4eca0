import { start as startFastify } from './bare.mjs'
import { serve } from './haproxy.mjs'

/** HAProxy in front of a bare Fastify on the same core. */
export async function start (setting) {
  const fastify = await startFastify()
  const gateway = await serve(setting, fastify.port)
  return {
    port: gateway.port,
    usage () {
      const { user, system } = process.cpuUsage()
      const { cpuUs, rss } = gateway.usage()
      return { cpuUs: cpuUs + user + system, rss: rss + process.memoryUsage.rss() }
    },
    close: () => Promise.all([gateway.close(), fastify.close()])
  }
}
