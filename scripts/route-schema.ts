import type { Schema } from '../lib/config/index.ts'

type Json = Readonly<Record<string, unknown>>

/** Words that only our own checks understand. */
const ours = ['hint', 'secret', 'refuseList']

/**
 * The route options as JSON Schema, for editors and for whoever writes `config` in a file: what cannot stand in one, functions, is left
 * out.
 */
export function routeSchema (schema: Schema): string {
  const { properties } = plain(schema) as { properties: Json }
  const page = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Route options of fastify-secure-api',
    description: 'The keys of `config` that the controls read. Other plugins have keys of their own.',
    type: 'object',
    properties
  }
  return `${JSON.stringify(page, null, 2)}\n`
}

function plain (value: unknown): unknown {
  if (Array.isArray(value)) return value.filter(entry => !isFunction(entry)).map(plain)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key, entry]) => !ours.includes(key) && !isFunction(entry))
  return Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry)]))
}

function isFunction (schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'Function'
}
