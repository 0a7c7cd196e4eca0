import type { Problems } from '../config/index.ts'
import type { RouteRule, Rule } from './options.ts'
import { checkPolicyNames, type RuleBook } from './policies.ts'

/** What a route's `config` says about its callers. */
export type RouteAccess =
  | { readonly kind: 'public' }
  | { readonly kind: 'authenticated' }
  | { readonly kind: 'rule', readonly rule: Rule }
  | { readonly kind: 'none' }

/** Those that ask for more than a valid credential. */
export const ruleKeys = ['scope', 'role', 'policy'] as const
/** The route options that say who may call. */
export const accessKeys: readonly string[] = [...ruleKeys, 'authenticated', 'public', 'authentication']
/** Checks beyond the schema of the access keys. */
export function readRouteAccess (stated: RouteRule, book: RuleBook, label: string, problems: Problems): RouteAccess {
  const rule: Rule = Object.create(null)
  for (const key of ruleKeys) if (stated[key] !== undefined) rule[key] = stated[key]
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
