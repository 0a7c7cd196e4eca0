export interface Deadline {
  /** Milliseconds. */
  readonly ms: number
  /** The error when time is up. */
  readonly late: () => Error
}

/** So many milliseconds late is a timer on a machine that is not busy. */
const punctual = 5

/**
 * The answer, or a rejection when the time is up; a late rejection is nobody's concern, and must not end the process.
 * After the timer come the sockets: an answer that lay there while this process was busy still counts. When the timer fires late, the work
 * has not had its time: it gets that much more, once.
 */
export function withDeadline<T> (work: PromiseLike<T>, { ms, late }: Deadline): Promise<T> {
  return new Promise((resolve, reject) => {
    const due = performance.now() + ms
    const end = () => setImmediate(() => reject(late()))
    let timer = setTimeout(() => {
      const busy = performance.now() - due
      if (busy < punctual) end()
      else timer = setTimeout(end, Math.min(busy, ms))
    }, ms)
    Promise.resolve(work).finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
