import { calm } from './groups.mjs'
import { launch } from './measure.mjs'
import { origin } from './material.mjs'
import { bare } from './variants.mjs'

const RATE = 3000
const compared = ['bare+token', 'suite', 'suite+server', 'official', 'express']

/** Latency at a fixed rate, 200 RS256 tokens in turn, each server beside a bare Fastify. */
export async function measureLatency (around, { launches, rounds }) {
  const rows = []
  for (let count = 0; count < launches; count++) {
    for (const variant of compared) rows.push(...await besideBare(variant, around, Math.min(rounds, 3)))
  }
  return rows
}

async function besideBare (variant, around, rounds) {
  const setting = { ...calm, algorithm: 'RS256' }
  const servers = await Promise.all([bare, variant].map(name => launch(name, setting, around)))
  try {
    const rows = []
    for (let round = 0; round <= rounds; round++) {
      const [reference, own] = [await atRate(servers[0], around), await atRate(servers[1], around)]
      // The first one warms both up.
      if (round > 0) {
        rows.push({
          variant,
          p50: own.p50,
          p99: own.p99,
          p999: own.p999,
          bareP50: reference.p50,
          bareP99: reference.p99,
          ratio: own.p99 / reference.p99,
          unanswered: own.unanswered + own.lost
        })
      }
    }
    return rows
  } finally {
    await Promise.all(servers.map(server => server.stop()))
  }
}

async function atRate (server, { load }) {
  const pool = server.variant === bare ? undefined : { alg: 'RS256', count: 200 }
  const { steady } = await load.call('openLoop', {
    port: server.port,
    seconds: 3,
    warmup: 0.5,
    streams: [{ name: 'steady', rate: RATE, headers: { origin }, pool }]
  })
  return steady
}
