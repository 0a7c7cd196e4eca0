import type { FastifyInstance, FastifyPluginAsync, FastifyPluginOptions } from 'fastify'
import fp from 'fastify-plugin'
import { keepTick } from '../lib/async/index.ts'

/**
 * A plugin of the suite, for a Fastify of any server, logger and type provider. A parameter of type `FastifyInstance` would make
 * TypeScript compare all of Fastify's types when it infers the type arguments of `register`: seconds, on top of what a route costs.
 */
export type SuitePlugin<Options extends FastifyPluginOptions = Record<never, never>> =
  (app: Pick<FastifyInstance, 'version'>, options: Options) => Promise<void>

/** A plugin that works in the scope which registers it, under a name that others see. */
export function suitePlugin<Options extends FastifyPluginOptions> (name: string, run: FastifyPluginAsync<Options>): SuitePlugin<Options> {
  // At import, since the sooner the better: what a collection has spoilt stays so.
  keepTick()
  return fp(run, { fastify: '5.x', name }) as SuitePlugin<Options>
}
