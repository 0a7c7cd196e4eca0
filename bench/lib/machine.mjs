import { cpus, release, totalmem } from 'node:os'
import { pinned } from './children.mjs'

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
    date: new Date().toISOString().slice(0, 10)
  }
}
