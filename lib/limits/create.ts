import { scriptRunner, type RedisLike } from '../redis/index.ts'
import type { Limiter, LimiterEvent } from './decision.ts'
import { MemoryStore } from './memory-store.ts'
import { defaultKeyPrefix } from './options.ts'
import { ResilientLimiter } from './resilient.ts'

interface LimiterOptions {
  /** Where counts are shared. Absent: this process' memory. */
  readonly redis?: RedisLike
  readonly keyPrefix?: string
  /** Monotonic milliseconds, for tests. */
  readonly now?: () => number
  /** How many budgets this process keeps. */
  readonly capacity?: number
  /** The longest a decision may wait for Redis, in milliseconds. @default 50 */
  readonly deadline?: number
  readonly onEvent?: (event: LimiterEvent) => void
}

/** The limiter over memory (then every method is synchronous), or over Redis with memory behind it. */
export function createLimiter (options: LimiterOptions & { readonly redis?: never }): MemoryStore
export function createLimiter (options: LimiterOptions): Limiter
export function createLimiter ({ redis, keyPrefix = defaultKeyPrefix, ...rest }: LimiterOptions): Limiter {
  return redis === undefined ? new MemoryStore(rest) : new ResilientLimiter({ ...rest, keyPrefix, runner: scriptRunner(redis) })
}
