import { check, type Problems } from '../config/index.ts'
import { RouteRuleSchema, type RouteRule, type Rule } from './options.ts'
import { checkPolicyNames, type PolicyBook } from './policies.ts'

/** What a route's `config` says about its callers. */
export type RouteAccess =
  | { readonly kind: 'public' }
  | { readonly kind: 'authenticated' }
  | { readonly kind: 'rule', readonly rule: Rule }
  | { readonly kind: 'none' }

const ruleKeys = ['scope', 'role', 'policy'] as const
/** The route options that say who may call. */
export const accessKeys: readonly string[] = [...ruleKeys, 'authenticated', 'public', 'authentication']
/** All that this control reads from a route's `config`. */
export const routeRuleKeys: readonly string[] = Object.keys(RouteRuleSchema.properties)

/** Reads and checks the access keys of a route's `config`. Other keys belong to other plugins and are left alone. */
export function readRouteAccess (config: Readonly<Record<string, unknown>>, book: PolicyBook, label: string, problems: Problems): RouteAccess {
  const before = problems.list().length
  const own = ownKeys(config)
  checkBareArrays(own, label, problems)
  check(RouteRuleSchema, own, `${label}: config`, problems)
  if (problems.list().length > before) return { kind: 'none' }
  return interpret(own as RouteRule, book, label, problems)
}

function interpret (own: RouteRule, book: PolicyBook, label: string, problems: Problems): RouteAccess {
  const before = problems.list().length
  const rule: Rule = Object.create(null)
  for (const key of ruleKeys) if (own[key] !== undefined) rule[key] = own[key]
  const hasRule = Object.keys(rule).length > 0
  if (own.public === true && (hasRule || own.authenticated === true)) {
    problems.add('SECURE_API_ROUTE_PUBLIC_WITH_RULE', `${label}: config`, 'the route is public and has a rule', 'Remove `public`, or the rule.')
  }
  if (own.authentication !== undefined && own.public !== true) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${label}: config.authentication`, 'a token is optional on public routes only', 'Add `public: true`, or remove it: the route then needs a token.')
  }
  checkPolicyNames(own.policy, book, `${label}: config.policy`, problems)
  if (problems.list().length > before) return { kind: 'none' }
  if (own.public === true) return { kind: 'public' }
  if (hasRule) return { kind: 'rule', rule }
  return own.authenticated === true ? { kind: 'authenticated' } : { kind: 'none' }
}

/** On an object that inherits nothing: with a polluted `Object.prototype.public` no route becomes public. */
function ownKeys (config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const own: Record<string, unknown> = Object.create(null)
  for (const key of routeRuleKeys) if (Object.hasOwn(config, key)) own[key] = config[key]
  return own
}

/** A bare array does not say whether all or any are meant, and readers guess differently. */
function checkBareArrays (own: Record<string, unknown>, label: string, problems: Problems): void {
  for (const key of ruleKeys) {
    const value = own[key]
    if (!Array.isArray(value)) continue
    const list = JSON.stringify(value.filter(name => typeof name === 'string'))
    problems.add('SECURE_API_ROUTE_SCOPE_BARE_ARRAY', `${label}: config.${key}`, 'a bare array does not say whether all or any are needed',
      `Write { all: ${list} } or { any: ${list} }.`)
    delete own[key]
  }
}
