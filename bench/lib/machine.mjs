import { cpus, loadavg, release, totalmem } from 'node:os'
import { pinned } from './children.mjs'
import { countsInstructions } from './perf.mjs'
import { wrk } from './wrk.mjs'

/** Where the figures come from. */
export function describeMachine () {
  const { model = 'unknown' } = cpus()[0] ?? {}
  return {
    node: process.version,
    openssl: process.versions.openssl,
    processor: model,
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    pinned,
    load: wrk ?? 'autocannon, since wrk is not on the PATH: it is slower than a bare Fastify',
    instructions: countsInstructions ? 'instructions counted by perf' : 'instructions not counted (perf has no counters here)',
    loadAverage: Number(loadavg()[0].toFixed(2)),
    date: new Date().toISOString().slice(0, 10)
  }
}
