/** Runs a callback later. The returned function cancels it. */
export type Schedule = (callback: () => unknown, ms: number) => () => void

/** Node takes longer times for a millisecond. */
const longest = 2 ** 31 - 1

/** Real timers that do not keep the process alive. The longest is 24.8 days. */
export const scheduleTimer: Schedule = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, longest))
  timer.unref()
  return () => { clearTimeout(timer) }
}

/**
 * Real timers that give the work its full time. Timers run before sockets are read, so this one waits for them: an answer that
 * arrived while the process was busy still counts. If the timer fires late, the work gets the lost time back, once.
 */
export const schedulePatiently: Schedule = (callback, ms) => inPatience(callback, ms, setTimeout)

/** As that, and does not keep the process alive. */
const scheduleInBackground: Schedule = (callback, ms) => inPatience(callback, ms, (run, ms) => setTimeout(run, ms).unref())

/** The same timers, for the deadline of a work: real ones are patient then. */
export function patient (schedule: Schedule): Schedule {
  return schedule === scheduleTimer ? scheduleInBackground : schedule
}

function inPatience (callback: () => unknown, ms: number, start: (run: () => void, ms: number) => NodeJS.Timeout): () => void {
  const due = performance.now() + ms
  let cancelled = false
  const end = () => setImmediate(() => { if (!cancelled) callback() })
  let timer = start(() => {
    const busy = performance.now() - due
    if (busy < 5) end() // on time
    else timer = start(end, Math.min(busy, ms))
  }, ms)
  return () => {
    cancelled = true
    clearTimeout(timer)
  }
}
