import { isFields, type Fields } from './own.ts'

/** What says nothing about a value. */
const annotations = ['type', 'title', 'description', 'default', 'examples', 'deprecated', '$comment', '$id', 'hint', 'secret', 'refuseList']

/** The keywords that `check` keeps, by the type of a schema. */
const keywords: Readonly<Record<string, readonly string[]>> = {
  any: [],
  Function: ['parameters', 'returns'],
  boolean: [],
  integer: ['minimum', 'maximum'],
  number: ['minimum', 'maximum'],
  string: ['pattern', 'format', 'minLength'],
  array: ['items', 'minItems'],
  object: ['properties', 'required', 'additionalProperties', 'patternProperties']
}

/** What a keyword may say. An empty string is refused anyway, unknown members too, and names of members are not looked at. */
const limits: Readonly<Record<string, (value: unknown) => boolean>> = {
  format: value => value === 'duration',
  minLength: value => value === 0 || value === 1,
  items: value => !Array.isArray(value),
  additionalProperties: value => value === false,
  patternProperties: value => isFields(value) && Object.keys(value).join() === '^(.*)$'
}

/** The first part of a schema, which is not ours, that `check` does not keep: a promise that nobody keeps. Undefined: all of it is kept. */
export function unsupportedIn (schema: unknown): string | undefined {
  if (!isFields(schema)) return 'what is no schema'
  if (Array.isArray(schema['anyOf'])) return first(schema['anyOf'])
  if ('const' in schema) return typeof schema['const'] === 'object' ? '`const` with an object' : undefined
  const { type = 'any' } = schema
  const known = typeof type === 'string' && Object.hasOwn(keywords, type) ? keywords[type] : undefined
  if (known === undefined) return `the type ${JSON.stringify(type)}`
  const isKept = (name: string) => annotations.includes(name) || (known.includes(name) && (limits[name]?.(schema[name]) ?? true))
  const strange = Object.keys(schema).find(name => !isKept(name))
  return strange === undefined ? first(membersOf(schema)) : `\`${strange}\``
}

function membersOf ({ type, items, properties, patternProperties }: Fields): unknown[] {
  if (type === 'array') return [items]
  return type === 'object' ? [properties, patternProperties].flatMap(members => isFields(members) ? Object.values(members) : []) : []
}

function first (schemas: readonly unknown[]): string | undefined {
  return schemas.map(unsupportedIn).find(found => found !== undefined)
}
