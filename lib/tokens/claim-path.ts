import type { ClaimPath } from './claims.ts'

/** `'a.b'` as names; a text with `://` is one name, since the dots of a host are no path. */
export function parseClaimPath (path: string | readonly string[]): ClaimPath {
  if (typeof path !== 'string') return path
  return path.includes('://') ? [path] : path.split('.')
}

/** The paths with `{audience}` replaced by each audience. */
export function expandAudience (paths: readonly ClaimPath[], audiences: readonly string[]): ClaimPath[] {
  return paths.flatMap(path => path.includes('{audience}')
    ? audiences.map(audience => path.map(name => name === '{audience}' ? audience : name))
    : [path])
}

/** What is wrong with a path, or undefined. */
export function claimPathFault (path: string | readonly string[]): string | undefined {
  const names = parseClaimPath(path)
  if (names.some(name => name.trim() === '')) return 'a name in the path is empty'
  return names.some(name => name !== name.trim()) ? 'a name in the path begins or ends with a space' : undefined
}
