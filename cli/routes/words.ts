import type { Requirement, Rule } from '../../lib/rules/index.ts'
import type { Access, Row, RowLimit } from './report.ts'

const units: ReadonlyArray<readonly [ms: number, name: string]> = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'],
  [1000, 'second'], [1, 'ms']]

/** `10 a minute`, `5 in 15 minutes`, `20 at once`. */
export function spoken ({ limit, windowMs, algorithm, dryRun }: RowLimit): string {
  const text = algorithm === 'concurrency' ? `${limit} at once` : `${limit} ${spokenWindow(windowMs)}`
  return dryRun ? `${text} (dry run)` : text
}

function spokenWindow (windowMs: number): string {
  const [ms, name] = units.find(([ms]) => windowMs % ms === 0) ?? [1, 'ms']
  const count = windowMs / ms
  if (count === 1) return name === 'hour' ? 'an hour' : `a ${name}`
  return name === 'ms' ? `in ${count} ms` : `in ${count} ${name}s`
}

const accessWords: Readonly<Record<Exclude<Access['kind'], 'rule'>, string>> = {
  public: 'public',
  authenticated: 'authenticated',
  'authenticated-by-default': 'authenticated (by default)',
  closed: 'closed: no rule',
  open: 'open: no authentication',
  outside: 'outside the suite',
  unknown: 'known at the first request'
}

export function accessText (access: Access): string {
  return access.kind === 'rule' ? ruleText(access.rule) : accessWords[access.kind]
}

/** `scope api.read`, `scope a or b + role admin`. */
function ruleText (rule: Rule): string {
  const parts = (['scope', 'role', 'policy'] as const).flatMap(key => {
    const requirement = rule[key]
    return requirement === undefined ? [] : [`${key} ${requirementText(requirement)}`]
  })
  const whose = (['caller', 'credential'] as const)
    .flatMap(key => rule[key] === undefined ? [] : [`${key} ${[rule[key]].flat().join(' or ')}`])
  return [...parts, ...whose].join(' + ')
}

function requirementText (requirement: Requirement): string {
  if (typeof requirement === 'string') return requirement
  return 'all' in requirement ? requirement.all.join(' and ') : requirement.any.join(' or ')
}

/** Every scope, role and policy of a rule. */
export function namesOf (rule: Rule): readonly string[] {
  return [rule.scope, rule.role, rule.policy].flatMap(requirement => {
    if (requirement === undefined || typeof requirement === 'string') return requirement ?? []
    return 'all' in requirement ? requirement.all : requirement.any
  })
}

/** What stands where nothing special does. */
export const usual = ''

export function limitText ({ rateLimit }: Row): string {
  if (rateLimit === undefined) return usual
  return rateLimit === false ? 'off' : rateLimit.map(spoken).join(', ') || 'none'
}

/**
 * Which budgets these are, and whose. A limit written at the route has a name that says nothing new, and strangers are
 * counted by address.
 */
export function limitNames ({ rateLimit, access: { kind } }: Row): string {
  const whose = (by: string) => by === 'principal' && (kind === 'public' || kind === 'open') ? 'address' : by
  return (rateLimit || []).map(({ policy, by }) => `${policy.includes('/') ? 'own' : policy}, by ${whose(by)}`).join('; ')
}

export function corsText ({ cors }: Row): string {
  if (cors === undefined) return usual
  if (cors === false) return 'off'
  return cors === 'default' ? 'default' : 'own'
}

export function headersText ({ headers }: Row): string {
  if (headers === undefined) return usual
  return headers === 'default' ? 'default' : 'own'
}

export function auditText ({ audit }: Row): string {
  if (audit === undefined) return usual
  if (typeof audit === 'string') return audit
  return audit ? 'on' : 'off'
}

/** What a route states of its own, one option a line: `credentials: true`, `contentSecurityPolicy.nonces: true`. */
export function statements (stated: unknown, path = ''): readonly string[] {
  if (typeof stated !== 'object' || stated === null) return []
  return Object.entries(stated).flatMap(([name, value]: [string, unknown]) => {
    const at = path === '' ? name : `${path}.${name}`
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return statements(value, at)
    return [`${at}: ${Array.isArray(value) ? value.join(', ') : String(value)}`]
  })
}

/** `1 route`, `2 routes`. */
export function counted (count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
