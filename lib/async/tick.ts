import { executionAsyncResource } from 'node:async_hooks'
import { nextTick } from 'node:process'

let asked = false
let kept: object | undefined

/**
 * Keeps one of the objects that `process.nextTick` makes for each call, for as long as the process lives. Node writes them as a literal
 * with computed keys. V8 remembers the shapes of such a literal only while an object has them: a full collection that finds none makes it
 * give up, for ever, and each tick then costs 270 ns instead of 30. A request takes about ten (docs/decisions/performance.md).
 */
export function keepTick (): void {
  if (asked) return
  asked = true
  nextTick(() => { kept = executionAsyncResource() })
}

/** For tests. */
export function keptTick (): object | undefined {
  return kept
}
