import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { isExecutable } from './programs.ts'

/** A PostgreSQL server of the test's own, behind a socket in a folder that nobody else can enter. */
export interface TestPostgres {
  /** For `new pg.Pool()`. */
  readonly connection: { readonly host: string, readonly port: number, readonly user: string, readonly database: string }
  /** Breaks all connections at once. */
  stop (): Promise<void>
  /** Starts again with the same data. */
  start (): Promise<void>
  /** Ends the server and removes its folder. */
  close (): Promise<void>
}

const PORT = 5432
const USER = 'tester'
/** Nothing has to outlive the test. */
const settings = ['listen_addresses=', 'fsync=off', 'full_page_writes=off', 'shared_buffers=16MB', 'max_connections=20', 'autovacuum=off']

/** Starts `postgres` of the PATH, or of Debian's package `postgresql`. As root it runs as `nobody`: it refuses to be root. */
export async function startPostgres (): Promise<TestPostgres> {
  const programs = findPrograms()
  const identity = process.getuid?.() === 0 ? nobody() : undefined
  // Short: the path of a socket has 107 characters at most.
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'))
  if (identity !== undefined) chownSync(folder, identity.uid, identity.gid)
  const data = join(folder, 'data')
  const how: SpawnOptions = { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }
  execFileSync(join(programs, 'initdb'), ['-D', data, '-U', USER, '-A', 'trust', '--no-sync', '--no-locale', '-E', 'UTF8'],
    { ...identity, cwd: folder, stdio: 'ignore' })
  const start = async () => await launch(join(programs, 'postgres'), ['-D', data, '-k', folder, '-p', String(PORT),
    ...settings.flatMap(setting => ['-c', setting])], how)
  let server = await start()
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGINT')
    await ended
  }
  return {
    connection: { host: folder, port: PORT, user: USER, database: 'postgres' },
    stop,
    start: async () => { server = await start() },
    close: async () => {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

async function launch (program: string, args: readonly string[], how: SpawnOptions): Promise<ChildProcess> {
  const server = spawn(program, args, how)
  // A test that fails before it can close its server must not leave one behind.
  const end = () => server.kill('SIGQUIT')
  process.once('exit', end)
  server.once('exit', () => process.off('exit', end))
  await new Promise<void>((resolve, reject) => {
    let log = ''
    server.once('exit', () => reject(new Error(`postgres did not start: ${log.slice(-500)}`)))
    server.stderr?.on('data', chunk => {
      log = `${log}${String(chunk)}`.slice(-2000)
      if (log.includes('ready to accept connections')) resolve()
    })
  })
  return server
}

/** The folder with `initdb` and `postgres`, which Debian keeps off the PATH; of several versions the newest. */
function findPrograms (): string {
  const debian = '/usr/lib/postgresql'
  const versions = entries(debian).sort((one, other) => Number(other) - Number(one)).map(version => join(debian, version, 'bin'))
  const found = [...versions, ...(process.env.PATH ?? '').split(delimiter)].find(folder => isExecutable(join(folder, 'initdb')))
  if (found === undefined) throw new Error('This test needs PostgreSQL: install the package postgresql.')
  return found
}

function entries (folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function nobody (): { readonly uid: number, readonly gid: number } {
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? []
  if (uid === undefined || gid === undefined) throw new Error('PostgreSQL refuses to run as root, and there is no user nobody')
  return { uid: Number(uid), gid: Number(gid) }
}
