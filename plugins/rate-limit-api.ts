import { createRequire } from 'node:module'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
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
 * plugin has a scope of its own: its `onRoute` would take `config.rateLimit` for its own option, and refuse a policy's name.
 */
export async function serveRateLimitApi (app: FastifyInstance, limiter: Limiter): Promise<void> {
  if (app.hasDecorator('rateLimit')) return
  // Its own types would declare `config.rateLimit` a second time, with another shape.
  const engine: FastifyPluginAsync<{ global: false, store: ReturnType<typeof engineStore> }> =
    createRequire(import.meta.url)('@fastify/rate-limit')
  await app.register(async scope => {
    await scope.register(engine, { global: false, store: engineStore(limiter) })
    const { rateLimit, createRateLimit } = scope
    const named = numbering()
    // On its own it takes what it does not understand (`max: '10'`) for its default of 1000.
    decorating(app).decorate('rateLimit', (options?: object) => rateLimit(named(options)))
    decorating(app).decorate('createRateLimit', (options?: object) => createRateLimit(named(options)))
  })
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
