import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { cores, pinned } from './children.mjs'
import { answers, freePort } from './ports.mjs'

const program = ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0)

const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** Why there is no Redis, if there is none. */
export const missing = program === undefined ? 'redis-server is not on the PATH' : undefined

/** A Redis of its own on a free loopback port, on the core of the load, which keeps nothing. */
export async function startRedis () {
  const port = await freePort()
  let child = await run(port)
  return {
    url: `redis://127.0.0.1:${port}`,
    /** Ends it and starts an empty one at the same address. */
    async restart (pauseMs) {
      await end(child)
      await wait(pauseMs)
      child = await run(port)
    },
    stop: () => end(child)
  }
}

async function run (port) {
  const parameters = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const [command, ...rest] = pinned ? ['taskset', '-c', String(cores.load), program, ...parameters] : [program, ...parameters]
  const child = spawn(command, rest, { stdio: 'ignore' })
  running.add(child)
  while (!await answers(port)) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
    await wait(20)
  }
  return child
}

async function end (child) {
  running.delete(child)
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
