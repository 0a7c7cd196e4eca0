import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Processes are kept on one core each where the machine can do that; reports say whether it could. */
export const pinned = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0

/** What runs where: the server alone on one core, everything that puts load on it on the other. */
export const cores = Object.freeze({ server: 0, load: 1 })

const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

/**
 * A process that answers calls. Its module ends with `answer({ name: async parameters => result })`.
 *
 * @param {string} module path, relative to this folder
 * @param {{ core?: number, flags?: readonly string[], env?: Record<string, string> }} [options]
 */
export async function start (module, { core, flags = [], env = {} } = {}) {
  const command = pinned && core !== undefined
    ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...flags] }
    : { execArgv: [...flags] }
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), [], {
    ...command, env: { ...process.env, NODE_ENV: 'production', ...env }, stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  running.add(child)
  const waiting = new Map()
  let calls = 0
  child.on('message', ({ id, result, error }) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error))
  })
  child.once('exit', code => {
    running.delete(child)
    for (const call of waiting.values()) call.reject(new Error(`${module} ended with ${code}`))
  })

  return {
    pid: child.pid,
    /** @param {string} name @param {object} [parameters] @returns {Promise<any>} */
    call: (name, parameters = {}) => new Promise((resolve, reject) => {
      const id = ++calls
      waiting.set(id, { resolve, reject })
      child.send({ id, name, parameters })
    }),
    async stop () {
      if (!running.has(child)) return
      const gone = once(child, 'exit')
      child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
      await gone
      clearTimeout(timer)
    }
  }
}

/**
 * The other end: answers the calls of the process that started this one, and ends with it.
 *
 * @param {Record<string, (parameters: any) => unknown>} handlers
 * @param {() => unknown} [close] what must end before this process does
 */
export function answer (handlers, close = () => {}) {
  process.on('message', async ({ id, name, parameters }) => {
    try {
      process.send?.({ id, result: await handlers[name](parameters) })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.stack : String(error) })
    }
  })
  process.on('disconnect', async () => {
    await close()
    process.exit(0)
  })
}
