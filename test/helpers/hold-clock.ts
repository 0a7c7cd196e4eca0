import type { Test } from 'tap'

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
