import type { Environment } from './environment.ts'
import { ConfigurationError } from './problems.ts'

/** Time as a test moves it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly elapsed: () => number
  /** Runs a callback later; the returned function calls it off. */
  readonly schedule: (callback: () => unknown, ms: number) => () => void
}

let moved: Clock | undefined

/** Only `fastify-secure-api/testing` has a way here. What is built from now on reads this clock; `undefined` takes it away. */
export function moveTime (clock: Clock | undefined): void {
  if (clock !== undefined) refuseInProduction(byNodeEnv())
  moved = clock
}

/**
 * The clock of a test, or undefined for the time of the machine. Asked once, when a plugin is registered, so that no
 * request pays for it. Throws in production: a moved clock would let expired tokens in.
 */
export function movedClock (environment: Environment = byNodeEnv()): Clock | undefined {
  if (moved !== undefined) refuseInProduction(environment)
  return moved
}

/** Unlike `environmentOf` an unset NODE_ENV is no production here: test runners leave it unset. */
function byNodeEnv (): Environment {
  return process.env['NODE_ENV'] === 'production' ? 'production' : 'development'
}

function refuseInProduction (environment: Environment): void {
  if (environment !== 'production') return
  throw new ConfigurationError([{
    code: 'SECURE_API_CLOCK_TEST',
    path: 'environment',
    why: 'a test clock is in use, which would let expired tokens in',
    fix: "Use createTestClock() in tests only, with `environment: 'development'` or NODE_ENV=test."
  }])
}
