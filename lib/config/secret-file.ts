import { realpathSync, statSync, type Stats } from 'node:fs'
import type { Problem } from './problems.ts'

/** What is wrong with the permissions of a file, and the fix. */
type FileFault = Pick<Problem, 'why' | 'fix'>

const others = { any: 0o007, read: 0o004, write: 0o002 }
const group = { write: 0o020, read: 0o040 }

/**
 * Whether other users of the machine can read or replace a secret. As in PostgreSQL, the group may read a file owned by root:
 * Debian (`ssl-cert`) and Kubernetes (`fsGroup`) share keys that way. Follows links, as reading does.
 *
 * @returns undefined if the permissions are fine, unknown, or meaningless (Windows).
 */
export function secretFileFault (path: string): FileFault | undefined {
  return faultOf(path, isSecret, 'read or replace',
    'Run `chmod 600` on it; in Kubernetes set `defaultMode: 0400` or 0440 on the volume, and `fsGroup`; with Docker `mode: 0400`.')
}

/** Whether other users of the machine can replace a file that decides whom to trust. Anyone may read it. */
export function trustFileFault (path: string): FileFault | undefined {
  return faultOf(path, ({ mode }) => (mode & (others.write | group.write)) === 0, 'replace',
    'Run `chmod go-w` on it; in Kubernetes set `defaultMode: 0444` on the volume.')
}

function faultOf (path: string, isKept: (file: Stats, real: string) => boolean, what: string, fix: string): FileFault | undefined {
  if (process.platform === 'win32') return undefined
  try {
    const real = realpathSync(path)
    const file = statSync(real)
    if (isKept(file, real)) return undefined
    return { why: `its mode is ${(file.mode & 0o777).toString(8)}, so other users of this machine can ${what} it`, fix }
  } catch {
    return undefined
  }
}

function isSecret ({ mode, uid }: Stats, path: string): boolean {
  const open = mode & (others.any | group.write | (uid === 0 ? 0 : group.read))
  // Docker mounts secrets there with mode 444, in memory, visible to the container only.
  return open === 0 || (open === others.read && path.startsWith('/run/secrets/'))
}
