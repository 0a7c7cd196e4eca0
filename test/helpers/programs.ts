import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Wanted {
  /** Names under which the program may be on the PATH, the preferred one first. */
  readonly names: readonly string[]
  /** The Debian package that has it. */
  readonly package: string
}

/**
 * The path of a program that tests need. As root it is installed with apt where it is missing; elsewhere the test fails
 * and says what to install, because a test that is skipped shows nothing.
 */
export function program (wanted: Wanted): string {
  const found = find(wanted) ?? install(wanted)
  if (found !== undefined) return found
  throw new Error(`These tests need ${wanted.names.join(' or ')} on the PATH: install the package ${wanted.package}.`)
}

function find ({ names }: Wanted): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names.flatMap(name => folders.map(folder => join(folder, name))).find(isExecutable)
}

export function isExecutable (file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function install (wanted: Wanted): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  spawnSync('apt-get', ['update'], { stdio: 'ignore' })
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', wanted.package],
    { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  return find(wanted)
}
