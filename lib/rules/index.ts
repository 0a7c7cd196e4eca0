export { denialOf, notedDenial, noteDenial, type Denial } from './denial.ts'
export {
  AuthorizationOptionsSchema, RequirementSchema, RouteRuleSchema, statesAll,
  type AuthorizationOptions, type CallerKind, type PolicyContext, type PolicyFunction, type Requirement, type RouteRule, type Rule
} from './options.ts'
export {
  accessKeys, checkCredentials, checkPatterns, checkPolicies, credentialsOf, namesOf, readRouteAccess, ruleKeys, type RouteAccess
} from './route.ts'
export { compileRule, forbidden, RuleBook, type CompiledRule } from './rule.ts'
export { allTerms } from './terms.ts'
