export { needsOf, type Needs, type PolicyRules } from './needs.ts'
export { type KnownRoute } from './route.ts'
export type { ClientScope, ClientUsage, RefusedCaller, RouteUsage, ScopeUsage, UsageSummary } from './summary.ts'
export { Usage, type Call } from './usage.ts'
