import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { poolOf } from './pools.mjs'
import { requestsOf } from './requests.mjs'
import { Wire } from './wire.mjs'

/** Requests of a batch, one on each wire: enough that a turn of the event loop between two batches is nothing beside them. */
const WIRES = 64

let wires = []
let requests = []
let next = 0

/** Connects, and sends every request once and more, until all is compiled. Tells the status line of the last answer. */
export async function connectWires (server, { port, pool, warm, ...form }) {
  requests = requestsOf({ port, ...form }, await poolOf(pool))
  wires = Array.from({ length: WIRES }, () => new Wire())
  for (const wire of wires) server.emit('connection', wire)
  for (let sent = 0; sent < Math.max(warm, requests.length * 2); sent += WIRES) await batch()
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
    await batch()
    us.push(Number(process.hrtime.bigint() - begun) / 1000 / WIRES)
    const more = getHeapStatistics().used_heap_size - before
    if (more > 0) bytes.push(more / WIRES)
  }
  return { us, bytes, requests: batches * WIRES }
}

async function batch () {
  const due = wires[0].answers + 1
  for (const wire of wires) wire.send(requests[next++ % requests.length])
  await turn()
  // Only a token that is verified for the first time takes longer: the threads that do it need the core.
  while (wires.some(({ answers }) => answers < due)) await wait(1)
}
