import type { FastifyReply, FastifyRequest } from 'fastify'
import { pageOf } from '../config/index.ts'
import { expectRefusal, type Refusal } from '../http/index.ts'
import type { Answerer } from './run.ts'

/** A refusal on its way to an error handler: thrown by guards used by hand and by `request.authorize`. */
export class RefusalError extends Error {
  /** One of `docs/errors.md`, or that of a control of the application's own. */
  readonly code: string
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly refusal: Refusal
  /** Where the code is explained, for whoever reads a log: Fastify sends `message` to the caller, so it does not stand there. */
  declare readonly see?: string

  constructor (refusal: Refusal) {
    super(refusal.detail)
    this.name = 'RefusalError'
    this.code = refusal.code
    this.statusCode = refusal.status
    this.headers = refusal.headers
    this.refusal = refusal
    if (refusal.code.startsWith('SECURE_API_')) this.see = pageOf(refusal.code)
  }
}

/**
 * Where the reason of a refused request is kept for the audit trail. The frame decorates requests with it, so that they keep their shape;
 * setting an entry of a weak map took up to a microsecond.
 */
export const kRefusal: unique symbol = Symbol('secure-api.refusal')

interface Refusable { [kRefusal]?: Refusal | null }

export function refusalOf (request: FastifyRequest): Refusal | undefined {
  return (request as Refusable)[kRefusal] ?? undefined
}

export function noteRefusal (request: FastifyRequest, refusal: Refusal): void {
  (request as Refusable)[kRefusal] = refusal
}

/** `errors: 'throw'`: the application's error handler decides what the body looks like. */
export const throwProblem: Answerer = (request, reply, refusal, done) => {
  carryHeaders(reply, refusal)
  throwRefusal(request, reply, refusal, done)
}

/** For guards used by hand: another guard, or the handler, may still let the request through. */
export const throwRefusal: Answerer = (request, _reply, refusal, done) => {
  noteRefusal(request, refusal)
  done(new RefusalError(refusal))
}

/** What a refusal must or may tell in its head, whatever its body looks like (RFC 9110 §11.6.1, §15.5.6, §10.2.3; RateLimit fields). */
const carried = /^(www-authenticate|allow|retry-after|(x-)?ratelimit(-.+)?)$/

/** On the reply before the error handler sees it: a handler that looks at nothing but the status sends them too. */
export function carryHeaders (reply: FastifyReply, { headers }: Refusal): void {
  for (const name in headers) if (carried.test(name)) reply.header(name, headers[name])
}

/** `errors: 'problem'`: the RFC 9457 document is sent here and now. */
export function writeProblem (request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
  noteRefusal(request, refusal)
  if (refusal.lines !== undefined) expectRefusal(reply.raw, refusal.lines)
  reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
}
