import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '../http/index.ts'
import type { OwnOptions, RouteOption } from './option.ts'
import type { Phase } from './phases.ts'
import type { RouteInfo } from './route-info.ts'

/** Returned by a handler that has sent the answer itself. */
export const answered: unique symbol = Symbol('answered')

/** Nothing: go on. A refusal: end the request with it. */
export type Verdict = undefined | Refusal | typeof answered

/** One compiled step for one route. Synchronous wherever it can be: a promise costs a turn of the event loop. */
export type Handler = (request: FastifyRequest, reply: FastifyReply) => Verdict | Promise<Verdict>

/** A handler that does the same and is measured. */
export type Measure = (handler: Handler, phase: Phase, control: string) => Handler

/** `begin`: at the start of the request, before any control can answer it. */
export interface CompiledStep {
  readonly hook: 'begin' | 'onRequest' | 'preHandler'
  readonly handler: Handler
}

/** One concern, in one phase. The frame parses its option once a route, when `config` is final, and hands the result over as `own`. */
export interface Control<Own = unknown> {
  readonly name: string
  readonly phase: Phase
  readonly option?: RouteOption<Own>
  /** Called once a route. Undefined: nothing to do there. */
  compile (given: { readonly route: RouteInfo, readonly own: Own }): CompiledStep | undefined
  /** What the control does on the route, for `app.secureApi.routes()`. */
  posture? (own: Own, route: RouteInfo): Readonly<Record<string, unknown>>
}

/** A route with its chains, ready to run. */
export interface CompiledRoute {
  readonly info: RouteInfo
  readonly own: OwnOptions
  readonly onRequest: readonly Handler[]
  readonly preHandler: readonly Handler[]
  /** Names of the controls, in order, for each hook. */
  readonly names: { readonly onRequest: readonly string[], readonly preHandler: readonly string[] }
}
