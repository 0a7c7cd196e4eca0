import { type TSchema } from '@sinclair/typebox'
import { parseDuration } from './duration.ts'
import type { Problems } from './problems.ts'
import { suggest } from './suggest.ts'

/**
 * Checks a value against a TypeBox schema and says each mistake in words a person can act on.
 *
 * TypeBox' own `Value.Errors` reports every branch of every union and knows no misspellings; it also costs 25 ms to
 * load. Schemas here use a small part of JSON Schema, and the boot refuses the rest (`unsupported`).
 */
export function check (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (schema.anyOf !== undefined) return checkUnion(schema.anyOf, value, path, problems)
  if (schema.const !== undefined) return checkConstant(schema, value, path, problems)
  const checker = checkers[typeName(schema)]
  if (checker === undefined) throw new TypeError(`unsupported schema at ${path}`)
  checker(schema, value, path, problems)
}

type Checker = (schema: TSchema, value: unknown, path: string, problems: Problems) => void

const checkers: Readonly<Record<string, Checker>> = {
  any: () => {},
  function: (_, value, path, problems) => { if (typeof value !== 'function') wrongType('a function', value, path, problems) },
  boolean: (_, value, path, problems) => { if (typeof value !== 'boolean') wrongType('true or false', value, path, problems) },
  integer: checkNumber,
  number: checkNumber,
  string: checkString,
  array: checkArray,
  object: checkObject
}

/** TypeBox marks functions and unchecked values by `type` too: `Type.Function`, `Type.Unsafe({})`. */
function typeName (schema: TSchema): string {
  if (schema.type === 'Function') return 'function'
  return schema.type === undefined ? 'any' : String(schema.type)
}

function checkNumber (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (typeof value !== 'number' || !Number.isFinite(value)) return wrongType('a number', value, path, problems)
  if (schema.type === 'integer' && !Number.isSafeInteger(value)) return wrongType('a whole number', value, path, problems)
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (value < minimum || value > maximum) {
    problems.add('SECURE_API_OPTION_RANGE', path, `${value} is out of range`, `Give a number ${range(minimum, maximum)}.`)
  }
}

function range (minimum: number, maximum: number): string {
  if (maximum === Infinity) return `of at least ${minimum}`
  return minimum === -Infinity ? `of at most ${maximum}` : `from ${minimum} to ${maximum}`
}

function checkString (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (typeof value !== 'string') return wrongType('a string', value, path, problems)
  if (value.trim() === '') {
    return problems.add('SECURE_API_OPTION_EMPTY', path, 'the string is empty', 'Give a value; is the environment variable behind it set?')
  }
  if (schema.format === 'duration' && parseDuration(value) === undefined) {
    return problems.add('SECURE_API_OPTION_VALUE', path, `${show(value)} is not a duration`, "Write milliseconds as a number, or text such as '30 seconds', '5 minutes', '24 hours'.")
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    problems.add('SECURE_API_OPTION_VALUE', path, `${show(value)} does not have the form that is needed`, schema.hint ?? `It must match ${schema.pattern}.`)
  }
}

function checkArray (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (!Array.isArray(value)) return wrongType('a list', value, path, problems)
  if (value.length < (schema.minItems ?? 0)) {
    return problems.add('SECURE_API_OPTION_EMPTY', path, 'the list is empty', 'Name at least one, or leave the option out.')
  }
  value.forEach((item, index) => check(schema.items, item, `${path}[${index}]`, problems))
}

function checkObject (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (!isRecord(value)) return wrongType('an object', value, path, problems)
  const known: Record<string, TSchema> = schema.properties ?? {}
  const pattern: TSchema | undefined = Object.values<TSchema>(schema.patternProperties ?? {})[0]
  for (const name of schema.required ?? []) {
    if (!(name in value)) problems.add('SECURE_API_OPTION_MISSING', join(path, name), 'this option is required', 'Add it.')
  }
  for (const [name, member] of Object.entries(value)) {
    const at = join(path, name)
    const memberSchema = Object.hasOwn(known, name) ? known[name] : pattern
    if (memberSchema === undefined) unknownOption(name, Object.keys(known), at, problems)
    else if (member === undefined) undefinedOption(at, problems)
    else check(memberSchema, member, at, problems)
  }
}

/** Reports an option that does not exist, and the one that was probably meant. */
export function unknownOption (name: string, known: readonly string[], path: string, problems: Problems): void {
  const meant = suggest(name, known)
  const fix = meant === undefined ? `Remove it; the options here are ${known.join(', ')}.` : `Did you mean \`${meant}\`?`
  problems.add('SECURE_API_OPTION_UNKNOWN', path, `unknown option \`${path}\``, fix)
}

function undefinedOption (path: string, problems: Problems): void {
  problems.add('SECURE_API_OPTION_UNDEFINED', path, 'the value is undefined',
    'Leave the key out if you do not want it; otherwise check that the environment variable behind it is set.')
}

function checkConstant (schema: TSchema, value: unknown, path: string, problems: Problems): void {
  if (value !== schema.const) notOneOf([schema], value, path, problems)
}

/**
 * Only the branch that the value was meant for is reported: the one of its kind (list, object, string, …).
 */
function checkUnion (branches: readonly TSchema[], value: unknown, path: string, problems: Problems): void {
  if (branches.some(branch => branch.const !== undefined && branch.const === value)) return
  const meant = branches.filter(branch => branch.const === undefined && accepts(branch, value))
  const [first] = meant
  if (first === undefined) return notOneOf(branches, value, path, problems)
  check(closest(meant, value) ?? first, value, path, problems)
}

/** Between several object shapes, the one that shares most names with the value. */
function closest (branches: readonly TSchema[], value: unknown): TSchema | undefined {
  if (branches.length < 2 || !isRecord(value)) return branches[0]
  const shared = (branch: TSchema) => Object.keys(branch.properties ?? {}).filter(name => name in value).length
  return branches.reduce((best, branch) => shared(branch) > shared(best) ? branch : best)
}

function accepts (branch: TSchema, value: unknown): boolean {
  switch (typeName(branch)) {
    case 'any': return true
    case 'array': return Array.isArray(value)
    case 'object': return isRecord(value)
    case 'integer': return typeof value === 'number'
    default: return branch.anyOf !== undefined || typeof value === typeName(branch)
  }
}

function notOneOf (branches: readonly TSchema[], value: unknown, path: string, problems: Problems): void {
  const allowed = branches.flatMap(describe)
  const meant = typeof value === 'string' ? suggest(value, branches.flatMap(({ const: c }) => typeof c === 'string' ? [c] : [])) : undefined
  const fix = meant === undefined ? `Give ${allowed.join(', or ')}.` : `Did you mean '${meant}'?`
  problems.add('SECURE_API_OPTION_VALUE', path, `${show(value)} is not allowed here`, fix)
}

function describe (branch: TSchema): string[] {
  if (branch.const !== undefined) return [show(branch.const)]
  if (branch.anyOf !== undefined) return branch.anyOf.flatMap(describe)
  const names: Readonly<Record<string, string>> = { array: 'a list', object: 'an object', integer: 'a whole number', boolean: 'true or false', function: 'a function', any: 'a value' }
  const type = typeName(branch)
  return [names[type] ?? `a ${type}`]
}

function wrongType (wanted: string, value: unknown, path: string, problems: Problems): void {
  problems.add('SECURE_API_OPTION_TYPE', path, `${show(value)} is not ${wanted}`, `Give ${wanted}.`)
}

/** A value for a message. Text is cut; objects and functions are only named, so that no secret inside is shown. */
function show (value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}…` : value}'`
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value)) return String(value)
  return Array.isArray(value) ? 'a list' : `a${typeof value === 'object' ? 'n' : ''} ${typeof value}`
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function join (path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
