import { spawnSync } from 'node:child_process'

interface Entry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly license?: string
  readonly link?: boolean
  readonly inBundle?: boolean
  readonly dev?: boolean
  readonly devOptional?: boolean
}
export interface Lockfile {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, Entry>>
}

const registry = 'https://registry.npmjs.org/'

/** Licences under which the package may be installed together with its dependencies, without more than naming them. */
const licences = new Set(['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'])

/** What an installation could not verify, or would take from elsewhere than the public registry. */
export function lockfileProblems ({ lockfileVersion, packages }: Lockfile): string[] {
  if (lockfileVersion < 3) return ['written by an npm that is too old: its entries are not complete']
  return installed(packages).flatMap(([path, { resolved, integrity }]) => [
    integrity?.startsWith('sha512-') !== true && `${path}: no SHA-512`,
    resolved !== undefined && !resolved.startsWith(registry) && `${path}: comes from ${new URL(resolved, registry).host}`
  ].filter(problem => problem !== false))
}

/** Packages that users get with this one, under a licence that nobody has looked at. */
export function licenceProblems ({ packages }: Lockfile): string[] {
  return installed(packages).filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true)
    .filter(([, { license = '' }]) => !isAllowed(license)).map(([path, { license = 'none' }]) => `${path}: ${license}`)
}

/** The parts of the lockfile that come out of a registry. */
function installed (packages: Lockfile['packages']): Array<[string, Entry]> {
  return Object.entries(packages).filter(([path, { link, inBundle }]) => path !== '' && link !== true && inBundle !== true)
}

/** SPDX: of several with `OR` one has to do; `AND` and `WITH` need somebody who reads them. */
function isAllowed (expression: string): boolean {
  return expression.replace(/^\((.*)\)$/, '$1').split(' OR ').some(licence => licences.has(licence))
}

/** Known weaknesses of grade high or critical; a text where the registry does not say. */
export function advisories (root: string): string[] | string {
  const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--audit-level=high', '--json'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, timeout: 60_000 })
  return error === undefined ? advisoriesOf(stdout) : error.message
}

export function advisoriesOf (output: string): string[] | string {
  let report: { vulnerabilities?: Record<string, { severity: string, range: string }>, message?: string }
  try {
    report = JSON.parse(output) as typeof report
  } catch {
    return 'npm audit printed no report'
  }
  if (report.vulnerabilities === undefined) return report.message ?? 'the report has no list'
  return Object.entries(report.vulnerabilities).filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity, range }]) => `${name} ${range}: ${severity}`)
}
