import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AnswerCode, Refusal } from '../http/index.ts'
import type { Answerer } from './run.ts'

/** A refusal on its way to an error handler: thrown by guards used by hand and by `request.authorize`. */
export class RefusalError extends Error {
  readonly code: AnswerCode
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly refusal: Refusal

  constructor (refusal: Refusal) {
    super(refusal.detail)
    this.name = 'RefusalError'
    this.code = refusal.code
    this.statusCode = refusal.status
    this.headers = refusal.headers
    this.refusal = refusal
  }
}

/** Where the reason of a refused request is kept for the audit trail. */
const refusals = new WeakMap<FastifyRequest, Refusal>()

export function refusalOf (request: FastifyRequest): Refusal | undefined {
  return refusals.get(request)
}

export function noteRefusal (request: FastifyRequest, refusal: Refusal): void {
  refusals.set(request, refusal)
}

/** `errors: 'problem'`: the RFC 9457 document is sent here and now. */
export const sendProblem: Answerer = (request, reply, refusal) => {
  writeProblem(request, reply, refusal)
}

/** `errors: 'throw'`: the application's error handler decides what the body looks like. */
export const throwProblem: Answerer = (request, _reply, refusal, done) => {
  noteRefusal(request, refusal)
  done(new RefusalError(refusal))
}

export function writeProblem (request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
  noteRefusal(request, refusal)
  reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
}
