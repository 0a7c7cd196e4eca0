import { branchesOf, isRecord } from './check.ts'
import type { Schema } from './schema.ts'

/** Any object but a list. */
export type Fields = Readonly<Record<string, unknown>>

export function isFields (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Options without anything from a polluted `Object.prototype`: each object of the schema is copied to one that inherits nothing.
 * Accessors of an application's own classes are read. Everything else (a Redis client, a function) is passed through.
 */
export function ownOptions <Options> (schema: Schema, given: Options): Options {
  return ownValue(schema, given) as Options
}

function ownValue (schema: Schema, value: unknown): unknown {
  const branches = branchesOf(schema)
  if (Array.isArray(value)) {
    const items = branches.find(({ type }) => type === 'array')?.items
    return items === undefined ? value : value.map(item => ownValue(items, item))
  }
  const objects = branches.filter(({ type }) => type === 'object')
  if (objects.length === 0 || !isRecord(value)) return value
  const known: Record<string, Schema> = Object.assign(Object.create(null), ...objects.map(({ properties = {} }) => properties))
  const others = objects.flatMap(({ patternProperties = {} }) => Object.values(patternProperties))[0]
  const own: Record<string, unknown> = Object.create(null)
  for (const name of namesIn(value, Object.keys(known))) {
    const member = known[name] ?? others
    own[name] = member === undefined ? value[name] : ownValue(member, value[name])
  }
  return own
}

/** Own names, and known options inherited from anything but `Object.prototype`. */
function namesIn (value: object, known: readonly string[]): Set<string> {
  return new Set([...Object.keys(value), ...known.filter(name => hasBelowObject(value, name))])
}

/** Own or inherited; what somebody put on `Object.prototype` is nobody's statement. */
export function hasBelowObject (value: object, name: string): boolean {
  for (let at: object | null = value; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, name)) return true
  }
  return false
}
