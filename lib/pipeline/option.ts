import { isThenable } from '../async/index.ts'
import { check, editDistance, Problems, Type, type Schema } from '../config/index.ts'
import type { Config, RouteInfo } from './route-info.ts'

/** What a control reads from the `config` of a route. */
export interface RouteOption<Own = unknown> {
  /** The keys of `config`, each with the schema of its value. */
  readonly schemas: Readonly<Record<string, Schema>>
  /** Loads what `parse` needs, before the first route is parsed. Gets what each route states. */
  prepare? (stated: readonly Config[]): Promise<void>
  /** Checks what the schemas cannot say, and makes of it what the control works with. Called once a route; the values are sound. */
  parse (stated: Config, route: RouteInfo, problems: Problems): Own
}

export interface OptionParts<Value, Own> {
  readonly key: string
  readonly schema: Schema
  prepare? (values: readonly Value[]): Promise<void>
  /** Gets undefined for a route that does not state the option. */
  refine (value: Value | undefined, at: { readonly route: RouteInfo, readonly path: string, readonly problems: Problems }): Own
}

/**
 * Declares a route option of one key. Checks, posture, misspelt keys and the reference come from this declaration.
 *
 * @example
 * const tenant = routeOption<string, string | undefined>({ key: 'tenant', schema: { type: 'string' }, refine: value => value })
 */
export function routeOption<Value, Own> ({ key, schema, prepare, refine }: OptionParts<Value, Own>): RouteOption<Own> {
  return Object.freeze({
    schemas: { [key]: schema },
    parse: (stated: Config, route: RouteInfo, problems: Problems) =>
      refine(stated[key] as Value | undefined, { route, path: `${route.label}: config.${key}`, problems }),
    ...(prepare && {
      prepare: (stated: readonly Config[]) => prepare(stated.filter(values => key in values).map(values => values[key] as Value))
    })
  })
}

/** What a route states of each option, parsed. */
export type OwnOptions = ReadonlyMap<RouteOption, unknown>

const nothing: Config = Object.freeze(Object.create(null))

/** Parses each key and each option once. A wrong value counts as not stated; an option that cannot be parsed even then is absent. */
export function readOptions (route: RouteInfo, options: Iterable<RouteOption>, problems: Problems): OwnOptions {
  const sound = new Map<string, boolean>()
  const isSound = (key: string, schema: Schema): boolean => {
    const known = sound.get(key) ?? problems.clean(found => check(Type.Object({ [key]: schema }), { [key]: route.config[key] },
      `${route.label}: config`, found))
    sound.set(key, known)
    return known
  }
  const own = new Map<RouteOption, unknown>()
  const parse = (option: RouteOption, found: Problems) => {
    const stated = statedOf(option, route.config)
    const wrong = Object.entries(option.schemas).filter(([key, schema]) => key in stated && !isSound(key, schema))
    const parsed = wrong.length === 0 ? option.parse(stated, route, found) : option.parse(nothing, route, new Problems())
    if (isThenable(parsed)) throw new TypeError('it is parsed by a promise, for which no route waits; load what it needs in `prepare`')
    own.set(option, parsed)
  }
  for (const option of new Set(options)) {
    try {
      parse(option, problems)
    } catch (error) {
      problems.add('SECURE_API_OPTION_VALUE', `${route.label}: config.${Object.keys(option.schemas).join(', ')}`,
        `the option cannot be parsed: ${String(error)}`, 'Correct the value, or what parses it.')
    }
  }
  return own
}

export function statedOf ({ schemas }: RouteOption, config: Config): Record<string, unknown> {
  const stated: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(schemas)) if (Object.hasOwn(config, key)) stated[key] = config[key]
  return stated
}

export function keysOf (options: readonly RouteOption[]): string[] {
  return options.flatMap(({ schemas }) => Object.keys(schemas))
}

/** What people write who know the official plugins. */
const foreign: Readonly<Record<string, string>> = { helmet: 'headers' }

/**
 * `scopes` beside no `scope` would close a route without anybody knowing why; `ratelimit` is one without its limit. Only a slip of one
 * character, of the number or of a capital is reported: `config` belongs to every plugin, and `roleId` may be somebody else's.
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
  const plural = meant.endsWith('y') ? `${meant.slice(0, -1)}ies` : `${meant}s`
  return editDistance(lower, meant) <= 1 || lower === plural
}
