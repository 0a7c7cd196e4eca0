import type { TSchema } from '@sinclair/typebox'
import { branchesOf, isRecord } from './check.ts'

/**
 * Options as they were written, without what somebody put on `Object.prototype`: what the schema calls an object is copied to one that
 * inherits nothing. Accessors of an application's own classes are read. All else (a Redis client, a function) is handed on as it is.
 */
export function ownOptions <Options> (schema: TSchema, given: Options): Options {
  return ownValue(schema, given) as Options
}

function ownValue (schema: TSchema, value: unknown): unknown {
  const branches = branchesOf(schema)
  if (Array.isArray(value)) {
    const items: TSchema | undefined = branches.find(({ type }) => type === 'array')?.items
    return items === undefined ? value : value.map(item => ownValue(items, item))
  }
  const objects = branches.filter(({ type }) => type === 'object')
  if (objects.length === 0 || !isRecord(value)) return value
  const known: Record<string, TSchema> = Object.assign(Object.create(null), ...objects.map(({ properties = {} }) => properties))
  const others: TSchema | undefined = objects.flatMap(({ patternProperties = {} }) => Object.values<TSchema>(patternProperties))[0]
  const own: Record<string, unknown> = Object.create(null)
  for (const name of namesIn(value, Object.keys(known))) {
    const member = known[name] ?? others
    own[name] = member === undefined ? value[name] : ownValue(member, value[name])
  }
  return own
}

/** Own names, and options that the object has from a class or a prototype of its own. */
function namesIn (value: object, known: readonly string[]): Set<string> {
  return new Set([...Object.keys(value), ...known.filter(name => isInherited(value, name))])
}

function isInherited (value: object, name: string): boolean {
  for (let at: object | null = value; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, name)) return true
  }
  return false
}
