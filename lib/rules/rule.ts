import type { Principal } from '../credentials/index.ts'
import { answers, bearerChallenge, refusal, type Refusal } from '../http/index.ts'
import { statesAll, type AuthorizationOptions, type PolicyFunction, type Requirement, type Rule } from './options.ts'
import { allTerms, type AskedPolicy, type PolicyTerm } from './terms.ts'

type ClaimsCheck = (principal: Principal) => boolean

/** A rule, resolved at boot as far as possible. */
export interface CompiledRule {
  /** What the claims alone must satisfy. */
  readonly permits: ClaimsCheck
  /** What only the request can answer; every one must hold. */
  readonly policies: readonly PolicyTerm[]
  /** The prepared 403: RFC 6750 §3.1 `insufficient_scope` with the scopes that suffice. */
  readonly refusal: Refusal
  /** The rule as stated, for explanations; undefined where there is none. */
  readonly required?: Rule
}

export type Policies = NonNullable<AuthorizationOptions['policies']>

/** The configured policies, by name. */
export class RuleBook {
  readonly #policies: ReadonlyMap<string, PolicyFunction | Rule>
  readonly #rules = new Map<string, CompiledRule>()

  constructor (policies: Policies = {}) {
    this.#policies = new Map(Object.entries(policies))
  }

  has (name: string): boolean {
    return this.#policies.has(name)
  }

  get names (): string[] {
    return [...this.#policies.keys()]
  }

  /** The claims check of a policy that is a plain rule without functions behind it. */
  claimsOnly (name: string): ClaimsCheck | undefined {
    const policy = this.#policies.get(name)
    if (policy === undefined || typeof policy === 'function') return undefined
    const { permits, policies } = this.#rule(name, policy)
    return policies.length === 0 ? permits : undefined
  }

  /** The policy as a function. An unknown name refuses. */
  get (name: string): AskedPolicy {
    const policy = this.#policies.get(name)
    if (policy === undefined) return () => false
    if (typeof policy === 'function') return context => policy(context)
    const { permits, policies } = this.#rule(name, policy)
    return (context, onError) => permits(context.principal) && allTerms(policies, context, onError)
  }

  #rule (name: string, rule: Rule): CompiledRule {
    const known = this.#rules.get(name)
    if (known !== undefined) return known
    const compiled = compileRule(rule, this)
    this.#rules.set(name, compiled)
    return compiled
  }
}

interface Wanted { readonly mode: 'all' | 'any', readonly names: readonly string[] }

export function compileRule (rule: Rule, book: RuleBook): CompiledRule {
  const scope = wanted(rule.scope)
  const role = wanted(rule.role)
  const named = namedPolicies(wanted(rule.policy), book)
  const scopes = scope === undefined ? [] : [holds(scope, principal => principal.scopes)]
  const roles = role === undefined ? [] : [holds(role, principal => principal.roles)]
  const checks = [...isOneOf(rule.caller, ({ kind }) => kind), ...isOneOf(rule.credential, ({ credential }) => credential), ...scopes,
    ...roles, ...named.checks]
  return Object.freeze({ permits: every(checks), policies: named.terms, refusal: forbidden(scope), required: plain(rule) })
}

/** The 403 of a route. The challenge names the scopes that suffice (RFC 6750 §3), if any. */
export function forbidden (scope?: Wanted): Refusal {
  const challenge = bearerChallenge('insufficient_scope', answers.SECURE_API_FORBIDDEN.detail, scope && sufficient(scope))
  return refusal('SECURE_API_FORBIDDEN', { headers: { 'www-authenticate': challenge } })
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

function isOneOf (stated: string | readonly string[] | undefined, of: (principal: Principal) => string | undefined): ClaimsCheck[] {
  if (stated === undefined) return []
  const accepted = new Set<string | undefined>([stated].flat())
  return [principal => accepted.has(of(principal))]
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
function namedPolicies (policy: Wanted | undefined, book: RuleBook): { checks: ClaimsCheck[], terms: PolicyTerm[] } {
  if (policy === undefined) return { checks: [], terms: [] }
  const { mode, names } = policy
  const melted = new Map(names.map(name => [name, book.claimsOnly(name)]))
  const checks = [...melted.values()].filter(check => check !== undefined)
  const asked = names.filter(name => melted.get(name) === undefined)
  if (mode === 'all') return { checks, terms: termsOf('all', asked, book) }
  if (asked.length > 0) return { checks: [], terms: termsOf('any', names, book) }
  return { checks: [principal => checks.some(permits => permits(principal))], terms: [] }
}

function termsOf (mode: Wanted['mode'], names: readonly string[], book: RuleBook): PolicyTerm[] {
  return names.length === 0 ? [] : [Object.freeze({ mode, functions: Object.freeze(names.map(name => book.get(name))) })]
}
