import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify'
import type { Environment } from '../lib/config/index.ts'
import { errorAnswer, isHeadSent, refusal } from '../lib/http/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { carryHeaders, RefusalError, writeProblem } from '../lib/pipeline/index.ts'
import { allowAnotherErrorHandler, errorHandlerOf, quietOf, routeContextOf, type ErrorHandlerLink } from './fastify-internals.ts'
import { pipelineOf } from './pipeline.ts'
import { suitePlugin } from './suite-plugin.ts'

/** What becomes of an error: a problem document, or what it was, for the application's handler. */
interface ErrorsPluginOptions { environment: Environment, mode: 'problem' | 'throw' }

type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void

/** Errors of the application as RFC 9457 documents. Its own handlers come first, whenever they are set: what they throw comes here. */
const errors: FastifyPluginAsync<ErrorsPluginOptions> = async (app, { environment, mode }) => {
  // A hook of its own: after `reply.callNotFound()` a request still has the chain of its route.
  app.addHook('preHandler', notFoundHook(mode))
  const onFirst = mode === 'problem' ? layUnder(app, problemHandler(app, environment === 'development')) : layOver()
  pipelineOf(app).offer({ onFirst })
}

function problemHandler (app: FastifyInstance, reveal: boolean): ErrorHandler {
  const isQuiet = quietOf(app)
  return function answerError (error, request, reply) {
    if (error instanceof RefusalError) return writeProblem(request, reply, error.refusal)
    const { raw } = reply
    const { status, headers, body } = errorAnswer(error, { status: reply.statusCode, requestId: request.id, reveal })
    reply.code(status)
    tell(error, request, reply, isQuiet)
    // A part of another answer has left already: the caller must see that the rest is missing.
    if (isHeadSent(raw)) {
      raw.destroy()
      return
    }
    for (const name of ofTheLostBody) reply.removeHeader(name)
    reply.headers(headers).serializer((text: unknown) => text as string).send(body)
  }
}

const failed = refusal('SECURE_API_APPLICATION_FAILED', { headers: { 'cache-control': 'no-store, max-age=0' } })

/** Below ours, where a hook fails on every answer or a getter of the error throws: Fastify's own would send the message. */
const lastResort: ErrorHandler = (error, _request, reply) => {
  const { raw } = reply
  reply.hijack()
  try {
    reply.log.error({ err: error, code: failed.code }, 'secure-api: the answer to an error could not be sent')
  } catch {
    reply.log.error({ code: failed.code }, 'secure-api: the answer to an error could not be sent, and the error could not be read')
  }
  if (isHeadSent(raw)) {
    raw.destroy()
    return
  }
  raw.writeHead(failed.status, { ...failed.headers, 'content-length': Buffer.byteLength(failed.body) })
  raw.end(failed.body)
}

/** What a handler said of the body that it then failed to send. */
const ofTheLostBody = ['content-encoding', 'content-disposition', 'content-language', 'content-range', 'accept-ranges', 'etag',
  'last-modified', 'expires']

/** The cause of a failure stands nowhere else: it is logged even where requests are not. */
function tell (error: unknown, request: FastifyRequest, reply: FastifyReply, isQuiet: (request: FastifyRequest) => boolean): void {
  const message = error instanceof Error ? error.message : 'an error of the application'
  if (reply.statusCode >= 500) reply.log.error({ req: request, res: reply, err: error }, message)
  else if (!isQuiet(request)) reply.log.info({ res: reply, err: error }, message)
}

/**
 * Sets our handler below the one that this scope has already; those set later are laid over it by Fastify. Routes declared before
 * keep the handlers of that moment: what is returned puts ours below them, at their first request.
 */
function layUnder (app: FastifyInstance, handler: ErrorHandler): (request: FastifyRequest) => void {
  const { errorHandler: own } = app
  setAnother(app, lastResort)
  setAnother(app, handler)
  const ours = errorHandlerOf(app)
  // Fastify binds those of applications, and its own not.
  if (own.name !== 'defaultErrorHandler') setAnother(app, own)
  else allowAnotherErrorHandler(app)
  return relink(handler => ours === undefined ? handler : above(ours, handler))
}

/** Changes the handlers of a route at its first request. */
function relink (change: (handler: ErrorHandlerLink) => ErrorHandlerLink): (request: FastifyRequest) => void {
  const seen = new Marks<object, true>()
  return request => {
    const context = routeContextOf(request)
    if (context?.errorHandler === undefined || seen.of(context) === true) return
    seen.set(context, true)
    context.errorHandler = change(context.errorHandler)
  }
}

/** The same handlers in the same order, with ours in the place of Fastify's own at the end. */
function above (ours: ErrorHandlerLink, handler: ErrorHandlerLink): ErrorHandlerLink {
  if (handler === ours) return handler
  const next: object | null = Object.getPrototypeOf(handler)
  if (next === Object.prototype || next === null) return ours
  return Object.assign(Object.create(above(ours, next as ErrorHandlerLink)), { func: handler.func })
}

/** `errors: 'throw'`: a route declared before the suite has a handler that we never saw. The headers go on the reply before its call. */
function layOver (): (request: FastifyRequest) => void {
  return relink(next => {
    const carryFirst: ErrorHandler = (error, ...rest) => {
      if (error instanceof RefusalError) carryHeaders(rest[1], error.refusal)
      return (next.func as ErrorHandler)(error, ...rest)
    }
    // What the application's handler throws goes to the one below it, as before.
    return Object.assign(Object.create(Object.getPrototypeOf(next)), { func: carryFirst })
  })
}

function setAnother (app: FastifyInstance, handler: Parameters<FastifyInstance['setErrorHandler']>[0]): void {
  allowAnotherErrorHandler(app)
  app.setErrorHandler(handler)
}

const notFound = refusal('SECURE_API_NOT_FOUND', { headers: { 'cache-control': 'no-store, max-age=0' } })

/** In the place of Fastify's own 404, which repeats path and query, in the log too. Handlers of the application are bound, and answer. */
function notFoundHook (mode: ErrorsPluginOptions['mode']): preHandlerHookHandler {
  return function answerNotFound (request, reply, done) {
    const { handler } = request.routeOptions as { handler?: { name: string } }
    if (!request.is404 || handler?.name !== 'basic404') return done()
    if (mode === 'throw') done(new RefusalError(notFound))
    else reply.code(notFound.status).headers(notFound.headers).send(notFound.body)
  }
}

export default suitePlugin('secure-api-errors', errors)
