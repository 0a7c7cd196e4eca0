import { editDistance, type Problems } from '../config/index.ts'
import type { RouteInfo } from './route-info.ts'

/** What people write who know the official plugins. */
const foreign: Readonly<Record<string, string>> = { helmet: 'headers' }

/**
 * `scopes: 'x'` beside no `scope` is a route that would be closed without anybody knowing why; `ratelimit` one without its limit.
 * Only a slip of one character, of the number or of a capital is reported: `config` belongs to every plugin, and `publish`
 * or `roleId` may be somebody else's.
 */
export function checkKeys ({ config, label }: RouteInfo, keys: readonly string[], problems: Problems): void {
  for (const name of Object.keys(config)) {
    const meant = keys.includes(name) ? undefined : keys.find(key => isSlip(name, key))
    if (meant === undefined || meant in config) continue
    problems.add('SECURE_API_OPTION_UNKNOWN', `${label}: config.${name}`, `unknown route option \`${name}\``, `Did you mean \`${meant}\`?`)
  }
}

function isSlip (name: string, key: string): boolean {
  if (Object.hasOwn(foreign, name)) return foreign[name] === key
  const [lower, meant] = [name.toLowerCase(), key.toLowerCase()]
  return editDistance(lower, meant) <= 1 || lower === plural(meant)
}

function plural (key: string): string {
  return key.endsWith('y') ? `${key.slice(0, -1)}ies` : `${key}s`
}
