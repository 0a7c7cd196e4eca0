import { capacity, FORGED, GOOD } from './capacity.mjs'
import { calm } from './groups.mjs'
import { origin } from './material.mjs'
import { launch } from './measure.mjs'
import { bare, variants } from './variants.mjs'

/** The bare one answers forged tokens as it does good ones, and shows what so many more requests do by themselves. */
const compared = [bare, 'suite', 'suite+server']
/** Short windows, each attack beside one without: on a virtual machine the p99 of a single one is what else ran there. */
const SECONDS = 0.7
const ROUNDS = 4

/** From where forged tokens come: nowhere, another address, the address of the good callers. */
const attacks = { nowhere: undefined, 'another address': '127.0.0.2', 'the same address': '127.0.0.1' }

/** Latency of good callers while forged tokens pour in, with the limit of failures as it is by default. */
export async function measureFlood (around, { launches }) {
  const rows = []
  for (const algorithm of ['ES256', 'EdDSA']) {
    const setting = { ...calm, algorithm }
    for (let count = 0; count < launches / 2; count++) {
      const full = await capacity(setting, around)
      for (const variant of compared) rows.push(...await flood(variant, setting, full, around))
    }
  }
  return rows
}

async function flood (variant, setting, full, around) {
  const server = await launch(variant, setting, around)
  try {
    const rows = []
    await attack(server, setting, full, attacks.nowhere, around)
    for (let round = 0; round < ROUNDS; round++) {
      const calmly = await attack(server, setting, full, attacks.nowhere, around)
      for (const [from, address] of Object.entries(attacks)) {
        const { good, bad, busy, fetches } = address === undefined ? calmly : await attack(server, setting, full, address, around)
        rows.push({
          variant,
          algorithm: setting.algorithm,
          from,
          p50: good.p50,
          p99: good.p99,
          late: good.late,
          ratio: good.p99 / calmly.good.p99,
          goodStatuses: good.statuses,
          badStatuses: bad?.statuses ?? {},
          goodRate: good.rate,
          badRate: bad?.rate ?? 0,
          busy,
          fetches
        })
      }
    }
    return rows
  } finally {
    await server.stop()
  }
}

async function attack (server, { algorithm: alg }, full, localAddress, { load, provider }) {
  const { sends = true } = variants[server.variant]
  const stream = (name, part, pool) => ({ name, rate: full * part, headers: { origin }, ...(sends ? { pool } : undefined) })
  const good = stream('good', GOOD, { alg, count: 200 })
  const bad = { ...stream('bad', FORGED, { alg, count: 20_000, forged: true }), localAddress }
  const [before, hits] = [await server.call('usage'), await provider.call('hits')]
  const begun = performance.now()
  const streams = await load.call('openLoop',
    { port: server.port, seconds: SECONDS, warmup: 0.3, streams: localAddress === undefined ? [good] : [good, bad] })
  const wallUs = (performance.now() - begun) * 1000
  const [after, hitsAfter] = [await server.call('usage'), await provider.call('hits')]
  return { ...streams, busy: (after.cpuUs - before.cpuUs) / wallUs, fetches: hitsAfter.jwks - hits.jwks }
}
