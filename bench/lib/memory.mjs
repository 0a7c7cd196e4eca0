import { calm } from './groups.mjs'
import { origin } from './material.mjs'
import { launch } from './measure.mjs'

const TOKENS = 50_000
/** ES256: signing so many with RSA would take minutes, and the signature is no part of an entry. */
const algorithm = 'ES256'

/** What so many cached tokens take: heap after a collection, and resident memory, before and after they came. */
export async function measureMemory (around) {
  return [await fill('suite', around), await fill('suite+server', around)]
}

async function fill (variant, { load, ...around }) {
  const server = await launch(variant, { ...calm, algorithm, cache: TOKENS + 10_000 }, around, ['--expose-gc'])
  try {
    const send = (amount, count) => load.call('exactly',
      { port: server.port, amount, connections: 16, headers: { origin }, pool: { alg: algorithm, count } })
    await send(20_000, 1)
    const before = await server.call('heap')
    const { statuses } = await send(TOKENS, TOKENS)
    const after = await server.call('heap')
    return { variant, tokens: TOKENS, accepted: statuses['200'] ?? 0, heap: heapOf(after) - heapOf(before), rss: after.rss - before.rss }
  } finally {
    await server.stop()
  }
}

function heapOf ({ heapUsed, external }) {
  return heapUsed + external
}
