import { quoted } from './rules.ts'

/** An expression of the plugin file that has no value before the application runs, with a value to check it by. */
export interface Expression {
  readonly $code: string
  readonly sample: string
}

/** A value of the configuration. */
export type Value = boolean | number | string | Expression | readonly Value[] | ValueObject
export interface ValueObject { readonly [name: string]: Value }

/** What became of the options of one plugin. */
export interface Mapped {
  readonly value: Value
  /** What could not be kept, or is otherwise than before: one sentence each. */
  readonly told: readonly string[]
  /** What refused callers before and does not any more, or must be given: it has to be done by hand. */
  readonly lost?: readonly string[]
}

function isExpression (value: Value): value is Expression {
  return typeof value === 'object' && '$code' in value
}

const width = 100

/** As people write it: on one line where there is room. */
export function rendered (value: Value, indent = ''): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object') return String(value)
  if (isExpression(value)) return value.$code
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  const list: readonly Value[] | undefined = Array.isArray(value) ? value as readonly Value[] : undefined
  const inner = `${indent}  `
  const members = list?.map(item => rendered(item, inner)) ??
    Object.entries(value as ValueObject).map(([name, member]) => memberOf(name, member, inner))
  const pad = list === undefined ? ' ' : ''
  const line = members.length === 0 ? `${open}${close}` : `${open}${pad}${members.join(', ')}${pad}${close}`
  if (!line.includes('\n') && indent.length + line.length <= width) return line
  return `${open}\n${members.map(member => `${inner}${member}`).join(',\n')}\n${indent}${close}`
}

function memberOf (name: string, member: Value, indent: string): string {
  if (typeof member === 'object' && isExpression(member) && member.$code === name) return name
  return `${/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : quoted(name)}: ${rendered(member, indent)}`
}

/** The value with samples in the place of expressions: for the suite's own checks. */
export function sampled (value: Value): unknown {
  if (typeof value !== 'object') return value
  if (isExpression(value)) return value.sample
  if (Array.isArray(value)) return (value as readonly Value[]).map(sampled)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, sampled(member as Value)]))
}
