import { calm } from './groups.mjs'
import { origin } from './material.mjs'
import { launch } from './measure.mjs'

const VALID = 2000
const FORGED = 5000
const compared = ['suite', 'suite+server']

/** From where forged tokens come: nowhere, another address, the address of the good callers. */
const attacks = { none: undefined, 'another address': '127.0.0.2', 'the same address': '127.0.0.1' }

/** Latency of good callers while forged ES256 tokens pour in, with the limit of failures as it is by default. */
export async function measureFlood (around, { launches, rounds }) {
  const rows = []
  for (const algorithm of ['ES256', 'EdDSA']) {
    for (let count = 0; count < launches; count++) {
      for (const variant of compared) rows.push(...await flood(variant, algorithm, around, Math.min(rounds, 2)))
    }
  }
  return rows
}

async function flood (variant, algorithm, around, rounds) {
  const server = await launch(variant, { ...calm, algorithm }, around)
  try {
    await attack(server, algorithm, undefined, around)
    const rows = []
    for (let round = 0; round < rounds; round++) {
      const calmly = await attack(server, algorithm, attacks.none, around)
      for (const [from, address] of Object.entries(attacks)) {
        const { good, bad, busy, fetches } = address === undefined ? calmly : await attack(server, algorithm, address, around)
        rows.push({
          variant,
          algorithm,
          from,
          p50: good.p50,
          p99: good.p99,
          ratio: good.p99 / calmly.good.p99,
          goodStatuses: good.statuses,
          badStatuses: bad?.statuses ?? {},
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

async function attack (server, alg, localAddress, { load, provider }) {
  const headers = { origin }
  const good = { name: 'good', rate: VALID, headers, pool: { alg, count: 200 } }
  const bad = { name: 'bad', rate: FORGED, headers, localAddress, pool: { alg, count: 20_000, forged: true } }
  const [before, hits] = [await server.call('usage'), await provider.call('hits')]
  const begun = performance.now()
  const streams = await load.call('openLoop', {
    port: server.port,
    seconds: 4,
    warmup: 0.5,
    streams: localAddress === undefined
      ? [good]
      : [good, bad]
  })
  const wallUs = (performance.now() - begun) * 1000
  const [after, hitsAfter] = [await server.call('usage'), await provider.call('hits')]
  return { ...streams, busy: (after.cpuUs - before.cpuUs) / wallUs, fetches: hitsAfter.jwks - hits.jwks }
}
