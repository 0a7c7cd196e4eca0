import type { FastifyRequest } from 'fastify'

/** A function of the options, by what it is for. */
export type OwnFunction = 'policy' | 'partition' | 'cost' | 'plan' | 'challenge'

/** Logs that a function of the application has thrown, under one code, so that an alert needs no text. What follows is the caller's. */
export function noteFunctionFailed (request: FastifyRequest, name: OwnFunction, error: unknown, text: string): void {
  request.log.warn({ err: error, code: 'SECURE_API_FUNCTION_FAILED', function: name }, `secure-api: ${text}`)
}
