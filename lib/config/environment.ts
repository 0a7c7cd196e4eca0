import { readFileSync } from 'node:fs'
import { Problems } from './problems.ts'
import { Type, type Static } from './schema.ts'
import { secretFileFault, trustFileFault } from './secret-file.ts'

export const EnvironmentSchema = Type.Union([Type.Literal('production'), Type.Literal('development')])
export type Environment = Static<typeof EnvironmentSchema>

/** Production unless NODE_ENV says development or test: a forgotten variable must not relax anything. */
export function environmentOf (option: Environment | undefined, env: NodeJS.ProcessEnv = process.env): Environment {
  if (option !== undefined) return option
  return env.NODE_ENV === 'development' || env.NODE_ENV === 'test' ? 'development' : 'production'
}

/** Read by `register(secureApi)` without options; each also as `…_FILE`, the path of a file with the value. */
export const environmentVariables = {
  issuer: 'SECURE_API_ISSUER',
  audience: 'SECURE_API_AUDIENCE',
  origins: 'SECURE_API_CORS_ORIGINS',
  redis: 'SECURE_API_REDIS_URL'
} as const

type Variables = { -readonly [Name in keyof typeof environmentVariables]?: string }

/** Issuer and audience are required, lists separated by commas. `warnings` receives what stops the boot in production only. */
export function readEnvironment (problems: Problems, env: NodeJS.ProcessEnv = process.env, warnings = new Problems()): Variables {
  const found: Variables = {}
  const modes = environmentOf(undefined, env) === 'production' ? problems : warnings
  for (const variable of Object.values(environmentVariables)) checkMode(variable, env, modes)
  for (const [name, variable] of Object.entries(environmentVariables) as [keyof Variables, string][]) {
    const value = readVariable(variable, env, problems)
    if (value !== undefined) found[name] = value
  }
  for (const variable of [environmentVariables.issuer, environmentVariables.audience]) {
    if (env[variable] !== undefined || env[`${variable}_FILE`] !== undefined) continue
    problems.add('SECURE_API_ENVIRONMENT_MISSING', variable, 'secure-api is registered without options and this variable is not set',
      `Set ${variable} or ${variable}_FILE, or pass options to register().`)
  }
  return found
}

function readVariable (variable: string, env: NodeJS.ProcessEnv, problems: Problems): string | undefined {
  const { [variable]: direct, [`${variable}_FILE`]: file } = env
  if (direct !== undefined && file !== undefined) {
    problems.add('SECURE_API_ENVIRONMENT_BOTH_SET', variable, `both ${variable} and ${variable}_FILE are set`, 'Keep one of them.')
    return undefined
  }
  if (file !== undefined) return readFile(`${variable}_FILE`, file, problems)
  if (direct !== undefined && direct.trim() === '') {
    problems.add('SECURE_API_OPTION_EMPTY', variable, 'the variable is set but empty', 'Give it a value, or unset it.')
    return undefined
  }
  return direct?.trim()
}

/** A user who can write the issuer, the audience or an origin decides who is let in. */
function checkMode (name: string, env: NodeJS.ProcessEnv, problems: Problems): void {
  const variable = `${name}_FILE`
  const path = env[variable]
  // A URL of Redis usually has a password.
  const isSecret = name === environmentVariables.redis
  const fault = path === undefined ? undefined : (isSecret ? secretFileFault : trustFileFault)(path)
  const code = isSecret ? 'SECURE_API_SECRET_FILE_MODE' : 'SECURE_API_TRUST_FILE_MODE'
  if (fault !== undefined) problems.add(code, variable, `its file: ${fault.why}`, fault.fix)
}

function readFile (variable: string, path: string, problems: Problems): string | undefined {
  let why = 'its file is empty'
  try {
    const value = readFileSync(path, 'utf8').trim()
    if (value !== '') return value
  } catch {
    why = 'its file cannot be read'
  }
  problems.add('SECURE_API_ENVIRONMENT_FILE', variable, why, 'Check the path and its permissions.')
  return undefined
}
