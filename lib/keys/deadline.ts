import { asFailure, FetchFailure } from './failure.ts'
import type { Schedule } from './timing.ts'

export interface Deadline {
  readonly timeout: number
  readonly schedule: Schedule
  /** Aborted when time is up; aborting it from outside ends the work as well. */
  readonly controller: AbortController
}

/** Runs work that must end in time: it is told by the signal, and left alone if it does not listen. */
export async function withinDeadline<T> (work: (signal: AbortSignal) => Promise<T>, { timeout, schedule, controller }: Deadline): Promise<T> {
  const { signal } = controller
  const cancel = schedule(() => controller.abort(new FetchFailure('timeout')), timeout)
  try {
    return await Promise.race([work(signal), aborted(signal)])
  } finally {
    cancel()
  }
}

function aborted (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(asFailure(signal.reason)), { once: true })
  })
}
