import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

const EVENT = 'instructions:u'
const options = ['stat', '-x', ',', '-e', EVENT]

/** Whether the processor's counters can be read, which most virtual machines do not let through. */
export const countsInstructions = counted(String(spawnSync('perf', [...options, 'true']).stderr)) !== undefined

/**
 * Instructions that a process takes for each request, outside the kernel; `undefined` where they cannot be counted.
 * @param {{ pid: number }} server @param {() => Promise<{ requests: number }>} work
 */
export async function instructionsOf ({ pid }, work) {
  if (!countsInstructions) return undefined
  const child = spawn('perf', [...options, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const output = text(child.stderr)
  const gone = once(child, 'close')
  // It says nothing when it has begun; what it misses of the work is a part of a thousand.
  await wait(100)
  const { requests } = await work()
  child.kill('SIGINT')
  await gone
  const all = counted(await output)
  return all === undefined ? undefined : all / requests
}

/** @param {string} output of `perf stat -x ,`, `<not supported>` in place of the number where there are no counters */
export function counted (output) {
  const line = output.split('\n').find(one => one.includes(EVENT))
  const number = Number(line?.split(',')[0])
  return line === undefined || !(number > 0) ? undefined : number
}
