import { suggest, type Problems } from '../config/index.ts'
import { nameHint, namePattern, statesAll, type AuthorizationOptions, type Requirement, type RouteRule, type Rule } from './options.ts'
import { RuleBook, type Policies } from './rule.ts'

/** What a route's `config` says about its callers. */
export type RouteAccess = { readonly kind: 'public' | 'authenticated' | 'none' } | { readonly kind: 'rule', readonly rule: Rule }

/** Those that ask for more than a valid credential. */
export const ruleKeys = ['scope', 'role', 'policy', 'caller', 'credential'] as const
/** The route options that say who may call. */
export const accessKeys: readonly string[] = [...ruleKeys, 'authenticated', 'public', 'authentication']
/** Checks beyond the schema of the access keys. */
export function readRouteAccess (stated: RouteRule, book: RuleBook, label: string, problems: Problems): RouteAccess {
  const rule: Rule = Object.assign(Object.create(null), Object.fromEntries(ruleKeys.filter(key => stated[key] !== undefined)
    .map(key => [key, stated[key]])))
  const hasRule = Object.keys(rule).length > 0
  const isSound = problems.clean(found => {
    if (stated.public === true && (hasRule || stated.authenticated === true)) {
      found.add('SECURE_API_ROUTE_PUBLIC_WITH_RULE', `${label}: config`, 'the route is public but has a rule', 'Remove one of them.')
    }
    if (stated.authentication !== undefined && stated.public !== true) {
      found.add('SECURE_API_OPTION_CONFLICT', `${label}: config.authentication`, 'a token can only be optional on a public route',
        'Add `public: true`, or remove it: the route then requires a token.')
    }
    checkPolicyNames(stated.policy, book, `${label}: config.policy`, found)
  })
  if (!isSound) return { kind: 'none' }
  if (stated.public === true) return { kind: 'public' }
  if (hasRule) return { kind: 'rule', rule }
  return stated.authenticated === true ? { kind: 'authenticated' } : { kind: 'none' }
}

/** Reports unknown names, and rules that refer back to themselves. */
export function checkPolicies (policies: Policies, path: string, problems: Problems): void {
  const book = new RuleBook(policies)
  for (const [name, policy] of Object.entries(policies)) {
    const at = `${path}.${name}`
    // A policy whose name no requirement can state guards nothing.
    if (!namePattern.test(name)) problems.add('SECURE_API_OPTION_VALUE', at, 'no route can use this name', nameHint)
    if (typeof policy === 'function') continue
    if (Object.keys(policy).length === 0) {
      problems.add('SECURE_API_OPTION_EMPTY', at, 'the rule is empty and would let everyone in', 'State a scope, a role or a policy.')
    }
    checkPolicyNames(policy.policy, book, `${at}.policy`, problems)
    if (!leadsTo(name, policy, policies, new Set())) continue
    problems.add('SECURE_API_OPTION_CONFLICT', at, 'the policy refers to itself', 'Remove the cycle.')
  }
}

function checkPolicyNames (requirement: Requirement | undefined, book: RuleBook, path: string, problems: Problems): void {
  for (const name of namesOf(requirement)) {
    if (book.has(name)) continue
    const meant = suggest(name, book.names)
    problems.add('SECURE_API_ROUTE_POLICY_UNKNOWN', path, `the policy \`${name}\` is not configured`,
      meant === undefined ? `Add it to \`authorization.policies\` (${book.names.join(', ') || 'none'}).` : `Did you mean \`${meant}\`?`)
  }
}

function leadsTo (target: string, rule: Rule, policies: Policies, seen: Set<string>): boolean {
  return namesOf(rule.policy).some(name => {
    if (name === target) return true
    const next = Object.hasOwn(policies, name) ? policies[name] : undefined
    if (seen.has(name) || next === undefined || typeof next === 'function') return false
    return leadsTo(target, next, policies, seen.add(name))
  })
}

export function namesOf (requirement: Requirement | undefined): readonly string[] {
  if (requirement === undefined) return []
  if (typeof requirement === 'string') return [requirement]
  return statesAll(requirement) ? requirement.all : requirement.any
}

/** The credentials that a rule names; undefined: all. */
export function credentialsOf ({ credential }: Pick<Rule, 'credential'>): readonly string[] | undefined {
  return credential === undefined ? undefined : [credential].flat()
}

/** A credential that nobody can bring would close the route without a word. */
export function checkCredentials (rule: Pick<Rule, 'credential'>, known: readonly string[], path: string, problems: Problems): void {
  for (const name of credentialsOf(rule) ?? []) {
    if (known.includes(name)) continue
    const meant = suggest(name, known)
    problems.add('SECURE_API_ROUTE_CREDENTIAL_UNKNOWN', `${path}.credential`, `no caller can bring the credential \`${name}\``,
      meant === undefined ? `Configure it in \`auth\`, or name one of ${known.join(', ')}.` : `Did you mean \`${meant}\`?`)
  }
}

/** Checks the patterns. Their options are checked with the routes, as if stated in their `config`. */
export function checkPatterns (rules: NonNullable<AuthorizationOptions['routes']>, path: string, problems: Problems): void {
  for (const [pattern, rule] of Object.entries(rules)) {
    const at = `${path}['${pattern}']`
    if (!pattern.startsWith('/') && pattern !== '*') {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'a route path starts with a slash', `Write '/${pattern}'.`)
    }
    if (Object.keys(rule).length === 0) {
      problems.add('SECURE_API_OPTION_EMPTY', at, 'it has no options', 'State a rule, `public: true`, or another route option.')
    }
    if (pattern === '/*' && Object.hasOwn(rule, 'public')) {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'it would open every route without a rule', 'List the public paths.')
    }
  }
}
