import { TypeGuard, type TSchema } from '@sinclair/typebox'

type Values = Map<string, Set<string>>

/**
 * The texts that each option takes where it is one of a few, as they stand in code: `'deny'`. Read at run time, since a schema may
 * build its list from another table, such as that of the presets.
 */
export function valuesOf (schema: TSchema): ReadonlyMap<string, ReadonlySet<string>> {
  const found: Values = new Map()
  collect(schema, '', found)
  return found
}

function collect (schema: TSchema, path: string, found: Values): void {
  if (TypeGuard.IsLiteralString(schema)) add(path, `'${schema.const}'`, found)
  else if (TypeGuard.IsLiteralBoolean(schema)) add(path, String(schema.const), found)
  else if (TypeGuard.IsUnion(schema)) for (const part of schema.anyOf) collect(part, path, found)
  else if (TypeGuard.IsArray(schema)) collect(schema.items, `${path}[]`, found)
  else if (TypeGuard.IsRecord(schema)) for (const part of Object.values(schema.patternProperties)) collect(part, `${path}.<name>`, found)
  else if (TypeGuard.IsObject(schema)) {
    for (const [name, part] of Object.entries(schema.properties)) collect(part, path === '' ? name : `${path}.${name}`, found)
  }
}

/** A list of values belongs to the option that holds the list. */
function add (path: string, value: string, found: Values): void {
  const option = path.replace(/\[\]$/, '')
  found.set(option, new Set(found.get(option)).add(value))
}
