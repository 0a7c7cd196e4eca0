import { parseArguments } from '../arguments.ts'
import { UsageError, type Grammar } from '../command.ts'
import { timeout } from '../routes/arguments.ts'

export interface Settings {
  readonly file: string
  readonly write: boolean
  readonly json: boolean
  readonly envFile: string | undefined
  readonly options: boolean
  readonly timeoutMs: number
}

const known = {
  write: { type: 'boolean' },
  json: { type: 'boolean' },
  env: { type: 'string' },
  'no-options': { type: 'boolean' },
  timeout: { type: 'string' }
} as const

export const grammar: Grammar = { options: known, paths: ['env'], takes: 'file' }

/** Reads the arguments of `secure-api init`; throws a UsageError that says what to write instead. */
export function readArguments (args: readonly string[]): Settings {
  const { values, positionals } = parseArguments(args, known)
  const [file, ...more] = positionals
  if (file === undefined) throw new UsageError('name the file of the application, such as `src/app.ts`')
  if (more.length > 0) throw new UsageError(`one application at a time; there is ${JSON.stringify(more[0])} after ${JSON.stringify(file)}`)
  if (values.env === '') throw new UsageError('--env is empty')
  return {
    file,
    write: values.write === true,
    json: values.json === true,
    envFile: values.env,
    options: values['no-options'] !== true,
    timeoutMs: timeout(values.timeout)
  }
}
