import type { FastifyRequest } from 'fastify'
import type { AnswerCode } from '../http/index.ts'
import type { Principal } from './principal.ts'

/** What became of a credential. */
export type Verification = Verified | Failed | Unavailable

/** It is good. */
export interface Verified { readonly kind: 'verified', readonly principal: Principal }

/** It is bad: counted against the budget of its address, and answered with this code. */
export interface Failed { readonly kind: 'failed', readonly code: AnswerCode }

/** It cannot be checked now, and opens nothing. */
export interface Unavailable {
  readonly kind: 'unavailable'
  readonly code: AnswerCode
  /** In milliseconds. */
  readonly retryAfter: number
  /** For the log, never for the caller. */
  readonly cause: unknown
}

/** A credential that costs work: it is checked while its address has failures left. */
export interface Unverified {
  readonly kind: 'unverified'
  /** Undefined: on a closer look the request brings none. At once where nothing has to be waited for. Never throws, never rejects. */
  verify (): Verification | undefined | Promise<Verification | undefined>
}

/** What a scheme says of a request at once; undefined: it brings no credential of this kind. */
export type Judged = Verification | Promise<Verification> | Unverified | undefined

/** One way to say who calls: a bearer token, an API key, a certificate, or a scheme of the application. */
export interface Scheme {
  /** The values of `Principal.credential` that it yields, which `config.credential` may name. */
  readonly credentials: readonly string[]
  /** Its challenge in a 401 (RFC 9110 §11.3); undefined where no header asks for such a credential. */
  readonly challenge?: string | undefined
  /** Comes with the connection or with every request of a browser: asked only where a request brings nothing of its own accord. */
  readonly ambient: boolean
  /** Whether the request brings a credential of this kind, good or bad. Cheap. Not asked of ambient schemes. */
  isPresent (request: FastifyRequest): boolean
  /** What must not be there, whatever else is. Asked of ambient schemes before any other credential is looked at. */
  forged? (request: FastifyRequest): Failed | undefined
  /** Never throws: whoever sends a request can send anything. */
  judge (request: FastifyRequest): Judged
}
