import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { refusal, type Refusal } from '../http/index.ts'
import { answered, type Handler, type Verdict } from './types.ts'

/** How a refusal leaves: as problem+json, or to the application's error handler. */
export type Answerer = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal, done: HookHandlerDoneFunction) => void

const internal = refusal('SECURE_API_INTERNAL')

/** Does not leave the current turn until a handler answers or waits. An exception ends the request; its message stays in the log. */
export function run (handlers: readonly Handler[], from: number, request: FastifyRequest, reply: FastifyReply, answer: Answerer,
  done: HookHandlerDoneFunction): void {
  for (let index = from; index < handlers.length; index++) {
    const verdict = call(handlers[index], request, reply)
    if (verdict === undefined) continue
    if (verdict instanceof Promise) return wait(verdict, handlers, index, request, reply, answer, done)
    return end(verdict, request, reply, answer, done)
  }
  done()
}

function call (handler: Handler | undefined, request: FastifyRequest, reply: FastifyReply): Verdict | Promise<Verdict> {
  try {
    return handler?.(request, reply)
  } catch (error) {
    return failed(error, request)
  }
}

function wait (pending: Promise<Verdict>, handlers: readonly Handler[], index: number, request: FastifyRequest, reply: FastifyReply,
  answer: Answerer, done: HookHandlerDoneFunction): void {
  pending.catch((error: unknown) => failed(error, request)).then(verdict => {
    // A handler time-out, or the caller going away, may have ended the request meanwhile.
    if (reply.sent) return
    if (verdict === undefined) run(handlers, index + 1, request, reply, answer, done)
    else end(verdict, request, reply, answer, done)
  }).catch((error: unknown) => {
    // Not even the refusal could be sent. Nobody else waits for this promise: without this the process would end.
    request.log.error({ err: error, code: internal.code }, 'secure-api: a refusal could not be sent, so the connection is closed')
    reply.raw.destroy()
  })
}

function end (verdict: Refusal | typeof answered, request: FastifyRequest, reply: FastifyReply, answer: Answerer,
  done: HookHandlerDoneFunction): void {
  if (verdict === answered || reply.sent) return
  answer(request, reply, isRefusal(verdict) ? verdict : failed(new TypeError('a handler returns nothing, or a refusal'), request), done)
}

/** Controls of the application may return anything: `false`, a Reply, a success. None of it lets the request through. */
function isRefusal (verdict: unknown): verdict is Refusal {
  if (typeof verdict !== 'object' || verdict === null) return false
  const { status, headers, body } = verdict as Partial<Refusal>
  return typeof status === 'number' && status >= 400 && status < 600 && typeof headers === 'object' && typeof body === 'string'
}

function failed (error: unknown, request: FastifyRequest): Refusal {
  request.log.error({ err: error, code: internal.code }, 'secure-api: a control failed, so the request is refused')
  return internal
}
