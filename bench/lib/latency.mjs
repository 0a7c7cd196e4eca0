import { capacity, GOOD } from './capacity.mjs'
import { calm } from './groups.mjs'
import { launch } from './measure.mjs'
import { origin } from './material.mjs'
import { bare } from './variants.mjs'

const compared = ['bare+token', 'suite', 'suite+server', 'official', 'express']
const ROUNDS = 2

/** Latency at a tenth of what a bare Fastify can do, 200 RS256 tokens in turn, each server beside a bare one. */
export async function measureLatency (around, { launches }) {
  const setting = { ...calm, algorithm: 'RS256' }
  const rows = []
  for (let count = 0; count < launches; count++) {
    const rate = GOOD * await capacity(setting, around)
    for (const variant of compared) rows.push(...await besideBare(variant, setting, rate, around))
  }
  return rows
}

async function besideBare (variant, setting, rate, around) {
  const servers = await Promise.all([bare, variant].map(name => launch(name, setting, around)))
  try {
    const rows = []
    for (let round = 0; round <= ROUNDS; round++) {
      const [reference, own] = [await atRate(servers[0], rate, around), await atRate(servers[1], rate, around)]
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
          rate: own.rate,
          late: own.late,
          lost: own.unanswered + own.lost
        })
      }
    }
    return rows
  } finally {
    await Promise.all(servers.map(server => server.stop()))
  }
}

async function atRate (server, rate, { load }) {
  const pool = server.variant === bare ? undefined : { alg: 'RS256', count: 200 }
  const { steady } = await load.call('openLoop',
    { port: server.port, seconds: 1.2, warmup: 0.3, streams: [{ name: 'steady', rate, headers: { origin }, pool }] })
  return steady
}
