import type { Principal } from '../credentials/index.ts'
import type { Refusal } from '../http/index.ts'
import type { PolicyContext, Rule } from './options.ts'

export type ClaimsCheck = (principal: Principal) => boolean

/** Where the exceptions and time-outs of policy functions are told. */
export type OnError = (error: unknown) => void

/** A policy as it is asked: one that is a rule passes on where the failures of the functions behind it are told. */
export type AskedPolicy = (context: PolicyContext, onError: OnError) => boolean | PromiseLike<boolean>

/** Functions of which all, or any, must permit. */
export interface PolicyTerm {
  readonly mode: 'all' | 'any'
  readonly functions: readonly AskedPolicy[]
}

/** A rule, decided as far as it can be at boot. */
export interface CompiledRule {
  /** What the claims alone must satisfy. */
  readonly permits: ClaimsCheck
  /** What only the request can answer; every one must hold. */
  readonly policies: readonly PolicyTerm[]
  /** The ready 403: RFC 6750 §3.1 `insufficient_scope`, with the scopes that would do. */
  readonly refusal: Refusal
  /** The rule as it was stated, for whoever asks why; undefined where there is none. */
  readonly required?: Rule
}

/** The policies that a rule may name. */
export interface NamedPolicies {
  /** The claims check of a policy that is a plain rule without functions behind it. */
  claimsOnly (name: string): ClaimsCheck | undefined
  /** The policy as a function, whichever way it was written. A name that is not configured refuses. */
  get (name: string): AskedPolicy
}
