import { realpathSync, statSync } from 'node:fs'

/** What is wrong with the permissions of a file, and the fix. */
interface FileFault {
  readonly why: string
  readonly fix: string
}

const others = { any: 0o007, read: 0o004, write: 0o002 }
const group = { write: 0o020, read: 0o040 }

/**
 * Whether other users of the machine can read or replace a secret. As in PostgreSQL, the group may read a file owned by root:
 * Debian (`ssl-cert`) and Kubernetes (`fsGroup`) share keys that way. Follows links, as reading does.
 *
 * @returns undefined if the permissions are fine, unknown, or meaningless (Windows).
 */
export function secretFileFault (path: string): FileFault | undefined {
  const found = process.platform === 'win32' ? undefined : look(path)
  if (found === undefined || isKept(found)) return undefined
  return {
    why: `its mode is ${(found.mode & 0o777).toString(8)}, so other users of this machine can read or replace it`,
    fix: 'Run `chmod 600` on it; in Kubernetes set `defaultMode: 0400` or 0440 on the volume, and `fsGroup`; with Docker `mode: 0400`.'
  }
}

/**
 * Whether other users of the machine can replace a file that decides whom to trust. Anyone may read it.
 *
 * @returns undefined if the permissions are fine, unknown, or meaningless (Windows).
 */
export function trustFileFault (path: string): FileFault | undefined {
  const found = process.platform === 'win32' ? undefined : look(path)
  if (found === undefined || (found.mode & (others.write | group.write)) === 0) return undefined
  return {
    why: `its mode is ${(found.mode & 0o777).toString(8)}, so other users of this machine can replace it`,
    fix: 'Run `chmod go-w` on it; in Kubernetes set `defaultMode: 0444` on the volume.'
  }
}

interface Found {
  readonly mode: number
  readonly owner: number
  readonly path: string
}

function look (path: string): Found | undefined {
  try {
    const real = realpathSync(path)
    const { mode, uid } = statSync(real)
    return { mode, owner: uid, path: real }
  } catch {
    return undefined
  }
}

function isKept ({ mode, owner, path }: Found): boolean {
  const open = mode & (others.any | group.write | (owner === 0 ? 0 : group.read))
  return open === 0 || (open === others.read && isOfContainer(path))
}

/** Docker mounts secrets there with mode 444, in memory, visible to the container only. */
function isOfContainer (path: string): boolean {
  return path.startsWith('/run/secrets/')
}
