import { patient, schedulePatiently, type Schedule } from './schedule.ts'

interface Deadline {
  /** Milliseconds. */
  readonly ms: number
  /** Makes the error for a time-out. */
  readonly late: () => Error
  /** Aborting it ends the wait with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Aborted with that error on a time-out. Its own signal ends the wait too. */
  readonly controller?: AbortController
  /** Real timers let a busy process catch up first. @default such timers, which keep the process alive */
  readonly schedule?: Schedule | undefined
}

/** The result of the work, or a rejection after `ms`. A later rejection of the work is ignored. */
export function withDeadline<T> (work: PromiseLike<T>, deadline: Deadline): Promise<T> {
  const { ms, late, controller, signal = controller?.signal, schedule = schedulePatiently } = deadline
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => { settle(() => reject(signal?.reason)) }
    const cancel = patient(schedule)(() => { settle(expire) }, ms)
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

/** Not `instanceof Promise`: query builders and other realms have their own promises. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Where no promise is expected: one that rejects would end the process. */
export function ignoreRejection (value: unknown): void {
  if (isThenable(value)) Promise.resolve(value).catch(() => {})
}
