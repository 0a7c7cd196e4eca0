import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UsageError } from '../command.ts'
import type { Files } from './files.ts'

/** What an empty folder may hold: a repository that was just made, and what file managers leave behind. */
const nothing = new Set(['.git', '.DS_Store', 'Thumbs.db'])

/** @throws UsageError where something is that would be overwritten, or might be */
export async function checkFolder (folder: string, force: boolean): Promise<void> {
  const entries = await entriesOf(folder)
  if (force || entries.every(entry => nothing.has(entry))) return
  throw new UsageError(`${folder} is not empty; name another one, or use --force, ` +
    'which replaces files of the same names and keeps the others')
}

async function entriesOf (folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return []
    if (code === 'ENOTDIR') throw new UsageError(`${folder} is a file`)
    throw error
  }
}

export async function writeFiles (folder: string, files: Files): Promise<void> {
  for (const [path, text] of files) {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
}
