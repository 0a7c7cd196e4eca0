import { launch } from './measure.mjs'
import { median } from './stats.mjs'

/** Nothing is collected while it is counted: the young generation holds all that so many requests allocate. */
const REQUESTS = 5000
const flags = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']
const ATTEMPTS = 4

/**
 * Bytes that one request allocates on the heap of the server, which hardly depends on the machine.
 * @param {string} variant
 * @param {object} setting
 * @param {object} request as the load takes it
 */
export async function bytesPerRequest (variant, setting, request, around) {
  const server = await launch(variant, setting, around, flags)
  try {
    const send = () => around.load.call('saturate', { port: server.port, amount: REQUESTS, ...request })
    const { count = 1 } = request.pool ?? {}
    for (let sent = 0; sent < Math.max(15_000, count); sent += REQUESTS) await send()
    const counted = []
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) counted.push(await countOnce(server, send))
    return median(counted.filter(bytes => bytes !== undefined))
  } finally {
    await server.stop()
  }
}

/** `undefined` when something was collected all the same. */
async function countOnce (server, send) {
  const before = await server.call('heap')
  const { answered } = await send()
  const after = await server.call('usage')
  return after.collections > before.collections ? undefined : (after.heapUsed - before.heapUsed) / answered
}
