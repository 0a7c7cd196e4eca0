import { isThenable, withDeadline } from '../async/index.ts'
import type { PolicyContext } from './options.ts'

/** Receives the exceptions and time-outs of policy functions. */
export type OnError = (error: unknown) => void

/** A policy as a function. One that is a rule passes `onError` on to the functions behind it. */
export type AskedPolicy = (context: PolicyContext, onError: OnError) => boolean | PromiseLike<boolean>

/** Functions of which all, or any, must permit. */
export interface PolicyTerm {
  readonly mode: 'all' | 'any'
  readonly functions: readonly AskedPolicy[]
}

/** How long a policy function may take, in milliseconds; after that it counts as a refusal. */
const policyTimeout = 5000

/** Whether all terms permit; synchronous if the functions are. An exception or time-out refuses. */
export function allTerms (terms: readonly PolicyTerm[], context: PolicyContext, onError: OnError = () => {}): boolean | Promise<boolean> {
  for (const [index, { mode, functions }] of terms.entries()) {
    const permitted = firstThatSays(mode === 'any', functions, context, onError)
    if (permitted === false) return false
    if (permitted !== true) return permitted.then(yes => yes && allTerms(terms.slice(index + 1), context, onError))
  }
  return true
}

/** `any` ends at the first yes, `all` at the first no. */
function firstThatSays (
  wanted: boolean, functions: readonly AskedPolicy[], context: PolicyContext, onError: OnError
): boolean | Promise<boolean> {
  for (const [index, policy] of functions.entries()) {
    const answer = ask(policy, context, onError)
    if (answer === wanted) return wanted
    if (typeof answer !== 'boolean') {
      return answer.then(said => said === wanted ? wanted : firstThatSays(wanted, functions.slice(index + 1), context, onError))
    }
  }
  return !wanted
}

function ask (policy: AskedPolicy, context: PolicyContext, onError: OnError): boolean | Promise<boolean> {
  try {
    const answer: unknown = policy(context, onError)
    return isThenable(answer) ? bounded(answer, onError) : answer === true
  } catch (error) {
    onError(error)
    return false
  }
}

async function bounded (answer: PromiseLike<unknown>, onError: OnError): Promise<boolean> {
  try {
    const late = () => new Error(`the policy did not answer within ${policyTimeout} ms`)
    return await withDeadline(answer, { ms: policyTimeout, late }) === true
  } catch (error) {
    onError(error)
    return false
  }
}
