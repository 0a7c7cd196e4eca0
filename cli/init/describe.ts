import type { Described } from './types.ts'

const deepest = 6

/** A value of the application as plain data. Secrets stay behind: texts of these names are only said to be there. */
export function describe (value: unknown, depth = 0): Described {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value
  if (typeof value === 'function') return { $function: String(value), name: value.name }
  if (value instanceof URL) return value.href
  if (value instanceof RegExp) return { $regexp: String(value) }
  if (typeof value !== 'object' || depth === deepest) return { $instance: typeof value }
  if (Array.isArray(value)) return value.map(item => describe(item, depth + 1))
  if (value instanceof Set) return [...value].map(item => describe(item, depth + 1))
  if (!isPlain(value)) return { $instance: value.constructor?.name ?? 'object' }
  return Object.fromEntries(Object.entries(value).map(([name, member]) =>
    [name, secretNames.has(name) ? hidden(member, depth) : describe(member, depth + 1)]))
}

const secretNames: ReadonlySet<string> = new Set(['secret', 'private', 'passphrase', 'password', 'key'])

/** Only the kind of a secret leaves the process of the application. */
function hidden (value: unknown, depth: number): Described {
  if (typeof value === 'string' || value instanceof Uint8Array) return kindOfKey(String(value))
  if (Array.isArray(value)) return value.map(item => hidden(item, depth + 1))
  if (typeof value === 'object' && value !== null && isPlain(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hidden(member, depth + 1)]))
  }
  return describe(value, depth + 1)
}

function kindOfKey (text: string): string {
  return text.includes('-----BEGIN') ? 'pem' : 'shared'
}

function isPlain (value: object): boolean {
  const prototype: unknown = Reflect.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
