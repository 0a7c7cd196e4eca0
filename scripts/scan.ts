import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { advisories, licenceProblems, lockfileProblems, type Lockfile } from './scan/packages.ts'
import { secretsIn, withoutAllowed } from './scan/secrets.ts'

const allowFile = '.secret-scan-allow'
const lockfiles = ['package-lock.json', 'bench/package-lock.json']

export interface Finding {
  readonly step: string
  readonly problems: readonly string[]
  /** What could not be looked at, and why. */
  readonly unchecked?: string
}

export async function secretFinding (root: string): Promise<Finding> {
  const allowed = existsSync(join(root, allowFile)) ? readFileSync(join(root, allowFile), 'utf8') : ''
  const { secrets, mistakes } = withoutAllowed(await secretsIn(root), allowed)
  const problems = secrets.map(({ file, line, rule, masked }) => `${file}:${line}: ${rule}: ${masked}`)
  return { step: 'secrets', problems: [...problems, ...mistakes.map(mistake => `${allowFile}: ${mistake}`)] }
}

function packageFindings (root: string): Finding[] {
  const read = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8')) as Lockfile
  const answer = advisories(root)
  return [
    ...lockfiles.map(file => ({ step: `sources of ${file}`, problems: lockfileProblems(read(file)) })),
    { step: 'licences', problems: licenceProblems(read('package-lock.json')) },
    { step: 'advisories', ...(typeof answer === 'string' ? { problems: [], unchecked: answer } : { problems: answer }) }
  ]
}

export function reportOf (findings: readonly Finding[]): string {
  return findings.map(({ step, problems, unchecked }) => {
    const state = unchecked === undefined ? problems.length === 0 ? 'ok' : `${problems.length} found` : `NOT CHECKED: ${unchecked}`
    return [`${step}: ${state}`, ...problems.map(problem => `  ${problem}`)].join('\n')
  }).join('\n')
}

/** `--complete`, as CI runs it: what could not be checked fails as well. */
async function main (root: string, complete: boolean): Promise<void> {
  const findings = [await secretFinding(root), ...packageFindings(root)]
  console.log(reportOf(findings))
  const failed = findings.some(({ problems, unchecked }) => problems.length > 0 || (complete && unchecked !== undefined))
  if (failed) process.exitCode = 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(fileURLToPath(new URL('..', import.meta.url)), process.argv.includes('--complete'))
}
