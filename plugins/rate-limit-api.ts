import { createRequire } from 'node:module'
import type { FastifyInstance } from 'fastify'
import { ignoreRejection } from '../lib/async/index.ts'
import { checkEngineOptions, engineStore, type Limiter } from '../lib/limits/index.ts'
import { decorating } from './decorators.ts'

export interface EngineApi {
  /** A hook that limits; the options of @fastify/rate-limit. */
  rateLimit (options?: object): (...args: unknown[]) => Promise<void>
  /** A limiter to ask by hand; the options of @fastify/rate-limit. */
  createRateLimit (options?: object): (request: unknown, options?: object) => Promise<unknown>
}

declare module 'fastify' {
  // Methods, so that beside the types of @fastify/rate-limit they are overloads and no contradiction.
  interface FastifyInstance {
    /** A hook that limits, of @fastify/rate-limit, with its options; counted by this limiter. */
    rateLimit (options?: object): ReturnType<EngineApi['rateLimit']>
    /** A limiter to ask by hand, of @fastify/rate-limit, with its options; counted by this limiter. */
    createRateLimit (options?: object): ReturnType<EngineApi['createRateLimit']>
  }
}

/**
 * Offers `app.rateLimit()` and `app.createRateLimit()` of @fastify/rate-limit, counted by our engine through its store API. The
 * plugin never sees routes: its `onRoute` would take `config.rateLimit` for its own option, and refuse a policy's name.
 */
export function serveRateLimitApi (app: FastifyInstance, limiter: Limiter): void {
  if (app.hasDecorator('rateLimit')) return
  let engine: EngineApi | undefined
  const named = numbering()
  // On its own it takes what it does not understand (`max: '10'`) for its default of 1000.
  decorating(app).decorate('rateLimit', (options?: object) => (engine ??= loadEngine(limiter)).rateLimit(named(options)))
  decorating(app).decorate('createRateLimit', (options?: object) => (engine ??= loadEngine(limiter)).createRateLimit(named(options)))
}

type Registered = (app: object, options: { global: false, store: ReturnType<typeof engineStore> }) => Promise<void>

/** At the first call, as it takes a tenth of a second to load. Its own types would declare `config.rateLimit` a second time. */
function loadEngine (limiter: Limiter): EngineApi {
  const register: Registered = createRequire(import.meta.url)('@fastify/rate-limit')
  const api: Partial<EngineApi> = {}
  const decorate = (name: string, value: unknown) => { Reflect.set(api, name, value) }
  // It waits for nothing, so its decorators are there when it returns. What it throws, the call below would report as no function.
  ignoreRejection(register({ decorate, hasDecorator: () => false, decorateRequest () {}, addHook () {} },
    { global: false, store: engineStore(limiter) }))
  return api as EngineApi
}

/** A call without a name is a budget of its own. The order of calls is the same in all processes, so in Redis they count together. */
function numbering (): (options: object | undefined) => object | undefined {
  let calls = 0
  return options => {
    if (options === undefined) return undefined
    const { policy, groupId }: { policy?: unknown, groupId?: unknown } = options
    const complete = (policy ?? groupId) === undefined ? { ...options, policy: `by-hand-${++calls}` } : options
    checkEngineOptions(complete)
    return complete
  }
}
