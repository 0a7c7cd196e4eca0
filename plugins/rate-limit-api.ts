import { createRequire } from 'node:module'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { checkEngineOptions, engineStore, type Limiter } from '../lib/limits/index.ts'
import { decorating } from './decorators.ts'

/** What is used of @fastify/rate-limit. Its own types would declare `config.rateLimit` a second time, with another shape. */
interface EngineOptions {
  readonly global: false
  readonly store: ReturnType<typeof engineStore>
}

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
 * Offers `app.rateLimit()` and `app.createRateLimit()` of @fastify/rate-limit, counted by our engine through its store
 * API. The plugin lives in a scope of its own: its `onRoute` would take `config.rateLimit` for its own option, and
 * refuse a policy's name.
 */
export async function serveRateLimitApi (app: FastifyInstance, limiter: Limiter): Promise<void> {
  if (app.hasDecorator('rateLimit')) return
  const engine: FastifyPluginAsync<EngineOptions> = createRequire(import.meta.url)('@fastify/rate-limit')
  await app.register(async scope => {
    await scope.register(engine, { global: false, store: engineStore(limiter) })
    const { rateLimit, createRateLimit } = scope
    // On its own it takes what it does not understand (`max: '10'`) for its default of 1000.
    decorating(app).decorate('rateLimit', (options?: object) => rateLimit(checked(options)))
    decorating(app).decorate('createRateLimit', (options?: object) => createRateLimit(checked(options)))
  })
}

function checked (options: object | undefined): object | undefined {
  if (options !== undefined) checkEngineOptions(options)
  return options
}
