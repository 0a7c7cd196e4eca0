import { origin } from './material.mjs'
import { launch } from './measure.mjs'
import { median } from './stats.mjs'
import { bare } from './variants.mjs'

/** Loads of latency and floods are parts of what the machine can do: fixed rates would find a slow one simply full. */
export const GOOD = 0.1
export const FORGED = 0.3

/** Requests a second that a bare Fastify answers here and now. */
export async function capacity (setting, around) {
  const server = await launch(bare, setting, around)
  const request = { port: server.port, seconds: 0.7, expect: 200, headers: { origin } }
  try {
    const rates = []
    for (let window = 0; window < 4; window++) {
      const { answered, seconds } = await around.load.call('saturate', request)
      rates.push(answered / seconds)
    }
    // The first one warms it up.
    return median(rates.slice(1))
  } finally {
    await server.stop()
  }
}
