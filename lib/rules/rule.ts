import type { Principal } from '../credentials/index.ts'
import { answers, bearerChallenge, refusal, type Refusal } from '../http/index.ts'
import { statesAll, type Requirement, type Rule } from './options.ts'
import type { ClaimsCheck, CompiledRule, NamedPolicies, PolicyTerm } from './types.ts'

interface Wanted { readonly mode: 'all' | 'any', readonly names: readonly string[] }

export function compileRule (rule: Rule, book: NamedPolicies): CompiledRule {
  const scope = wanted(rule.scope)
  const role = wanted(rule.role)
  const named = namedPolicies(wanted(rule.policy), book)
  const checks = [
    ...(scope === undefined ? [] : [holds(scope, principal => principal.scopes)]),
    ...(role === undefined ? [] : [holds(role, principal => principal.roles)]),
    ...named.checks
  ]
  return Object.freeze({ permits: every(checks), policies: named.terms, refusal: forbidden(scope), required: plain(rule) })
}

/** The 403 of a route. The challenge names the scopes that suffice (RFC 6750 §3), if any. */
export function forbidden (scope?: Wanted): Refusal {
  return refusal('SECURE_API_FORBIDDEN', {
    headers: { 'www-authenticate': bearerChallenge('insufficient_scope', answers.SECURE_API_FORBIDDEN.detail, scope && sufficient(scope)) }
  })
}

/** A list of scopes in a challenge means all. Where any is enough, the challenge names the first. */
function sufficient ({ mode, names }: Wanted): string | undefined {
  return mode === 'all' ? names.join(' ') : names[0]
}

/** For sinks and answers: parsed `config` has no prototype, so `String()` of it throws. */
function plain (rule: Rule): Rule {
  return JSON.parse(JSON.stringify(rule)) as Rule
}

function wanted (requirement: Requirement | undefined): Wanted | undefined {
  if (requirement === undefined) return undefined
  if (typeof requirement === 'string') return { mode: 'all', names: [requirement] }
  return statesAll(requirement) ? { mode: 'all', names: [...requirement.all] } : { mode: 'any', names: [...requirement.any] }
}

function holds ({ mode, names }: Wanted, granted: (principal: Principal) => ReadonlySet<string>): ClaimsCheck {
  const [only] = names
  if (names.length === 1 && only !== undefined) return principal => granted(principal).has(only)
  return mode === 'all'
    ? principal => names.every(name => granted(principal).has(name))
    : principal => names.some(name => granted(principal).has(name))
}

function every (checks: readonly ClaimsCheck[]): ClaimsCheck {
  const [only] = checks
  if (checks.length === 1 && only !== undefined) return only
  return principal => checks.every(check => check(principal))
}

/**
 * Named policies that are plain rules become claims checks; functions stay for `preHandler`. Where any policy is enough and one is
 * a function, the claims alone cannot refuse, so all stay functions.
 */
function namedPolicies (policy: Wanted | undefined, book: NamedPolicies): { checks: ClaimsCheck[], terms: PolicyTerm[] } {
  if (policy === undefined) return { checks: [], terms: [] }
  const { mode, names } = policy
  const melted = new Map(names.map(name => [name, book.claimsOnly(name)]))
  const checks = [...melted.values()].filter(check => check !== undefined)
  const asked = names.filter(name => melted.get(name) === undefined)
  if (mode === 'all') return { checks, terms: termsOf('all', asked, book) }
  if (asked.length > 0) return { checks: [], terms: termsOf('any', names, book) }
  return { checks: [principal => checks.some(permits => permits(principal))], terms: [] }
}

function termsOf (mode: Wanted['mode'], names: readonly string[], book: NamedPolicies): PolicyTerm[] {
  return names.length === 0 ? [] : [Object.freeze({ mode, functions: Object.freeze(names.map(name => book.get(name))) })]
}
