import type { Schema } from '../lib/config/index.ts'

type Values = Map<string, Set<string>>

/**
 * The texts that each option takes where it is one of a few, as they stand in code: `'deny'`. Read at run time, since a schema may
 * build its list from another table, such as that of the presets.
 */
export function valuesOf (schema: Schema): ReadonlyMap<string, ReadonlySet<string>> {
  const found: Values = new Map()
  collect(schema, '', found)
  return found
}

function collect (schema: Schema, path: string, found: Values): void {
  if (typeof schema.const === 'string') add(path, `'${schema.const}'`, found)
  else if (schema.const !== undefined) add(path, String(schema.const), found)
  for (const part of schema.anyOf ?? []) collect(part, path, found)
  if (schema.items !== undefined) collect(schema.items, `${path}[]`, found)
  for (const part of Object.values(schema.patternProperties ?? {})) collect(part, `${path}.<name>`, found)
  for (const [name, part] of Object.entries(schema.properties ?? {})) collect(part, path === '' ? name : `${path}.${name}`, found)
}

/** A list of values belongs to the option that holds the list. */
function add (path: string, value: string, found: Values): void {
  const option = path.replace(/\[\]$/, '')
  found.set(option, new Set(found.get(option)).add(value))
}
