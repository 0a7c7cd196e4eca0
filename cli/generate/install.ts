import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Terminal } from '../command.ts'

/** Runs a command of the package manager in the folder. @returns whether it went well */
export async function install (command: string, folder: string, { env, stdout, stderr }: Terminal): Promise<boolean> {
  const [program = '', ...args] = command.split(' ')
  // On Windows these programs are scripts, which only a shell starts; the words are all our own.
  const child = spawn(program, args,
    { cwd: folder, env: { ...env }, shell: process.platform === 'win32', stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.pipe(stdout, { end: false })
  child.stderr.pipe(stderr, { end: false })
  try {
    const [code] = await once(child, 'close')
    return code === 0
  } catch (error) {
    stderr.write(`secure-api: ${program}: ${error instanceof Error ? error.message : String(error)}\n`)
    return false
  }
}
