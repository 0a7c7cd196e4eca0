import { environmentOf, environmentVariables, Problems, readEnvironment } from '../../lib/config/index.ts'
import { validateCors } from '../../lib/cors/index.ts'
import type { Terminal } from '../command.ts'
import { Findings, type Examination } from './finding.ts'
import { examineIssuer } from './issuer.ts'
import { examineRedis } from './redis.ts'

/** All that `register(secureApi)` without options would read, and what it leads to. */
export async function examineEnvironment ({ env }: Pick<Terminal, 'env'>): Promise<Examination[]> {
  const findings = new Findings()
  checkNodeEnv(env, findings)
  const { issuer, audience, origins, redis } = readVariables(env, findings)
  if (origins !== undefined) checkOrigins(listed(origins), env, findings)
  const examinations: Examination[] = [{ title: 'environment', findings: findings.list }]
  if (issuer !== undefined) {
    examinations.push(await examineIssuer({
      issuer,
      ...(audience === undefined ? undefined : { audience: listed(audience) })
    }))
  }
  if (redis !== undefined) examinations.push(await examineRedis(redis))
  return examinations
}

function checkNodeEnv (env: Terminal['env'], findings: Findings): void {
  const { NODE_ENV: name } = env
  if (name === undefined) findings.note('ENVIRONMENT_NODE_ENV', 'NODE_ENV is not set, which means production')
  else if (['production', 'development', 'test'].includes(name)) {
    findings.ok('ENVIRONMENT_NODE_ENV',
    `${name}, read as ${environmentOf(undefined, env)}`)
  } else {
    findings.warning('ENVIRONMENT_NODE_ENV', `${name} is unknown and treated as production`,
      'Set production, development or test.')
  }
}

function readVariables (env: Terminal['env'], findings: Findings): ReturnType<typeof readEnvironment> {
  const [problems, warnings] = [new Problems(), new Problems()]
  const found = readEnvironment(problems, env, warnings)
  for (const { code, path, why, fix } of problems.list()) findings.error('ENVIRONMENT_VARIABLES', `${path}: ${why}`, fix, code)
  for (const { code, path, why, fix } of warnings.list()) findings.warning('ENVIRONMENT_VARIABLES', `${path}: ${why}`, fix, code)
  const names = Object.entries(environmentVariables).flatMap(([name, variable]) => name in found ? [variable] : [])
  if (names.length > 0) findings.ok('ENVIRONMENT_VARIABLES', `read: ${names.join(', ')}`)
  return found
}

function checkOrigins (origins: string[], env: Terminal['env'], findings: Findings): void {
  const problems = new Problems()
  validateCors({ origins }, 'cors', problems, { environment: environmentOf(undefined, env) })
  for (const { code, path, why, fix } of problems.list()) findings.error('ENVIRONMENT_ORIGINS', `${path}: ${why}`, fix, code)
  if (!problems.any) findings.ok('ENVIRONMENT_ORIGINS', origins.join(', '))
}

function listed (text: string): string[] {
  return text.split(',').map(part => part.trim())
}
