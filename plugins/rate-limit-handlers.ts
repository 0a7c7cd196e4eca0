import type { FastifyReply, FastifyRequest } from 'fastify'
import { after, type MaybePromise } from '../lib/async/index.ts'
import { addPairToHead, hasLeft, noteFunctionFailed, refusal, whenEnded } from '../lib/http/index.ts'
import {
  addressPartition, isDecision, isUnavailable, legacyHeaders, noteDecision, planned, publish, rateLimited, rateLimitField,
  rateLimitPolicyField, rateLimitUnavailable, FailureReservations, refusing, unplanned, isRefused, type Charge, type Decision,
  type Entrance, type Entry, type Limiter, type LimitOutcome, type LimitPolicy, type Reservation
} from '../lib/limits/index.ts'
import type { Handler, Verdict } from '../lib/pipeline/index.ts'
import type { FailureBudget } from './ports.ts'

/** A decorator and no mark: a session costs a unit with each request, and an entry of a weak map costs more than the rest of it. */
export const kReservation = Symbol('secure-api.reservation')
type WithReservation = FastifyRequest & { [kReservation]?: Reservation | null }

/** Asks for a unit of the budget before a verification; see {@link FailureReservations}. */
export function failureBudget (limiter: Limiter, entry: Entry, now?: () => number): FailureBudget {
  const budget = new FailureReservations(limiter, entry, now)
  const settled = (entrance: Entrance, request: WithReservation): Verdict => {
    if (entrance === 'crowded') return crowded
    if (isRefused(entrance)) return judge(entrance.refused, request, false)
    request[kReservation] = entrance
    return undefined
  }
  return {
    enter (request) {
      const entrance = budget.enter(addressPartition(request), () => hasLeft(request.raw))
      return after(entrance, one => settled(one, request))
    },
    leave (request) {
      const reservation = take(request)
      if (reservation !== null) budget.giveBack(reservation)
    },
    count (request) {
      const reservation = take(request)
      if (reservation === null) budget.count(addressPartition(request))
      else budget.spend(reservation)
    }
  }
}

function take (request: WithReservation): Reservation | null {
  const { [kReservation]: reservation = null } = request
  if (reservation !== null) request[kReservation] = null
  return reservation
}

const crowded = refusal('SECURE_API_RATE_LIMITED', { headers: { 'retry-after': '1' } })

/** Counts a request by address, whatever it asks for. */
export function addressHandler (limiter: Limiter, entry: Entry): Handler {
  return request => {
    const [policy] = entry.active
    if (policy === undefined) return undefined
    return after(limiter.take(policy, addressPartition(request)), outcome => judge(outcome, request, false))
  }
}

/** Which policies count a request, at the moment. */
export type Choose = (request: Pick<FastifyRequest, 'method'>) => readonly LimitPolicy[]

/** Counts a request by the policies of its route. */
export function routeHandler (limiter: Limiter, choose: Choose, legacy: boolean): Handler {
  return (request, reply) => {
    const policies = choose(request)
    if (policies.length === 0) return undefined
    return after(charge(limiter, policies, request), outcome => {
      const verdict = judge(outcome, request, legacy)
      if (verdict !== undefined || isUnavailable(outcome)) return verdict
      const decisions = isDecision(outcome) ? [outcome] : outcome
      noteDecision(request, outcome)
      announce(reply, decisions, legacy)
      releaseAtEnd(limiter, reply, request, decisions)
      return undefined
    })
  }
}

type Charged = LimitOutcome | readonly Decision[]

function charge (limiter: Limiter, policies: readonly LimitPolicy[], request: FastifyRequest): MaybePromise<Charged> {
  const [only] = policies
  if (only === undefined || policies.length > 1) return chargeAll(limiter, policies, request)
  const policy = planned(only, request)
  return policy === undefined ? unknownPlan(only, request) : limiter.take(policy, policy.partition(request), costFor(policy, request))
}

/** A dry run refuses nobody, whatever the plan is. */
function chargeAll (limiter: Limiter, policies: readonly LimitPolicy[], request: FastifyRequest): MaybePromise<Charged> {
  const charges: Charge[] = []
  for (const one of policies) {
    const policy = planned(one, request)
    if (policy !== undefined) charges.push([policy, policy.partition(request), costFor(policy, request)])
    else if (!one.dryRun) return unknownPlan(one, request)
  }
  return charges.length === 0 ? [] : limiter.consume(charges)
}

function unknownPlan (policy: LimitPolicy, request: FastifyRequest): Decision {
  noteFunctionFailed(request, 'plan', { policy: policy.name }, 'the plan of a caller is unknown, so the request is refused')
  return unplanned(policy, performance.now())
}

/** A cost that the application's function cannot say is no number, which the limiter refuses. */
function costFor ({ cost, costOf }: LimitPolicy, request: FastifyRequest): number {
  if (costOf === undefined) return cost
  try {
    return costOf(request)
  } catch (error) {
    noteFunctionFailed(request, 'cost', { err: error }, 'a rate-limit cost function failed, so the request is refused')
    return NaN
  }
}

/** What a decision means for the request. It is published, and a refusal noted for the audit trail. */
function judge (outcome: Charged, request: FastifyRequest, legacy: boolean): Verdict {
  publish(outcome, request)
  if (isUnavailable(outcome)) return rateLimitUnavailable(outcome)
  const refused = isDecision(outcome) ? refusing(outcome) : outcome.some(refusing)
  if (!refused) return undefined
  noteDecision(request, outcome)
  return rateLimited(isDecision(outcome) ? [outcome] : outcome, legacy)
}

function announce ({ raw }: FastifyReply, decisions: readonly Decision[], legacy: boolean): void {
  const left = rateLimitField(decisions)
  if (left === '') return // a dry run is not announced
  addPairToHead(raw, 'ratelimit', left)
  addPairToHead(raw, 'ratelimit-policy', rateLimitPolicyField(decisions))
  if (!legacy) return
  for (const [name, value] of Object.entries(legacyHeaders(decisions))) addPairToHead(raw, name, value)
}

/** On every way a request can end, also while the store was asked: answered, aborted by the caller, hijacked, destroyed. */
function releaseAtEnd (limiter: Limiter, reply: FastifyReply, request: FastifyRequest, decisions: readonly Decision[]): void {
  for (const decision of decisions) {
    if (decision.lease === 0) continue
    const { policy } = decision
    const key = policy.partition(request)
    whenEnded(reply.raw, () => { limiter.refund(policy, key, decision) })
  }
}
