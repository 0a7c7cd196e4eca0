export { AuthorizationOptionsSchema, RequirementSchema, type AuthorizationOptions, type PolicyContext, type PolicyFunction, type Requirement, type RouteRule, type Rule } from './options.ts'
export { allTerms, checkPolicies, checkPolicyNames, PolicyBook } from './policies.ts'
export { readRouteAccess, type RouteAccess } from './route.ts'
export { compileRule, forbidden, type CompiledRule } from './rule.ts'
