import type { MaybePromise } from '../async/index.ts'
import { check, pageOf, Problems } from '../config/index.ts'
import { unknownAddress } from './address.ts'
import { isUnavailable, refusing, type Limiter, type LimitOutcome } from './decision.ts'
import { LimitSchema, type Limit } from './options.ts'
import { compilePolicy, type LimitPolicy } from './policy.ts'
import { validateLimit } from './validate.ts'

/** @fastify/rate-limit refuses when `current` is above `max`. `ttl` is in milliseconds. */
type Callback = (error: Error | null, result?: { readonly current: number, readonly ttl: number }) => void

/** The store API of @fastify/rate-limit 11 (`types/index.d.ts`, and `read`, which its README adds). */
interface EngineStore {
  incr (key: string, callback: Callback, timeWindow: number, max: number): void
  read (key: string, callback: Callback, timeWindow: number, max: number): void
  child (params: object): EngineStore
}

/** Options of @fastify/rate-limit that reach the store, including those that it passes on. */
type StoreParams = { readonly [Name in 'max' | 'timeWindow' | 'policy' | 'groupId' | 'algorithm' | 'burst']?: unknown } & {
  readonly routeInfo?: { readonly method?: unknown, readonly url?: string, readonly config?: { readonly rateLimit?: unknown } }
}

/** Functions for `max` and `timeWindow` return few values; beyond this many, policies are compiled again. */
const plansKept = 64

/** The error while counting is impossible: @fastify/rate-limit throws it, and Fastify sends its status. */
class LimitNotCounted extends Error {
  readonly code = 'SECURE_API_RATE_LIMIT_UNAVAILABLE'
  readonly statusCode = 503
  /** Not in the message, which Fastify sends to the caller. */
  readonly see = pageOf('SECURE_API_RATE_LIMIT_UNAVAILABLE')

  constructor () {
    super('The rate limiter is temporarily unavailable.')
    this.name = 'LimitNotCounted'
  }
}

/**
 * A store class for `@fastify/rate-limit` over our limiter: `register(rateLimit, { store: engineStore(limiter) })`. Besides the usual
 * options it takes `policy` (the name of a shared budget; `groupId` means the same), `algorithm` and `burst`. It refuses what it cannot
 * count (`max: () => undefined`), where the stores of @fastify/rate-limit admit without limit.
 */
export function engineStore (limiter: Limiter): new (params?: object) => EngineStore {
  return class implements EngineStore {
    readonly #name: string
    readonly #shape: Pick<Limit, 'algorithm' | 'burst'>
    readonly #plans = new Map<string, LimitPolicy | undefined>()

    constructor (params: StoreParams = {}, name: string = 'default') {
      this.#name = name
      this.#shape = shapeOf(params)
      checkEngineOptions({ ...params, policy: name })
    }

    incr (key: string, callback: Callback, timeWindow: number, max: number): void {
      this.#answer(callback, max, timeWindow, policy => limiter.take(policy, keyOf(key)))
    }

    read (key: string, callback: Callback, timeWindow: number, max: number): void {
      this.#answer(callback, max, timeWindow, policy => limiter.peek(policy, keyOf(key)))
    }

    child (params: StoreParams): EngineStore {
      // The options as written, before @fastify/rate-limit replaces mistakes with its defaults.
      const raw = params.routeInfo?.config?.rateLimit
      checkEngineOptions({ ...params, ...(typeof raw === 'object' ? raw : undefined), policy: nameOf(params) })
      const Store = engineStore(limiter) as new (params: object, name?: string) => EngineStore
      return new Store(params, nameOf(params))
    }

    #answer (callback: Callback, max: number, timeWindow: number, ask: (policy: LimitPolicy) => MaybePromise<LimitOutcome>): void {
      const policy = this.#policy(max, timeWindow)
      if (policy === undefined) return callback(new LimitNotCounted())
      tellWhenDecided(ask(policy), max, callback)
    }

    #policy (max: number, timeWindow: number): LimitPolicy | undefined {
      const plan = `${max}/${timeWindow}`
      if (this.#plans.has(plan)) return this.#plans.get(plan)
      if (this.#plans.size >= plansKept) this.#plans.clear()
      const limit = { ...this.#shape, limit: max, window: timeWindow }
      const policy = problemsOf(limit).any ? undefined : compilePolicy(this.#name, limit)
      this.#plans.set(plan, policy)
      return policy
    }
  }
}

function shapeOf ({ algorithm, burst }: StoreParams): Pick<Limit, 'algorithm' | 'burst'> {
  const windowed = (['sliding-window', 'fixed-window', 'token-bucket'] as const).find(one => one === algorithm)
  return { ...(windowed && { algorithm: windowed }), ...(typeof burst === 'number' && { burst }) }
}

function tellWhenDecided (outcome: MaybePromise<LimitOutcome>, max: number, callback: Callback): void {
  if (!(outcome instanceof Promise)) return tell(outcome, max, callback)
  outcome.then(decided => tell(decided, max, callback), () => callback(new LimitNotCounted()))
}

/**
 * Checks options of @fastify/rate-limit, which replaces invalid ones (`max: '10'`) with its default of 1000. Throws a
 * `ConfigurationError`. A budget needs a name: in Redis, two without one would be the same.
 */
export function checkEngineOptions (options: object): void {
  const { max = 1, timeWindow = 1, policy, groupId, algorithm, burst }: StoreParams = options
  const problems = problemsOf({
    limit: typeof max === 'function' ? 1 : max,
    window: typeof timeWindow === 'function' ? 1 : timeWindow,
    ...(algorithm !== undefined && { algorithm }),
    ...(burst !== undefined && { burst })
  })
  const name = policy ?? groupId
  if (typeof name !== 'string' || name === '') {
    problems.add('SECURE_API_OPTION_MISSING', 'rateLimit.policy', 'limiters without a name would share their counts',
      "Add a name, such as `policy: 'login'`.")
  }
  problems.throwIfAny()
}

function problemsOf (limit: object): Problems {
  const problems = new Problems()
  check(LimitSchema, limit, 'rateLimit', problems)
  if (!problems.any) validateLimit(limit as Limit, 'rateLimit', problems)
  return problems
}

function tell (outcome: LimitOutcome, max: number, callback: Callback): void {
  if (isUnavailable(outcome)) return callback(new LimitNotCounted())
  const { remaining, retryAfterMs, resetMs } = outcome
  if (refusing(outcome)) return callback(null, { current: max + 1, ttl: Math.max(1, Math.ceil(retryAfterMs)) })
  callback(null, { current: Math.max(0, max - remaining), ttl: Math.ceil(resetMs) })
}

function nameOf ({ policy, groupId, routeInfo }: StoreParams): string {
  const named = policy ?? groupId
  if (typeof named === 'string') return named
  return routeInfo?.url === undefined ? '' : `${String(routeInfo.method)} ${routeInfo.url}`
}

/** Prefixed, because a key may come from the caller and must not look like the key of a principal. */
function keyOf (key: unknown): string {
  return typeof key === 'string' && key !== '' ? `e:${key}` : unknownAddress
}
