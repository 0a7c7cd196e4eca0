export interface Deadline {
  /** Milliseconds. */
  readonly ms: number
  /** The error when time is up. */
  readonly late: () => Error
}

/**
 * The answer, or a rejection when the time is up; a late rejection is nobody's concern, and must not end the process.
 * After the timer come the sockets: an answer that lay there while this process was busy still counts.
 */
export function withDeadline<T> (work: PromiseLike<T>, { ms, late }: Deadline): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(late())), ms)
    Promise.resolve(work).finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
