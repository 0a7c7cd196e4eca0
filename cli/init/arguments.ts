import { parseArgs } from 'node:util'
import { suggest } from '../../lib/config/index.ts'
import { UsageError } from '../command.ts'
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

/** Reads the arguments of `secure-api init`; throws a UsageError that says what to write instead. */
export function readArguments (args: readonly string[]): Settings {
  for (const [, name = ''] of args.map(arg => /^--([^=]+)/.exec(arg) ?? [])) {
    if (name === '' || name in known) continue
    const meant = suggest(name, Object.keys(known))
    throw new UsageError(`there is no option --${name}${meant === undefined ? '' : `; did you mean --${meant}?`}`)
  }
  const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true })
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
