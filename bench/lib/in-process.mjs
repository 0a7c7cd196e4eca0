import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { poolOf } from './pools.mjs'
import { requestsOf } from './requests.mjs'
import { Wire } from './wire.mjs'

/** Requests of a batch, one on each wire: enough that a turn of the event loop between two batches is nothing beside them. */
const WIRES = 64
/** Fewer than an address may fail (20): more verifications than that are not let in at once, and wait in a queue. */
const FIRST = 16

let wires = []
let requests = []
let next = 0

/** Connects, and sends every request once and more, until all is compiled. Tells the status line of the last answer. */
export async function connectWires (server, { port, pool, warm, ...form }) {
  requests = requestsOf({ port, ...form }, await poolOf(pool))
  const few = connect(server, FIRST)
  for (let sent = 0; sent < requests.length; sent += FIRST) await batch(few)
  // Not earlier: the server closes connections on which nothing comes.
  wires = connect(server, WIRES)
  for (let sent = 0; sent < Math.max(warm, requests.length); sent += WIRES) await batch(wires)
  return { answer: String(wires[0].last).slice(0, 12) }
}

/**
 * Microseconds and bytes of the heap for a request, one figure a batch. Where something was collected meanwhile there are no bytes.
 * @param {{ batches: number }} parameters
 */
export async function sendBatches ({ batches }) {
  const us = []
  const bytes = []
  for (let count = 0; count < batches; count++) {
    const before = getHeapStatistics().used_heap_size
    const begun = process.hrtime.bigint()
    await batch(wires)
    us.push(Number(process.hrtime.bigint() - begun) / 1000 / WIRES)
    const more = getHeapStatistics().used_heap_size - before
    if (more > 0) bytes.push(more / WIRES)
  }
  return { us, bytes, requests: batches * WIRES }
}

function connect (server, count) {
  const made = Array.from({ length: count }, () => new Wire())
  for (const wire of made) server.emit('connection', wire)
  return made
}

async function batch (chosen) {
  const due = chosen.map(({ answers }) => answers + 1)
  for (const wire of chosen) wire.send(requests[next++ % requests.length])
  await turn()
  // Only a token that is verified for the first time takes longer: the threads that do it need the core.
  while (chosen.some(({ answers }, index) => answers < due[index])) await wait(1)
}
