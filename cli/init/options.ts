import type { Described, DescribedObject } from './types.ts'

/** The options of a plugin, as far as they are an object. */
export function optionsOf (described: Described | undefined): DescribedObject {
  return typeof described === 'object' && described !== null && !Array.isArray(described) ? described as DescribedObject : {}
}

/** Texts of a list, or one text. */
export function textsOf (value: Described | undefined): readonly string[] | undefined {
  if (typeof value === 'string') return value.split(',').map(text => text.trim()).filter(text => text !== '')
  return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined
}

export function textOf (value: Described | undefined): string | undefined {
  const [only, ...more] = textsOf(typeof value === 'string' ? [value] : value) ?? []
  return more.length === 0 ? only : undefined
}

export function isFunction (value: Described | undefined): boolean {
  return typeof value === 'object' && value !== null && '$function' in value
}

/** Options that are given and of which nothing is known here. */
export function unread (options: DescribedObject, known: readonly string[], plugin: string): readonly string[] {
  return Object.keys(options).filter(name => !known.includes(name) && options[name] !== null)
    .map(name => `\`${name}\` of ${plugin} has no counterpart`)
}
