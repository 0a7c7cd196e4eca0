import { adviceFor } from './advice.ts'
import { parseDuration } from './duration.ts'
import type { Problems } from './problems.ts'
import type { Schema } from './schema.ts'
import { suggest } from './suggest.ts'

/**
 * Checks a value against a schema and explains each mistake so that a person can fix it: of a union the branch that was meant, of a
 * misspelt name the right one. `unsupportedIn` names the parts of JSON Schema that are not
 * checked. The value of a schema with `secret: true` is never shown.
 */
export function check (schema: Schema, value: unknown, path: string, problems: Problems): void {
  if (schema.anyOf !== undefined) return checkUnion(schema, value, path, problems)
  if (schema.const !== undefined && value !== schema.const) return notOneOf(schema, [schema], value, path, problems)
  if (schema.const !== undefined) return
  const kind = kinds[typeName(schema)]
  if (kind === undefined) throw new TypeError(`unsupported schema at ${path}`)
  if (kind.is(value)) kind.more?.(schema, value, path, problems)
  else wrongType(schema, kind.name, value, path, problems)
}

/** What a value of a type is called and known by, and what else is checked of it. */
interface Kind {
  readonly name: string
  is (value: unknown): boolean
  more? (schema: Schema, value: unknown, path: string, problems: Problems): void
}

const isNumber = (value: unknown) => typeof value === 'number'
const kinds: Readonly<Record<string, Kind>> = {
  any: { name: 'a value', is: () => true },
  function: { name: 'a function', is: value => typeof value === 'function' },
  boolean: { name: 'true or false', is: value => typeof value === 'boolean' },
  integer: { name: 'a number', is: isNumber, more: checkNumber },
  number: { name: 'a number', is: isNumber, more: checkNumber },
  string: { name: 'a string', is: value => typeof value === 'string', more: checkString },
  array: { name: 'a list', is: Array.isArray, more: checkArray },
  object: { name: 'an object', is: isRecord, more: checkObject },
  Secret: { name: 'a Secret', is: value => typeof value === 'object' && value !== null && tagOf(value) === 'Secret' }
}

/** Functions are marked by `type` too, as TypeBox does. Only a schema that says nothing at all (`Type.Unsafe({})`) means any value. */
function typeName (schema: Schema): string {
  if (unsupported.some(keyword => keyword in schema)) return 'unsupported'
  if (schema.type === 'Function') return 'function'
  return schema.type === undefined ? 'any' : String(schema.type)
}

const unsupported = ['allOf', 'not', '$ref', 'enum']

function checkNumber (schema: Schema, value: number, path: string, problems: Problems): void {
  if (!Number.isFinite(value)) return wrongType(schema, 'a number', value, path, problems)
  if (schema.type === 'integer' && !Number.isSafeInteger(value)) return wrongType(schema, 'a whole number', value, path, problems)
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (value < minimum || value > maximum) {
    problems.add('SECURE_API_OPTION_RANGE', path, `${show(value, schema)} is out of range`, `Give a number ${range(minimum, maximum)}.`)
  }
}

function range (minimum: number, maximum: number): string {
  if (maximum === Infinity) return `of at least ${minimum}`
  return minimum === -Infinity ? `of at most ${maximum}` : `from ${minimum} to ${maximum}`
}

function checkString (schema: Schema, value: string, path: string, problems: Problems): void {
  if (value.trim() === '') {
    return problems.add('SECURE_API_OPTION_EMPTY', path, 'the string is empty', 'Give a value; check that its environment variable is set.')
  }
  if (schema.format === 'duration' && parseDuration(value) === undefined) {
    return problems.add('SECURE_API_OPTION_VALUE', path, `${show(value, schema)} is not a duration`,
      "Write a number of milliseconds, or text such as '30 seconds', '5 minutes', '24 hours'.")
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    problems.add('SECURE_API_OPTION_VALUE', path, `${show(value, schema)} is malformed`, schema.hint ?? `It must match ${schema.pattern}.`)
  }
}

function checkArray (schema: Schema, value: readonly unknown[], path: string, problems: Problems): void {
  if (value.length < (schema.minItems ?? 0)) {
    return problems.add('SECURE_API_OPTION_EMPTY', path, 'the list is empty', 'List at least one, or omit the option.')
  }
  // Not forEach: it would leave the holes of a sparse list unchecked.
  for (let index = 0; index < value.length; index++) checkMember(schema.items ?? {}, value[index], `${path}[${index}]`, problems)
}

function checkMember (schema: Schema, value: unknown, path: string, problems: Problems): void {
  if (value !== undefined) return check(schema, value, path, problems)
  problems.add('SECURE_API_OPTION_UNDEFINED', path, 'the value is undefined',
    'Omit the key if you do not want it; otherwise check that its environment variable is set.')
}

function checkObject (schema: Schema, value: Readonly<Record<string, unknown>>, path: string, problems: Problems): void {
  const known = schema.properties ?? {}
  const pattern = Object.values(schema.patternProperties ?? {})[0]
  for (const name of schema.required ?? []) {
    if (!(name in value)) problems.add('SECURE_API_OPTION_MISSING', join(path, name), 'this option is required', 'Add it.')
  }
  // Inherited ones too: a getter of a class counts as an option.
  for (const name of new Set([...Object.keys(value), ...Object.keys(known).filter(name => name in value)])) {
    const at = join(path, name)
    const memberSchema = Object.hasOwn(known, name) ? known[name] : pattern
    if (memberSchema === undefined) unknownOption(name, Object.keys(known), at, problems)
    else checkMember(memberSchema, value[name], at, problems)
  }
}

/** Reports an unknown option, with the likely spelling. */
export function unknownOption (name: string, known: readonly string[], path: string, problems: Problems): void {
  const meant = suggest(name, known)
  const likely = meant === undefined ? `Remove it; the options here are ${known.join(', ') || 'none'}.` : `Did you mean \`${meant}\`?`
  const fix = adviceFor(path) ?? likely
  problems.add('SECURE_API_OPTION_UNKNOWN', path, `unknown option \`${path}\``, fix)
}

/** Reports only the branch of the value's kind (list, object, string, …). */
function checkUnion (schema: Schema, value: unknown, path: string, problems: Problems): void {
  const branches = branchesOf(schema)
  if (branches.some(branch => branch.const !== undefined && branch.const === value)) return
  const meant = closest(branches.filter(branch => branch.const === undefined && kinds[typeName(branch)]?.is(value) === true), value)
  if (schema.refuseList === true && Array.isArray(value)) return bareList(value, path, problems)
  if (meant === undefined) return notOneOf(schema, branches, value, path, problems)
  check(isSecret(schema) ? { ...meant, secret: true } : meant, value, path, problems)
}

/** A bare list does not say whether all or any are needed. */
function bareList (value: readonly unknown[], path: string, problems: Problems): void {
  const list = JSON.stringify(value.filter(name => typeof name === 'string'))
  problems.add('SECURE_API_ROUTE_SCOPE_BARE_ARRAY', path, 'a bare array does not say whether all or any are needed',
    `Write { all: ${list} } or { any: ${list} }.`)
}

/** The branches of a union, nested unions included. */
export function branchesOf (schema: Schema): Schema[] {
  return schema.anyOf?.flatMap(branchesOf) ?? [schema]
}

/** Of several object branches, the one that shares most names with the value, misspelt ones included. */
function closest (branches: readonly Schema[], value: unknown): Schema | undefined {
  const [first, ...others] = branches
  if (first === undefined || !isRecord(value)) return first
  const names = Object.keys(value)
  const shared = (branch: Schema) => names.filter(name => suggest(name, Object.keys(branch.properties ?? {})) !== undefined).length
  return others.reduce((best, branch) => shared(branch) > shared(best) ? branch : best, first)
}

function notOneOf (schema: Schema, branches: readonly Schema[], value: unknown, path: string, problems: Problems): void {
  const known = branches.map(branch => branch.const).filter(known => typeof known === 'string')
  const meant = typeof value === 'string' ? suggest(value, known) : undefined
  const fix = meant === undefined ? schema.hint ?? `Give ${branches.map(describe).join(', or ')}.` : `Did you mean '${meant}'?`
  problems.add('SECURE_API_OPTION_VALUE', path, `${show(value, schema)} is not allowed here`, fix)
}

function describe (branch: Schema): string {
  if (branch.const !== undefined) return show(branch.const, branch)
  const type = typeName(branch)
  return type === 'integer' ? 'a whole number' : kinds[type]?.name ?? `a ${type}`
}

function wrongType (schema: Schema, wanted: string, value: unknown, path: string, problems: Problems): void {
  problems.add('SECURE_API_OPTION_TYPE', path, `${show(value, schema)} is not ${wanted}`, `Give ${wanted}.`)
}

const shownWhole = ['number', 'boolean', 'undefined', 'bigint']
/** RFC 3986 §3.2.1: user information, usually with a password. Greedy, since a password may contain an `@`. */
const userInformation = /\/\/.*@/gs

/** A value for a message. Text is cut and made printable; objects and functions are only named, so no secret inside is shown. */
function show (value: unknown, schema: Schema): string {
  if (value !== undefined && isSecret(schema)) return 'the value (not shown)'
  // Somebody gave the secret itself in the place of the options that hold it.
  if (typeof value === 'string' && holdsSecret(schema)) return 'a text (not shown)'
  if (typeof value === 'string') return `'${printable(value)}'`
  if (value === null || shownWhole.includes(typeof value)) return String(value)
  if (Array.isArray(value)) return 'a list'
  const kind = typeof value === 'object' ? tagOf(value) : typeof value
  return kind === 'Object' ? 'an object' : `a ${kind}`
}

function printable (text: string): string {
  const open = text.replace(userInformation, '//…@')
  const cut = open.length > 60 ? `${open.slice(0, 57)}…` : open
  return JSON.stringify(cut).slice(1, -1).replaceAll('\\"', '"')
}

function isSecret (schema: Schema): boolean {
  return schema.secret === true || branchesOf(schema).some(branch => branch.secret === true)
}

function holdsSecret (schema: Schema): boolean {
  const branches = branchesOf(schema).filter(branch => branch !== schema)
  return isSecret(schema) || [...Object.values(schema.properties ?? {}), ...branches].some(holdsSecret)
}

/** Plain objects and instances of an application's classes. Not a `Map` or a forgotten `Promise`, whose options would read as absent. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && ['Object', 'Module'].includes(tagOf(value))
}

function tagOf (value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

function join (path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
