import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { accessSync, constants } from 'node:fs'
import { freePort } from './free-port.ts'

const servers = ['redis-server', 'valkey-server']
/** Nothing is kept on disk. */
const volatile = ['--save', '', '--appendonly', 'no']
/** What a server and a sentinel write when they are up. */
const started = /Ready to accept connections|Sentinel ID is/

/** A Redis or Valkey server of the test's own, on a free port of 127.0.0.1, that keeps nothing on disk. */
export interface TestRedis {
  readonly port: number
  readonly url: string
  /** Accepts connections and answers nothing, as a server that swaps or hangs. */
  freeze (): void
  thaw (): void
  /** Dies at once, as in a crash. */
  kill (): Promise<void>
  /** Starts again on the same port, empty. */
  restart (): Promise<void>
  /** Ends the server and removes its folder. */
  close (): Promise<void>
}

/** Starts `redis-server` or `valkey-server` from the PATH; as root it installs one with apt first where there is none. */
export async function startRedis (...options: string[]): Promise<TestRedis> {
  return await startProgram(findServer() ?? installServer(), options)
}

/** Starts a sentinel with these lines of configuration, which it rewrites as it learns. */
export async function startSentinel (...lines: string[]): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'secure-api-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  await writeFile(file, `${lines.join('\n')}\n`)
  const sentinel = await startProgram(findServer() ?? installServer(), ['--sentinel'], [file])
  return { ...sentinel, close: async () => { await sentinel.close(); await rm(folder, { recursive: true, force: true }) } }
}

/** Starts `valkey-server` where it is on the PATH; undefined where it is not, for a test to say so. */
export async function startValkey (): Promise<TestRedis | undefined> {
  const program = findServer(['valkey-server'])
  return program === undefined ? undefined : await startProgram(program, [])
}

async function startProgram (program: string, options: readonly string[], files: readonly string[] = []): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'secure-api-redis-'))
  const port = await freePort()
  const start = () => launch(program, [...files, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder,
    ...(files.length > 0 ? [] : volatile), ...options])
  let server = await start()
  const stop = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    freeze: () => { server.kill('SIGSTOP') },
    thaw: () => { server.kill('SIGCONT') },
    kill: () => stop('SIGKILL'),
    restart: async () => { server = await start() },
    close: async () => {
      await stop('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    }
  }
}

function findServer (names: readonly string[] = servers): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names.flatMap(name => folders.map(folder => join(folder, name))).find(isExecutable)
}

function isExecutable (file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function installServer (): string {
  if (process.getuid?.() === 0) {
    spawnSync('apt-get', ['update'], { stdio: 'ignore' })
    spawnSync('apt-get', ['install', '-y', 'redis-server'], { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  }
  const found = findServer()
  if (found === undefined) throw new Error('These tests need redis-server or valkey-server on the PATH: install the package redis-server.')
  return found
}

async function launch (program: string, args: readonly string[]): Promise<ChildProcess> {
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  // A test that fails before it can close its server must not leave one behind.
  const end = () => server.kill('SIGKILL')
  process.once('exit', end)
  server.once('exit', () => process.off('exit', end))
  let log = ''
  for await (const chunk of server.stdout) {
    log += String(chunk)
    if (started.test(log)) break
  }
  // Its output ends before it is known that the program has.
  if (!started.test(log)) throw new Error(`${program} did not start: ${log.slice(-500)}`)
  return server
}
