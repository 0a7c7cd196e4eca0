import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import { Problems } from '../lib/config/index.ts'
import { callerBy } from '../lib/edge/index.ts'
import { kBehind } from '../lib/http/index.ts'
import {
  carryHeaders, kRefusal, Pipeline, RefusalError, run, throwRefusal, writeProblem, type CompiledRoute, type RouterOptions
} from '../lib/pipeline/index.ts'
import { isUnowned, tendUnowned } from '../lib/server/index.ts'
import { serverOptionsOf } from './fastify-internals.ts'
import { checkHooksBefore, urlsOf } from './neighbours.ts'
import type { Frame, Ports } from './ports.ts'
import { tendUpgrades } from './upgrades.ts'
import { warn } from './warn.ts'

/** On each server, by scope: a parent cannot see what was registered in its children. */
const kPipelines = Symbol.for('fastify-secure-api.pipelines')
interface WithPipelines { [kPipelines]?: Map<FastifyInstance, Frame> }

/**
 * The pipeline of this scope, never that of a parent: a plugin registered in a child guards that child. The first plugin that asks creates
 * it and adds the instance hooks; they see every route of the scope: those declared earlier, those of children, HEAD, OPTIONS and 404.
 */
export function pipelineOf (app: FastifyInstance): Frame {
  const server: FastifyInstance['server'] & WithPipelines = app.server
  const scopes = server[kPipelines] ??= new Map<FastifyInstance, Frame>()
  const existing = scopes.get(app)
  if (existing !== undefined) return existing
  const overlapping = () => [...scopes].filter(([scope]) => overlap(scope, app)).map(([, other]) => other)
  const pipeline = new Pipeline<Ports>(overlapping, routerOptions(app))
  scopes.set(app, pipeline)
  addHooks(app, pipeline)
  return pipeline
}

/** The table of routes must read URLs as Fastify's own router does. */
function routerOptions ({ initialConfig }: FastifyInstance): RouterOptions {
  const options = Object.entries({ ...initialConfig, ...initialConfig.routerOptions })
  return Object.fromEntries(options.filter(([name, value]) => routing.includes(name) && value !== undefined))
}

const routing = [
  'caseSensitive', 'ignoreTrailingSlash', 'ignoreDuplicateSlashes', 'useSemicolonDelimiter', 'maxParamLength', 'allowUnsafeRegex'
]

/** A child scope has its parent as its prototype. */
function overlap (one: object, other: object): boolean {
  return Object.prototype.isPrototypeOf.call(one, other) || Object.prototype.isPrototypeOf.call(other, one)
}

function addHooks (app: FastifyInstance, pipeline: Frame): void {
  tendUpgrades(app)
  app.addHook('onRoute', function declareRoute (options) {
    pipeline.declare(options)
    options.errorHandler = answeringErrorHandler(options.errorHandler, pipeline)
  })
  app.addHook('onReady', async function compileRoutes () {
    const problems = new Problems()
    await pipeline.compile(problems, urlsOf(app))
    problems.throwIfAny()
    const { hooksBefore = [], sessionHooks = [] } = pipeline.ports
    checkHooksBefore(app, 'secureApiOnRequest', hooksBefore, sessionHooks)
  })
  if (!app.hasRequestDecorator(kBehind)) {
    const trustProxy = serverOptionsOf(app)?.trustProxy
    const callerOf = trustProxy ? callerBy(trustProxy) : undefined
    app.decorateRequest(kBehind, function callerBehind (this: FastifyRequest) { return callerOf?.(this.raw) })
  }
  // Looking a route up takes an object of twelve members: it is done once, and kept on the request.
  const kRoute = Symbol('secure-api.compiled')
  type Routed = FastifyRequest & { [kRoute]?: CompiledRoute | null }
  app.decorateRequest(kRoute, null)
  if (!app.hasRequestDecorator(kRefusal)) app.decorateRequest(kRefusal, null)
  app.addHook('onRequest', function secureApiOnRequest (request: Routed, reply, done) {
    if (isUnowned(request.raw)) tendUnowned(request.raw, reply.raw)
    const route = routeOf(pipeline, request)
    request[kRoute] = route
    run(route.onRequest, 0, request, reply, pipeline.answer, done)
  })
  app.addHook('preHandler', function secureApiPreHandler (request: Routed, reply, done) {
    const { preHandler } = request[kRoute] ?? routeOf(pipeline, request)
    if (preHandler.length === 0) done()
    else run(preHandler, 0, request, reply, pipeline.answer, done)
  })
}

function routeOf (pipeline: Frame, request: FastifyRequest): CompiledRoute {
  const { config, url, method } = request.routeOptions
  const known = url === undefined ? undefined : pipeline.find(config)
  if (known !== undefined) return known
  pipeline.ports.onFirst?.(request)
  if (url === undefined) return pipeline.unknown
  return pipeline.admit({ config, url, method }, (label, problems) => {
    const text = `secure-api: ${label} was declared before the suite and is misconfigured, so it is closed`
    warn(request.server, { code: problems.list()[0]?.code, problems: problems.list() }, text, 'error')
  })
}

type ErrorHandler = NonNullable<RouteOptions['errorHandler']>

/** Refusals of guards used by hand become the same answer as those of the pipeline; every other error goes on as before. */
function answeringErrorHandler (next: ErrorHandler | undefined, pipeline: Frame): ErrorHandler {
  return function answerRefusal (error, request, reply) {
    if (error instanceof RefusalError) {
      if (pipeline.sendsProblems) return writeProblem(request, reply, error.refusal)
      carryHeaders(reply, error.refusal)
    }
    return next === undefined ? reply.send(asError(error)) : next.call(this, error, request, reply)
  }
}

/** Anything can be thrown. What is no Error would be sent as an answer, with its status. */
function asError (thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  return typeof thrown === 'object' ? Object.assign(new Error('what was thrown is no Error'), thrown) : new Error(String(thrown))
}

/** A guard as a hook for use by hand and with `@fastify/auth`: it reports a refusal as an error. */
export function guardHook (check: (request: FastifyRequest, reply: FastifyReply) => ReturnType<CompiledRoute['onRequest'][number]>) {
  return function guard (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
    run([check], 0, request, reply, throwRefusal, done)
  }
}
