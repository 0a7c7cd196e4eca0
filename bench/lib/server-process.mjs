import { constants, PerformanceObserver } from 'node:perf_hooks'
import { answer } from './children.mjs'
import { connectWires, sendBatches } from './in-process.mjs'
import { startProfile, stopProfile } from './profile-session.mjs'

let server
let collections = 0
// Those that `heap` asks for are told late, and are not what is looked for.
const isOwn = ({ detail }) => (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0
new PerformanceObserver(list => { collections += list.getEntries().filter(isOwn).length }).observe({ entryTypes: ['gc'] })

answer({
  /** Times include what the variant imports, as users wait for that too. */
  async start ({ variant, setting }) {
    const begun = performance.now()
    const { start } = await import(`../servers/${variant}.mjs`)
    server = await start(setting)
    return { port: server.port, readyMs: performance.now() - begun, sinceSpawnMs: performance.now(), ...usage() }
  },
  usage,
  connectWires: parameters => connectWires(server.server, parameters),
  sendBatches,
  startProfile,
  stopProfile,
  status: () => server.status?.() ?? {},
  heap () {
    globalThis.gc?.()
    return usage()
  }
}, () => server?.close())

/** A server that is another process (a gateway) says its own figures. */
function usage () {
  if (server?.usage !== undefined) return server.usage()
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  return { cpuUs: user + system, rss, heapUsed, external, arrayBuffers, collections }
}
