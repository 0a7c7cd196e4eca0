import { parseDuration } from '../../lib/config/index.ts'
import { parseArguments } from '../arguments.ts'
import { UsageError } from '../command.ts'

export const outputs = ['token', 'json', 'header'] as const
export type Output = typeof outputs[number]

/** What a token is asked to say. */
export interface TokenRequest {
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  /** Undefined where nothing was said. */
  readonly audience: readonly string[] | undefined
  readonly subject: string | undefined
  readonly kind: 'user' | 'service'
  /** Seconds. */
  readonly lifetime: number
  readonly claims: Readonly<Record<string, unknown>>
  readonly output: Output
  readonly directory: string | undefined
}

const list = { type: 'string', multiple: true } as const
const text = { type: 'string' } as const

export const kinds = ['user', 'service'] as const

export const options = {
  scope: { ...list, short: 's' },
  role: { ...list, short: 'r' },
  audience: { ...list, short: 'a' },
  claim: { ...list, short: 'c' },
  subject: text,
  kind: text,
  lifetime: { ...text, short: 'l' },
  output: { ...text, short: 'o' },
  directory: text
} as const

export function readRequest (args: readonly string[]): TokenRequest {
  const { values, positionals } = parseArguments(args, options)
  return {
    scopes: unique([...positionals, ...values.scope ?? []].flatMap(words)).map(scopeToken),
    roles: unique(values.role ?? []).map(notEmpty('--role')),
    audience: values.audience?.map(notEmpty('--audience')),
    subject: values.subject === undefined ? undefined : notEmpty('--subject')(values.subject),
    kind: oneOf('--kind', kinds, values.kind ?? 'user'),
    lifetime: seconds(values.lifetime ?? '1 hour'),
    claims: Object.fromEntries((values.claim ?? []).map(readClaim)),
    output: oneOf('--output', outputs, values.output ?? 'token'),
    directory: values.directory
  }
}

export function unique (values: readonly string[]): string[] {
  return [...new Set(values)]
}

/** `--scope 'a b'` is what an OAuth request would hold. */
export function words (value: string): string[] {
  return value.split(/[\s,]+/).filter(word => word !== '')
}

/** RFC 6749 §3.3: anything else could not be told from the separator, or not be sent. */
export function scopeToken (value: string): string {
  if (/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)) return value
  throw new UsageError(`${JSON.stringify(value)} is not a scope: no quotes, backslashes or non-ASCII characters (RFC 6749 §3.3)`)
}

export function notEmpty (option: string): (value: string) => string {
  return value => {
    if (value.trim() === '') throw new UsageError(`${option} is empty`)
    return value
  }
}

function oneOf <const Values extends readonly string[]> (option: string, values: Values, given: string): Values[number] {
  const found = values.find(value => value === given)
  if (found === undefined) throw new UsageError(`${option} is ${values.join(' or ')}, not ${JSON.stringify(given)}`)
  return found
}

const DAY = 86_400
const LONGEST = 366 * DAY

function seconds (lifetime: string): number {
  const ms = parseDuration(lifetime)
  if (ms === undefined) {
    throw new UsageError(`--lifetime ${JSON.stringify(lifetime)} is not a duration; write '1 hour', '30 minutes' or '90s'`)
  }
  if (ms < 1000 || ms > LONGEST * 1000) throw new UsageError('--lifetime is from 1 second to 366 days')
  return Math.floor(ms / 1000)
}

/** Claims that have an option of their own, or that nobody may choose. */
const reserved: Readonly<Record<string, string>> = {
  iss: 'the issuer is fixed: nobody else may accept these tokens',
  aud: 'use --audience',
  sub: 'use --subject',
  exp: 'use --lifetime',
  iat: 'it is the time of making',
  jti: 'it is made at random',
  scope: 'use --scope',
  roles: 'use --role'
}

/** `name=text`, or `name:=json` for numbers, lists, objects. */
function readClaim (given: string): [name: string, value: unknown] {
  const [, name = '', json, value = ''] = /^([^=]+?)(:)?=(.*)$/s.exec(given) ?? []
  if (name === '') throw new UsageError(`--claim ${JSON.stringify(given)}: write name=text, or name:=json`)
  const why = Object.hasOwn(reserved, name) ? reserved[name] : undefined
  if (why !== undefined) throw new UsageError(`--claim ${name}: ${why}`)
  return [name, json === undefined ? value : parseJson(name, value)]
}

function parseJson (name: string, value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    throw new UsageError(`--claim ${name}:= needs JSON, such as ${name}:=3 or ${name}:='["a"]'`)
  }
}
