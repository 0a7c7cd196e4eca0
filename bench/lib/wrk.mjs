import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { poolFile } from './pools.mjs'

const script = fileURLToPath(new URL('load.lua', import.meta.url))

/** `wrk 4.1.0`; `undefined` where it is not installed. It prints its version, and ends with 1. */
export const wrk = /^wrk \S+/.exec(String(spawnSync('wrk', ['-v']).stdout))?.[0]

/**
 * As much as the server takes. wrk counts what has a status above 399 apart, and tells nothing more of the answers, which is why it is
 * faster than any server here.
 *
 * @param {{ port: number, seconds: number, connections: number, method: string, headers: Record<string, string>,
 *   pool?: import('./pools.mjs').Pool }} parameters
 */
export async function saturateByWrk ({ port, seconds, connections, method, headers, pool }) {
  const child = spawn('wrk', ['-t1', `-c${connections}`, '-d600s', '-s', script,
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    `http://127.0.0.1:${port}/orders`, '--', method, ...(pool === undefined ? [] : [await poolFile(pool)])],
  { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = text(child.stdout)
  const gone = once(child, 'close')
  // It says that it has read its tokens. Its own `-d` takes whole seconds; an interrupt ends it as well.
  const [said] = await once(child.stderr, 'data')
  if (!String(said).startsWith('ready')) throw new Error(`wrk: ${said}`)
  const timer = setTimeout(() => child.kill('SIGINT'), seconds * 1000)
  await gone
  clearTimeout(timer)
  const line = (await output).trim().split('\n').at(-1)
  const { us, ...run } = JSON.parse(line)
  return { ...run, seconds: us / 1e6 }
}
