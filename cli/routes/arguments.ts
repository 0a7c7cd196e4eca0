import { parseArguments } from '../arguments.ts'
import { UsageError, type Grammar } from '../command.ts'
import type { Question } from './ask.ts'
import { severities, type Severity } from './codes.ts'

export type Format = 'text' | 'json' | 'markdown' | 'html'

export interface Settings extends Question {
  readonly format: Format
  readonly output: string | undefined
  /** The lightest severity that fails; undefined without --check. */
  readonly failOn: Severity | undefined
  readonly baseline: string | undefined
  readonly updateBaseline: boolean
}

/** Options of every command that starts an application. */
export const starting = {
  // Not `env-file`: Node 20 takes that for its own option, even behind the name of the program.
  env: { type: 'string' },
  'no-options': { type: 'boolean' },
  timeout: { type: 'string' }
} as const

const known = {
  json: { type: 'boolean' },
  markdown: { type: 'boolean' },
  html: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  check: { type: 'boolean' },
  'fail-on': { type: 'string' },
  baseline: { type: 'string' },
  'update-baseline': { type: 'boolean' },
  ...starting
} as const

export const grammar: Grammar = { options: known, values: { 'fail-on': severities }, paths: ['output', 'baseline', 'env'], takes: 'file' }

/** Reads the arguments of `secure-api routes`; throws a UsageError that says what to write instead. */
export function readArguments (args: readonly string[]): Settings {
  const { values, positionals } = parseArguments(args, known)
  if (values['update-baseline'] === true &&
    values.baseline === undefined) throw new UsageError('--update-baseline needs --baseline FILE, which says what to write')
  return {
    ...application(values, positionals),
    format: formatOf(values),
    output: stated('output', values.output),
    failOn: failOn(values.check === true, values['fail-on']),
    baseline: stated('baseline', values.baseline),
    updateBaseline: values['update-baseline'] === true
  }
}

/** Which application is started, and how. */
export function application (values: Started, positionals: readonly string[]): Question {
  const [file, ...more] = positionals
  if (file === undefined) throw new UsageError('name the file of the application, such as `src/app.ts`')
  if (more.length > 0) throw new UsageError(`one application at a time; there is ${JSON.stringify(more[0])} after ${JSON.stringify(file)}`)
  return { file, envFile: stated('env', values.env), options: values['no-options'] !== true, timeoutMs: timeout(values.timeout) }
}

interface Started { readonly env?: string | undefined, readonly 'no-options'?: boolean | undefined, readonly timeout?: string | undefined }

function formatOf (values: { readonly [format in Format]?: boolean }): Format {
  const [format = 'text', other] = (['json', 'markdown', 'html'] as const).filter(name => values[name] === true)
  if (other !== undefined) throw new UsageError(`--${format} and --${other} cannot both be written; choose one`)
  return format
}

/** An empty text is a variable of the shell that is not set. */
function stated (name: string, value: string | undefined): string | undefined {
  if (value === '') throw new UsageError(`--${name} is empty`)
  return value
}

function failOn (check: boolean, value: string | undefined): Severity | undefined {
  if (value === undefined) return check ? 'error' : undefined
  const severity = severities.find(name => name === value)
  if (severity === undefined) throw new UsageError(`--fail-on takes ${severities.join(', ')}; not ${JSON.stringify(value)}`)
  if (!check) throw new UsageError('--fail-on has a meaning with --check only')
  return severity
}

const defaultTimeout = '60'

function timeout (value = defaultTimeout): number {
  const seconds = Number(value)
  if (!Number.isInteger(seconds) || seconds < 1 ||
    seconds > 3600) throw new UsageError(`--timeout takes whole seconds from 1 to 3600; not ${JSON.stringify(value)}`)
  return seconds * 1000
}
