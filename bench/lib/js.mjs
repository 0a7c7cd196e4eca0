import { calm } from './groups.mjs'
import { launch, requestFor } from './measure.mjs'
import { instructionsOf } from './perf.mjs'
import { median, quantile } from './stats.mjs'
import { bare } from './variants.mjs'

const WARM = 30_000
const BATCHES = 60
const ROUNDS = 12
const suites = ['suite', 'suite+server']
const cases = [1, 20_000].map(count => ({
  group: `RS256-${count}`,
  title: count === 1 ? 'one token' : '20,000 tokens in turn',
  pool: { alg: 'RS256', count },
  expect: 200
}))

/**
 * JavaScript and memory of one request without sockets, several processes of each, in turn with a bare Fastify. Other work on the machine
 * only ever makes a batch slower, so that the quick ones tell what the code takes.
 */
export async function measureJs (around, { launches }) {
  const rows = []
  for (let count = 0; count < launches + 1; count++) for (const one of cases) rows.push(...await besideBare(one, around))
  return rows
}

/** The quick part of the batches. */
const QUICK = 0.02

async function besideBare (one, around) {
  const servers = []
  try {
    for (const variant of [bare, 'bare+token', ...suites]) servers.push(await ready(variant, one, around))
    const measured = servers.map(() => ({ us: [], bytes: [] }))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, server] of servers.entries()) {
        const { us, bytes } = await server.call('sendBatches', { batches: BATCHES })
        measured[index].us.push(...us)
        measured[index].bytes.push(...bytes)
      }
    }
    const instructions = []
    for (const server of servers) instructions.push(await instructionsOf(server, () => server.call('sendBatches', { batches: BATCHES })))
    const figures = measured.map(({ us, bytes }, index) =>
      ({ us: quantile(us, QUICK), bytes: median(bytes), instructions: instructions[index] }))
    return figures.map((own, index) => row(servers[index].variant, one, own, figures[0])).slice(1)
  } finally {
    await Promise.all(servers.map(server => server.stop()))
  }
}

async function ready (variant, one, around) {
  const server = await launch(variant, { ...calm, algorithm: 'RS256' }, around)
  const { expect, ...request } = requestFor(variant, one)
  const { answer } = await server.call('connectWires', { port: server.port, warm: WARM, ...request })
  if (answer !== 'HTTP/1.1 200') throw new Error(`${variant} answers ${answer} without sockets`)
  return server
}

function row (variant, { group, title }, own, reference) {
  return {
    variant,
    group,
    title,
    js: own.us / reference.us,
    us: own.us,
    over: own.us - reference.us,
    bytes: own.bytes / reference.bytes,
    allocated: own.bytes,
    more: own.bytes - reference.bytes,
    ...(own.instructions === undefined ? undefined : { instructions: own.instructions })
  }
}
