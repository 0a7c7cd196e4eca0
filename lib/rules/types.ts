import type { Principal } from '../credentials/index.ts'
import type { Refusal } from '../http/index.ts'
import type { PolicyContext, Rule } from './options.ts'

export type ClaimsCheck = (principal: Principal) => boolean

/** Receives the exceptions and time-outs of policy functions. */
export type OnError = (error: unknown) => void

/** A policy as a function. One that is a rule passes `onError` on to the functions behind it. */
export type AskedPolicy = (context: PolicyContext, onError: OnError) => boolean | PromiseLike<boolean>

/** Functions of which all, or any, must permit. */
export interface PolicyTerm {
  readonly mode: 'all' | 'any'
  readonly functions: readonly AskedPolicy[]
}

/** A rule, resolved at boot as far as possible. */
export interface CompiledRule {
  /** What the claims alone must satisfy. */
  readonly permits: ClaimsCheck
  /** What only the request can answer; every one must hold. */
  readonly policies: readonly PolicyTerm[]
  /** The prepared 403: RFC 6750 §3.1 `insufficient_scope` with the scopes that suffice. */
  readonly refusal: Refusal
  /** The rule as stated, for explanations; undefined where there is none. */
  readonly required?: Rule
}

/** The policies that a rule may name. */
export interface NamedPolicies {
  /** The claims check of a policy that is a plain rule without functions behind it. */
  claimsOnly (name: string): ClaimsCheck | undefined
  /** The policy as a function. An unknown name refuses. */
  get (name: string): AskedPolicy
}
