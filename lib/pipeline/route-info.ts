import type { RouteInfo } from './types.ts'

/** A route as it was declared. Hooks of `onRoute` may change every member of it. */
export interface Declaration {
  readonly url: string
  readonly method: string | readonly string[]
  readonly config?: object | undefined
}

export type Config = Readonly<Record<string, unknown>>

/** What is laid under the `config` of a route that does not state it, and where that is written. */
export interface Underlay {
  readonly config: Config
  readonly source: string
}

/**
 * Own properties alone, on an object that inherits nothing: with a polluted `Object.prototype.public` no route becomes public.
 * Symbols belong to others.
 */
export function ownConfig (config: object = {}): Config {
  const own: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(config)) own[key] = (config as Config)[key]
  return own
}

/** Fastify adds `url` and `method` to the `config` it holds; they are no options. */
export function sameConfig (one: Config, other: Config): boolean {
  const keys = optionsIn(one)
  return keys.length === optionsIn(other).length && keys.every(key => key in other && one[key] === other[key])
}

function optionsIn (config: Config): string[] {
  return Object.keys(config).filter(key => key !== 'url' && key !== 'method')
}

export function routeInfo (url: string, method: Declaration['method'], config: Config, early: boolean, under?: Underlay): RouteInfo {
  const methods = typeof method === 'string' ? [method] : [...method]
  const label = `route ${methods.join(',')} ${url}`
  if (under === undefined) return Object.freeze({ kind: 'route', early, methods, url, config, label })
  return Object.freeze({ kind: 'route', early, methods, url, config: under.config, label: `${label} (${under.source})`, source: under.source })
}
