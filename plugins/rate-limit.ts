import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { check, Problems } from '../lib/config/index.ts'
import {
  addressPartition, compilePolicies, compilePolicy, connectRedis, createLimiter, isRedisLike, isUnavailable, partitionOf, policyNames, RateLimitOptionsSchema,
  rateLimited, rateLimitField, rateLimitPolicyField, rateLimitUnavailable, refusing, RouteRateLimitSchema, validateRateLimit, validateRouteRateLimit,
  legacyHeaders, Turnstile, type Decision, type Limiter, type LimiterEvent, type MaybePromise, type Outcome, type Policy, type RateLimitOptions, type RedisLike, type RouteRateLimit, type Unavailable
} from '../lib/limits/index.ts'
import { refusal } from '../lib/http/index.ts'
import type { FailureBudget, Handler, RouteInfo, Verdict } from '../lib/pipeline/index.ts'
import { pipelineOf } from './pipeline.ts'
import { serveRateLimitApi } from './rate-limit-api.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's limit: a policy's name, several names, a limit of its own, or `false`. @default `read` for GET, HEAD, OPTIONS and `write` for the rest */
    rateLimit?: RouteRateLimit
  }
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

const rateLimit: FastifyPluginAsync<RateLimitOptions> = async (app, options) => {
  const problems = new Problems()
  checkRateLimit(options, problems)
  problems.throwIfAny()

  const pipeline = pipelineOf(app)
  const limiter = await openLimiter(app, options)
  const { named, perAddress, failures } = compilePolicies(options)
  const routePolicies = (route: RouteInfo, found: Problems) => policiesOf(route, named, options, found)
  pipeline.report('rateLimit', () => limiter.status())
  if (failures !== undefined) pipeline.failures = failureBudget(limiter, failures)
  pipeline.add({
    name: 'rate-limit:address',
    phase: 'address-limit',
    compile: () => perAddress === undefined ? undefined : { hook: 'onRequest', handler: addressHandler(limiter, perAddress) }
  })
  pipeline.add({
    name: 'rate-limit:route',
    phase: 'rate-limit',
    compile (route, found) {
      const choose = routePolicies(route, found)
      return choose === undefined ? undefined : { hook: 'onRequest', handler: routeHandler(limiter, choose, options.legacyHeaders === true) }
    },
    posture: route => ({ rateLimit: describe(routePolicies(route, new Problems()), route) })
  })
  await serveRateLimitApi(app, limiter)
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export function checkRateLimit (options: RateLimitOptions, problems: Problems): void {
  const before = problems.list().length
  check(RateLimitOptionsSchema, options, 'rateLimit', problems)
  if (problems.list().length === before) validateRateLimit(options, 'rateLimit', problems)
}

/** A URL opens a connection of our own, which we close; an instance, or the application's `app.redis`, stays the application's. */
async function openLimiter (app: FastifyInstance, { redis, keyPrefix }: RateLimitOptions): Promise<Limiter> {
  const settings = { ...(keyPrefix === undefined ? undefined : { keyPrefix }), onEvent: (event: LimiterEvent) => logEvent(app, event) }
  const given = redis ?? sharedRedis(app)
  const connection = typeof given === 'string' ? await connectRedis(given) : undefined
  const client = connection?.client ?? (typeof given === 'string' ? undefined : given)
  const limiter = createLimiter({ ...settings, ...(client === undefined ? undefined : { redis: client }) })
  app.addHook('onClose', async () => {
    await limiter.close()
    connection?.close()
  })
  await connection?.ready
  return limiter
}

/** `@fastify/redis` decorates `app.redis` with a client, or with an object of named ones, which says nothing about which to use. */
function sharedRedis (app: FastifyInstance): RedisLike | undefined {
  const { redis } = app as { redis?: unknown }
  return isRedisLike(redis) ? redis : undefined
}

function logEvent (app: FastifyInstance, event: LimiterEvent): void {
  if (event.type === 'store-restored') app.log.info(event, 'secure-api: the rate-limit store answers again')
  else app.log.warn(event, event.type === 'store-unavailable' ? 'secure-api: the rate-limit store does not answer' : 'secure-api: more callers than the limiter can remember')
}

/**
 * Failures are counted when they are known, so those under way could overrun the budget: of one address as many are let
 * in at once as it may fail, and the rest look again when it is their turn. At most twice the limit is ever verified.
 */
function failureBudget (limiter: Limiter, policy: Policy): FailureBudget {
  const field = rateLimitPolicyField([policy])
  const turnstile = new Turnstile(policy.limit)
  const exhausted = (key: string): Verdict => {
    const refused = limiter.denied(policy, key)
    return refused === undefined ? undefined : judge(refused, field, false)
  }
  const waited = (key: string): Verdict => {
    const verdict = exhausted(key)
    if (verdict !== undefined) turnstile.leave(key)
    return verdict
  }
  return {
    enter (request) {
      const key = addressPartition(request)
      const verdict = exhausted(key)
      if (verdict !== undefined) return verdict
      const turn = turnstile.enter(key)
      if (turn === false) return crowded
      return turn?.then(() => waited(key))
    },
    leave: request => turnstile.leave(addressPartition(request)),
    count: request => { limiter.take(policy, addressPartition(request)) }
  }
}

const crowded = refusal('SECURE_API_RATE_LIMITED', { headers: { 'retry-after': '1' } })

function addressHandler (limiter: Limiter, policy: Policy): Handler {
  const field = rateLimitPolicyField([policy])
  return request => after(limiter.take(policy, addressPartition(request)), outcome => judge(outcome, field, false))
}

type Choose = (request: Pick<FastifyRequest, 'method'>) => readonly Policy[]

function routeHandler (limiter: Limiter, choose: Choose, legacy: boolean): Handler {
  const fields = new WeakMap<readonly Policy[], string>()
  const fieldOf = (policies: readonly Policy[]) => {
    const known = fields.get(policies)
    if (known !== undefined) return known
    const made = rateLimitPolicyField(policies)
    fields.set(policies, made)
    return made
  }
  return (request, reply) => {
    const policies = choose(request)
    return after(charge(limiter, policies, request), outcome => {
      const verdict = judge(outcome, fieldOf(policies), legacy)
      if (verdict !== undefined || isUnavailable(outcome)) return verdict
      const decisions = 'allowed' in outcome ? [outcome] : outcome
      announce(reply, decisions, fieldOf(policies), legacy)
      releaseAtEnd(limiter, reply, policies, request, decisions)
      return undefined
    })
  }
}

type Charged = Outcome | readonly Decision[]

function charge (limiter: Limiter, policies: readonly Policy[], request: FastifyRequest): MaybePromise<Charged> {
  const [only] = policies
  if (only !== undefined && policies.length === 1) return limiter.take(only, partition(only)(request), costFor(only, request))
  return limiter.consume(policies.map(policy => [policy, partition(policy)(request), costFor(policy, request)]))
}

/** A cost that the application's function cannot say is no number, which the limiter refuses. */
function costFor ({ cost, costOf }: Policy, request: FastifyRequest): number {
  if (costOf === undefined) return cost
  try {
    return costOf(request)
  } catch (error) {
    request.log.warn({ err: error }, 'secure-api: a rate-limit cost failed; the request is refused')
    return NaN
  }
}

const partitions = new WeakMap<Policy, (request: FastifyRequest) => string>()

function partition (policy: Policy): (request: FastifyRequest) => string {
  const known = partitions.get(policy)
  if (known !== undefined) return known
  const made = partitionOf(policy.by)
  partitions.set(policy, made)
  return made
}

function judge (outcome: Charged | Unavailable, field: string, legacy: boolean): Verdict {
  if (isUnavailable(outcome)) return rateLimitUnavailable(outcome)
  if ('allowed' in outcome) return refusing(outcome) ? rateLimited([outcome], field, legacy) : undefined
  return outcome.some(refusing) ? rateLimited(outcome, field, legacy) : undefined
}

function announce ({ raw }: FastifyReply, decisions: readonly Decision[], field: string, legacy: boolean): void {
  const left = rateLimitField(decisions)
  if (left === '') return // a dry run is not announced
  raw.setHeader('ratelimit', left)
  raw.setHeader('ratelimit-policy', field)
  if (!legacy) return
  for (const [name, value] of Object.entries(legacyHeaders(decisions))) raw.setHeader(name, value)
}

/** `close` comes on every way a request can end: answered, aborted by the caller, hijacked, destroyed. */
function releaseAtEnd (limiter: Limiter, reply: FastifyReply, policies: readonly Policy[], request: FastifyRequest, decisions: readonly Decision[]): void {
  decisions.forEach((decision, index) => {
    const policy = policies[index]
    if (decision.lease === 0 || policy === undefined) return
    const key = partition(policy)(request)
    const release = () => { limiter.refund(policy, key, decision) }
    if (reply.raw.closed) release()
    else reply.raw.once('close', release)
  })
}

/** Which policies count a request of this route. `read` and `write` by its method where it names none. */
function policiesOf ({ kind, config, methods, label }: RouteInfo, named: ReadonlyMap<string, Policy>, options: RateLimitOptions, problems: Problems): Choose | undefined {
  if (kind === 'unknown' || config.rateLimit === false) return undefined
  if (!('rateLimit' in config)) return byMethod(methods, named)
  const before = problems.list().length
  const path = `${label}: config.rateLimit`
  check(RouteRateLimitSchema, config.rateLimit, path, problems)
  const stated = config.rateLimit as RouteRateLimit
  if (problems.list().length === before) validateRouteRateLimit(stated, path, policyNames(options), problems)
  if (problems.list().length > before) return byMethod(methods, named)
  const policies = resolvePolicies(stated, label, named, options)
  return () => policies
}

function byMethod (methods: readonly string[], named: ReadonlyMap<string, Policy>): Choose {
  const read = known('read', named)
  const write = known('write', named)
  if (methods.every(method => safeMethods.has(method))) return () => read
  if (!methods.some(method => safeMethods.has(method))) return () => write
  return ({ method }) => safeMethods.has(method) ? read : write
}

function resolvePolicies (stated: RouteRateLimit, label: string, named: ReadonlyMap<string, Policy>, { onStoreFailure }: RateLimitOptions): readonly Policy[] {
  if (stated === false) return []
  if (typeof stated === 'string') return known(stated, named)
  return Array.isArray(stated) ? stated.flatMap(name => known(name, named)) : [compilePolicy(inlineName(label), stated, onStoreFailure)]
}

/** A limit written at the route is a budget of that route alone. */
function inlineName (label: string): string {
  return label.replace(/^route /, '').replace(/[^\w./:-]+/g, '_')
}

function known (name: string, named: ReadonlyMap<string, Policy>): readonly Policy[] {
  const policy = named.get(name)
  return policy === undefined ? [] : [policy]
}

function describe (choose: Choose | undefined, { methods }: RouteInfo): unknown {
  if (choose === undefined) return false
  return choose({ method: methods[0] ?? 'GET' }).map(({ name, limit, windowMs, algorithm }) => ({ policy: name, limit, windowMs, algorithm }))
}

/** Stays in this turn when the limiter could answer at once. */
function after <T> (value: MaybePromise<T>, then: (value: T) => Verdict): Verdict | Promise<Verdict> {
  return value instanceof Promise ? value.then(then) : then(value)
}

export default fp(rateLimit, { fastify: '5.x', name: 'secure-api-rate-limit' })
