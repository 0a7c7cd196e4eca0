import type { Environment } from './environment.ts'
import { mistake } from './problems.ts'

/** Time under the control of a test. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly elapsed: () => number
  /** Runs a callback later; the returned function cancels it. */
  readonly schedule: (callback: () => unknown, ms: number) => () => void
}

let moved: Clock | undefined

/** For `fastify-secure-api/testing` only. Whatever is built from now on reads this clock; `undefined` removes it. */
export function moveTime (clock: Clock | undefined): void {
  if (clock !== undefined) refuseInProduction(byNodeEnv())
  moved = clock
}

/** The clock of a test; undefined means system time. Read once, when a plugin is registered. Throws in production. */
export function movedClock (environment: Environment = byNodeEnv()): Clock | undefined {
  if (moved !== undefined) refuseInProduction(environment)
  return moved
}

/** Unlike in `environmentOf`, an unset NODE_ENV is not production: test runners leave it unset. */
function byNodeEnv (): Environment {
  return process.env['NODE_ENV'] === 'production' ? 'production' : 'development'
}

function refuseInProduction (environment: Environment): void {
  if (environment !== 'production') return
  throw mistake('SECURE_API_CLOCK_TEST', 'environment', 'a test clock is in use and would accept expired tokens',
    "Use createTestClock() in tests only, with `environment: 'development'` or NODE_ENV=test.")
}
