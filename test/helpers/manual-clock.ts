import { setImmediate } from 'node:timers/promises'
import { milliseconds, moveTime, type Duration } from '../../lib/config/index.ts'

interface Plan {
  readonly due: number
  readonly run: () => unknown
}

/** Time that only a test moves. */
export interface ManualClock {
  /** What was planned for meanwhile is done, one after the other, before the promise resolves. */
  advance (by: Duration): Promise<void>
  /** Applications that are built from now on read the machine's clock again. */
  close (): void
}

/**
 * As `createTestClock()`, for what is built afterwards. But that one goes on by itself between moves, and on a machine that stops for some
 * seconds what a test has yet to look at is over; here nothing is due before the test says so.
 */
export function createManualClock (): ManualClock {
  const start = Date.now()
  const plans = new Set<Plan>()
  let elapsed = 0
  const nextBefore = (end: number) => [...plans].filter(({ due }) => due <= end).sort((one, other) => one.due - other.due)[0]
  moveTime({
    now: () => start + elapsed,
    elapsed: () => elapsed,
    schedule (run, ms) {
      const plan = { due: elapsed + ms, run }
      plans.add(plan)
      return () => { plans.delete(plan) }
    }
  })
  return {
    async advance (by) {
      const end = elapsed + milliseconds(by)
      for (let next = nextBefore(end); next !== undefined; next = nextBefore(end)) {
        plans.delete(next)
        elapsed = next.due
        await next.run()
      }
      elapsed = end
    },
    close: () => { moveTime(undefined) }
  }
}

/** What follows by itself has happened then: the end of a connection, and what waits for it, take a few turns of the event loop. */
export async function settled (): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate()
}
