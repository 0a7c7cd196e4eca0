import type { FastifyRequest } from 'fastify'
import type { ClientErrorEvent, EdgeHeaders, EdgeOptions } from '../lib/edge/index.ts'
import type { Violation } from '../lib/headers/index.ts'
import type { HeaderPair, Refusal } from '../lib/http/index.ts'
import type { FramePorts, Pipeline, RouteInfo, Verdict } from '../lib/pipeline/index.ts'
import type { RouteAccess, Rule } from '../lib/rules/index.ts'
import type { HandshakeFailure } from '../lib/server/index.ts'
import type { PolicyRules, UsageSummary } from '../lib/usage/index.ts'

/** The budget of failed authentications of one address. */
export interface FailureBudget {
  /**
   * Asked before a credential costs any cryptography: the 429 of an address that has used its budget up. Of one address only so many are
   * let in at once, the others wait, so that a burst cannot overrun the budget. Ends with `leave`, unless it is refused.
   */
  enter (request: FastifyRequest): Verdict | Promise<Verdict>
  leave (request: FastifyRequest): void
  /** Counts a failed authentication. */
  count (request: FastifyRequest): void
}

/** An answer to something that never became a request: no hook sees it. */
export type EdgeAnswer = Omit<ClientErrorEvent, 'reason'>

/** What controls offer each other. Each is absent where its control is. */
export interface Ports extends FramePorts {
  /** Names of hooks and plugins that may run before the suite. */
  readonly hooksBefore?: readonly string[]
  /** How long `app.close()` waits for connections. In milliseconds. */
  readonly closeTimeout?: number
  /** From the edge: from now on each connection ends with its answer. Absent in a scope. */
  readonly drain?: () => void
  /** From authentication: the credentials that a rule may name, and the 401 for strangers, with the challenges of all of them. */
  readonly credentials?: readonly string[]
  readonly unauthenticated?: Refusal
  /** From authorization, for the audit trail: what a route asks of its callers. Frozen. */
  readonly accessOf?: (route: RouteInfo) => Rule | Exclude<RouteAccess['kind'], 'rule'> | undefined
  /** The same, for the usage: policies that are rules, by name. */
  readonly policyRules?: PolicyRules
  /** From API keys, for the API description and the audit trail: where they stand. */
  readonly apiKeyHeader?: string
  /** From authentication, for the audit trail: where tokens stand, if not in `Authorization`. In lower case. */
  readonly tokenHeader?: string
  /** Hooks, and plugins, that must run before the suite: nobody is warned of them. */
  readonly sessionHooks?: readonly string[]
  /** From CORS, for authentication: whether pages of this origin may use credentials on the route of this request. */
  readonly mayUseCredentials?: (request: FastifyRequest, origin: string) => boolean
  /** From the limiter, for authentication. */
  readonly failures?: FailureBudget
  /** From the header plugin, for the edge. */
  readonly edgeHeaders?: EdgeHeaders
  /** From CORS, for the edge: what lets the pages of an allowed origin read its answers. */
  readonly originHeaders?: (origin: string | undefined) => readonly HeaderPair[]
  /** From the audit trail: told of answers of the edge, of refused client certificates, and of violations that browsers report. */
  readonly onEdgeAnswer?: (answer: EdgeAnswer) => void
  /** From the audit trail: told of each request before any hook, and of what listeners of the application do with a connection. */
  readonly onRequestStart?: NonNullable<EdgeOptions['onRequest']>
  readonly onConnect?: NonNullable<EdgeOptions['onConnect']>
  readonly onHandshakeFailure?: (failure: HandshakeFailure) => void
  readonly onViolations?: (request: FastifyRequest, violations: readonly Violation[]) => void
  readonly usage?: () => UsageSummary
}

export type Frame = Pipeline<Ports>
