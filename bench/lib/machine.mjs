import { cpus, release, totalmem } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { pinned } from './children.mjs'
import { countsInstructions } from './perf.mjs'
import { wrk } from './wrk.mjs'

/** More than this, and something else runs on the machine: what is measured then is of no use to anybody else. */
export const QUIET = 0.15

/** Where the figures come from, and what else went on there just before. */
export async function describeMachine () {
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
    busyBefore: Number((await busyPart()).toFixed(2)),
    date: new Date().toISOString().slice(0, 10)
  }
}

/** The part of all processors that works, within a second in which this process does not. Load averages remember the run before. */
async function busyPart () {
  const before = times()
  await wait(1000)
  const after = times()
  const all = after.all - before.all
  return all === 0 ? 0 : 1 - (after.idle - before.idle) / all
}

function times () {
  const every = cpus().map(cpu => cpu.times)
  const sum = read => every.reduce((total, one) => total + read(one), 0)
  return { idle: sum(({ idle }) => idle), all: sum(one => Object.values(one).reduce((total, part) => total + part, 0)) }
}
