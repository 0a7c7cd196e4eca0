import { schedulePatiently, type Schedule } from './schedule.ts'

export interface Deadline {
  /** Milliseconds. */
  readonly ms: number
  /** Makes the error when time is up. */
  readonly late: () => Error
  /** Ends the wait with its reason when it is aborted. */
  readonly signal?: AbortSignal | undefined
  /** Aborted with that error when time is up. Its own signal ends the wait likewise. */
  readonly controller?: AbortController
  /** @default real timers, which let a busy process catch up first */
  readonly schedule?: Schedule
}

/** The result of the work, or a rejection when the time is up. A later rejection of the work is ignored, and does not end the process. */
export function withDeadline<T> (work: PromiseLike<T>, deadline: Deadline): Promise<T> {
  const { ms, late, controller, signal = controller?.signal, schedule = schedulePatiently } = deadline
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => { settle(() => reject(signal?.reason)) }
    const cancel = schedule(() => { settle(expire) }, ms)
    const expire = () => {
      const error = late()
      controller?.abort(error)
      reject(error)
    }
    const settle = (settled: () => void) => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
      settled()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    Promise.resolve(work).then(value => settle(() => resolve(value)), (error: unknown) => settle(() => reject(error)))
  })
}
