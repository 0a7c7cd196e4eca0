import type { AuditEvent } from '../audit/index.ts'
import { namesOf, type Rule } from '../rules/index.ts'

/** Policies that are rules, by name. */
export type PolicyRules = Readonly<Record<string, Rule>>

/** What a route asks of its callers' scopes. */
export interface Needs {
  readonly scopes: ReadonlySet<string>
  /** Policies that are functions, or not known here: they may look at any scope. */
  readonly policies: readonly string[]
}

const nothing: Needs = Object.freeze({ scopes: new Set<string>(), policies: [] })

/** Scopes that the rule names, also by policies that are rules. */
export function needsOf (rule: AuditEvent['rule'], policies: PolicyRules = {}): Needs {
  if (rule === undefined || typeof rule === 'string') return nothing
  const [scopes, unread, pending] = [new Set<string>(), new Set<string>(), [rule]]
  const followed = new Set<string>()
  // It grows while it is gone through.
  for (const { scope, policy } of pending) {
    for (const name of namesOf(scope)) scopes.add(name)
    for (const name of namesOf(policy)) {
      const own = Object.hasOwn(policies, name) ? policies[name] : undefined
      if (own === undefined) unread.add(name)
      else if (!followed.has(name)) pending.push(own)
      followed.add(name)
    }
  }
  return { scopes, policies: [...unread] }
}
