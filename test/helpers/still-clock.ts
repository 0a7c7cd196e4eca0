import type { Test } from 'tap'
import { scheduleTimer } from '../../lib/async/index.ts'
import { moveTime } from '../../lib/config/index.ts'

/** Time that passes only where a test lets it. */
export interface StillClock {
  /** Milliseconds since the epoch. */
  now (): number
  pass (ms: number): void
}

/**
 * What is built from now on finds the time standing still: no window, cache or deadline of Redis ends because the machine is slow.
 * Timers run as ever.
 */
export function stillClock (t: Pick<Test, 'teardown'>): StillClock {
  const [start, origin] = [Date.now(), performance.now()]
  let passed = 0
  const now = () => start + passed
  moveTime({ now, elapsed: () => origin + passed, schedule: scheduleTimer })
  t.teardown(() => { moveTime(undefined) })
  return { now, pass: ms => { passed += ms } }
}

/** Timers of just this length do nothing, such as that which ends a window of the trail. */
export function muteTimers (t: Pick<Test, 'teardown'>, muted: number): void {
  const { setTimeout } = globalThis
  t.teardown(() => { globalThis.setTimeout = setTimeout })
  const set = (call: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) =>
    setTimeout(ms === muted ? () => {} : call, ms, ...given)
  globalThis.setTimeout = Object.assign(set, setTimeout)
}

/**
 * Stops the clock by which calls to Redis are late, until the test ends: a server that is well may need more than 50 ms on a busy machine.
 * Not for tests of what comes too late, or of a second attempt after a while.
 */
export function holdClock (t: Pick<Test, 'teardown'>): void {
  const { now } = performance
  const held = now.call(performance)
  performance.now = () => held
  t.teardown(() => { performance.now = now })
}
