import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownFolders } from '../place.ts'
import type { Source } from './record.ts'

export interface Failure {
  readonly message: string
  readonly stack: string
}

/** What an application threw, with file and line of its own code where the stack names them. */
export function failureOf (thrown: unknown, cwd: string): Failure {
  const { message, stack = message } = thrown instanceof Error ? thrown : new Error(String(thrown))
  const place = thrown instanceof Error ? placeOf(thrown) : undefined
  if (place === undefined) return { message, stack }
  return { message: `${relative(cwd, place.file) || place.file}:${place.line}: ${message}`, stack }
}

/** The error's own stack first; a plugin often wraps what it caught. */
function placeOf (error: Error): Source | undefined {
  const own = ownFrame(error.stack?.replace(error.message, '') ?? '')
  return own ?? (error.cause instanceof Error ? placeOf(error.cause) : undefined)
}

/** Frames, and the head that Node writes above a mistake of syntax. Source maps are on: it is what people wrote. */
const frames = /(?:^|\(|\s)((?:file:\/\/|[A-Za-z]:[\\/]|\/)[^()\n]*?):(\d+)(?::\d+)?\)?$/gm

function ownFrame (stack: string): Source | undefined {
  for (const [, location = '', line] of stack.matchAll(frames)) {
    const file = location.startsWith('file:') ? fileURLToPath(location.replace(/\?.*$/, '')) : location
    // Linked into an application, this package is in no folder `node_modules`.
    if (!/[\\/]node_modules[\\/]/.test(file) && !ownFolders.some(folder => file.startsWith(folder))) return { file, line: Number(line) }
  }
  return undefined
}
