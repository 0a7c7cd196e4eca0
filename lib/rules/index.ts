export { denialOf, notedDenial, noteDenial, type Denial } from './denial.ts'
export {
  AuthorizationOptionsSchema, RequirementSchema, RouteRuleSchema, statesAll,
  type AuthorizationOptions, type PolicyContext, type PolicyFunction, type Requirement, type RouteRule, type Rule
} from './options.ts'
export { allTerms, checkPolicies, namesOf, RuleBook } from './policies.ts'
export { checkPatterns } from './patterns.ts'
export { accessKeys, readRouteAccess, ruleKeys, type RouteAccess } from './route.ts'
export { compileRule, forbidden } from './rule.ts'
export type { CompiledRule } from './types.ts'
