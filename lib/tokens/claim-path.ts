import type { ClaimPath } from './claims.ts'

/** `'a.b'` as names; a text with a slash or of the form `urn:…` is one name, since the dots of a host are no path. */
export function parseClaimPath (path: string | readonly string[]): ClaimPath {
  if (typeof path !== 'string') return path
  return path.includes('/') || path.startsWith('urn:') ? [path] : path.split('.')
}

/** The paths with `{audience}` replaced by each audience. */
export function expandAudience (paths: readonly ClaimPath[], audiences: readonly string[]): ClaimPath[] {
  return paths.flatMap(path => path.includes('{audience}')
    ? audiences.map(audience => path.map(name => name === '{audience}' ? audience : name))
    : [path])
}

/** JSON Pointer, JSONPath and the brackets of JavaScript: no provider names a claim so, and the path would never match. */
const otherSyntax = /^[/$]|[[\]*\\]/

/** What is wrong with a path, or undefined. A list is taken as it stands: any name may be in it. */
export function claimPathFault (path: string | readonly string[]): string | undefined {
  const names = parseClaimPath(path)
  if (names.length === 0 || names.some(name => name.trim() === '')) return 'a name in the path is empty'
  if (names.some(name => name !== name.trim())) return 'a name in the path begins or ends with a space'
  if (typeof path !== 'string') return undefined
  if (otherSyntax.test(path)) return 'names in a path are separated by dots, and nothing else has a meaning'
  return names.some(name => /[{}]/.test(name) && name !== '{audience}') ? 'the only placeholder is {audience}, for a whole name' : undefined
}
