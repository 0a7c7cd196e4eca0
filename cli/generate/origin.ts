import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'

/** Where the package lies that runs this command. */
export function packageRoot (): string {
  return dirname(createRequire(import.meta.url).resolve('fastify-secure-api/package.json'))
}

/** What a generated package.json says of this package. */
export interface Origin {
  readonly specifier: string
  /** Whether it exists on this machine only. */
  readonly local: boolean
}

/**
 * An application depends on what generated it: on the released version, or, where that is a checkout or was installed
 * from a file, on that folder or file. So the words of a README are true before they are released.
 */
export function originOf (root: string): Origin {
  if (basename(dirname(root)) !== 'node_modules') return { specifier: `file:${root}`, local: true }
  const file = installedFrom(dirname(root), basename(root))
  return file === undefined ? { specifier: `^${versionOf(root)}`, local: false } : { specifier: `file:${file}`, local: true }
}

/** npm notes in node_modules what it installed from where; paths count from the project. */
function installedFrom (modules: string, name: string): string | undefined {
  const notes = join(modules, '.package-lock.json')
  if (!existsSync(notes)) return undefined
  const { packages = {} } = JSON.parse(readFileSync(notes, 'utf8')) as { packages?: Record<string, { resolved?: string }> }
  const { resolved = '' } = packages[`node_modules/${name}`] ?? {}
  return resolved.startsWith('file:') ? resolve(dirname(modules), resolved.slice('file:'.length)) : undefined
}

function versionOf (root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return version
}
