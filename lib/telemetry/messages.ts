import type { FastifyRequest } from 'fastify'
import type { Phase } from '../pipeline/index.ts'

/** A message on the diagnostics channel `secure-api:request`: how a request ended. Needs the audit trail, or `telemetry`. */
export interface RequestMessage {
  /** By the status: `denied` from 400, `failed` from 500; `aborted`: the caller left before the answer. */
  readonly outcome: 'allowed' | 'denied' | 'failed' | 'aborted'
  /** The route's template; undefined for a request that matched none. */
  readonly route: string | undefined
  /** The code of the suite's refusal; undefined where the application answered itself. */
  readonly reason: string | undefined
  /** What the caller was known by, as in `request.auth.credential`. */
  readonly credential: string | undefined
  readonly status: number
  readonly durationMs: number
  readonly request: FastifyRequest
}

/** A message on the diagnostics channel `secure-api:phase`: one control has decided. Needs `telemetry`. */
export interface PhaseMessage {
  readonly phase: Phase
  /** The control's name, as in `app.secureApi.routes()`. */
  readonly control: string
  readonly durationMs: number
}
