import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { answers, freePort } from '../lib/ports.mjs'
import { configuration } from './haproxy-configuration.mjs'
import { order } from './order.mjs'

/** Clock ticks a second in `/proc`: fixed for programs, whatever the kernel's own are. */
const TICKS = 100

/** HAProxy checks everything and answers by itself. */
export function start (setting) {
  return serve(setting)
}

/** @param {object} setting @param {number} [backend] port of the server behind it */
export async function serve (setting, backend) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-haproxy-'))
  const port = await freePort()
  writeFileSync(join(folder, 'key.pem'), await publicKey(setting))
  writeFileSync(join(folder, 'order.json'), JSON.stringify(order))
  writeFileSync(join(folder, 'haproxy.cfg'), configuration({ ...setting, port, folder, backend }))
  const child = spawn('haproxy', ['-q', '-db', '-f', join(folder, 'haproxy.cfg')], { stdio: ['ignore', 'ignore', 'inherit'] })
  await listening(port, child)
  return {
    port,
    usage: () => usageOf(child.pid),
    async close () {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true })
    }
  }
}

async function publicKey ({ jwksUri, algorithm }) {
  const { keys } = await (await fetch(jwksUri)).json()
  return createPublicKey({ key: keys.find(({ alg }) => alg === algorithm), format: 'jwk' }).export({ type: 'spki', format: 'pem' })
}

async function listening (port, child) {
  while (!await answers(port)) {
    if (child.exitCode !== null) throw new Error(`haproxy ended with ${child.exitCode}`)
    await wait(20)
  }
}

/** From `/proc`, as HAProxy says nothing about itself unless it is asked through a socket. */
function usageOf (pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ')
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return { cpuUs: (Number(fields[11]) + Number(fields[12])) * 1e6 / TICKS, rss: pages * 4096 }
}
