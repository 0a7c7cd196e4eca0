import type { FastifyRequest } from 'fastify'
import { milliseconds } from '../config/index.ts'
import { noteFunctionFailed, refusal, type Refusal } from '../http/index.ts'
import type { Algorithm, Limit, Partition, StoreFailure } from './options.ts'
import { partitionOf } from './partition.ts'

/** A compiled limit: everything a decision needs, computed at boot. Frozen. */
export interface LimitPolicy {
  readonly name: string
  /** Name and algorithm: the budget's identity in every store, so a changed `limit` keeps its counts. */
  readonly id: string
  readonly algorithm: Algorithm
  readonly limit: number
  /** Milliseconds; for `concurrency` the life of a lease. */
  readonly windowMs: number
  /** How many units fit at once: `burst` for `token-bucket`, else `limit`. */
  readonly burst: number
  /** `sliding-window`: requests this close together share an entry. 0 is exact. */
  readonly granularityMs: number
  /** `token-bucket`: the time in which one unit comes back. */
  readonly emissionMs: number
  readonly by: Partition
  /** Whose budget a request counts against. */
  readonly partition: (request: FastifyRequest) => string
  readonly cost: number
  /** How many requests a process admits from one answer of Redis; 0 asks for each. */
  readonly leaseSize: number
  /** Set when the cost depends on the request. */
  readonly costOf: ((request: FastifyRequest) => number) | undefined
  /** By the name of the plan, where the limit depends on it; see {@link planned}. */
  readonly plans: ReadonlyMap<string, LimitPolicy> | undefined
  readonly planOf: ((request: FastifyRequest) => unknown) | undefined
  readonly dryRun: boolean
  readonly onStoreFailure: StoreFailure
  /** The name as a structured-field string (RFC 9651 §3.3.3). */
  readonly label: string
  /** Its item in `RateLimit-Policy`. */
  readonly header: string
  /** The 429 if only this policy is violated, without the time-dependent headers. */
  readonly refusal: Refusal
  /** The same with them, by the seconds to wait, where nothing is left: in a flood they are the same again and again. */
  readonly refusals: Map<number, Refusal>
  /** The constant arguments of the script: algorithm, burst, window and detail. */
  readonly scriptArguments: readonly [string, string, string, string]
}

/** Up to this limit, a sliding window keeps the exact time of each request. */
const exactUpTo = 100
const entriesOfAWindow = 100

/**
 * Compiles a validated limit. `onStoreFailure` is the default. Each plan has its own counts, because states of different windows
 * are not compatible; `@` occurs in no name.
 */
export function compilePolicy (name: string, limit: Limit, onStoreFailure: StoreFailure = 'local', plan?: string): LimitPolicy {
  const algorithm = limit.algorithm ?? 'sliding-window'
  const windowMs = windowOf(limit)
  const label = structuredString(name)
  const burst = algorithm === 'token-bucket' ? limit.burst ?? limit.limit : limit.limit
  const granularityMs = limit.limit <= exactUpTo ? 0 : windowMs / entriesOfAWindow
  const emissionMs = windowMs / limit.limit
  const by = limit.by ?? 'principal'
  const cost = typeof limit.cost === 'number' ? limit.cost : 1
  const detail = algorithm === 'token-bucket' ? emissionMs : granularityMs
  return Object.freeze({
    name,
    id: plan === undefined ? `${algorithm}:${name}` : `${algorithm}:${name}@${plan}`,
    algorithm,
    limit: limit.limit,
    windowMs,
    burst,
    granularityMs,
    emissionMs,
    by,
    partition: partitionOf(by),
    cost,
    leaseSize: leasable(limit) ? leaseSizeOf(burst * (limit.leased ?? 0) / cost) : 0,
    costOf: typeof limit.cost === 'function' ? limit.cost : undefined,
    plans: compilePlans(name, limit, onStoreFailure),
    planOf: typeof limit.plan === 'string' ? claimReader(limit.plan) : limit.plan,
    dryRun: limit.dryRun ?? false,
    onStoreFailure: limit.onStoreFailure ?? onStoreFailure,
    label,
    header: policyHeader(label, limit, windowMs),
    refusal: quotaExceeded([name]),
    refusals: new Map(),
    scriptArguments: Object.freeze([algorithm, String(burst), String(windowMs * 1000), String(detail * 1000)] as const)
  })
}

/** A permit is released, and what a function says is known when it is asked: neither can be counted before. */
export function leasable ({ algorithm, cost }: Limit): boolean {
  return algorithm !== 'concurrency' && typeof cost !== 'function'
}

/** A lease of one saves nothing. */
function leaseSizeOf (requests: number): number {
  return requests < 2 ? 0 : Math.floor(requests)
}

function compilePlans (name: string, { plans, plan: _, ...common }: Limit, onStoreFailure: StoreFailure): LimitPolicy['plans'] {
  if (plans === undefined) return undefined
  return new Map(Object.entries(plans).map(([plan, own]) => [plan, compilePolicy(name, merged(common, own), onStoreFailure, plan)]))
}

/** A limit that inherits nothing: with `Object.prototype.dryRun`, a copy by spreading would refuse nobody. */
export function merged (...parts: readonly Partial<Limit>[]): Limit {
  return Object.assign(Object.create(null), ...parts) as Limit
}

/** The claim of that name (which may contain dots), else the member at that path. */
function claimReader (path: string): (request: FastifyRequest) => unknown {
  const steps = path.split('.')
  return ({ auth }) => {
    const claims: unknown = auth?.claims
    return member(claims, path) ?? steps.reduce(member, claims)
  }
}

function member (value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
}

/** The policy for this caller's plan; undefined for an unknown plan, which must be refused. */
export function planned (policy: LimitPolicy, request: FastifyRequest): LimitPolicy | undefined {
  if (policy.plans === undefined || request.auth === undefined || request.auth.kind === 'anonymous') return policy
  try {
    const plan = policy.planOf?.(request)
    return typeof plan === 'string' ? policy.plans.get(plan) : undefined
  } catch (error) {
    noteFunctionFailed(request, 'plan', { err: error }, 'the plan of a caller is unknown')
    return undefined
  }
}

/** The 429 with the violated policies. Problem type: draft-ietf-httpapi-ratelimit-headers-11 §5, registered with IANA. */
export function quotaExceeded (names: readonly string[]): Refusal {
  return refusal('SECURE_API_RATE_LIMITED', {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    extensions: { 'violated-policies': names }
  })
}

function windowOf ({ algorithm, window, lease = 300_000 }: Limit): number {
  const span = algorithm === 'concurrency' ? lease : window
  if (span === undefined) throw new TypeError('the limit has no window')
  return milliseconds(span)
}

/**
 * draft-ietf-httpapi-ratelimit-headers-11 §3: `w` counts whole seconds, so it is omitted for a shorter window (it is optional)
 * and rounded up otherwise, which promises less rather than more.
 */
function policyHeader (label: string, { algorithm, limit }: Limit, windowMs: number): string {
  if (algorithm === 'concurrency') return `${label};q=${limit};qu="concurrent-requests"`
  return windowMs < 1000 ? `${label};q=${limit}` : `${label};q=${limit};w=${Math.ceil(windowMs / 1000)}`
}

/** RFC 9651 §3.3.3: printable ASCII; other characters become `?`. */
function structuredString (text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
