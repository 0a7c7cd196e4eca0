import type { AuditEvent } from '../audit/index.ts'
import { needsOf, type Needs, type PolicyRules } from './needs.ts'

/** A route that is known before anybody calls it. */
export interface KnownRoute {
  readonly methods: readonly string[]
  readonly url: string
  readonly rule?: AuditEvent['rule']
  /** Policies of the application that are rules. */
  readonly policies?: PolicyRules | undefined
  /** Whether allowed calls are in the trail too: not with `audit: false`. */
  readonly complete: boolean
}

/** How the calls of one route ended. */
export class RouteCount {
  readonly index: number
  readonly known: boolean
  readonly complete: boolean
  readonly methods: readonly string[]
  readonly url: string
  readonly #policies: PolicyRules | undefined
  #rule: AuditEvent['rule']
  #needs: Needs
  calls = 0
  forbidden = 0
  readonly outcomes = { allowed: 0, denied: 0, failed: 0, aborted: 0 }

  constructor (index: number, { methods, url, rule, policies, complete }: KnownRoute, known: boolean) {
    this.index = index
    this.known = known
    this.complete = complete
    this.methods = methods
    this.url = url
    this.#policies = policies
    this.#rule = rule
    this.#needs = needsOf(rule, policies)
  }

  get rule (): AuditEvent['rule'] {
    return this.#rule
  }

  get needs (): Needs {
    return this.#needs
  }

  /** What it asked of this call. A trail may be older than the last change of the rule. */
  needsBy (rule: AuditEvent['rule']): Needs {
    if (rule !== this.#rule) [this.#rule, this.#needs] = [rule, needsOf(rule, this.#policies)]
    return this.#needs
  }

  see (weight: number, outcome: AuditEvent['outcome'], status: number): void {
    this.calls += weight
    this.outcomes[outcome] += weight
    if (status === 403) this.forbidden += weight
  }
}
