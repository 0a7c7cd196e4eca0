/** Runs a callback later. The returned function cancels it. */
export type Schedule = (callback: () => unknown, ms: number) => () => void

/** Real timers, which keep no process alive. */
export const scheduleTimer: Schedule = (callback, ms) => {
  const timer = setTimeout(callback, ms)
  timer.unref()
  return () => { clearTimeout(timer) }
}

/** A timer is on time up to this delay. */
const punctual = 5

/**
 * Real timers that give work its full time. A timer runs before the sockets are read, so this one waits for them: an answer that
 * arrived while the process was busy still counts. A timer that fires late means that the work did not get its time: it gets as much
 * more, once.
 */
export const schedulePatiently: Schedule = (callback, ms) => {
  const due = performance.now() + ms
  let cancelled = false
  const end = () => setImmediate(() => { if (!cancelled) callback() })
  let timer = setTimeout(() => {
    const busy = performance.now() - due
    if (busy < punctual) end()
    else timer = setTimeout(end, Math.min(busy, ms))
  }, ms)
  return () => {
    cancelled = true
    clearTimeout(timer)
  }
}
