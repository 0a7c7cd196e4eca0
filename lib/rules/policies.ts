import { isThenable, withDeadline } from '../async/index.ts'
import { suggest, type Problems } from '../config/index.ts'
import {
  nameHint, namePattern, statesAll,
  type AuthorizationOptions, type PolicyContext, type PolicyFunction, type Requirement, type Rule
} from './options.ts'
import { compileRule } from './rule.ts'
import type { AskedPolicy, ClaimsCheck, CompiledRule, NamedPolicies, OnError, PolicyTerm } from './types.ts'

/** How long a policy function may take, in milliseconds; after that it counts as a refusal. */
const policyTimeout = 5000

type Policies = NonNullable<AuthorizationOptions['policies']>

/** The configured policies, by name. */
export class RuleBook implements NamedPolicies {
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

  claimsOnly (name: string): ClaimsCheck | undefined {
    const policy = this.#policies.get(name)
    if (policy === undefined || typeof policy === 'function') return undefined
    const { permits, policies } = this.#rule(name, policy)
    return policies.length === 0 ? permits : undefined
  }

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

/** Whether all terms permit; synchronous if the functions are. An exception or time-out refuses. */
export function allTerms (terms: readonly PolicyTerm[], context: PolicyContext, onError: OnError = () => {}): boolean | Promise<boolean> {
  for (let index = 0; index < terms.length; index++) {
    const permitted = termPermits(terms[index], context, onError)
    if (permitted === false) return false
    if (permitted !== true) return permitted.then(yes => yes && allTerms(terms.slice(index + 1), context, onError))
  }
  return true
}

function termPermits (term: PolicyTerm | undefined, context: PolicyContext, onError: OnError): boolean | Promise<boolean> {
  if (term === undefined) return false
  return firstThatSays(term.mode === 'any', term.functions, context, onError)
}

/** `any` ends at the first yes, `all` at the first no. */
function firstThatSays (
  wanted: boolean, functions: readonly AskedPolicy[], context: PolicyContext, onError: OnError
): boolean | Promise<boolean> {
  for (const [index, policy] of functions.entries()) {
    const answer = ask(policy, context, onError)
    if (answer === wanted) return wanted
    if (typeof answer !== 'boolean') {
      return answer.then(said => said === wanted ? wanted : firstThatSays(wanted, functions.slice(index + 1), context, onError))
    }
  }
  return !wanted
}

function ask (policy: AskedPolicy, context: PolicyContext, onError: OnError): boolean | Promise<boolean> {
  try {
    const answer: unknown = policy(context, onError)
    return isThenable(answer) ? bounded(answer, onError) : answer === true
  } catch (error) {
    onError(error)
    return false
  }
}

async function bounded (answer: PromiseLike<unknown>, onError: OnError): Promise<boolean> {
  try {
    const late = () => new Error(`the policy did not answer within ${policyTimeout} ms`)
    return await withDeadline(answer, { ms: policyTimeout, late }) === true
  } catch (error) {
    onError(error)
    return false
  }
}

/** Reports unknown names, and rules that refer back to themselves. */
export function checkPolicies (policies: Policies, path: string, problems: Problems): void {
  const book = new RuleBook(policies)
  for (const [name, policy] of Object.entries(policies)) {
    const at = `${path}.${name}`
    checkName(name, at, problems)
    if (typeof policy === 'function') continue
    if (Object.keys(policy).length === 0) {
      problems.add('SECURE_API_OPTION_EMPTY', at, 'the rule is empty and would let everyone in', 'State a scope, a role or a policy.')
    }
    checkPolicyNames(policy.policy, book, `${at}.policy`, problems)
    if (leadsTo(name, policy, policies, new Set())) {
      problems.add('SECURE_API_OPTION_CONFLICT', at, 'the policy refers to itself', 'Remove the cycle.')
    }
  }
}

/** A policy whose name no requirement can state guards nothing. */
function checkName (name: string, path: string, problems: Problems): void {
  if (!namePattern.test(name)) problems.add('SECURE_API_OPTION_VALUE', path, 'no route can use this name', nameHint)
}

export function checkPolicyNames (requirement: Requirement | undefined, book: RuleBook, path: string, problems: Problems): void {
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
