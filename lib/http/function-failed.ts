import type { FastifyRequest } from 'fastify'

/** A function of the options, by what it is for. */
export type OwnFunction = 'policy' | 'partition' | 'cost' | 'plan' | 'challenge'

/**
 * Logs that a function of the application has thrown, or gave what it may not, under one code, so that an alert needs no text. What
 * follows for the request is up to the caller.
 */
export function noteFunctionFailed (request: FastifyRequest, name: OwnFunction, about: { err: unknown } | { policy: string },
  text: string): void {
  request.log.warn({ ...about, code: 'SECURE_API_FUNCTION_FAILED', function: name }, `secure-api: ${text}`)
}
