import { isDeepStrictEqual } from 'node:util'
import type { Marks } from '../marks/index.ts'

export type Config = Readonly<Record<string, unknown>>

/** What a control may know of a route. */
export interface RouteInfo {
  /** `unknown` is the route of a 404. */
  readonly kind: 'route' | 'unknown'
  /** Declared before the suite: `onRoute` never saw it, so it has no route-level hooks of ours. */
  readonly early: boolean
  readonly methods: readonly string[]
  readonly url: string
  /** Own properties alone: it inherits nothing. */
  readonly config: Config
  /** `route GET /orders`, for messages. */
  readonly label: string
  /** Where a part of `config` is written that the route does not state itself: `authorization.routes['/uploads/*']`. */
  readonly source?: string
}

/** A route as it was declared. Hooks of `onRoute` may change every member of it. */
export interface Declaration {
  readonly url: string
  readonly method: string | readonly string[]
  readonly config?: object | undefined
}

/** What is laid under the `config` of a route that does not state it, and where that is written. */
export interface Underlay {
  readonly config: Config
  readonly source: string
}

/** Inherits nothing: with a polluted `Object.prototype.public` no route becomes public. Symbols belong to others. */
export function ownConfig (config: object = {}): Config {
  const own: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(config)) own[key] = (config as Config)[key]
  return own
}

/** The copies that were made of options, by the object that the application wrote. */
export type Copies = Marks<object, object>

/**
 * Inherits nothing, to the bottom: with a polluted `Object.prototype.all` everybody would fulfil `{ any: [...] }`. Copies and freezes
 * what controls read, so that none changes what another one reads. Options that two routes share stay one object.
 */
export function ownToTheBottom (info: RouteInfo, keys: readonly string[], copies: Copies): RouteInfo {
  const own: Record<string, unknown> = Object.create(null)
  for (const [key, value] of Object.entries(info.config)) own[key] = keys.includes(key) ? shared(value, copies) : value
  return Object.freeze({ ...info, config: Object.freeze(own) })
}

/** The copy that was made before, unless the value has changed since. */
function shared (value: unknown, copies: Copies): unknown {
  const copy = copyOf(value)
  if (typeof value !== 'object' || value === null || typeof copy !== 'object' || copy === null) return copy
  const known = copies.of(value)
  if (known !== undefined && isDeepStrictEqual(known, copy)) return known
  copies.set(value, copy)
  return copy
}

/** Instances of classes, functions and so on are handed on as they are. */
function copyOf (value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(copyOf))
  if (!isPlain(value)) return value
  const own: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(value)) own[key] = copyOf(Reflect.get(value, key))
  return Object.freeze(own)
}

/** Of any realm. */
function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Reflect.getPrototypeOf(value)
  return prototype === null || Reflect.getPrototypeOf(prototype) === null
}

/** Fastify adds `url` and `method` to the `config` it holds; they are no options. */
export function sameConfig (one: Config, other: Config): boolean {
  const keys = optionsIn(one)
  return keys.length === optionsIn(other).length && keys.every(key => key in other && one[key] === other[key])
}

const optionsIn = (config: Config) => Object.keys(config).filter(key => key !== 'url' && key !== 'method')

export function routeInfo (url: string, method: Declaration['method'], config: Config, early: boolean, under?: Underlay): RouteInfo {
  const methods = typeof method === 'string' ? [method] : [...method]
  const known = { kind: 'route', early, methods, url, config, label: `route ${methods.join(',')} ${url}` } as const
  return Object.freeze(under === undefined ? known : { ...known, ...under, label: `${known.label} (${under.source})` })
}
